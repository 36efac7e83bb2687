package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/mr"
)

// sparseWorld is a job of four maps, of whose partitions most have no records,
// and one map has none at all.
func sparseWorld(t *testing.T, how manifest.Shuffle) *world {
	t.Helper()
	w := newWorld(where, 5, 0, 1, file{"a", "x\n"}, file{"b", "x y\nx\n"}, file{"c", "\n\n"}, file{"d", "the quick x\n"}).shuffled(how)
	w.scratch = t.TempDir()
	return w
}

// oldMap runs a map attempt as versions did that stored something of
// partitions without records.
func (w *world) oldMap(t *testing.T, m int, id string) error {
	t.Helper()
	return w.env(t).runAttempt(t.Context(), Attempt{mr.MapPhase, m, id}, func(ctx context.Context, t *attempt) (err error) {
		segs := &segments{spool: spool{t: t, what: "segments", limit: t.shares.spool}, footers: true}
		defer func() { err = errors.Join(err, segs.Close()) }()
		if err := t.mapTo(ctx, segs); err != nil {
			return err
		}
		return t.commitMap(ctx, segs)
	})
}

// intermediates lists the objects with partitions.
func (w *world) intermediates() (keys []string) {
	for key := range w.store.objects {
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
	w := sparseWorld(t, how)
	if d := cmp.Diff(oracle(t, where, 5, file{"a", "x\n"}, file{"b", "x y\nx\n"}, file{"d", "the quick x\n"}), w.run(t)); d != "" {
		t.Errorf("outputs (-want +got):\n%s", d)
	}
	stored := 0
	for m := range w.job.Tasks {
		rec, err := w.env(t).mapRecord(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if rec.Schema != manifest.MapSchemaSparse {
			t.Errorf("the record of map %d is a %s", m, rec.Schema)
		}
		objects := committedObjects(rec)
		stored += len(objects)
		for _, o := range objects {
			if _, err := w.store.get(o.plain); err != nil {
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

// TestSparseMixed: a job that an older version began goes on, and what was
// committed by either comes back when it is lost.
func TestSparseMixed(t *testing.T) { eachShuffle(t, testSparseMixed) }

func testSparseMixed(t *testing.T, how manifest.Shuffle) {
	want := sparseWorld(t, how).run(t)
	for old := range 5 {
		w := sparseWorld(t, how)
		for m := range w.job.Tasks {
			if m < old {
				if err := w.oldMap(t, m, "old"); err != nil {
					t.Fatal(err)
				}
			} else if _, err := w.env(t).Run(t.Context(), Attempt{mr.MapPhase, m, "new"}); err != nil {
				t.Fatal(err)
			}
			rec, err := w.env(t).mapRecord(t.Context(), m)
			if err != nil || (rec.Schema == manifest.MapSchemaSparse) != (m >= old) {
				t.Fatalf("map %d: %+v, %v", m, rec, err)
			}
		}
		before := maps.Clone(w.store.objects)
		for _, key := range w.intermediates() {
			gone(w, key)
		}
		for r := range w.job.NReduce {
			if _, err := w.env(t).Run(t.Context(), Attempt{mr.ReducePhase, r, fmt.Sprintf("r%d", r)}); err != nil {
				t.Fatalf("%d maps by an older version: %v", old, err)
			}
		}
		if d := cmp.Diff(want, w.outputs(t)); d != "" {
			t.Errorf("%d maps by an older version: outputs (-want +got):\n%s", old, d)
		}
		for m := range w.job.Tasks {
			if m == 2 {
				continue // nobody has to read anything of it
			}
			rec, err := w.env(t).mapRecord(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range committedObjects(rec) {
				if now := w.store.objects[o.plain].data; !bytes.Equal(before[o.plain].data, now) {
					t.Errorf("%s has %d bytes, not the %d that were committed", o.plain, len(now), len(before[o.plain].data))
				}
			}
		}
		w.check(t)
	}
}

// TestSparseAfterOld: what an older version left without a record is taken
// over as far as it is the same; nothing else is read.
func TestSparseAfterOld(t *testing.T) { eachShuffle(t, testSparseAfterOld) }

func testSparseAfterOld(t *testing.T, how manifest.Shuffle) {
	w := sparseWorld(t, how)
	want := sparseWorld(t, how).run(t)
	var l layout.Layout
	w.store.fault = func(_ int, op, key string) fault {
		if key == l.MapCommit(1) && op == "put" {
			return notDone
		}
		return fine
	}
	if err := w.oldMap(t, 1, "old"); !errors.Is(err, errInjected) {
		t.Fatal(err)
	}
	w.store.fault = nil
	res, err := w.env(t).Run(t.Context(), Attempt{mr.MapPhase, 1, "new"})
	filled := map[int]bool{mr.Partition([]byte("x"), 5): true, mr.Partition([]byte("y"), 5): true}
	adopted, displaced := len(filled), 0
	if how == manifest.ShufflePacked {
		adopted, displaced = 0, 1 // its partitions lie elsewhere in the object
	}
	if err != nil || res.Adopted != adopted || res.Displaced != displaced {
		t.Errorf("%+v, %v", res, err)
	}
	for _, m := range []int{0, 2, 3} {
		if _, err := w.env(t).Run(t.Context(), Attempt{mr.MapPhase, m, "new"}); err != nil {
			t.Fatal(err)
		}
	}
	for r := range w.job.NReduce {
		if _, err := w.env(t).Run(t.Context(), Attempt{mr.ReducePhase, r, fmt.Sprintf("r%d", r)}); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff(want, w.outputs(t)); d != "" {
		t.Errorf("outputs (-want +got):\n%s", d)
	}
	w.check(t)
}

// TestSparseFickle: where an attempt that did not commit had records, and the
// one that did has none, nobody reads what lies there, however late it came.
func TestSparseFickle(t *testing.T) { eachShuffle(t, testSparseFickle) }

func testSparseFickle(t *testing.T, how manifest.Shuffle) {
	a := app("sometimes", nil, func(key []byte, _ iter.Seq[[]byte], out mr.Output) error {
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
	run := func(w *world, phase mr.Phase, index int, id string) error {
		_, err := w.env(t).Run(t.Context(), Attempt{phase, index, id})
		return err
	}
	for _, late := range []bool{false, true} {
		w := newWorld(a, 2, 0, 1, file{"a", "1\n2\n3\n4\n"}).shuffled(how)
		w.scratch = t.TempDir()
		if late {
			if err := run(w, mr.MapPhase, 0, "silent"); err != nil {
				t.Fatal(err)
			}
		}
		w.store.fault = func(_ int, op, key string) fault {
			if key == l.MapCommit(0) && op == "put" {
				return notDone
			}
			return fine
		}
		if err := run(w, mr.MapPhase, 0, "talks"); (err == nil) != late {
			t.Fatal(err)
		}
		w.store.fault = nil
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
		if out := strings.Join(w.outputs(t), ""); out != "" {
			t.Errorf("outputs: %s", out)
		}
		w.check(t)
	}
}
