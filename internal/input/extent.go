package input

import (
	"cmp"
	"fmt"
)

// Some pieces cannot tell from their own bytes where their first record begins:
// a line break of CSV may be within quotes, a pattern of bits may look like the
// start of a compressed block. Their readers guess, and say what they have found.
// What one piece went on to must be what the next one began with: so who compares
// all pieces of an object knows that no guess was wrong.

// Position is a place in an object.
type Position struct {
	// Offset is in the object as it is stored: of the byte itself, or in a
	// compressed object of the block that holds it.
	Offset int64
	// Within is how many bytes of the block, decompressed, come before the place;
	// 0 in an object that is not compressed.
	Within int64
}

// Compare orders positions as the object has them.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.Offset, q.Offset), cmp.Compare(p.Within, q.Within))
}

// String is for people.
func (p Position) String() string {
	if p.Within == 0 {
		return fmt.Sprintf("byte %d", p.Offset)
	}
	return fmt.Sprintf("byte %d of what the block at byte %d holds", p.Within, p.Offset)
}

// Extent is what the reader of a piece has found.
type Extent struct {
	// Began is where the first record begins: of an object's first piece always
	// the zero value. A piece without a record has that of the next one there.
	Began Position
	// WentOn is where the record behind the last one begins. The end of the object
	// is its size in bytes.
	WentOn Position
}

// ExtentReader is the [Reader] of a piece that may have to guess, see
// [Format.Guesses].
type ExtentReader interface {
	Reader
	// Extent is known once Next has returned false and Err nil.
	Extent() Extent
}

// withinReader is a [Reader] that knows more of the place of a record than the
// record says.
type withinReader interface {
	Within() int64
}

// Extent returns what the reader has found of its piece, once it has read all of
// it; ok is false if it has not had to look.
func (r *PieceReader) Extent() (e Extent, ok bool) {
	x, ok := r.Reader.(ExtentReader)
	if ok {
		e = x.Extent()
	}
	return e, ok
}

// Within is [Position.Within] of the record at hand, whose Offset is that of the
// position.
func (r *PieceReader) Within() int64 {
	if x, ok := r.Reader.(withinReader); ok {
		return x.Within()
	}
	return 0
}
