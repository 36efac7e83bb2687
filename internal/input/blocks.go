package input

import (
	"errors"
	"io"

	"github.com/mraws/mraws/mr"
)

// Blocks are the blocks of a compressed object from a byte on.
type Blocks interface {
	// Next moves to the next block and returns where it begins in the object;
	// io.EOF follows the last.
	Next() (at int64, err error)
	// Read reads what the block holds, up to io.EOF.
	io.ReadCloser
}

// blockLines are the lines of a piece of a compressed object. To it belong the
// blocks that begin in it, and the lines that begin behind the first byte of the
// first of those, up to and including the first byte of the next piece's first
// block. So both sides can tell to whom a line belongs without a byte before their
// own: this one is the rule of Hadoop for codecs that split. The lines of the first
// piece begin with the object.
type blockLines struct {
	*LineReader
	src   *blockSource
	size  int64 // of the object
	found bool  // extent.Began is known
	ext   Extent
	rec   mr.Record
	at    Position // of rec
}

// newBlockLines returns the reader of a piece, and what closes it.
func newBlockLines(p Piece, o LinesOptions) *PieceReader {
	src := newBlockSource(p, p.span(p.Offset))
	o.Offset, o.Limit = 0, -1
	l := Lines(src, o)
	l.ends = src.ends
	return &PieceReader{&blockLines{LineReader: l, src: src, size: p.Size, found: o.First}, src}
}

// begin moves to the first line.
func (b *blockLines) begin() bool {
	if b.found {
		return b.err == nil
	}
	ok := b.skipLine()
	if b.LineReader.err != nil {
		return false
	}
	b.found, b.ext.Began = true, b.here(ok)
	if !ok {
		b.ext.WentOn = b.ext.Began
	}
	return ok
}

// here is the place of the next line, of which the last byte before it tells the
// block; where more is false it is the end.
func (b *blockLines) here(more bool) Position {
	if !more {
		return Position{Offset: b.size}
	}
	at := b.base + int64(b.pos)
	p := b.src.place(at - 1)
	p.Within++
	return p
}

// ended takes note of where the lines go on behind those of the piece.
func (b *blockLines) ended() bool {
	if b.LineReader.err == nil {
		b.ext.WentOn = b.here(!b.eof || b.pos < len(b.buf))
	}
	return false
}

// Next moves to the next line.
func (b *blockLines) Next() bool {
	if !b.begin() {
		return false
	}
	b.src.forget(b.base + int64(b.pos))
	if !b.LineReader.Next() {
		return b.ended()
	}
	b.note()
	return true
}

// NextBlock moves to the next lines, all of one block.
func (b *blockLines) NextBlock() bool {
	if !b.begin() {
		return false
	}
	b.src.forget(b.base + int64(b.pos))
	if !b.LineReader.NextBlock() {
		return b.ended()
	}
	b.note()
	return true
}

func (b *blockLines) note() {
	b.rec = b.LineReader.rec
	b.at = b.src.place(b.rec.Offset)
	b.rec.Offset = b.at.Offset
}

// Record returns the current line, with the offset of its block in the object.
func (b *blockLines) Record() mr.Record { return b.rec }

// Within is where in the block the current line begins.
func (b *blockLines) Within() int64 { return b.at.Within }

// Extent implements [ExtentReader].
func (b *blockLines) Extent() Extent { return b.ext }

// Err returns the error that ended the lines, or nil. A line that is too long is in
// the block that it names.
func (b *blockLines) Err() error {
	var long *TooLongError
	if errors.As(b.LineReader.err, &long) {
		return &TooLongError{Object: long.Object, Offset: b.src.place(long.Offset).Offset, Max: long.Max}
	}
	return b.LineReader.err
}

// Skip moves past a line that is too long.
func (b *blockLines) Skip() (mr.Record, int64, error) {
	_, length, err := b.LineReader.Skip()
	b.note()
	return b.rec, length, err
}

// blockSource is the [Source] of what blocks hold, one after the other. It shows
// bytes of one block at a time.
type blockSource struct {
	span   *span
	open   func(int64, io.Reader) Blocks
	blocks Blocks // nil before the first
	inside bool   // a block is open
	start  int64  // of the piece, in the object
	end    int64  // of the piece, in the object
	first  int64  // where in what has been decompressed the piece's own blocks begin; -1 if that has not come
	limit  int64  // where in what has been decompressed the piece's own blocks end; -1 if that has not come
	marks  []mark // of the blocks that hold something, in order
	total  int64  // bytes decompressed
	last   byte   // of them
	buf    []byte
	r, w   int
	err    error
}

// newBlockSource returns the source of a piece from a byte of the object on.
func newBlockSource(p Piece, from *span) *blockSource {
	return &blockSource{span: from, open: p.Blocks, start: p.Offset, end: p.Offset + p.Length, first: -1, limit: -1, buf: make([]byte, maxBlock)}
}

// mark says where a block begins.
type mark struct{ text, at int64 }

// Peek implements [Source].
func (s *blockSource) Peek() ([]byte, error) {
	for s.r == s.w && s.err == nil {
		s.err = s.fill()
	}
	if s.r < s.w {
		return s.buf[s.r:s.w], nil
	}
	return nil, s.err
}

func (s *blockSource) fill() error {
	if s.blocks == nil {
		s.blocks = s.open(s.span.off, s.span)
	}
	if !s.inside {
		at, err := s.blocks.Next()
		if s.first < 0 && (err == nil && at >= s.start || errors.Is(err, io.EOF)) {
			s.first = s.total
		}
		if s.limit < 0 && (err == nil && at >= s.end || errors.Is(err, io.EOF)) {
			s.limit = s.total
		}
		if err != nil {
			return err
		}
		s.inside = true
		if n := len(s.marks); n > 0 && s.marks[n-1].text == s.total { // which held nothing
			s.marks = s.marks[:n-1]
		}
		s.marks = append(s.marks, mark{s.total, at})
	}
	n, err := s.blocks.Read(s.buf)
	s.r, s.w = 0, n
	if s.total += int64(n); n > 0 {
		s.last = s.buf[n-1]
	}
	if errors.Is(err, io.EOF) {
		s.inside, err = false, nil
	}
	return err
}

// Discard implements [Source].
func (s *blockSource) Discard(n int) error {
	s.r += n
	return nil
}

// ends is where the last line of the piece may begin at the latest, -1 if that is
// not known.
func (s *blockSource) ends() int64 { return s.limit }

// place is in which block a byte is, and where in it.
func (s *blockSource) place(text int64) Position {
	i := len(s.marks) - 1
	for i > 0 && s.marks[i].text > text {
		i--
	}
	if i < 0 {
		return Position{}
	}
	return Position{s.marks[i].at, text - s.marks[i].text}
}

// forget drops the marks of blocks that end before the last byte before a line.
func (s *blockSource) forget(line int64) {
	n := 0
	for n+1 < len(s.marks) && s.marks[n+1].text < line {
		n++
	}
	if n > 64 {
		s.marks = append(s.marks[:0], s.marks[n:]...)
	}
}

// Close closes the blocks and what is open of the object.
func (s *blockSource) Close() error {
	var err error
	if s.blocks != nil {
		err = s.blocks.Close()
	}
	return errors.Join(err, s.span.Close())
}
