package task

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/testkit"
	"github.com/mraws/mraws/mr"
)

// TestForgedRecord: a commit record that names another object than the
// task's, and a segment that is missing. No attempt reads what it names, and
// none puts a segment there.
func TestForgedRecord(t *testing.T) {
	var l layout.Layout
	for _, victim := range []string{"elsewhere/victim.txt", l.Input("b"), l.Output(2), l.Job(), l.MapCommit(2), l.Partition(2, 0), l.MapAttempt(1, "x", 0)} {
		eachShuffle(t, func(t *testing.T, how manifest.Shuffle) {
			w := lostJob(t, testkit.WC).shuffled(how)
			w.maps(t)
			w.put(l.Job(), w.Spec)
			if _, there := w.Store.Objects[victim]; !there {
				w.Store.Replace(victim, []byte("keep me"))
			}
			want := string(w.Store.Objects[victim].Data)
			data := w.Store.Objects[l.MapCommit(1)].Data
			rec, err := manifest.DecodeMap(data, l, w.Spec, 1)
			if err != nil {
				t.Fatal(err)
			}
			if how == manifest.ShufflePacked {
				rec.Packed.Key = victim
			} else {
				rec.Parts[0].Key = victim
			}
			w.put(l.MapCommit(1), rec)
			gone(w, w.Segment(1, 0))
			_, err = w.env(t).Run(t.Context(), Attempt{mr.ReducePhase, 0, "r"})
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("the key %q", victim)) {
				t.Errorf("the reduce attempt: %v", err)
			}
			if is := string(w.Store.Objects[victim].Data); is != want {
				t.Errorf("%s was %q and is %q", victim, want, is)
			}
		})
	}
}

// put writes a control object.
func (w *fixture) put(key string, v any) {
	data, err := manifest.Encode(v)
	if err != nil {
		panic(err)
	}
	w.Store.Replace(key, data)
}
