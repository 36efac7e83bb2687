package task

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/scratch"
	"github.com/mraws/mraws/internal/testkit"
	"github.com/mraws/mraws/mr"
)

// mapped runs map task 0 of a world with this mapper over a few lines.
func mapped(t *testing.T, a mr.App) (Result, error) {
	t.Helper()
	w := newFixture(a, 2, 0, 1, file{"a", "one\ntwo\nthree\n"})
	w.Scratch, w.Memory = t.TempDir(), 2000
	res, err := w.env(t).Run(context.Background(), Attempt{mr.MapPhase, 0, "x"})
	w.Check(t)
	return res, err
}

func fails(at string, f func() error) mr.MapperFunc {
	return func(rec mr.Record, out mr.Emitter) error {
		if string(rec.Data) == at {
			return f()
		}
		for range 100 {
			out.Emit(rec.Data, rec.Data)
		}
		return nil
	}
}

var errApp = errors.New("application says no")

// TestMapFailures: whatever the application does wrong becomes an error that
// says testkit.Where, and leaves nothing behind.
func TestMapFailures(t *testing.T) {
	bad := testkit.Where
	bad.Partition = func(key []byte, n int) int {
		if string(key) == "two" {
			return n
		}
		return 0
	}
	badMapper := testkit.App("bad", func(rec mr.Record, out mr.Emitter) error { out.Emit(rec.Data, nil); return nil }, testkit.ReduceWhere, nil)
	badMapper.Partition = bad.Partition
	swallow := badMapper
	swallow.NewMapper = func(*mr.Task) (mr.Mapper, error) {
		return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
			defer func() { _ = recover() }()
			out.Emit(rec.Data, nil)
			return nil
		}), nil
	}
	noMapper := testkit.Where
	noMapper.NewMapper = func(*mr.Task) (mr.Mapper, error) { return nil, errApp }
	combiner := testkit.App("c", func(rec mr.Record, out mr.Emitter) error {
		out.Emit([]byte("key"), rec.Data)
		return nil
	}, testkit.ReduceWhere, func(_, next []byte) []byte { panic("combiner at " + string(next)) })

	for _, tc := range []struct {
		name  string
		app   mr.App
		want  AppError
		text  string
		stack bool
	}{
		{"error", testkit.App("e", fails("two", func() error { return errApp }), testkit.ReduceWhere, nil),
			AppError{Object: "a", Offset: 4}, "record at byte 4 of a: application says no; the record is \"two\"", false},
		{"panic", testkit.App("p", fails("three", func() error { panic("ouch") }), testkit.ReduceWhere, nil),
			AppError{Object: "a", Offset: 8}, "record at byte 8 of a: panic: ouch; the record is \"three\"", true},
		{"nil map", testkit.App("p", fails("one", func() error { nilMap()[1]++; return nil }), testkit.ReduceWhere, nil),
			AppError{Object: "a"}, "record at byte 0 of a: panic: assignment to entry in nil map", true},
		{"partition", badMapper, AppError{Object: "a", Offset: 4, Key: `"two"`},
			`record at byte 4 of a: key "two": partitioner returned 2, want 0 to 1; the record is "two"`, false},
		{"swallowed", swallow, AppError{Object: "a", Offset: 4, Key: `"two"`}, "partitioner returned 2, want 0 to 1; the record is \"two\"", false},
		{"combiner", combiner, AppError{Object: "a", Offset: 4, Key: `"key"`}, "panic: combiner at two", true},
		{"no mapper", noMapper, AppError{}, "attempt x: application says no", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := mapped(t, tc.app)
			var te *AppError
			if !errors.As(err, &te) {
				t.Fatalf("got %v, want a AppError", err)
			}
			if te.Object != tc.want.Object || te.Offset != tc.want.Offset || te.Key != tc.want.Key || te.Phase != mr.MapPhase {
				t.Errorf("got %+v", te)
			}
			if !strings.Contains(err.Error(), tc.text) || tc.stack != strings.Contains(te.Stack, "attempt_test.go") {
				t.Errorf("got %v with stack %q", err, te.Stack)
			}
			var fatal *FatalError
			if errors.As(err, &fatal) {
				t.Error("error of the application is fatal")
			}
		})
	}
}

// TestReduceFailures is the same for reduce.
func TestReduceFailures(t *testing.T) {
	for _, tc := range []struct {
		name   string
		mapper mr.MapperFunc
		f      mr.ReducerFunc
		fatal  bool
		text   string
	}{
		{"error", testkit.MapWhere, func([]byte, iter.Seq[[]byte], mr.Output) error { return errApp }, false, `key "k": application says no`},
		{"panic", testkit.MapWhere, func(_ []byte, v iter.Seq[[]byte], _ mr.Output) error {
			for range v {
				panic("ouch")
			}
			return nil
		}, false, `key "k": panic: ouch`},
		{"line break in value", testkit.MapWhere, func(_ []byte, _ iter.Seq[[]byte], out mr.Output) error {
			out.Write([]byte("a\nb"))
			return nil
		}, true, `write key "k": line break in the value "a\nb"`},
		{"line break in key", func(_ mr.Record, out mr.Emitter) error { out.Emit([]byte("k\nk"), nil); return nil }, testkit.ReduceWhere, true,
			`write key "k\nk": line break in the key`},
		{"line break swallowed", testkit.MapWhere, func(_ []byte, _ iter.Seq[[]byte], out mr.Output) error {
			defer func() { _ = recover() }()
			out.Write([]byte("a\nb"))
			return nil
		}, true, "line break in the value"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newFixture(testkit.App("r", tc.mapper, tc.f, nil), 1, 0, 1, file{"a", "k k\nk\n"})
			w.Scratch = t.TempDir()
			e := w.env(t)
			if _, err := e.Run(context.Background(), Attempt{mr.MapPhase, 0, "m"}); err != nil {
				t.Fatal(err)
			}
			_, err := e.Run(context.Background(), Attempt{mr.ReducePhase, 0, "r"})
			var fatal *FatalError
			var te *AppError
			if err == nil || errors.As(err, &fatal) != tc.fatal || errors.As(err, &te) == tc.fatal || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("got %v", err)
			}
			if _, err := w.Store.Object(layout.Layout{}.Output(0)); err == nil {
				t.Error("output of a failed attempt")
			}
			w.Check(t)
		})
	}
}

// TestReducerHabits: a reducer may skip values, stop early, ask twice, keep
// the sequence and spoil its key.
func TestReducerHabits(t *testing.T) {
	var kept iter.Seq[[]byte]
	odd := testkit.App("odd", testkit.MapWhere, func(key []byte, values iter.Seq[[]byte], out mr.Output) error {
		if kept != nil {
			for range kept { // of an earlier key or of this one: never another's
				break
			}
		}
		kept = values
		n := 0
		for v := range values {
			if n++; n == 2 {
				out.Write(v)
				break
			}
		}
		for range values { // what is left may be asked for again
			break
		}
		copy(key, "zzz")
		out.Write([]byte("end"))
		return nil
	}, nil)
	w := newFixture(odd, 1, 0, 1, file{"a", "a a a a\nb\nc c\n"})
	w.Scratch = t.TempDir()
	got := w.run(t)[0]
	if want := "a a:0:0\na end\nb end\nc c"; !strings.HasPrefix(got, "a a:0:0\na end\nb end\nc ") {
		t.Errorf("got %q, want %q…", got, want)
	}
	for range kept {
		t.Error("value after the end")
	}
	rec, err := w.Store.Object(layout.Layout{}.ReduceAttempt(0, "r0"))
	if err != nil {
		t.Fatal(err)
	}
	sum, err := manifest.Decode[manifest.Reduce](rec.Data, manifest.ReduceSchema)
	if err != nil || sum.Read.Records != 7 || sum.Keys != 3 {
		t.Errorf("%+v, %v: skipped values must count", sum, err)
	}
}

// TestChangedInput: input at another version, or gone, is fatal.
func TestChangedInput(t *testing.T) {
	var l layout.Layout
	for _, gone := range []bool{false, true} {
		w := smallJob(t)
		delete(w.Store.Objects, l.Input("b"))
		if !gone {
			if _, err := w.Store.Write(l.Input("b"), []byte("others"), object.PutOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		_, err := w.env(t).Run(context.Background(), Attempt{mr.MapPhase, 0, "x"})
		var fatal *FatalError
		if !errors.As(err, &fatal) || !strings.Contains(err.Error(), "input/b") {
			t.Errorf("gone %v: got %v", gone, err)
		}
		if fatal.Key != l.Input("b") {
			t.Errorf("gone %v: it is about %q", gone, fatal.Key)
		}
		w.Check(t)
	}
}

// TestDeniedInput: a worker that may not read an object does not read it at another try either.
func TestDeniedInput(t *testing.T) {
	var l layout.Layout
	w := smallJob(t)
	w.Store.Fault = func(_ int, _, key string) testkit.Fault {
		if key == l.Input("b") {
			return testkit.Denied
		}
		return testkit.Fine
	}
	_, err := w.env(t).Run(context.Background(), Attempt{mr.MapPhase, 0, "x"})
	var fatal *FatalError
	if !errors.As(err, &fatal) || fatal.Key != l.Input("b") || !strings.Contains(err.Error(), "read input: open "+l.Input("b")) {
		t.Errorf("%#v: %v", err, err)
	}
	w.Check(t)
}

// TestBadSegment: a committed partition that is corrupt fails the attempt
// with its key, and nothing is committed. (One that is gone or replaced is
// made again: TestRestore.)
func TestBadSegment(t *testing.T) {
	eachShuffle(t, testBadSegment)
}

func testBadSegment(t *testing.T, how manifest.Shuffle) {
	var l layout.Layout
	for name, spoil := range map[string]func(o *testkit.Object){
		"corrupt":   func(o *testkit.Object) { o.Data[len(o.Data)/2] ^= 1 },
		"cut short": func(o *testkit.Object) { o.Data = o.Data[:len(o.Data)-1] },
	} {
		t.Run(name, func(t *testing.T) {
			w := newFixture(testkit.Where, 1, 0, 1, file{"a", "x y\n"}, file{"b", "x z\n"}).shuffled(how)
			w.Scratch = t.TempDir()
			e := w.env(t)
			for m := range 2 {
				if _, err := e.Run(context.Background(), Attempt{mr.MapPhase, m, "m"}); err != nil {
					t.Fatal(err)
				}
			}
			key := w.Segment(1, 0)
			o := w.Store.Objects[key]
			spoil(&o)
			w.Store.Objects[key] = o
			_, err := e.Run(context.Background(), Attempt{mr.ReducePhase, 0, "r"})
			var seg *SegmentError
			if !errors.As(err, &seg) || seg.Map != 1 || seg.Key != key {
				t.Errorf("got %v", err)
			}
			if _, err := w.Store.Object(l.Output(0)); err == nil {
				t.Error("output of a failed attempt")
			}
			w.Check(t)
		})
	}
}

// TestOtherSegment: a valid stream that is not the one that was committed.
func TestOtherSegment(t *testing.T) {
	w := newFixture(testkit.Where, 1, 0, 1, file{"a", "x y\n"}, file{"b", "x z\n"})
	w.Scratch = t.TempDir()
	e := w.env(t)
	for m := range 2 {
		if _, err := e.Run(context.Background(), Attempt{mr.MapPhase, m, "m"}); err != nil {
			t.Fatal(err)
		}
	}
	var l layout.Layout
	a, b := w.Store.Objects[l.Partition(0, 0)], w.Store.Objects[l.Partition(1, 0)]
	b.Data = a.Data
	w.Store.Objects[l.Partition(1, 0)] = b
	_, err := e.Run(context.Background(), Attempt{mr.ReducePhase, 0, "r"})
	if err == nil || !strings.Contains(err.Error(), "that were committed") {
		t.Errorf("got %v", err)
	}
	w.Check(t)
}

// TestCancel ends the context at each call of the store, and from within
// user code: Run returns the cause, soon, and leaves nothing behind.
func TestCancel(t *testing.T) {
	cause := errors.New("lease lost")
	files := []file{{"a", text(3, 30_000)}, {"b", text(4, 30_000)}}
	for _, phase := range []mr.Phase{mr.MapPhase, mr.ReducePhase} {
		for at := 0; ; at++ {
			w := newFixture(testkit.Where, 1, 0, 2, files...)
			w.Scratch, w.Memory = t.TempDir(), 100_000
			if phase == mr.ReducePhase {
				if _, err := w.env(t).Run(context.Background(), Attempt{mr.MapPhase, 0, "m"}); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithCancelCause(context.Background())
			calls := 0
			w.Store.Fault = func(int, string, string) testkit.Fault {
				if calls++; calls == at+1 {
					cancel(cause)
				}
				return testkit.Fine
			}
			_, err := w.env(t).Run(ctx, Attempt{phase, 0, "x"})
			w.Check(t)
			cancel(nil)
			if calls <= at {
				if err != nil {
					t.Errorf("not cancelled: %v", err)
				}
				break
			}
			if err != nil && !errors.Is(err, cause) {
				t.Fatalf("%s cancelled at call %d: %v", phase, at, err)
			}
		}
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	seen := 0
	endless := testkit.App("endless", func(mr.Record, mr.Emitter) error {
		seen++
		cancel(cause)
		return nil
	}, testkit.ReduceWhere, nil)
	w := newFixture(endless, 1, 0, 1, file{"a", strings.Repeat("x\n", 1_000_000)})
	w.Scratch = t.TempDir()
	if _, err := w.env(t).Run(ctx, Attempt{mr.MapPhase, 0, "x"}); !errors.Is(err, cause) {
		t.Error(err)
	}
	if seen > 900_000 {
		t.Errorf("went on for %d records", seen)
	}
	w.Check(t)
}

// TestScratch: a scratch directory that cannot be written to fails the
// attempt with its name.
func TestScratch(t *testing.T) {
	for _, phase := range []mr.Phase{mr.MapPhase, mr.ReducePhase} {
		w := newFixture(testkit.Where, 1, 0, 1, file{"a", text(5, 100_000)})
		w.Scratch = t.TempDir()
		if phase == mr.ReducePhase {
			if _, err := w.env(t).Run(context.Background(), Attempt{mr.MapPhase, 0, "m"}); err != nil {
				t.Fatal(err)
			}
		}
		e := w.env(t)
		e.Scratch, e.Memory = filepath.Join(w.Scratch, "missing"), 10_000
		_, err := e.Run(context.Background(), Attempt{phase, 0, "x"})
		if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), e.Scratch) {
			t.Errorf("%s: got %v", phase, err)
		}
		w.Check(t)
	}
}

// TestDiskFull writes to a file that takes nothing.
func TestDiskFull(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Logf("no /dev/full here: %v", err)
		return
	}
	f := &tempFile{File: &scratch.File{File: full}, dir: "/scratch"}
	if _, err := f.Write([]byte("x")); err == nil || !strings.Contains(err.Error(), "/scratch") || !strings.Contains(err.Error(), "no space") {
		t.Errorf("got %v", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// TestTask: applications see who they are, their parameters and counters.
func TestTask(t *testing.T) {
	var tasks []*mr.Task
	a := testkit.Where
	a.Params = []mr.Param{{Name: "p", Default: "1"}, {Name: "q", Default: "2"}}
	a.NewMapper = func(task *mr.Task) (mr.Mapper, error) {
		tasks = append(tasks, task)
		task.Counters.Add("seen", 2)
		return flusher{task}, nil
	}
	w := newFixture(a, 1, 0, 2, file{"a", "x\n"}, file{"b\n", ""})
	w.Scratch = t.TempDir()
	w.Spec.App.Params = map[string]string{"q": "3"}
	if got := w.run(t)[0]; got != "flushed 1,\nx y,\n" {
		t.Errorf("output %q", got)
	}
	task := tasks[0]
	if task.Job != "job-1" || task.Worker != "w" || task.Attempt != "m0" || task.Index != 0 || task.Params["p"] != "1" || task.Params["q"] != "3" {
		t.Errorf("task %+v", task)
	}
	if names := task.Objects(); !slices.Equal(names, []string{"a", "b\n"}) {
		t.Errorf("input objects %q", names)
	}
	rec, err := w.bucket().mapRecord(context.Background(), 0)
	if err != nil || rec.Counters["seen"] != 5 || rec.Emitted != 2 || rec.Input != (manifest.Input{Records: 1, Bytes: 2}) {
		t.Errorf("%+v, %v", rec, err)
	}
}

type flusher struct{ task *mr.Task }

func (f flusher) Map(rec mr.Record, out mr.Emitter) error {
	f.task.Counters.Add("seen", 3)
	out.Emit(rec.Data, []byte("y"))
	return nil
}

func (f flusher) Flush(out mr.Emitter) error {
	out.Emit([]byte("flushed"), fmt.Append(nil, 1))
	return nil
}

// TestNoSuchTask: an index out of range is refused.
func TestNoSuchTask(t *testing.T) {
	w := smallJob(t)
	for _, a := range []Attempt{{mr.MapPhase, -1, "x"}, {mr.MapPhase, 1, "x"}, {mr.ReducePhase, 2, "x"}} {
		var fatal *FatalError
		if _, err := w.env(t).Run(context.Background(), a); !errors.As(err, &fatal) {
			t.Errorf("%+v: %v", a, err)
		}
	}
}

// nilMap is a map that cannot be written to, which the linter need not see.
func nilMap() map[int]int { return nil }
