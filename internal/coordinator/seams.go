package coordinator

import (
	"fmt"

	"github.com/mraws/mraws/internal/manifest"
)

// seams are where guessed pieces of an object meet ([manifest.Job.Guessed]): what
// the reader of one went on to must be what the reader of the next began with.
// Each is looked at when the second of its two records is known, so all have been
// before reduces open, whoever committed them.
type seams struct {
	job    *manifest.Job
	first  []int       // of each map task, and the end: its first piece in pieces
	pieces []seamPiece // in input order; none if no reader guesses
}

type seamPiece struct {
	object, task int
	extent       manifest.Extent
	known        bool
}

func newSeams(job *manifest.Job) seams {
	s := seams{job: job, first: make([]int, 0, len(job.Tasks)+1)}
	format := job.InputFormat()
	for m, pieces := range job.Tasks {
		s.first = append(s.first, len(s.pieces))
		for _, p := range pieces {
			if job.Guessed(format, p) {
				s.pieces = append(s.pieces, seamPiece{object: p.Object, task: m})
			}
		}
	}
	s.first = append(s.first, len(s.pieces))
	return s
}

// join takes note of the record of map task m, once, and returns an error if a
// piece of it does not meet its neighbours. The ends of an object Validate has
// looked at.
func (s *seams) join(m int, rec *manifest.Map) error {
	from, to := s.first[m], s.first[m+1]
	for i := from; i < to; i++ {
		s.pieces[i].extent, s.pieces[i].known = rec.Extents[i-from], true
	}
	for i := max(from-1, 0); i < to && i+1 < len(s.pieces); i++ {
		a, b := &s.pieces[i], &s.pieces[i+1]
		if !a.known || !b.known || a.object != b.object || a.extent.WentOn == b.extent.Began {
			continue
		}
		return &JobError{Seam: true, Cause: fmt.Sprintf("the pieces of %s do not meet: map task %d read its records up to %v, and map task %d from %v on",
			s.job.Objects[a.object].Name, a.task, a.extent.WentOn, b.task, b.extent.Began)}
	}
	return nil
}
