package input

import (
	"errors"
	"io"
)

// Pieces of CSV in a compressed object that is cut. To a piece belong the rows that
// begin behind the first byte of its first block, up to and including the first byte of
// the next piece's first block, as with lines (blocks.go). Where a line break ends a row
// is told as in text that is not compressed (csvstart.go): by both hypotheses, and if
// those do not tell, by the rows from the start of the object on.

// startBlocks opens the piece at its first row.
func (r *csvReader) startBlocks(options LinesOptions) error {
	if r.p.Offset > 0 {
		if err := r.head(); err != nil {
			return err
		}
	}
	r.src = newBlockSource(r.p, r.p.span(r.p.Offset))
	r.body = r.src
	switch {
	case r.p.Offset == 0:
		r.lines = Lines(r.src, options)
		return nil
	case r.quote == 0: // a line break ends a row
		options.First = false
		r.lines = Lines(r.src, options)
		r.over = !r.lines.skipLine()
		if r.next = r.lines.at(); r.lines.Err() != nil {
			return r.lines.Err()
		}
	default:
		found, err := r.findInBlocks(options)
		if err == nil && !found {
			err = r.walkBlocks()
		}
		if err != nil {
			return err
		}
	}
	r.from = r.firstRow()
	return nil
}

// findInBlocks moves to the first row by what follows the first line break of the
// piece. It is not ok if that does not tell.
func (r *csvReader) findInBlocks(options LinesOptions) (ok bool, err error) {
	var text []byte
	end := false
	for size := firstProbe; size <= farthestProbe && !end; size *= 4 {
		for len(text) < size && !end {
			view, err := r.src.Peek()
			if errors.Is(err, io.EOF) {
				end = true
				break
			}
			if err != nil {
				return false, err
			}
			text = append(text, view...)
			_ = r.src.Discard(len(view)) // it only counts
		}
		if at, ok := r.decide(text, end, size == farthestProbe); ok {
			r.next = int64(at)
			r.over = end && at == len(text)
			options.Offset = r.next
			r.lines = Lines(&readBefore{text[at:], r.src}, options)
			return true, nil
		}
	}
	return false, nil
}

// readBefore is a [Source] of which some bytes were read before.
type readBefore struct {
	text []byte
	*blockSource
}

// Peek implements [Source].
func (s *readBefore) Peek() ([]byte, error) {
	if len(s.text) > 0 {
		return s.text, nil
	}
	return s.blockSource.Peek()
}

// Discard implements [Source].
func (s *readBefore) Discard(n int) error {
	if len(s.text) > 0 {
		s.text = s.text[n:]
		return nil
	}
	return s.blockSource.Discard(n)
}

// walkBlocks moves to the first row by the rows of the object from its start on, whose
// bytes it decompresses. The piece is then read on from there.
func (r *csvReader) walkBlocks() error {
	if err := r.src.Close(); err != nil {
		return err
	}
	all := r.rows()
	r.src, r.body, r.lines, r.next = all.src, all.src, all.lines, 0
	for !r.over && (r.src.first < 0 || r.next <= r.src.first) {
		r.src.forget(r.next)
		if offset, line, ok := r.line(); ok && line != nil {
			r.row(line, offset)
		}
		if r.err != nil {
			return r.err
		}
	}
	return nil
}

// firstRow is where the first row of the piece begins: behind the last byte before it,
// which tells the block. If there is none it is the end of the object, unless a line
// break is the last byte of the text: the reader of the row before does not know that
// nothing follows.
func (r *csvReader) firstRow() Position {
	if r.ended() && (r.src.total == max(r.src.first, 0) || r.src.last != '\n') {
		return Position{Offset: r.p.Size}
	}
	return r.behind(r.next)
}

// wentOn is where the rows go on behind those of the piece, in the same way: at the end
// of the object if no later piece has text.
func (r *csvReader) wentOn() Position {
	if r.ended() && (r.src.limit == r.src.total || r.src.last != '\n') {
		return Position{Offset: r.p.Size}
	}
	return r.behind(r.next)
}

// ended tells whether the text is known to end with the last row.
func (r *csvReader) ended() bool { return errors.Is(r.src.err, io.EOF) && r.next == r.src.total }

// behind is the place of a byte of the text, by the byte before it.
func (r *csvReader) behind(text int64) Position {
	p := r.src.place(text - 1)
	p.Within++
	return p
}
