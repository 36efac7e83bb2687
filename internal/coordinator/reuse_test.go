package coordinator

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
)

// TestKeep: whatever has become of the objects of an earlier job, the tasks of the new
// one are its input in order, and each task of which no object has changed is there
// again, unless an object lies between those of it now.
func TestKeep(t *testing.T) {
	format := formatOf("lines")
	rapid.Check(t, func(t *rapid.T) {
		split := rapid.Int64Range(1, 300).Draw(t, "split")
		plan := func(packing bool) func([]manifest.Object) ([][]manifest.Piece, error) {
			return func(o []manifest.Object) ([][]manifest.Piece, error) {
				return cutAll(o, format, splitting{split, 1}, packing, nil)
			}
		}
		spec := func(objects []manifest.Object, tasks [][]manifest.Piece) *manifest.Job {
			j := &manifest.Job{
				Schema: manifest.JobSchema, ID: "job", Created: time.Now(), NReduce: 1, SplitSize: split, Objects: objects, Tasks: tasks,
				Spec: manifest.Spec{
					App: manifest.App{Kind: manifest.Go, Name: "wc"}, Input: manifest.Choice{Name: manifest.Lines}, Output: manifest.Choice{Name: manifest.Lines},
					Partitioner: manifest.Choice{Name: manifest.Hash}, Order: manifest.Order{Keys: manifest.ByBytes, Values: manifest.ByInput},
				},
			}
			if err := j.Validate(layout.New("x")); err != nil {
				t.Fatalf("%v: %+v", err, tasks)
			}
			return j
		}
		var before, after []manifest.Object
		changed := map[string]bool{}
		for i := range rapid.IntRange(0, 30).Draw(t, "objects") {
			o := manifest.Object{Name: fmt.Sprintf("in%02d", i), ETag: `"1"`, Size: rapid.Int64Range(0, 500).Draw(t, "size")}
			switch rapid.IntRange(0, 9).Draw(t, "becomes") {
			case 0: // removed
				before, changed[o.Name] = append(before, o), true
			case 1: // added
				after = append(after, o)
			case 2: // other bytes
				now := o
				now.ETag, now.Size = `"2"`, rapid.Int64Range(0, 500).Draw(t, "new size")
				before, after, changed[o.Name] = append(before, o), append(after, now), true
			default:
				before, after = append(before, o), append(after, o)
			}
		}
		tasks, err := plan(rapid.Bool().Draw(t, "packed before"))(before)
		if err != nil {
			t.Fatal(err)
		}
		old := spec(before, tasks)
		if tasks, err = keep(old, after, plan(rapid.Bool().Draw(t, "packed"))); err != nil {
			t.Fatal(err)
		}
		now := spec(after, tasks)
		keys := map[string]bool{}
		for m := range now.Tasks {
			keys[now.TaskKey(m)] = true
		}
		at := func(name string) int {
			return slices.IndexFunc(after, func(o manifest.Object) bool { return o.Name == name })
		}
		same := 0
		for m, pieces := range old.Tasks {
			whole := true
			for p, piece := range pieces {
				name := before[piece.Object].Name
				whole = whole && !changed[name] && (p == 0 || at(name) == at(before[pieces[p-1].Object].Name)+1)
			}
			if whole {
				same++
			}
			if whole && !keys[old.TaskKey(m)] {
				t.Errorf("task %d of the earlier job, %v, is not there again", m, pieces)
			}
		}
		if got := reuse(now, old, "p"); got < same || (got > 0) != (now.Reuse == manifest.Reuse{Job: "job", Prefix: "p"}) {
			t.Errorf("%d tasks are taken over, of %d that stayed: %+v", got, same, now.Reuse)
		}
	})
}
