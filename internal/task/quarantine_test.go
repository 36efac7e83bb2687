package task

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/runner"
	"github.com/mraws/mraws/internal/runner/gorunner"
	"github.com/mraws/mraws/internal/testkit"
	"github.com/mraws/mraws/mr"
)

// brittle makes an application fail over lines that hold "bad", with an
// error, and over those that hold "worse", by a panic: in both cases after it
// has emitted what it would have.
func brittle(a mr.App) mr.App {
	a.Name += "-brittle"
	inner := a.NewMapper
	a.NewMapper = func(t *mr.Task) (mr.Mapper, error) {
		m, err := inner(t)
		return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
			if err := m.Map(rec, out); err != nil {
				return err
			}
			switch {
			case bytes.Contains(rec.Data, []byte("worse")):
				panic(fmt.Sprintf("%d bytes", len(rec.Data)))
			case bytes.Contains(rec.Data, []byte("bad")):
				return errors.New("a bad line")
			}
			return nil
		}), err
	}
	return a
}

// sound is what brittle amounts to if bad records, and those of more than
// limit bytes, are skipped.
func sound(a mr.App, limit int) mr.App {
	inner := a.NewMapper
	a.NewMapper = func(t *mr.Task) (mr.Mapper, error) {
		m, err := inner(t)
		return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
			if isBad(rec, limit) != "" {
				return nil
			}
			return m.Map(rec, out)
		}), err
	}
	return a
}

func isBad(rec mr.Record, limit int) string {
	switch {
	case len(rec.Data) > limit:
		return fmt.Sprintf("longer than %d bytes", limit)
	case bytes.Contains(rec.Data, []byte("worse")):
		return fmt.Sprintf("panic: %d bytes", len(rec.Data))
	case bytes.Contains(rec.Data, []byte("bad")):
		return "a bad line"
	}
	return ""
}

// badJob is smallJob with bad records in it.
func badJob(t *testing.T) *fixture {
	w := newFixture(brittle(testkit.Where), 2, 0, 3, file{"a", "the cat\na bad cat\nthe dog\n"}, file{"b", "a cat\r\nworse\r\n"}, file{"c", "end"})
	w.Scratch = t.TempDir()
	w.Spec.MaxBad = manifest.Budget{Records: 2}
	return w
}

// skipped reads the lists that the commit records name, and compares the
// records with them.
func (w *fixture) skipped(t testkit.TB) (all []manifest.BadRecord) {
	t.Helper()
	for m := range w.Spec.Tasks {
		bad := w.badOf(t, m)
		if bad == nil {
			continue
		}
		o, err := w.Store.Object(bad.Key)
		if err != nil || o.Info.ETag != bad.ETag || o.Info.Size != bad.Size || o.Info.Meta[manifest.MetaHash] != bad.Hash {
			t.Fatalf("list %+v, record %+v, %v", o.Info, bad, err)
		}
		var list []manifest.BadRecord
		for line := range bytes.Lines(o.Data) {
			var b manifest.BadRecord
			if err := json.Unmarshal(line, &b); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			list = append(list, b)
		}
		if int64(len(list)) != bad.Records || cmp.Diff(list[:min(len(list), manifest.FirstBad)], bad.First) != "" {
			t.Fatalf("list %+v, record %+v", list, bad)
		}
		all = append(all, list...)
	}
	return all
}

// badOf is what the record of a task that reads input says of what it skipped.
func (w *fixture) badOf(t testkit.TB, m int) *manifest.Quarantine {
	t.Helper()
	if !w.Spec.MapOnly() {
		rec, err := w.bucket().mapRecord(context.Background(), m)
		if err != nil {
			t.Fatalf("%v", err)
		}
		return rec.Bad
	}
	rec, _, err := w.bucket().reduceRecord(context.Background(), m, fmt.Sprint("r", m))
	if err != nil || rec == nil {
		t.Fatalf("%v, %v", rec, err)
	}
	return rec.Bad
}

// TestSkip: whatever the application, the input, the splits and the budget
// of memory, the outputs are those of the run without the bad records, and
// the lists name exactly these.
func TestSkip(t *testing.T) {
	scratch := t.TempDir()
	numbered, whole := testkit.Where, testkit.WC
	numbered.Input, whole.Input = mr.NumberedLines, mr.WholeObjects
	apps := []mr.App{testkit.WC, testkit.Where, testkit.WhereCombined, numbered, whole}
	word := rapid.SampledFrom([]string{" ", "\n", "\r\n", "\n\n", " a ", "b ", "ab\n", "aaaaaaaaa ", "\x00", "bad", " worse ", "long long long long long long", "é"})
	rapid.Check(t, func(t *rapid.T) {
		app := rapid.SampledFrom(apps).Draw(t, "app")
		nreduce := rapid.IntRange(1, 4).Draw(t, "R")
		limit := rapid.SampledFrom([]int{20, 1000}).Draw(t, "cap")
		var files []file
		var want []manifest.BadRecord
		for i := range rapid.IntRange(0, 4).Draw(t, "files") {
			f := file{fmt.Sprintf("f%d", i), strings.Join(rapid.SliceOfN(word, 0, 40).Draw(t, "words"), "")}
			files = append(files, f)
		}
		w := newFixture(brittle(app), nreduce, rapid.IntRange(1, 300).Draw(t, "split"), rapid.IntRange(1, 4).Draw(t, "pack"), files...)
		w.Scratch, w.MaxRecord = scratch, limit
		w.Memory = int64(rapid.SampledFrom([]int{1, 300, 1000, 4000, 1 << 20}).Draw(t, "memory"))
		w.Spec.MaxBad = manifest.Budget{PPM: 1_000_000}
		for i, f := range files {
			for _, rec := range testkit.Records(app.Input, testkit.File(f)) {
				if why := isBad(rec, limit); why != "" {
					want = append(want, manifest.BadRecord{Object: f.Name, ETag: w.Spec.Objects[i].ETag, Offset: rec.Offset,
						Length: int64(len(rec.Data)), Line: rec.Line, Error: why})
				}
			}
		}
		if diff := cmp.Diff(oracle(t, sound(app, limit), nreduce, files...), w.run(t)); diff != "" {
			t.Fatalf("-want +got:\n%s", diff)
		}
		if diff := cmp.Diff(want, w.skipped(t)); diff != "" {
			t.Fatalf("lists, -want +got:\n%s", diff)
		}
	})
}

// TestSkipBudget: an attempt that alone has too many bad records fails for
// good and names the first; without a budget the first one fails it, as ever.
func TestSkipBudget(t *testing.T) {
	text := strings.Repeat("good\n", 6) + strings.Repeat("bad\n", 5)
	for _, tc := range []struct {
		budget manifest.Budget
		fatal  bool
		want   string // of the error; "" is success
	}{
		{manifest.Budget{}, false, "record at byte 30 of a: a bad line; the record is \"bad\""},
		{manifest.Budget{Records: 5}, false, ""},
		{manifest.Budget{Records: 2}, true, "3 bad records, max-bad-records is 2: 3 bytes at 30 of a: a bad line; 3 bytes at 34 of a: a bad line; 3 bytes at 38 of a: a bad line"},
		{manifest.Budget{PPM: 1}, true, "1 bad record, max-bad-records is 0.0001%: 3 bytes at 30 of a: a bad line"},
		// The attempt cannot know how many records the job has.
		{manifest.Budget{PPM: 100_000}, false, ""},
	} {
		w := newFixture(brittle(testkit.WC), 1, 0, 1, file{"a", text})
		w.Scratch, w.Spec.MaxBad = t.TempDir(), tc.budget
		res, err := w.env(t).Run(context.Background(), Attempt{mr.MapPhase, 0, "m"})
		var fatal *FatalError
		switch {
		case tc.want == "" && (err != nil || res.Skipped != 5 || res.Records != 11 || len(w.skipped(t)) != 5):
			t.Errorf("%v: %+v, %v", tc.budget, res, err)
		case tc.want != "" && (err == nil || !strings.HasSuffix(err.Error(), tc.want) || errors.As(err, &fatal) != tc.fatal):
			t.Errorf("%v: got %v, want %s", tc.budget, err, tc.want)
		}
		w.Check(t)
	}
}

// TestNotSkipped: what is no fault of a record fails the attempt, whatever
// the budget.
func TestNotSkipped(t *testing.T) {
	with := func(m mr.Mapper) mr.App {
		a := testkit.WC
		a.NewMapper = func(*mr.Task) (mr.Mapper, error) { return m, nil }
		return a
	}
	outside := testkit.WC
	outside.Partition = func([]byte, int) int { return 7 }
	for name, tc := range map[string]struct {
		app  mr.App
		want string
	}{
		"store": {with(mr.MapperFunc(func(mr.Record, mr.Emitter) error {
			return fmt.Errorf("get side file: %w", object.ErrThrottled)
		})), "get side file"},
		"flush":       {with(vainFlusher{}), "flushed in vain"},
		"partitioner": {outside, "partitioner returned 7"},
	} {
		w := newFixture(tc.app, 1, 0, 1, file{"a", "x\ny\n"})
		w.Scratch, w.Spec.MaxBad = t.TempDir(), manifest.Budget{Records: 10}
		_, err := w.env(t).Run(context.Background(), Attempt{mr.MapPhase, 0, "m"})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v", name, err)
		}
		w.Check(t)
	}
}

type vainFlusher struct{}

func (vainFlusher) Map(mr.Record, mr.Emitter) error { return nil }
func (vainFlusher) Flush(mr.Emitter) error          { return errors.New("flushed in vain") }

// TestSkipStopped: a record that fails because the attempt was stopped is
// not bad.
func TestSkipStopped(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("revoked")
	a := testkit.App("stopped", func(mr.Record, mr.Emitter) error {
		cancel(why)
		return ctx.Err()
	}, nil, nil)
	w := newFixture(a, 1, 0, 1, file{"a", "x\n"})
	w.Scratch, w.Spec.MaxBad = t.TempDir(), manifest.Budget{Records: 10}
	e := w.env(t)
	if _, err := e.Run(ctx, Attempt{mr.MapPhase, 0, "m"}); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
	if _, err := w.bucket().mapRecord(context.Background(), 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("record: %v", err)
	}
}

// TestOtherList: an attempt that died after its list was there, and one of
// another list that comes then: what is committed is the second one's own.
func TestOtherList(t *testing.T) {
	w := badJob(t)
	first, moody := w.App.NewMapper, false
	w.App.NewMapper = func(t *mr.Task) (mr.Mapper, error) {
		m, err := first(t)
		if !moody {
			return m, err
		}
		return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
			if err := m.Map(rec, out); err != nil {
				return fmt.Errorf("in another mood: %w", err)
			}
			return nil
		}), err
	}
	w.Store.Fault = func(_ int, op, key string) testkit.Fault {
		if key == (layout.Layout{}).MapCommit(0) {
			return testkit.NotDone
		}
		return testkit.Fine
	}
	e := w.env(t)
	if _, err := e.Run(context.Background(), Attempt{mr.MapPhase, 0, "first"}); !errors.Is(err, testkit.ErrInjected) {
		t.Fatal(err)
	}
	w.Store.Fault, moody = nil, true
	res, err := e.Run(context.Background(), Attempt{mr.MapPhase, 0, "second"})
	if err != nil || res.Displaced != 1 || res.Adopted != 2 {
		t.Fatalf("%+v, %v", res, err)
	}
	rec, err := w.bucket().mapRecord(context.Background(), 0)
	if err != nil || rec.Bad.Key != (layout.Layout{}).MapAttemptBad(0, "second") {
		t.Fatalf("%+v, %v", rec, err)
	}
	for _, b := range w.skipped(t)[:1] {
		if b.Error != "in another mood: a bad line" {
			t.Errorf("%+v", b)
		}
	}
	w.Check(t)
}

// TestLongError: a list holds no text of any length, and no broken UTF-8.
func TestLongError(t *testing.T) {
	a := testkit.App("long", func(mr.Record, mr.Emitter) error {
		return errors.New(strings.Repeat("ä", 5000) + "\xff")
	}, nil, nil)
	w := newFixture(a, 1, 0, 1, file{"a", "x\n"})
	w.Scratch, w.Spec.MaxBad = t.TempDir(), manifest.Budget{Records: 10}
	if _, err := w.env(t).Run(context.Background(), Attempt{mr.MapPhase, 0, "m"}); err != nil {
		t.Fatal(err)
	}
	if b := w.skipped(t); len(b) != 1 || b[0].Error != strings.Repeat("ä", 512) {
		t.Errorf("%d, %.60q", len(b), b)
	}
}

// linesApart is a runner that hands records over as lines, and of which nobody knows what
// it emits for which record.
type linesApart struct{ runner.Runner }

func (r linesApart) Properties() runner.Properties {
	p := r.Runner.Properties()
	p.Lines, p.Concurrent = true, true
	return p
}

// TestRecordsThatAreNoLines: a record with a line break in it never reaches an
// application that gets lines: it is skipped where the job may, also in a sample, and
// otherwise ends the job.
func TestRecordsThatAreNoLines(t *testing.T) {
	start := func(app mr.App, most int64) (*fixture, error) {
		w := newFixture(app, 2, 1<<20, 1, file{"a", "aaab\nbccc"})
		w.Scratch = t.TempDir()
		w.Spec.Input = manifest.Choice{Name: "fixed", Options: map[string]string{"size": "3"}, Given: true}
		w.Spec.MaxBad = manifest.Budget{Records: most}
		w.runner = func(app mr.App) runner.Runner { return linesApart{gorunner.New(app)} }
		_, err := w.env(t).Run(t.Context(), Attempt{mr.MapPhase, 0, "m"})
		return w, err
	}
	var fatal *FatalError
	if _, err := start(testkit.Where, 0); !errors.As(err, &fatal) || !strings.Contains(err.Error(), "record at byte 3 of a: there is a line break in it") {
		t.Errorf("%v", err)
	}
	for _, app := range []mr.App{testkit.Where, ordered()} {
		w, err := start(app, 1)
		if err != nil {
			t.Fatal(err)
		}
		o, _ := w.Store.Object(layout.Layout{}.MapCommit(0))
		rec, err := manifest.Decode[manifest.Map](o.Data, manifest.MapSchema)
		if err != nil || rec.Input.Records != 3 || rec.Emitted != 2 || rec.Bad == nil || rec.Bad.Records != 1 || rec.Bad.First[0].Offset != 3 || rec.Bad.First[0].Length != 3 {
			t.Errorf("%s: %+v, %v", app.Name, rec, err)
		}
	}
}
