package verify

import (
	"bytes"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/mr"
)

// forgedJob has map tasks that share an object.
func forgedJob(app mr.App) testJob {
	return testJob{app: app, reduces: 2, prefix: "p", split: 20, inputs: map[string]string{
		"a": "b a\nb\nc d e f\nb b b b a\nlast\n", "b": "", "c": strings.Repeat("x", 50) + "\ny\n", "d": "w",
	}}
}

// onceWords is wordCount whose mappers emit no word twice.
func onceWords() mr.App {
	a := wordCount()
	a.NewMapper = func(t *mr.Task) (mr.Mapper, error) {
		seen := map[string]bool{}
		return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
			for w := range bytes.FieldsSeq(rec.Data) {
				if !seen[string(w)] {
					seen[string(w)] = true
					t.Counters.Add("words", 1)
					out.Emit(w, nil)
				}
			}
			return nil
		}), nil
	}
	a.NewReducer = sizes().NewReducer // the first value
	a.Combine = mr.CombinerFunc(func(acc, _ []byte) []byte { return acc })
	return a
}

// flushed counts the records of each mapper, and emits that in the end.
type flushed struct {
	n int64
	t *mr.Task
}

func (f *flushed) Map(mr.Record, mr.Emitter) error { f.n++; return nil }
func (f *flushed) Flush(out mr.Emitter) error {
	f.t.Counters.Add("mappers", 1)
	out.Emit([]byte("n"), mr.AppendInt64(nil, f.n))
	return nil
}

func flushWords() mr.App {
	a := wordCount()
	a.NewMapper = func(t *mr.Task) (mr.Mapper, error) { return &flushed{t: t}, nil }
	a.Combine = nil
	return a
}

// fickleWords emits other values and counts other things each time.
func fickleWords() mr.App {
	a := wordCount()
	a.Combine = nil
	a.NewMapper = func(t *mr.Task) (mr.Mapper, error) {
		return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
			t.Counters.Add("ns", rand.Int64())
			out.Emit(rec.Data, fmt.Append(nil, rand.Uint64()))
			return nil
		}), nil
	}
	a.NewReducer = func(t *mr.Task) (mr.Reducer, error) {
		return mr.ReducerFunc(func(_ []byte, _ iter.Seq[[]byte], out mr.Output) error {
			t.Counters.Add("ns", rand.Int64())
			out.Write([]byte("x"))
			return nil
		}), nil
	}
	return a
}

// TestEmittedIntact: what an application may do is no finding: keep something
// from record to record, emit in the end, emit and count otherwise each time.
func TestEmittedIntact(t *testing.T) {
	numbered := forgedJob(places())
	numbered.split = 0
	inexact := fickleWords()
	inexact.ExactCounters = false
	for name, j := range map[string]testJob{
		"record by record": forgedJob(wordCount()), "not combined": numbered, "once": forgedJob(onceWords()),
		"flushed": forgedJob(flushWords()), "fickle": forgedJob(fickleWords()), "fickle, not exact": forgedJob(inexact),
	} {
		s, lay := j.build(t)
		rep := run(t, s, lay, j.app, Options{Scratch: t.TempDir()})
		if !rep.OK() || rep.Reference.State != OK || (len(rep.Notes) > 0) != strings.HasPrefix(name, "fickle") {
			t.Errorf("%s: notes %q, findings:\n%s", name, rep.Notes, show(rep))
		}
	}
}

// TestForged: counts that fit together, in records, summary and seal, are held
// against what the application does.
func TestForged(t *testing.T) {
	commit := func(t *testing.T, s *fakeStore, l layout.Layout, m int, f func(*manifest.Map)) {
		edit(t, s, l.MapCommit(m), manifest.MapSchema, f)
	}
	sum := func(t *testing.T, s *fakeStore, l layout.Layout, f func(*manifest.Success)) {
		edit(t, s, l.Success(), manifest.SuccessSchema, f)
	}
	type forge func(t *testing.T, s *fakeStore, l layout.Layout)
	emitted := func(t *testing.T, s *fakeStore, l layout.Layout) {
		commit(t, s, l, 1, func(m *manifest.Map) { m.Emitted += 5 })
		sum(t, s, l, func(v *manifest.Success) { v.Emitted += 5 })
	}
	counted := func(name string) forge {
		return func(t *testing.T, s *fakeStore, l layout.Layout) {
			commit(t, s, l, 1, func(m *manifest.Map) {
				if m.Counters == nil {
					m.Counters = map[string]int64{}
				}
				m.Counters[name] += 7
			})
			sum(t, s, l, func(v *manifest.Success) { v.Counters[name] += 7 })
		}
	}
	numbered := forgedJob(places())
	numbered.split = 0
	for name, tt := range map[string]struct {
		job    testJob
		forge  forge
		key    func(layout.Layout) string // "" is map task 1
		detail string
	}{
		"emitted, combined": {forgedJob(wordCount()), emitted, nil, "pairs were emitted, the app emits"},
		"emitted, once":     {forgedJob(onceWords()), emitted, nil, "pairs were emitted, the app emits"},
		"emitted, moved": {forgedJob(wordCount()), func(t *testing.T, s *fakeStore, l layout.Layout) {
			commit(t, s, l, 1, func(m *manifest.Map) { m.Emitted++ })
			commit(t, s, l, 0, func(m *manifest.Map) { m.Emitted-- })
		}, nil, "pairs were emitted, the app emits"},
		"records read, moved": {forgedJob(wordCount()), func(t *testing.T, s *fakeStore, l layout.Layout) {
			commit(t, s, l, 1, func(m *manifest.Map) { m.Input.Records++ })
			commit(t, s, l, 0, func(m *manifest.Map) { m.Input.Records-- })
		}, nil, "records were read, its pieces have"},
		"bytes read": {forgedJob(wordCount()), func(t *testing.T, s *fakeStore, l layout.Layout) {
			commit(t, s, l, 1, func(m *manifest.Map) { m.Input.Bytes++ })
			sum(t, s, l, func(v *manifest.Success) { v.Input.Bytes++ })
		}, nil, "it read 10 bytes of input, the task has 9"},
		"a counter":          {forgedJob(wordCount()), counted("tasks"), nil, `counter "tasks" is 8, the app counts 1`},
		"a counter, once":    {forgedJob(onceWords()), counted("words"), nil, `counter "words" is`},
		"a counter, made up": {numbered, counted("x"), nil, `counter "x" is 7, the app counts 0`},
		"a counter of a reduce task": {numbered, func(t *testing.T, s *fakeStore, l layout.Layout) {
			edit(t, s, l.ReduceAttempt(1, "r1.1"), manifest.ReduceSchema, func(r *manifest.Reduce) { r.Counters = map[string]int64{"left out": 3} })
			sum(t, s, l, func(v *manifest.Success) { v.Counters["left out"] += 3 })
		}, func(l layout.Layout) string { return l.ReduceAttempt(1, "r1.1") }, `counter "left out" is 3, the app counts 0`},
		"records moved to another task": {numbered, moveRecord, func(l layout.Layout) string { return l.MapCommit(0) }, "it says that partition 1 has 3 records"},
		"most bad records": {badJob(brittle("bad")), func(t *testing.T, s *fakeStore, l layout.Layout) {
			edit(t, s, l.Job(), manifest.JobSchema, func(j *manifest.Job) { j.MaxBad = manifest.Budget{PPM: 10_000} })
		}, layout.Layout.CommitDir, "of 11 records were skipped, more than 1%"},
	} {
		t.Run(name, func(t *testing.T) {
			s, lay := tt.job.build(t)
			tt.forge(t, s, lay)
			key := lay.MapCommit(1)
			if tt.key != nil {
				key = tt.key(lay)
			}
			rep := run(t, s, lay, tt.job.app, Options{Scratch: t.TempDir(), MaxRecord: tt.job.maxRecord})
			if !slices.ContainsFunc(rep.Findings, func(f Finding) bool { return f.Key == key && strings.Contains(f.Detail, tt.detail) }) {
				t.Errorf("no finding of %s with %q among\n%s", key, tt.detail, show(rep))
			}
		})
	}
}

// TestCountersOfAHost: counters that depend on the surroundings of a run, and
// that verify's own runs agree about, are no finding but a note. Of an app that
// declares ExactCounters the same difference is a finding.
func TestCountersOfAHost(t *testing.T) {
	for _, exact := range []bool{false, true} {
		host := "worker" // of whoever runs the app
		job := forgedJob(places())
		job.split = 0
		app := &job.app
		app.ExactCounters = exact
		newMapper, newReducer := app.NewMapper, app.NewReducer
		app.NewMapper = func(t *mr.Task) (mr.Mapper, error) {
			t.Counters.Add("maps on "+host, 1)
			return newMapper(t)
		}
		app.NewReducer = func(t *mr.Task) (mr.Reducer, error) {
			t.Counters.Add("reduces on "+host, 1)
			return newReducer(t)
		}
		s, lay := job.build(t)
		host = "verifier"
		rep := run(t, s, lay, *app, Options{Scratch: t.TempDir()})
		for phase, key := range map[string]string{"map": lay.MapCommit(0), "reduce": lay.ReduceAttempt(0, "r0.1")} {
			detail := fmt.Sprintf(`it says that counter "%ss on verifier" is 0, the app counts 1`, phase)
			if exact != slices.Contains(rep.Findings, Finding{Kind: BadSum, Key: key, Detail: detail}) {
				t.Errorf("exact %v: findings of %s:\n%s", exact, key, show(rep))
			}
			if exact == slices.ContainsFunc(rep.Notes, func(n string) bool {
				return strings.HasPrefix(n, "counters of ") && strings.Contains(n, key+": "+detail) && strings.Contains(n, "app places does not declare ExactCounters")
			}) {
				t.Errorf("exact %v: notes %q", exact, rep.Notes)
			}
		}
		if rep.OK() == exact || rep.Reference.State == OK == exact {
			t.Errorf("exact %v: reference %s, findings:\n%s", exact, rep.Reference.State, show(rep))
		}
	}
}

// moveRecord moves a record from map task 0 to 1 and makes everything fit.
func moveRecord(t *testing.T, s *fakeStore, l layout.Layout) {
	const r = 1
	var moved pair
	rewrite := func(m int, f func([]pair) []pair) {
		var pairs []pair
		rd := recordio.NewReader(bytes.NewReader(s.objs[l.Partition(m, r)].data))
		for rd.Next() {
			pairs = append(pairs, pair{slices.Clone(rd.Key()), slices.Clone(rd.Value())})
		}
		before := len(pairs)
		pairs = f(pairs)
		slices.SortStableFunc(pairs, func(a, b pair) int { return bytes.Compare(a.key, b.key) })
		data, sum := segmentOf(t, pairs)
		o := s.put(l.Partition(m, r), data, map[string]string{manifest.MetaJob: "wc-01jd9z6t3m", manifest.MetaHash: fmt.Sprintf("%x", sum.Hash)})
		edit(t, s, l.MapCommit(m), manifest.MapSchema, func(rec *manifest.Map) {
			rec.Parts[r] = manifest.Part{Key: o.Key, ETag: o.ETag, Size: o.Size, Hash: fmt.Sprintf("%x", sum.Hash), Sum: sum.Sum}
			rec.Emitted += int64(len(pairs) - before)
		})
	}
	rewrite(0, func(p []pair) []pair { moved = p[len(p)-1]; return p[:len(p)-1] })
	rewrite(2, func(p []pair) []pair { return append(p, moved) })
}
