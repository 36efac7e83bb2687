package worker

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
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/mr"
)

// TestLostControlObject: an attempt that cannot read a control object names it
// to the coordinator, and does not say that nobody could.
func TestLostControlObject(t *testing.T) {
	for name, harm := range map[string]harm{"gone": gone, "foreign": foreign, "spoiled": spoiled, "emptied": cut(0)} {
		t.Run(name, func(t *testing.T) {
			w := lostWorld(t, where)
			w.maps(t)
			key := layout.Layout{}.MapCommit(1)
			harm(w, key)
			_, err := w.env(t).Run(t.Context(), Attempt{mr.ReducePhase, 0, "r"})
			q := &wire.ReportRequest{}
			if claim(q, err); err == nil || q.Object != key || q.Fatal || !strings.Contains(err.Error(), "map task 1") && !strings.Contains(err.Error(), key) {
				t.Errorf("object %q, fatal %t: %v", q.Object, q.Fatal, err)
			}
			w.check(t)
		})
	}
	t.Run("changed", func(t *testing.T) {
		w := lostWorld(t, where)
		w.maps(t)
		key := layout.Layout{}.MapCommit(1)
		o := w.store.objects[key]
		o.data = bytes.Replace(o.data, []byte(`"emitted": `), []byte(`"emitted": 1`), 1)
		w.store.objects[key] = o
		_, err := w.env(t).Run(t.Context(), Attempt{mr.ReducePhase, 0, "r"})
		var lost *LostError
		if !errors.As(err, &lost) || lost.Key != key {
			t.Errorf("%v", err)
		}
	})
	w := lostWorld(t, where)
	w.maps(t)
	w.store.fault = func(_ int, op, key string) fault {
		if op == "get" {
			return notDone
		}
		return fine
	}
	_, err := w.env(t).Run(t.Context(), Attempt{mr.ReducePhase, 0, "r"})
	q := &wire.ReportRequest{}
	if claim(q, err); err == nil || q.Object != "" {
		t.Errorf("a store that does not answer says nothing of %q: %v", q.Object, err)
	}
}

// TestLostReduceRecord: the record of the attempt that made an output is lost.
// Who runs the task again and makes the same output puts it back; who makes
// another output says so.
func TestLostReduceRecord(t *testing.T) {
	for name, harm := range map[string]harm{"gone": gone, "foreign": foreign, "spoiled": spoiled, "emptied": cut(0), "there": func(*world, string) {}} {
		t.Run(name, func(t *testing.T) {
			w := lostWorld(t, where)
			w.run(t)
			key := layout.Layout{}.ReduceAttempt(1, "r1")
			was, err := manifest.Decode[manifest.Reduce](w.store.objects[key].data, manifest.ReduceSchema)
			if err != nil {
				t.Fatal(err)
			}
			harm(w, key)
			delete(w.store.objects, layout.Layout{}.Success())
			w.store.violations = nil
			res, err := w.env(t).Run(t.Context(), Attempt{mr.ReducePhase, 1, "again"})
			if err != nil || !res.Superseded {
				t.Fatalf("%+v, %v", res, err)
			}
			o := w.store.objects[key]
			now, err := manifest.Decode[manifest.Reduce](o.data, manifest.ReduceSchema)
			if err != nil || o.spoiled || now.Attempt != "r1" || now.Read != was.Read || now.Keys != was.Keys || now.Output != was.Output {
				t.Errorf("%+v, %v; want %+v", now, err, was)
			}
			if o.info.Meta[manifest.MetaAttempt] != "r1" && name != "there" {
				t.Errorf("metadata %v", o.info.Meta)
			}
			w.store.violations = nil // who harms it replaces it
			w.check(t)
		})
	}
	t.Run("output was cut", func(t *testing.T) {
		w := lostWorld(t, where)
		w.run(t)
		out := layout.Layout{}.Output(1)
		cut(5)(w, out)
		_, err := w.env(t).Run(t.Context(), Attempt{mr.ReducePhase, 1, "again"})
		var fatal *FatalError
		if !errors.As(err, &fatal) || !strings.Contains(err.Error(), out) {
			t.Errorf("%v", err)
		}
		w.check(t)
	})
	t.Run("other output", func(t *testing.T) {
		w := lostWorld(t, where)
		w.run(t)
		key, out := layout.Layout{}.ReduceAttempt(1, "r1"), layout.Layout{}.Output(1)
		gone(w, key)
		o := w.store.objects[out]
		o.data = bytes.ToUpper(o.data)
		w.store.objects[out] = o
		_, err := w.env(t).Run(t.Context(), Attempt{mr.ReducePhase, 1, "again"})
		var fatal *FatalError
		if !errors.As(err, &fatal) || !strings.Contains(err.Error(), out) || !strings.Contains(err.Error(), "delete that output") {
			t.Errorf("%v", err)
		}
		if _, there := w.store.objects[key]; there {
			t.Error("a record says that the output was made of what it was not")
		}
		w.check(t)
	})
}

// TestLostRanges: the key ranges of ordered output are lost when the maps have
// gone by them. A reduce attempt makes the same again, or says that they are
// not those.
func TestLostRanges(t *testing.T) {
	key := layout.Layout{}.Ranges()
	start := func(t *testing.T) *world {
		t.Helper()
		w := newWorld(ordered(), 3, 1<<20, 1, file{"a", random(300_000)}, file{"b", random(100_000)})
		w.scratch = t.TempDir()
		w.maps(t)
		return w
	}
	for name, harm := range map[string]harm{"gone": gone, "spoiled": spoiled, "emptied": cut(0)} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			was := bytes.Clone(w.store.objects[key].data)
			harm(w, key)
			for r := range 3 {
				if _, err := w.env(t).Run(t.Context(), Attempt{mr.ReducePhase, r, fmt.Sprintf("r%d", r)}); err != nil {
					t.Fatal(err)
				}
			}
			if now := w.store.objects[key]; !bytes.Equal(now.data, was) || now.spoiled {
				t.Errorf("the ranges are %q, were %q", now.data, was)
			}
			if w.store.violations = nil; name == "gone" {
				w.check(t)
			}
		})
	}
	t.Run("others", func(t *testing.T) {
		w := start(t)
		data, err := manifest.Encode(manifest.Ranges{Schema: manifest.RangesSchema, Job: w.job.ID, Bounds: [][]byte{[]byte("0"), []byte("1")}})
		if err != nil {
			t.Fatal(err)
		}
		gone(w, key)
		w.store.put(key, data)
		_, err = w.env(t).Run(t.Context(), Attempt{mr.ReducePhase, 0, "r"})
		var fatal *FatalError
		if !errors.As(err, &fatal) || !strings.Contains(err.Error(), key) {
			t.Errorf("%v", err)
		}
		if _, there := w.store.objects[layout.Layout{}.Output(0)]; there {
			t.Error("there is an output by other ranges")
		}
		w.check(t)
	})
}

// TestSpoiledInput: input whose bytes the store cannot give as they were
// uploaded ends the job with its key.
func TestSpoiledInput(t *testing.T) {
	for name, harm := range map[string]harm{"spoiled": spoiled, "cut": cut(5), "emptied": cut(0)} {
		t.Run(name, func(t *testing.T) {
			w := lostWorld(t, where)
			key := layout.Layout{}.Input("b")
			harm(w, key)
			_, err := w.env(t).Run(context.Background(), Attempt{mr.MapPhase, 1, "m"})
			var fatal *FatalError
			if !errors.As(err, &fatal) || fatal.Key != key || !errors.Is(err, object.ErrDamaged) || !strings.Contains(err.Error(), "input is damaged") {
				t.Errorf("%v", err)
			}
			w.check(t)
		})
	}
}
