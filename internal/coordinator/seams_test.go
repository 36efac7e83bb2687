package coordinator

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/wire"
)

// commitGuess commits a map task whose reader says that its piece has the records
// from one byte up to another.
func (h *fakeWorker) commitGuess(a *wire.Attempt, from, to int64) {
	h.t.Helper()
	m := int(a.Task)
	h.commitMap(m, a.Id, false)
	data, _ := h.store.data(h.lay.MapCommit(m))
	rec, err := manifest.Decode[manifest.Map]([]byte(data), manifest.MapSchema)
	if err != nil {
		h.t.Fatal(err)
	}
	rec.Extents = []manifest.Extent{{Began: input.Position{Offset: from}, WentOn: input.Position{Offset: to}}}
	h.put(h.lay.MapCommit(m), rec, nil)
}

// TestSeams: pieces whose readers had to guess must meet, in whatever order they
// are committed, or the job fails before a reduce task is granted: also under
// another coordinator, which knows the records alone.
func TestSeams(t *testing.T) {
	meet := [][2]int64{{0, 12}, {12, 25}, {25, 30}}
	for _, tt := range []struct {
		name    string
		order   []int // in which the tasks are committed
		extents [][2]int64
		want    string // of the error; "" is none
	}{
		{"in order", []int{0, 1, 2}, meet, ""},
		{"backwards", []int{2, 1, 0}, meet, ""},
		{"no record in the middle", []int{1, 0, 2}, [][2]int64{{0, 25}, {25, 25}, {25, 30}}, ""},
		{"twice", []int{0, 1, 2}, [][2]int64{{0, 14}, {12, 25}, {25, 30}}, "the pieces of in-0 do not meet: map task 0 read its records up to byte 14, and map task 1 from byte 12 on"},
		{"left out", []int{2, 0, 1}, [][2]int64{{0, 12}, {12, 22}, {25, 30}}, "the pieces of in-0 do not meet: map task 1 read its records up to byte 22, and map task 2 from byte 25 on"},
		{"last", []int{2, 1, 0}, [][2]int64{{0, 11}, {12, 25}, {25, 30}}, "the pieces of in-0 do not meet: map task 0 read its records up to byte 11, and map task 1 from byte 12 on"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newFixture(t, 0)
			b.store.set(b.lay.Input("in-0"), make([]byte, 30), nil)
			b.store.set(b.lay.Input("in-1"), make([]byte, 10), nil)
			guess := func(o *Options) {
				o.Input, o.SplitSize = &manifest.Choice{Name: "clauses"}, 10
			}
			s := b.start(guess)
			var workers [4]*fakeWorker // by their tasks
			var granted [4]*wire.Attempt
			for i := range workers {
				w := s.join(fmt.Sprintf("w%d", i), 1)
				a := w.granted()
				workers[a.Task], granted[a.Task] = w, a
			}
			workers[3].commit(granted[3])
			workers[3].report(granted[3], nil)
			for _, m := range tt.order {
				workers[m].commitGuess(granted[m], tt.extents[m][0], tt.extents[m][1])
				workers[m].report(granted[m], nil)
			}
			if tt.want == "" {
				workers[0].work(2)
				s.succeeds()
				return
			}
			s.until("the job failed", func(l *loop) bool { return l.failure != nil })
			s.until("no reduce is granted", func(l *loop) bool { return l.core.Stats().Map.Done < 4 })
			fails := func(s *service) {
				t.Helper()
				s.ends()
				var failed *JobError
				if !errors.As(s.err, &failed) || failed.Cause != tt.want || !failed.Seam {
					t.Errorf("got %v, want %s", s.err, tt.want)
				}
			}
			fails(s)
			s = b.start(guess)
			fails(s)
			if n := s.c.loop.core.Stats().Reduce.Tasks; n != 0 { // so none can be granted
				t.Errorf("the scheduler was told of %d reduce tasks", n)
			}
		})
	}
}

// TestNoSeams: no record of a job whose readers do not guess is held against
// another.
func TestNoSeams(t *testing.T) {
	spec := wc().Spec(nil)
	spec.Input = manifest.Choice{Name: manifest.Lines}
	p := func(o int, off, n int64) manifest.Piece { return manifest.Piece{Object: o, Offset: off, Length: n} }
	job := &manifest.Job{Spec: *spec, Objects: objects(30), Tasks: [][]manifest.Piece{{p(0, 0, 10)}, {p(0, 10, 20)}}}
	s := newSeams(job)
	for m := range job.Tasks {
		if err := s.join(m, &manifest.Map{}); err != nil || len(s.pieces) > 0 {
			t.Errorf("%v, %d pieces", err, len(s.pieces))
		}
	}
	job.Input.Name = "clauses"
	s = newSeams(job)
	if got := fmt.Sprint(s.pieces); got != "[{0 0 {{0 0} {0 0}} false} {0 1 {{0 0} {0 0}} false}]" || !slices.Equal(s.first, []int{0, 1, 2}) {
		t.Errorf("%s, %v", got, s.first)
	}
}
