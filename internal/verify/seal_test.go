package verify

import (
	"bytes"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/mr"
)

// sorted lists its input in total order, so that it has key ranges.
func sortedApp() mr.App {
	a := wordCount()
	a.Name, a.Ordered, a.Combine = "sorted", true, nil
	return a
}

// sealedJobs are jobs that leave, together, every class of object.
func sealedJobs() map[string]testJob {
	plain := testJob{app: wordCount(), reduces: 2, prefix: "p", inputs: map[string]string{"a": "b a\nb\n", "b/c": "c a\n"}}
	packed, displaced, sorted := plain, badJob(brittle("bad")), plain
	packed.packed, packed.displaced = true, 2
	displaced.displaced = 1
	sorted.app, sorted.bounds = sortedApp(), [][]byte{[]byte("b")}
	partitioned, naming := plain, plain
	partitioned.output, partitioned.options = "csv", map[string]string{"columns": "word,count:int", "partition": "count"}
	naming.app = namingApp()
	return map[string]testJob{"partitioned": partitioned, "named": naming, "plain": plain, "packed and displaced": packed, "skipped and displaced": displaced, "sorted": sorted}
}

// namingApp counts words, and writes those that are rare to a named output.
func namingApp() mr.App {
	a := wordCount()
	a.Name, a.NamedOutputs = "naming", []string{"rare=json"}
	reducer := a.NewReducer
	a.NewReducer = func(task *mr.Task) (mr.Reducer, error) {
		r, err := reducer(task)
		return mr.ReducerFunc(func(key []byte, values iter.Seq[[]byte], out mr.Output) error {
			if string(key) == "c" {
				task.Named.Emit("rare", key, []byte("1"))
			}
			return r.Reduce(key, values, out)
		}), err
	}
	return a
}

// change is one way to damage bytes; nil if it cannot be done to these.
type change struct {
	name string
	data []byte
}

// changes are the ways to damage data: bit flips at up to flips places, cuts,
// and what may happen to lines.
func changes(data []byte, flips int) (all []change) {
	add := func(name string, b []byte) {
		if !bytes.Equal(b, data) {
			all = append(all, change{name, b})
		}
	}
	step := max(1, len(data)/flips)
	for at := 0; at < len(data); at += step {
		b := slices.Clone(data)
		b[at] ^= 1 << (at / step % 8)
		add(fmt.Sprintf("bit %d of byte %d flipped", at/step%8, at), b)
	}
	for _, n := range []int{0, 1, len(data) / 2, len(data) - 1} {
		if n >= 0 && n < len(data) {
			add(fmt.Sprintf("cut to %d bytes", n), slices.Clone(data[:n]))
		}
	}
	add("first byte dropped", slices.Clone(data[min(1, len(data)):]))
	add("a byte appended", append(slices.Clone(data), 'x'))
	add("a line break appended", append(slices.Clone(data), '\n'))
	add("repeated", slices.Concat(data, data))
	lines := bytes.SplitAfter(data, []byte("\n"))
	if len(lines[len(lines)-1]) == 0 {
		lines = lines[:len(lines)-1]
	}
	for i := range lines {
		add(fmt.Sprintf("line %d repeated", i+1), bytes.Join(slices.Insert(slices.Clone(lines), i, lines[i]), nil))
		add(fmt.Sprintf("line %d dropped", i+1), bytes.Join(slices.Delete(slices.Clone(lines), i, i+1), nil))
		if i+1 < len(lines) {
			swapped := slices.Clone(lines)
			swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
			add(fmt.Sprintf("lines %d and %d swapped", i+1, i+2), bytes.Join(swapped, nil))
		}
	}
	return all
}

// class is the class of object that a key is of.
func class(lay layout.Layout, key string) string {
	_, _, partition := lay.ParsePartition(key)
	_, packed := lay.ParsePacked(key)
	_, commit := lay.ParseMapCommit(key)
	_, output := lay.ParseOutput(key)
	_, bad := lay.ParseBad(key)
	reduce, _, _, part, attempt := lay.ParseAttempt(key)
	_, _, _, beside := lay.ParseNamedAttempt(key)
	_, _, named := lay.ParseNamed(key)
	switch {
	case beside:
		return "object of an attempt"
	case named:
		return "named output"
	case strings.Contains(key, "="):
		return "partition of the output"
	case partition || packed:
		return "segment"
	case commit:
		return "commit record"
	case output:
		return "output"
	case bad:
		return "list of skipped records"
	case attempt && reduce:
		return "reduce record"
	case attempt && (part >= 0 || strings.HasSuffix(key, "/packed")):
		return "displaced segment"
	case attempt:
		return "displaced list of skipped records"
	case strings.HasPrefix(key, lay.InputDir()):
		return "input"
	}
	return strings.TrimPrefix(strings.TrimPrefix(key, lay.IntermediateDir()), lay.OutputDir())
}

// TestEveryDamage damages every object of whole jobs in every way: behind the
// back of the store, as a disk does, and by writing the object anew, with and
// without its metadata, as a person does. Everything is found, with and
// without the application.
func TestEveryDamage(t *testing.T) {
	tried := map[string]int{}
	for name, j := range sealedJobs() {
		t.Run(name, func(t *testing.T) {
			whole, lay := j.build(t)
			opt := Options{Scratch: t.TempDir(), MaxRecord: j.maxRecord}
			find := func(s *fakeStore, key, what string, reference bool) {
				t.Helper()
				tried[class(lay, key)]++
				rep := verifyAs(t, s, lay, j.app, reference, opt)
				if rep.OK() || rep.Seal != "" {
					t.Errorf("%s: %s: nothing was found (reference: %v)", key, what, reference)
				}
			}
			if rep := verifyAs(t, whole, lay, j.app, true, opt); !rep.OK() || rep.Seal == "" {
				t.Fatalf("the job is whole, findings:\n%s", show(rep))
			}
			keys := oneOfEach(lay, whole)
			for n, key := range keys {
				_, input := lay.InputName(key)
				for i, c := range changes(whole.objs[key].data, 20) {
					s := whole.clone()
					how, reference := i%3, (i+n)%5 == 0
					switch {
					case how == 0 && !input: // which is pinned by its ETag
						s.rot(key, func([]byte) []byte { return c.data })
					case how == 1:
						s.put(key, c.data, s.objs[key].meta)
					default:
						s.put(key, c.data, nil)
					}
					find(s, key, c.name, reference)
				}
				s := whole.clone()
				delete(s.objs, key)
				find(s, key, "deleted", n%2 == 0)
			}
			all := slices.Sorted(maps.Keys(whole.objs))
			for i, key := range keys {
				for _, other := range all[i+1:] {
					if bytes.Equal(whole.objs[key].data, whole.objs[other].data) {
						continue
					}
					s := whole.clone()
					s.objs[key], s.objs[other] = s.objs[other], s.objs[key]
					find(s, key, "swapped with "+other, false)
				}
			}
			for _, extra := range extraKeys(lay, whole) {
				s := whole.clone()
				s.put(extra, []byte("x"), nil)
				find(s, extra, "added", false)
			}
		})
	}
	for _, c := range []string{"segment", "displaced segment", "commit record", "reduce record", "output", "input",
		"list of skipped records", "displaced list of skipped records", "named output", "partition of the output", "_job.json", "_ranges.json", "_SUCCESS"} {
		if tried[c] < 20 {
			t.Errorf("%d damages of class %s were tried", tried[c], c)
		}
	}
	t.Logf("damages tried, by class: %v", tried)
}

// oneOfEach returns the last object of each class, but of what is copied from
// _attempts/ at the end of a job: it is the copies that count.
func oneOfEach(lay layout.Layout, s *fakeStore) (keys []string) {
	last := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(s.objs)) {
		last[class(lay, key)] = key
	}
	delete(last, "object of an attempt")
	return slices.Sorted(maps.Values(last))
}

// extraKeys are names that no object of the job has and where none belongs.
func extraKeys(lay layout.Layout, s *fakeStore) (keys []string) {
	i, o := lay.IntermediateDir(), lay.OutputDir()
	for _, key := range []string{
		i + "x", i + "mr-99-0", i + "mr-0-99", i + "mr-x", i + "00/mr-99", i + "zz/x", i + "_x", i + "_job.json.bak", i + "_ranges.json",
		i + "_commit/map-99", i + "_commit/x", i + "_attempts/x", i + "_attempts/map-0/x", i + "_attempts/map-0/x/0", i + "_attempts/map-0/x/99",
		i + "_attempts/map-0/x/packed", i + "_attempts/map-99/x/0", i + "_attempts/reduce-0/x", i + "_attempts/reduce-99/x",
		i + "_attempts/reduce-0/x/y", i + "folder/", o + "x", o + "mr-out-99", o + "mr-out-01", o + "part-00000", o + "_bad/map-99", o + "_bad/x",
		o + "_bad/map-1", o + "_SUCCESS.bak", o + "folder/",
	} {
		if s.objs[key] == nil {
			keys = append(keys, key)
		}
	}
	return keys
}

// verifyAs verifies, with the reference if that is asked for.
func verifyAs(t *testing.T, s *fakeStore, lay layout.Layout, app mr.App, reference bool, opt Options) *Report {
	t.Helper()
	opt.Lookup = func(name string) *mr.App {
		if name == app.Name {
			return &app
		}
		return nil
	}
	if reference {
		opt.App = app.Name
	}
	rep, err := Run(t.Context(), s, lay, opt)
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	return rep
}

// TestNotSealed: what is no result may change after the job, and what an
// attempt that did not commit has left may lie about.
func TestNotSealed(t *testing.T) {
	for name, j := range sealedJobs() {
		t.Run(name, func(t *testing.T) {
			s, lay := j.build(t)
			before := verifyAs(t, s, lay, j.app, false, Options{Scratch: t.TempDir()}).Seal
			i, job := lay.IntermediateDir(), "wc-01jd9z6t3m"
			for _, key := range []string{lay.Coordinator(), lay.PreflightDir() + "x", lay.SideDir() + "a/b", lay.Events(1)} {
				s.put(key, []byte("x"), nil)
			}
			for _, key := range []string{i + "_attempts/map-0/late/0", i + "_attempts/map-0/late/packed", i + "_attempts/map-0/late/bad", i + "_attempts/reduce-0/late"} {
				s.put(key, []byte("x"), map[string]string{manifest.MetaJob: job, manifest.MetaAttempt: "late"})
			}
			s.put(i, nil, nil)
			s.put(lay.OutputDir()+"folder/", nil, nil)
			rep := verifyAs(t, s, lay, j.app, true, Options{Scratch: t.TempDir(), MaxRecord: j.maxRecord})
			if !rep.OK() || rep.Seal == "" || rep.Seal != before {
				t.Errorf("seal %q, before %q, findings:\n%s", rep.Seal, before, show(rep))
			}
			for _, other := range []string{"wc-other", ""} { // it is not this job's
				s.put(i+"_attempts/map-0/late/0", []byte("x"), map[string]string{manifest.MetaJob: other, manifest.MetaAttempt: "late"})
				if rep := verifyAs(t, s, lay, j.app, false, Options{Scratch: t.TempDir()}); rep.Found != 1 || rep.Findings[0].Kind != Foreign {
					t.Errorf("of job %q, findings:\n%s", other, show(rep))
				}
			}
		})
	}
}

// TestSealAsked: a seal that was kept is the job's, or the job is not what it
// was: also where all of it was made anew, or where nothing is left.
func TestSealAsked(t *testing.T) {
	j := wcJob()
	s, lay := j.build(t)
	seal := verifyAs(t, s, lay, j.app, false, Options{Scratch: t.TempDir()}).Seal
	for name, tt := range map[string]struct {
		damage func(*fakeStore)
		kind   Kind // "" is no finding
	}{
		"as it was": {func(*fakeStore) {}, ""},
		"sealed anew": {func(s *fakeStore) {
			edit(t, s, lay.MapCommit(0), manifest.MapSchema, func(m *manifest.Map) { m.Worker = "w2" })
		}, OtherSeal},
		"not finished":    {func(s *fakeStore) { delete(s.objs, lay.Success()) }, Missing},
		"nothing is left": {func(s *fakeStore) { clear(s.objs) }, BadJob},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.clone()
			tt.damage(s)
			rep := verifyAs(t, s, lay, j.app, false, Options{Scratch: t.TempDir(), Seal: seal})
			switch {
			case tt.kind == "":
				if !rep.OK() || rep.Seal != seal {
					t.Errorf("seal %q, findings:\n%s", rep.Seal, show(rep))
				}
			case rep.Found != 1 || rep.Findings[0].Kind != tt.kind || rep.Seal != "":
				t.Errorf("seal %q, want one finding %s, findings:\n%s", rep.Seal, tt.kind, show(rep))
			}
		})
	}
}

// TestSealNames: of many records, those are named that no worker wrote, and of
// those that came with a hash the one that differs from it.
func TestSealNames(t *testing.T) {
	j := wcJob()
	whole, lay := j.build(t)
	for name, damage := range map[string]func(*fakeObject){
		"written anew": func(o *fakeObject) { o.meta = nil },
		"rotten":       func(*fakeObject) {},
	} {
		for _, key := range []string{lay.MapCommit(2), lay.ReduceAttempt(1, "r1.1")} {
			s := whole.clone()
			s.rot(key, func(b []byte) []byte { return bytes.Replace(b, []byte(`"w1"`), []byte(`"w2"`), 1) })
			damage(s.objs[key])
			rep := verifyAs(t, s, lay, j.app, false, Options{Scratch: t.TempDir()})
			want := key
			if name == "written anew" && key != lay.MapCommit(2) {
				want = lay.Output(1)
			}
			if !slices.ContainsFunc(rep.Findings, func(f Finding) bool { return f.Kind == BadRecord && f.Key == want }) {
				t.Errorf("%s, %s: findings:\n%s", key, name, show(rep))
			}
		}
	}
}
