package manifest

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/mraws/mraws/internal/input"
)

// Extent is what the reader of a guessed piece has found ([Job.Guessed]).
type Extent input.Extent

// MarshalJSON writes the extent as an array of four numbers: offset and offset
// within the block of where it began, and of where it went on to.
func (e Extent) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "[%d,%d,%d,%d]", e.Began.Offset, e.Began.Within, e.WentOn.Offset, e.WentOn.Within), nil
}

// UnmarshalJSON reads an array of exactly four numbers.
func (e *Extent) UnmarshalJSON(b []byte) error {
	var a []int64
	if err := json.Unmarshal(b, &a); err != nil {
		return fmt.Errorf("read extent: %w", err)
	}
	if len(a) != 4 {
		return fmt.Errorf("read extent %s: want four numbers", b)
	}
	e.Began = input.Position{Offset: a[0], Within: a[1]}
	e.WentOn = input.Position{Offset: a[2], Within: a[3]}
	return nil
}

// Holds tells whether a record that begins at p is one of the piece.
func (e Extent) Holds(p input.Position) bool {
	return e.Began.Compare(p) <= 0 && p.Compare(e.WentOn) < 0
}

// Guessed tells whether the reader of a piece has to guess where its first record
// begins: f is the format of the job's input. The commit record of the task then
// has an [Extent] for the piece.
func (j *Job) Guessed(f input.Format, p Piece) bool {
	o := &j.Objects[p.Object]
	return p.Length < o.Size && (o.Compression != "" || f.Guesses())
}

// validateExtents judges what the attempt found of its guessed pieces, each by
// itself. Whether those of neighbours meet shows when all are known.
func (m *Map) validateExtents(job *Job) error {
	f, rest := job.InputFormat(), m.Extents
	for _, p := range job.Tasks[m.Task] {
		if !job.Guessed(f, p) {
			continue
		}
		if len(rest) == 0 {
			return errors.New("it does not say where the records of its pieces begin")
		}
		if o := &job.Objects[p.Object]; !rest[0].of(p, o) {
			return fmt.Errorf("it says that the records of the piece %v of %q begin at %v and go on to %v", p, o.Name, rest[0].Began, rest[0].WentOn)
		}
		rest = rest[1:]
	}
	if len(rest) > 0 {
		return fmt.Errorf("it says of %d pieces that it does not have where their records begin", len(rest))
	}
	return nil
}

// of tells whether e can be of a piece of the object.
func (e Extent) of(p Piece, o *Object) bool {
	for _, at := range []input.Position{e.Began, e.WentOn} {
		if at.Offset < p.Offset || at.Offset > o.Size || at.Within < 0 || at.Within > Most ||
			at.Within > 0 && (o.Compression == "" || at.Offset == o.Size) {
			return false
		}
	}
	return e.Began.Compare(e.WentOn) <= 0 && (p.Offset > 0 || e.Began == input.Position{}) &&
		(p.Offset+p.Length < o.Size || e.WentOn == input.Position{Offset: o.Size})
}
