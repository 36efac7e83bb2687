package task

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/testkit"
	"github.com/mraws/mraws/mr"
)

// sized emits each line, and how long it is unless it is empty. It asks to be told
// that it makes the output.
var sized = mr.App{
	Name: "sized", Version: "1",
	NewMapper: func(t *mr.Task) (mr.Mapper, error) {
		if !t.MapOnly || t.Phase != mr.MapPhase {
			return nil, errors.New("not told of its job")
		}
		return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
			if len(rec.Data) == 0 {
				out.Emit(rec.Data, nil)
				return nil
			}
			out.Emit(rec.Data, fmt.Append(nil, len(rec.Data)))
			return nil
		}), nil
	},
	NewReducer: func(*mr.Task) (mr.Reducer, error) { return nil, errors.New("a reducer was asked for") },
}

// directJob is a map-only job of two tasks, with bad records in it.
func directJob(t *testing.T) *fixture {
	w := newFixture(brittle(sized), 0, 0, 2, file{"a", "the cat\na bad cat\n\nthe dog\n"}, file{"b", "a cat\r\nworse\r\n"}, file{"c", "end"})
	w.Scratch = t.TempDir()
	w.Spec.MaxBad = manifest.Budget{Records: 2}
	return w
}

// TestDirect: whatever the input, the splits and the budget of memory, the outputs of
// a map-only job, one after the other, are what the mapper emits in input order, and
// the records say what was read and skipped.
func TestDirect(t *testing.T) {
	scratch := t.TempDir()
	word := rapid.SampledFrom([]string{" ", "\n", "\r\n", "\n\n", "a", "b ", "ab\n", "aaaaaaaaa ", "\x00", "bad", "worse"})
	rapid.Check(t, func(t *rapid.T) {
		var files []file
		var want strings.Builder
		var skipped []manifest.BadRecord
		for i := range rapid.IntRange(0, 4).Draw(t, "files") {
			files = append(files, file{fmt.Sprintf("f%d", i), strings.Join(rapid.SliceOfN(word, 0, 60).Draw(t, "words"), "")})
		}
		w := newFixture(brittle(sized), 0, rapid.IntRange(1, 300).Draw(t, "split"), rapid.IntRange(1, 4).Draw(t, "pack"), files...)
		w.Scratch = scratch
		w.Memory = int64(rapid.SampledFrom([]int{1, 300, 4000, 1 << 20}).Draw(t, "memory"))
		w.Spec.MaxBad = manifest.Budget{PPM: 1_000_000}
		records := 0
		for i, f := range files {
			for _, rec := range testkit.Records(mr.Lines, testkit.File(f)) {
				records++
				switch why := isBad(rec, 1000); {
				case why != "":
					skipped = append(skipped, manifest.BadRecord{Object: f.Name, ETag: w.Spec.Objects[i].ETag, Offset: rec.Offset, Length: int64(len(rec.Data)), Error: why})
				case len(rec.Data) == 0:
					want.WriteString("\n")
				default:
					fmt.Fprintf(&want, "%s %d\n", rec.Data, len(rec.Data))
				}
			}
		}
		if d := cmp.Diff(want.String(), strings.Join(w.run(t), "")); d != "" {
			t.Fatalf("-want +got:\n%s", d)
		}
		if d := cmp.Diff(skipped, w.skipped(t)); d != "" {
			t.Fatalf("lists, -want +got:\n%s", d)
		}
		for r := range w.Spec.Outputs() {
			rec, _, err := w.bucket().reduceRecord(context.Background(), r, fmt.Sprint("r", r))
			if err != nil {
				t.Fatal(err)
			}
			records -= int(rec.Input.Records)
		}
		if records != 0 {
			t.Fatalf("the records lack %d records of input", records)
		}
	})
}

// TestDirectSums: a value for the combiner mr.Sum is written as a number.
func TestDirectSums(t *testing.T) {
	app := sized
	app.Combine = mr.Sum{}
	app.NewMapper = func(*mr.Task) (mr.Mapper, error) {
		return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
			mr.EmitSpans(out, rec.Data, []uint32{0, 1, 2, 3}, mr.AppendInt64(nil, -10))
			return nil
		}), nil
	}
	w := newFixture(app, 0, 0, 1, file{"a", "x y\n"})
	w.Scratch = t.TempDir()
	if got := w.run(t); got[0] != "x -10\ny -10\n" {
		t.Errorf("%q", got)
	}
}

// TestDirectUnfit: what is no line fails the attempt, for good and with the key, and
// leaves nothing.
func TestDirectUnfit(t *testing.T) {
	for name, pair := range map[string][2]string{"the line": {"k\n", ""}, "the key": {"k\n", "v"}, "the value": {"k", "v\n"}} {
		app := sized
		app.NewMapper = func(*mr.Task) (mr.Mapper, error) {
			return mr.MapperFunc(func(_ mr.Record, out mr.Emitter) error {
				out.Emit([]byte(pair[0]), []byte(pair[1]))
				return nil
			}), nil
		}
		w := newFixture(app, 0, 0, 1, file{"a", "x\n"})
		w.Scratch = t.TempDir()
		_, err := w.env(t).Run(context.Background(), Attempt{mr.ReducePhase, 0, "r"})
		var fatal *FatalError
		if want := fmt.Sprintf("write key %q: line break in %s", pair[0], name); !errors.As(err, &fatal) || !strings.HasPrefix(fatal.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
		if _, err := w.Store.Object(layout.Layout{}.Output(0)); err == nil {
			t.Errorf("%s: there is an output", name)
		}
		w.Check(t)
	}
}

// TestDirectStale: an output that an attempt of an earlier job has written late is
// replaced, with counts that are those of one run.
func TestDirectStale(t *testing.T) {
	w := directJob(t)
	w.Store.PutJSON(t, layout.Layout{}.Job(), w.Spec)
	w.late(t, layout.Layout{}.Output(0), "wrong\n", "job-0")
	want := []string{"the cat 7\n\nthe dog 7\na cat\r 6\n", "end 3\n"}
	if d := cmp.Diff(want, w.run(t)); d != "" {
		t.Error(d)
	}
	rec, _, err := w.bucket().reduceRecord(context.Background(), 0, "r0")
	if err != nil || rec.Input.Records != 6 || rec.Bad.Records != 2 {
		t.Errorf("%+v, %v", rec, err)
	}
}

// TestReplayDirect: a task of a map-only job is replayed as the map task that people
// take it for.
func TestReplayDirect(t *testing.T) {
	w := directJob(t)
	outputs := w.run(t)
	r, texts, err := w.replay(t, mr.MapPhase, 0)
	if want := (Replayed{Records: 6, Bytes: 35, Emitted: 4, Skipped: 2, Committed: "r0"}); err != nil || cmp.Diff(want, r) != "" {
		t.Errorf("%v, %s", err, cmp.Diff(want, r))
	}
	o, err := w.Store.Object(layout.Layout{}.Bad(0))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]string{"mr-out-0": outputs[0], "bad-map-0": string(o.Data)}, texts); d != "" {
		t.Error(d)
	}
	if _, _, err := w.replay(t, mr.MapPhase, 2); err == nil || !strings.Contains(err.Error(), "job job-1 has no map task 2") {
		t.Errorf("no such task: %v", err)
	}
}
