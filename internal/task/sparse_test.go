package task

import (
	"bytes"
	"fmt"
	"iter"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/testkit"
	"github.com/mraws/mraws/mr"
)

// sparseJob is a job of four maps, of whose partitions most have no records,
// and one map has none at all.
func sparseJob(t *testing.T, how manifest.Shuffle) *fixture {
	t.Helper()
	w := newFixture(testkit.Where, 5, 0, 1, file{"a", "x\n"}, file{"b", "x y\nx\n"}, file{"c", "\n\n"}, file{"d", "the quick x\n"}).shuffled(how)
	w.Scratch = t.TempDir()
	return w
}

// intermediates lists the objects with partitions.
func (w *fixture) intermediates() (keys []string) {
	for key := range w.Store.Objects {
		if strings.HasPrefix(key, "intermediate/") && strings.Contains(key, "mr-") {
			keys = append(keys, key)
		}
	}
	return keys
}

// TestSparse: of partitions without records nothing is stored, of a map task
// without any no object, and every output is there.
func TestSparse(t *testing.T) { eachShuffle(t, testSparse) }

func testSparse(t *testing.T, how manifest.Shuffle) {
	w := sparseJob(t, how)
	if d := cmp.Diff(oracle(t, testkit.Where, 5, file{"a", "x\n"}, file{"b", "x y\nx\n"}, file{"d", "the quick x\n"}), w.run(t)); d != "" {
		t.Errorf("outputs (-want +got):\n%s", d)
	}
	stored := 0
	for m := range w.Spec.Tasks {
		rec, err := w.bucket().mapRecord(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		objects := committedObjects(rec)
		stored += len(objects)
		for _, o := range objects {
			if _, err := w.Store.Object(o.plain); err != nil {
				t.Error(err)
			}
		}
		if m == 2 && len(objects) != 0 {
			t.Errorf("of a task without records there are %v", objects)
		}
	}
	if all := w.intermediates(); len(all) != stored {
		t.Errorf("%d objects are named, and there are %q", stored, all)
	}
}

// TestSparseLost: what was committed comes back when it is lost.
func TestSparseLost(t *testing.T) { eachShuffle(t, testSparseLost) }

func testSparseLost(t *testing.T, how manifest.Shuffle) {
	want := sparseJob(t, how).run(t)
	w := sparseJob(t, how)
	for m := range w.Spec.Tasks {
		if _, err := w.env(t).Run(t.Context(), Attempt{mr.MapPhase, m, "m"}); err != nil {
			t.Fatal(err)
		}
	}
	before := maps.Clone(w.Store.Objects)
	for _, key := range w.intermediates() {
		gone(w, key)
	}
	for r := range w.Spec.NReduce {
		if _, err := w.env(t).Run(t.Context(), Attempt{mr.ReducePhase, r, fmt.Sprintf("r%d", r)}); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff(want, w.Outputs(t)); d != "" {
		t.Errorf("outputs (-want +got):\n%s", d)
	}
	for m := range w.Spec.Tasks {
		rec, err := w.bucket().mapRecord(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range committedObjects(rec) {
			if now := w.Store.Objects[o.plain].Data; !bytes.Equal(before[o.plain].Data, now) {
				t.Errorf("%s has %d bytes, not the %d that were committed", o.plain, len(now), len(before[o.plain].Data))
			}
		}
	}
	w.Check(t)
}

// TestSparseFickle: where an attempt that did not commit had records, and the
// one that did has none, nobody reads what lies there, however late it came.
func TestSparseFickle(t *testing.T) { eachShuffle(t, testSparseFickle) }

func testSparseFickle(t *testing.T, how manifest.Shuffle) {
	a := testkit.App("sometimes", nil, func(key []byte, _ iter.Seq[[]byte], out mr.Output) error {
		out.Write(key)
		return nil
	}, nil)
	a.NewMapper = func(task *mr.Task) (mr.Mapper, error) {
		return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
			if strings.HasPrefix(task.Attempt, "talks") {
				out.Emit(rec.Data, nil)
			}
			return nil
		}), nil
	}
	var l layout.Layout
	run := func(w *fixture, phase mr.Phase, index int, id string) error {
		_, err := w.env(t).Run(t.Context(), Attempt{phase, index, id})
		return err
	}
	for _, late := range []bool{false, true} {
		w := newFixture(a, 2, 0, 1, file{"a", "1\n2\n3\n4\n"}).shuffled(how)
		w.Scratch = t.TempDir()
		if late {
			if err := run(w, mr.MapPhase, 0, "silent"); err != nil {
				t.Fatal(err)
			}
		}
		w.Store.Fault = func(_ int, op, key string) testkit.Fault {
			if key == l.MapCommit(0) && op == "put" {
				return testkit.NotDone
			}
			return testkit.Fine
		}
		if err := run(w, mr.MapPhase, 0, "talks"); (err == nil) != late {
			t.Fatal(err)
		}
		w.Store.Fault = nil
		if err := run(w, mr.MapPhase, 0, "silent-again"); err != nil {
			t.Fatal(err)
		}
		if len(w.intermediates()) == 0 {
			t.Error("nothing is left of the attempt that had records")
		}
		for r := range 2 {
			if err := run(w, mr.ReducePhase, r, "r"); err != nil {
				t.Fatal(err)
			}
		}
		if out := strings.Join(w.Outputs(t), ""); out != "" {
			t.Errorf("outputs: %s", out)
		}
		w.Check(t)
	}
}
