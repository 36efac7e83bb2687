package task

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/testkit"
	"github.com/mraws/mraws/mr"
)

// TestLostControlObject: an attempt that cannot read a control object names it,
// and does not say that nobody could.
func TestLostControlObject(t *testing.T) {
	for name, harm := range map[string]harm{"gone": gone, "foreign": foreign, "spoiled": spoiled, "emptied": cut(0)} {
		t.Run(name, func(t *testing.T) {
			w := lostJob(t, testkit.Where)
			w.maps(t)
			key := layout.Layout{}.MapCommit(1)
			harm(w, key)
			_, err := w.env(t).Run(t.Context(), Attempt{mr.ReducePhase, 0, "r"})
			var lost *LostError
			if !errors.As(err, &lost) || lost.Key != key || isFatal(err) || !strings.Contains(err.Error(), "map task 1") && !strings.Contains(err.Error(), key) {
				t.Errorf("%#v: %v", err, err)
			}
			w.Check(t)
		})
	}
	t.Run("changed", func(t *testing.T) {
		w := lostJob(t, testkit.Where)
		w.maps(t)
		key := layout.Layout{}.MapCommit(1)
		o := w.Store.Objects[key]
		o.Data = bytes.Replace(o.Data, []byte(`"emitted": `), []byte(`"emitted": 1`), 1)
		w.Store.Objects[key] = o
		_, err := w.env(t).Run(t.Context(), Attempt{mr.ReducePhase, 0, "r"})
		var lost *LostError
		if !errors.As(err, &lost) || lost.Key != key {
			t.Errorf("%v", err)
		}
	})
	w := lostJob(t, testkit.Where)
	w.maps(t)
	w.Store.Fault = func(_ int, op, key string) testkit.Fault {
		if op == "get" {
			return testkit.NotDone
		}
		return testkit.Fine
	}
	_, err := w.env(t).Run(t.Context(), Attempt{mr.ReducePhase, 0, "r"})
	var lost *LostError
	if err == nil || errors.As(err, &lost) || isFatal(err) {
		t.Errorf("a store that does not answer says nothing of an object: %v", err)
	}
}

// isFatal says whether an error ends the job.
func isFatal(err error) bool {
	var fatal *FatalError
	var conflict *ConflictError
	return errors.As(err, &fatal) || errors.As(err, &conflict)
}

// TestLostReduceRecord: the record of the attempt that made an output is lost.
// Who runs the task again and makes the same output puts it back; who makes
// another output says so.
func TestLostReduceRecord(t *testing.T) {
	for name, harm := range map[string]harm{"gone": gone, "foreign": foreign, "spoiled": spoiled, "emptied": cut(0), "there": func(*fixture, string) {}} {
		t.Run(name, func(t *testing.T) {
			w := lostJob(t, testkit.Where)
			w.run(t)
			key := layout.Layout{}.ReduceAttempt(1, "r1")
			was, err := manifest.Decode[manifest.Reduce](w.Store.Objects[key].Data, manifest.ReduceSchema)
			if err != nil {
				t.Fatal(err)
			}
			harm(w, key)
			delete(w.Store.Objects, layout.Layout{}.Success())
			w.Store.Violations = nil
			res, err := w.env(t).Run(t.Context(), Attempt{mr.ReducePhase, 1, "again"})
			if err != nil || !res.Superseded {
				t.Fatalf("%+v, %v", res, err)
			}
			o := w.Store.Objects[key]
			now, err := manifest.Decode[manifest.Reduce](o.Data, manifest.ReduceSchema)
			if err != nil || o.Spoiled || now.Attempt != "r1" || now.Read != was.Read || now.Keys != was.Keys || now.Output != was.Output {
				t.Errorf("%+v, %v; want %+v", now, err, was)
			}
			if o.Info.Meta[manifest.MetaAttempt] != "r1" && name != "there" {
				t.Errorf("metadata %v", o.Info.Meta)
			}
			w.Store.Violations = nil // who harms it replaces it
			w.Check(t)
		})
	}
	t.Run("output was cut", func(t *testing.T) {
		w := lostJob(t, testkit.Where)
		w.run(t)
		out := layout.Layout{}.Output(1)
		cut(5)(w, out)
		_, err := w.env(t).Run(t.Context(), Attempt{mr.ReducePhase, 1, "again"})
		var fatal *FatalError
		if !errors.As(err, &fatal) || !strings.Contains(err.Error(), out) {
			t.Errorf("%v", err)
		}
		w.Check(t)
	})
	t.Run("other output", func(t *testing.T) {
		w := lostJob(t, testkit.Where)
		w.run(t)
		key, out := layout.Layout{}.ReduceAttempt(1, "r1"), layout.Layout{}.Output(1)
		gone(w, key)
		o := w.Store.Objects[out]
		o.Data = bytes.ToUpper(o.Data)
		w.Store.Objects[out] = o
		_, err := w.env(t).Run(t.Context(), Attempt{mr.ReducePhase, 1, "again"})
		var fatal *FatalError
		if !errors.As(err, &fatal) || !strings.Contains(err.Error(), out) || !strings.Contains(err.Error(), "delete that output") {
			t.Errorf("%v", err)
		}
		if _, there := w.Store.Objects[key]; there {
			t.Error("a record says that the output was made of what it was not")
		}
		w.Check(t)
	})
}

// TestLostRanges: the key ranges of ordered output are lost when the maps have
// gone by them. A reduce attempt makes the same again, or says that they are
// not those.
func TestLostRanges(t *testing.T) {
	key := layout.Layout{}.Ranges()
	start := func(t *testing.T) *fixture {
		t.Helper()
		w := newFixture(ordered(), 3, 1<<20, 1, file{"a", random(300_000)}, file{"b", random(100_000)})
		w.Scratch = t.TempDir()
		w.maps(t)
		return w
	}
	for name, harm := range map[string]harm{"gone": gone, "spoiled": spoiled, "emptied": cut(0)} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			was := bytes.Clone(w.Store.Objects[key].Data)
			harm(w, key)
			for r := range 3 {
				if _, err := w.env(t).Run(t.Context(), Attempt{mr.ReducePhase, r, fmt.Sprintf("r%d", r)}); err != nil {
					t.Fatal(err)
				}
			}
			if now := w.Store.Objects[key]; !bytes.Equal(now.Data, was) || now.Spoiled {
				t.Errorf("the ranges are %q, were %q", now.Data, was)
			}
			if w.Store.Violations = nil; name == "gone" {
				w.Check(t)
			}
		})
	}
	t.Run("others", func(t *testing.T) {
		w := start(t)
		data, err := manifest.Encode(manifest.Ranges{Schema: manifest.RangesSchema, Job: w.Spec.ID, Bounds: [][]byte{[]byte("0"), []byte("1")}})
		if err != nil {
			t.Fatal(err)
		}
		gone(w, key)
		w.Store.Replace(key, data)
		_, err = w.env(t).Run(t.Context(), Attempt{mr.ReducePhase, 0, "r"})
		var fatal *FatalError
		if !errors.As(err, &fatal) || !strings.Contains(err.Error(), key) {
			t.Errorf("%v", err)
		}
		if _, there := w.Store.Objects[layout.Layout{}.Output(0)]; there {
			t.Error("there is an output by other ranges")
		}
		w.Check(t)
	})
}

// TestSpoiledInput: input whose bytes the store cannot give as they were
// uploaded ends the job with its key.
func TestSpoiledInput(t *testing.T) {
	for name, harm := range map[string]harm{"spoiled": spoiled, "cut": cut(5), "emptied": cut(0)} {
		t.Run(name, func(t *testing.T) {
			w := lostJob(t, testkit.Where)
			key := layout.Layout{}.Input("b")
			harm(w, key)
			_, err := w.env(t).Run(context.Background(), Attempt{mr.MapPhase, 1, "m"})
			var fatal *FatalError
			if !errors.As(err, &fatal) || fatal.Key != key || !errors.Is(err, object.ErrDamaged) || !strings.Contains(err.Error(), "input is damaged") {
				t.Errorf("%v", err)
			}
			w.Check(t)
		})
	}
}
