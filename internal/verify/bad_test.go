package verify

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/mr"
)

// brittle is wordCount that fails over lines that hold one of words, after it
// has emitted.
func brittle(words ...string) mr.App {
	a := wordCount()
	inner := a.NewMapper
	a.NewMapper = func(t *mr.Task) (mr.Mapper, error) {
		m, err := inner(t)
		return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
			if err := m.Map(rec, out); err != nil {
				return err
			}
			for _, w := range words {
				if bytes.Contains(rec.Data, []byte(w)) {
					if w == "panic" {
						panic(w)
					}
					return errors.New("it holds " + w)
				}
			}
			return nil
		}), err
	}
	return a
}

// badJob has seven bad records: three in task 0, none in task 1, four in task 2.
func badJob(app mr.App) testJob {
	return testJob{
		app: app, reduces: 2, prefix: "p", maxBad: manifest.Budget{PPM: 700_000}, maxRecord: 30,
		inputs: map[string]string{
			"a": "bad from the start\nthe good\r\nmore bad\n" + strings.Repeat("x ", 40) + "\nthe good\n",
			"b": "good\n",
			"c": "bad\nbad\nok\nbad\nbad",
		},
	}
}

func TestSkippedIntact(t *testing.T) {
	numbered := brittle("bad")
	numbered.Input = mr.NumberedLines
	standIn, calm := brittle("bad"), wordCount()
	calm.Name = "calm"
	standIn.Reference = &calm
	fast, plain := brittle("bad"), brittle("bad")
	fast.Reference = &plain
	for name, app := range map[string]mr.App{"lines": brittle("bad"), "numbered": numbered, "stand-in": standIn, "in plain code": fast} {
		for _, displaced := range []int{0, 1} {
			job := badJob(app)
			job.displaced = displaced
			s, lay := job.build(t)
			rep := run(t, s, lay, app, Options{Scratch: t.TempDir(), MaxRecord: 30, stream: 1})
			if !rep.OK() || rep.Structure.Skipped != 7 || rep.Reference.State != OK || rep.Reference.Records != rep.Structure.InputRecords {
				t.Errorf("%s: %+v\n%s", name, rep, show(rep))
			}
		}
	}
}

// TestSkippedPanic: a reference that panics over what was skipped agrees.
func TestSkippedPanic(t *testing.T) {
	job := badJob(brittle("bad"))
	s, lay := job.build(t)
	app := brittle("bad")
	inner := app.NewMapper
	app.NewMapper = func(t *mr.Task) (mr.Mapper, error) {
		m, err := inner(t)
		return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
			if err := m.Map(rec, out); err != nil {
				panic(err)
			}
			return nil
		}), err
	}
	if rep := run(t, s, lay, app, Options{MaxRecord: 30}); !rep.OK() {
		t.Error(show(rep))
	}
}

// TestSkippedDamage: whatever is wrong with what was skipped is found, and
// said of the right object.
func TestSkippedDamage(t *testing.T) {
	list := func(l layout.Layout) string { return l.Bad(2) }
	commit := func(l layout.Layout) string { return l.MapCommit(2) }
	editCommit := func(f func(*manifest.Map)) func(*testing.T, *fakeStore, layout.Layout) {
		return func(t *testing.T, s *fakeStore, l layout.Layout) { edit(t, s, commit(l), manifest.MapSchema, f) }
	}
	relist := func(f func([]manifest.BadRecord) []manifest.BadRecord) func(*testing.T, *fakeStore, layout.Layout) {
		return func(t *testing.T, s *fakeStore, l layout.Layout) {
			edit(t, s, commit(l), manifest.MapSchema, func(m *manifest.Map) {
				all := append(m.Bad.First, manifest.BadRecord{Object: "c", ETag: m.Bad.First[0].ETag, Offset: 15, Length: 3, Error: "it holds bad"})
				m.Bad = putList(t, s, m.Bad.Key, f(all))
			})
			edit(t, s, l.Success(), manifest.SuccessSchema, func(v *manifest.Success) {
				m, err := manifest.Decode[manifest.Map](s.objs[commit(l)].data, manifest.MapSchema)
				if err != nil {
					t.Fatal(err)
				}
				v.Skipped = 3 + m.Bad.Records
			})
		}
	}
	for name, tc := range map[string]struct {
		damage func(*testing.T, *fakeStore, layout.Layout)
		app    mr.App // of the reference; zero is the job's
		kind   Kind
		key    func(layout.Layout) string
		detail string
	}{
		"list dropped":  {func(_ *testing.T, s *fakeStore, l layout.Layout) { delete(s.objs, list(l)) }, mr.App{}, Missing, list, "map task 2 skipped"},
		"list replaced": {func(_ *testing.T, s *fakeStore, l layout.Layout) { s.put(list(l), []byte("x"), nil) }, mr.App{}, Replaced, list, ""},
		"bit flip": {func(_ *testing.T, s *fakeStore, l layout.Layout) {
			s.rot(list(l), func(b []byte) []byte { b[len(b)-9] ^= 1; return b })
		}, mr.App{}, "", list, ""},
		"no budget": {func(t *testing.T, s *fakeStore, l layout.Layout) {
			edit(t, s, l.Job(), manifest.JobSchema, func(j *manifest.Job) { j.MaxBad = manifest.Budget{} })
		}, wordCount(), BadRecord, commit, "the job may skip none"},
		"over the budget": {func(t *testing.T, s *fakeStore, l layout.Layout) {
			edit(t, s, l.Job(), manifest.JobSchema, func(j *manifest.Job) { j.MaxBad = manifest.Budget{Records: 6} })
		}, mr.App{}, BadSum, layout.Layout.CommitDir, "7 of 11 records were skipped, more than 6"},
		"other key":     {editCommit(func(m *manifest.Map) { m.Bad.Key = "p/output/_bad/map-0" }), mr.App{}, BadRecord, commit, `has the key "p/output/_bad/map-0"`},
		"other hash":    {editCommit(func(m *manifest.Map) { m.Bad.Hash = strings.Repeat("0", 64) }), mr.App{}, Replaced, list, "SHA-256"},
		"no hash":       {editCommit(func(m *manifest.Map) { m.Bad.Hash = "x" }), mr.App{}, BadRecord, commit, `has the hash "x"`},
		"other count":   {editCommit(func(m *manifest.Map) { m.Bad.Records = 5 }), mr.App{}, Replaced, list, "its commit record says 5"},
		"more than all": {editCommit(func(m *manifest.Map) { m.Bad.Records = 6 }), mr.App{}, BadRecord, commit, "skips 6 of 5"},
		"other first":   {editCommit(func(m *manifest.Map) { m.Bad.First[1].Error = "?" }), mr.App{}, BadRecord, list, "line 2 is not what"},
		"forgotten":     {editCommit(func(m *manifest.Map) { m.Bad = nil }), mr.App{}, BadSummary, layout.Layout.Success, "skipped is 7, the records say 3"},
		"summary": {func(t *testing.T, s *fakeStore, l layout.Layout) {
			edit(t, s, l.Success(), manifest.SuccessSchema, func(v *manifest.Success) { v.Skipped = 0 })
		}, mr.App{}, BadSummary, layout.Layout.Success, "skipped is 0, the records say 7"},
		"list of no task": {func(_ *testing.T, s *fakeStore, l layout.Layout) { s.put(l.Bad(3), nil, nil) }, mr.App{}, Foreign,
			func(l layout.Layout) string { return l.Bad(3) }, ""},
		"no list": {func(_ *testing.T, s *fakeStore, l layout.Layout) { s.put(l.BadDir()+"x", nil, nil) }, mr.App{}, Foreign,
			func(l layout.Layout) string { return l.BadDir() + "x" }, ""},

		"not in order": {relist(func(b []manifest.BadRecord) []manifest.BadRecord { b[1], b[2] = b[2], b[1]; return b }), mr.App{}, BadRecord, list, "line 3 names byte 4"},
		"twice":        {relist(func(b []manifest.BadRecord) []manifest.BadRecord { return append(b, b[3]) }), mr.App{}, BadRecord, list, "line 5 names byte 15"},
		"elsewhere":    {relist(func(b []manifest.BadRecord) []manifest.BadRecord { b[0].Object = "b"; return b }), mr.App{}, BadRecord, commit, `at 0 of "b"`},
		"other etag":   {relist(func(b []manifest.BadRecord) []manifest.BadRecord { b[0].ETag = "e"; return b }), mr.App{}, BadRecord, commit, `at 0 of "c"`},
		"behind":       {relist(func(b []manifest.BadRecord) []manifest.BadRecord { b[3].Length = 4; return b }), mr.App{}, BadRecord, list, "line 4 names byte 15"},
		"within": {relist(func(b []manifest.BadRecord) []manifest.BadRecord {
			return append(b[:2:2], append([]manifest.BadRecord{{Object: "c", ETag: b[0].ETag, Offset: 9, Length: 1}}, b[2:]...)...)
		}), mr.App{}, Mismatch, list, "it names 1 bytes at 9 of c, which are no record"},
		"last within": {relist(func(b []manifest.BadRecord) []manifest.BadRecord {
			return append(b, manifest.BadRecord{Object: "c", ETag: b[0].ETag, Offset: 16, Length: 2})
		}), mr.App{}, Mismatch, list, "it names 2 bytes at 16 of c, which are no record"},
		"too short": {relist(func(b []manifest.BadRecord) []manifest.BadRecord { b[2].Length--; return b }), mr.App{}, Mismatch,
			func(l layout.Layout) string { return l.Input("c") }, "fails at the record at byte 11, which the job did not skip"},
		"good one": {relist(func(b []manifest.BadRecord) []manifest.BadRecord {
			return append(b[:2:2], append([]manifest.BadRecord{{Object: "c", ETag: b[0].ETag, Offset: 8, Length: 2}}, b[2:]...)...)
		}), mr.App{}, Mismatch, list, "app wc does not fail at the 2 bytes at 8 of c"},
		"left out": {relist(func(b []manifest.BadRecord) []manifest.BadRecord { return b[:3] }), mr.App{}, Mismatch,
			func(l layout.Layout) string { return l.Input("c") }, "fails at the record at byte 15, which the job did not skip: it holds bad"},

		"job skipped too much":   {nil, wordCount(), Mismatch, func(l layout.Layout) string { return l.Bad(0) }, "app wc does not fail at the 18 bytes at 0 of a"},
		"job skipped too little": {nil, brittle("bad", "good"), Mismatch, func(l layout.Layout) string { return l.Input("a") }, "fails at the record at byte 19"},
		"panics over more":       {nil, brittle("bad", "panic"), "", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			job := badJob(brittle("bad"))
			s, lay := job.build(t)
			if tc.damage != nil {
				tc.damage(t, s, lay)
			}
			app := job.app
			if tc.app.Name != "" {
				app = tc.app
			}
			opt := Options{Scratch: t.TempDir(), MaxRecord: 30}
			if name == "no budget" {
				opt.MaxRecord = 0 // or the reference could not go on
			}
			rep := run(t, s, lay, app, opt)
			if tc.key == nil {
				if !rep.OK() {
					t.Error(show(rep))
				}
				return
			}
			for _, f := range rep.Findings {
				if (tc.kind == "" || f.Kind == tc.kind) && f.Key == tc.key(lay) && strings.Contains(f.Detail, tc.detail) {
					return
				}
			}
			t.Errorf("want %s of %s (%s), got\n%s", tc.kind, tc.key(lay), tc.detail, show(rep))
		})
	}
}

// TestSkippedLong: a record that is too long, and that the job did not skip,
// stops the reference.
func TestSkippedLong(t *testing.T) {
	job := badJob(brittle("bad"))
	s, lay := job.build(t)
	rep := run(t, s, lay, job.app, Options{MaxRecord: 17})
	if !rep.OK() { // all that is too long for it was skipped for another reason
		t.Error(show(rep))
	}
	rep = run(t, s, lay, job.app, Options{MaxRecord: 7})
	if rep.Found != 1 || rep.Findings[0].Kind != Mismatch || rep.Findings[0].Key != lay.Input("a") ||
		!strings.Contains(rep.Findings[0].Detail, "record at byte 19 of a is longer than 7 bytes, and the job did not skip it") {
		t.Error(show(rep))
	}
}

// TestSkippedLeft: lists of attempts that died are no findings, and a copy
// that is missing or another one is.
func TestSkippedLeft(t *testing.T) {
	job := badJob(brittle("bad"))
	s, lay := job.build(t)
	s.put(lay.Bad(1), []byte("{}\n"), map[string]string{manifest.MetaJob: "wc-01jd9z6t3m"})
	rep := run(t, s, lay, job.app, Options{MaxRecord: 30})
	if !rep.OK() || len(rep.Notes) != 1 || !strings.Contains(rep.Notes[0], "1 lists below p/output/_bad/ are of attempts that did not commit") {
		t.Errorf("%s%q", show(rep), rep.Notes)
	}
	job.displaced = 3
	s, lay = job.build(t)
	s.put(lay.Bad(2), []byte("{}\n"), nil)
	if rep := run(t, s, lay, job.app, Options{MaxRecord: 30}); rep.Found != 1 || rep.Findings[0].Kind != Replaced || rep.Findings[0].Key != lay.Bad(2) {
		t.Error(show(rep))
	}
	delete(s.objs, lay.Bad(2))
	if rep := run(t, s, lay, job.app, Options{MaxRecord: 30}); rep.Found != 1 || rep.Findings[0].Kind != Missing || rep.Findings[0].Key != lay.Bad(2) {
		t.Error(show(rep))
	}
}
