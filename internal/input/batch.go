package input

import (
	"bytes"

	"github.com/mraws/mraws/mr"
)

// mostBatch is how many rows a batch has at most: their values are to lie in the
// processor's cache.
const mostBatch = 1024

// BatchReader is a [SizedReader] of rows with named columns that can return many rows
// at a time. Who calls NextBatch calls Next no more.
type BatchReader interface {
	SizedReader
	// NextBatch moves to the next rows, at least one, all of which are the piece's. It
	// stops before a row that Next does not give, for which it then returns false as
	// Next does. Size is that of all rows.
	NextBatch() bool
	// Batch is the rows at hand, valid until the next call of NextBatch.
	Batch() *mr.Batch
}

// Batches returns the reader of batches below, if that is what it is.
func (r *PieceReader) Batches() (BatchReader, bool) {
	b, ok := r.Reader.(BatchReader)
	return b, ok
}

// Batch implements [BatchReader].
func (r *Row) Batch() *mr.Batch { return &r.batch }

// NewBatch begins a batch.
func (r *Row) NewBatch() {
	names := r.batch.Names
	if len(names) != r.Fields.Len() {
		names = make([]string, r.Fields.Len())
		for i := range names {
			names[i] = r.Fields.Name(i)
		}
	}
	r.batch.Reset(r.rec.Object, names)
	r.size = 0
}

// alone makes a batch of the record at hand.
func (r *Row) alone() bool {
	size := r.size
	r.NewBatch()
	r.batch.Append(r.rec.Offset, r.Fields)
	r.size = size
	return true
}

// TookBatch says how many bytes the rows of the batch are.
func (r *Row) TookBatch(size int64) { r.size = size }

// NextBatch implements [BatchReader] by the lines at hand that are rows.
func (r *jsonReader) NextBatch() bool {
	if lines, ok := r.lines.(*LineReader); ok && r.bad == nil && r.scan.tree != nil {
		for block := lines.ahead(); len(block) > 0; block = lines.ahead() {
			n := r.rowsOf(block, lines.at())
			if lines.pass(n); r.batch.Len() > 0 {
				return true
			}
			if n == 0 {
				break
			}
		}
	}
	return r.Next() && r.alone()
}

// rowsOf makes a batch of the rows that a block of lines begins with, and returns how
// many bytes of the block these are with what lies between them.
func (r *jsonReader) rowsOf(block []byte, at int64) (taken int) {
	r.NewBatch()
	if at == 0 {
		return 0 // there may be a mark
	}
	r.scan.text = r.scan.text[:0]
	size, slash := int64(0), -1 // where the next backslash lies
	for taken < len(block) && r.batch.Len() < mostBatch {
		if slash < taken {
			if slash = taken + bytes.IndexByte(block[taken:], '\\'); slash < taken {
				slash = len(block)
			}
		}
		line := block[taken:]
		line = line[:lineBreak(line)]
		if r.scan.read(line, slash < taken+len(line)) < 0 {
			r.batch.Append(at+int64(taken), r.Fields)
			size += int64(len(line))
		} else if len(r.scan.trim(line)) > 0 {
			break // Next says what is wrong
		}
		taken += len(line) + 1
	}
	r.size = size
	return taken
}
