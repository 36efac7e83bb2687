package verify

import (
	"fmt"
	"slices"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/manifest"
)

// place is where a record begins: in which object, and there in the bytes as they
// are stored and in those of the block.
type place struct {
	object         int
	offset, within int64
}

// compare orders places as the input has them.
func (p place) compare(q place) int {
	return slices.Compare([]int64{int64(p.object), p.offset, p.within}, []int64{int64(q.object), q.offset, q.within})
}

// reach is what a commit record says of a piece whose reader had to guess: the
// records from one place up to another are its own.
type reach struct {
	piece    int // of the task
	from, to place
}

// holds tells whether a record that begins at p is in it.
func (r reach) holds(p place) bool { return r.from.compare(p) <= 0 && p.compare(r.to) < 0 }

// guessed lists the pieces of map task m whose readers had to guess: those that
// are not all of their object, if it is compressed or its format cannot be cut at
// any place.
func (c *committed) guessed(m int) (pieces []int) {
	format := c.job.InputFormat()
	for i, p := range c.job.Tasks[m] {
		if o := c.job.Objects[p.Object]; p.Length != o.Size && (o.Compression != "" || format.Guesses()) {
			pieces = append(pieces, i)
		}
	}
	return pieces
}

// reachesOf reads what a commit record of map task m says of guessed pieces.
func (c *committed) reachesOf(m int, rec *manifest.Map) ([]reach, error) {
	pieces := c.guessed(m)
	if len(pieces) != len(rec.Extents) {
		return nil, fmt.Errorf("it has %d extents, and %d of its pieces need one", len(rec.Extents), len(pieces))
	}
	reaches := make([]reach, len(pieces))
	for i, n := range pieces {
		object := c.job.Tasks[m][n].Object
		at := func(p input.Position) place { return place{object, p.Offset, p.Within} }
		reaches[i] = reach{n, at(rec.Extents[i].Began), at(rec.Extents[i].WentOn)}
	}
	return reaches, nil
}

// recordKey is the key of the object that commits what map task m has read.
func (c *committed) recordKey(m int) string {
	if c.job.MapOnly() {
		return c.lay.Output(m)
	}
	return c.lay.MapCommit(m)
}

// checkSeams looks whether the guessed pieces of each object, one after the other,
// have every byte of it once: from its first to its last.
func (c *committed) checkSeams(find *Report) {
	at := place{object: -1} // up to where the last object has been read, by task
	by := 0
	for m := range c.job.Tasks {
		facts := c.maps[m]
		for i, n := range c.guessed(m) {
			p := c.job.Tasks[m][n]
			if p.Offset == 0 {
				at = place{object: p.Object}
			}
			if facts == nil { // which is a finding already
				at.object = -1
				continue
			}
			r := facts.reaches[i]
			key, name := c.recordKey(m), c.job.Objects[p.Object].Name
			if at.object == p.Object && r.from != at {
				find.add(BadSum, key, "it says that the records of its piece of %s begin at byte %d+%d, and map task %d read up to byte %d+%d",
					name, r.from.offset, r.from.within, by, at.offset, at.within)
			}
			if end := (place{p.Object, c.job.Objects[p.Object].Size, 0}); p.Offset+p.Length == end.offset && r.to != end {
				find.add(BadSum, key, "it says that %s was read up to byte %d+%d of %d", name, r.to.offset, r.to.within, end.offset)
			}
			at, by = r.to, m
		}
	}
}
