// Package input turns bytes of objects into records, each [Format] in its way,
// which the worker reads its splits with. The verifier reads with code of its own
// (records.go there), of which a test wants the same records. The package does no
// I/O of its own: an [Opener] hands it the bytes.
package input

import (
	"errors"
	"fmt"
	"io"

	"github.com/mraws/mraws/mr"
)

const (
	// DefaultMaxLine bounds a line, in bytes, where nothing else is said.
	DefaultMaxLine = 64 << 20
	// DefaultMaxObject bounds a whole object as a record, in bytes.
	DefaultMaxObject = 1 << 30
)

// Reader iterates over records. Next moves to the next record and tells
// whether there is one; Record returns it, its Data valid until the next call
// of Next; Err returns what ended the iteration, nil at the end of the input.
type Reader interface {
	Next() bool
	Record() mr.Record
	Err() error
	// Skip moves past the record over which Next returned false with a
	// *TooLongError, without holding it, or with a *BadError; Next then goes on
	// behind it. It returns the record without its data, and how many bytes it has.
	Skip() (rec mr.Record, length int64, err error)
}

// BlockReader is a [Reader] that can return many lines as one record, see
// [LineReader.NextBlock].
type BlockReader interface {
	Reader
	NextBlock() bool
}

// errNothingToSkip is what Skip returns when Err is no *TooLongError or *BadError.
var errNothingToSkip = errors.New("skip record: none is too long or bad")

// TooLongError says that a record is larger than the reader may hold.
type TooLongError struct {
	Object string
	Offset int64 // of the record's first byte in the object
	Max    int   // bytes
}

// Error names the object, the offset and the limit.
func (e *TooLongError) Error() string {
	return fmt.Sprintf("record at byte %d of %s is longer than %d bytes", e.Offset, e.Object, e.Max)
}

// Opener opens the bytes [off, off+n) of one object, always the same version
// of it. The package asks for no byte behind the object's end.
type Opener func(off, n int64) (Body, error)

// Piece is the byte range [Offset, Offset+Length) of an object.
type Piece struct {
	Object string // name below input/, for records and errors
	Size   int64  // bytes of the whole object
	Offset int64
	Length int64
	Open   Opener
	// Decode, where set, turns the bytes of the object, of which the piece is
	// all, into those in which records are found and offsets count. It is
	// called before the first byte is read, and what it returns is closed
	// before the object is.
	Decode func(io.Reader) io.ReadCloser
	// Sniff, where set, is shown the first bytes of the object, of which the piece
	// is all, 512 if it has them. It returns nil for an object that is not
	// compressed, else what Decode would be, or an error for an object that nobody
	// can read. [Piece.Sniffed] calls it.
	Sniff func(head []byte) (func(io.Reader) io.ReadCloser, error)
	// Blocks, where set, finds the blocks of a compressed object, given its bytes from
	// any byte on. The piece may begin and end anywhere. What it returns is closed
	// before it is called again.
	Blocks func(from int64, body io.Reader) Blocks
	// Rows is for formats of rows.
	Rows Rows
}

// PieceReader reads the records of one [Piece]. Close it when done.
type PieceReader struct {
	Reader
	Body io.Closer // what is open of the object
}

// Read returns a reader of the records that belong to p: with lines those that
// start in it, with objects the one record of the object. No record is larger
// than maxRecord bytes; 0 means the format's own limit, such as [DefaultMaxLine].
// Nothing is opened before the first call of Next.
//
// What lies behind the piece is opened in small steps, and only where the
// last record of the piece goes on there.
func Read(f Format, p Piece, maxRecord int) (*PieceReader, error) {
	end := p.Offset + p.Length
	if p.Offset < 0 || p.Length < 0 || end > p.Size {
		return nil, fmt.Errorf("read %s: piece [%d, %d) of %d bytes", p.Object, p.Offset, end, p.Size)
	}
	if p.Blocks != nil {
		if !f.Resumes() {
			return nil, fmt.Errorf("read %s: piece [%d, %d) of a compressed object whose format cannot be read from the middle", p.Object, p.Offset, end)
		}
		return f.Read(p, maxRecord)
	}
	if f.Cut(p.Size, p.Offset) != p.Offset || f.Cut(p.Size, end) != end {
		return nil, fmt.Errorf("read %s: piece [%d, %d) of an object that cannot be split there", p.Object, p.Offset, end)
	}
	if p.Decode != nil && p.Length != p.Size {
		return nil, fmt.Errorf("read %s: piece [%d, %d) of an object that is decoded as a whole", p.Object, p.Offset, end)
	}
	return f.Read(p, maxRecord)
}

// Stream returns the bytes of the object from the piece's offset on, also those
// behind its end, or the bytes that Decode makes of them. Nothing is opened
// before the first read.
func (p Piece) Stream() io.ReadCloser {
	body := p.span(p.Offset)
	if p.Decode == nil {
		return body
	}
	return &decoded{span: body, decode: p.Decode}
}

// span is what Stream returns of an object that is not decoded, from any byte
// on.
func (p Piece) span(from int64) *span {
	return &span{open: p.Open, off: from, end: p.Offset + p.Length, size: p.Size}
}

// ReaderAt reads the p.Size bytes of the object in any order, for a format whose
// records are found from the end of an object. Each call opens what it reads.
func (p Piece) ReaderAt() io.ReaderAt { return readerAt{p} }

type readerAt struct{ p Piece }

// ReadAt implements io.ReaderAt.
func (r readerAt) ReadAt(b []byte, off int64) (int, error) {
	n := min(int64(len(b)), r.p.Size-off)
	switch {
	case len(b) == 0:
		return 0, nil
	case n <= 0:
		return 0, io.EOF
	}
	body := &span{open: r.p.Open, off: off, end: off + n, size: off + n}
	got, err := io.ReadFull(body, b[:n])
	if err = errors.Join(err, body.Close()); err == nil && int(n) < len(b) {
		err = io.EOF
	}
	return got, err
}

// Blocks returns the reader of lines below, if that is what it is.
func (r *PieceReader) Blocks() (BlockReader, bool) {
	b, ok := r.Reader.(BlockReader)
	return b, ok
}

// Close closes what is open of the object.
func (r *PieceReader) Close() error { return r.Body.Close() }

// The steps in which a span reads on behind its end, in bytes.
const (
	firstStep = 64 << 10
	lastStep  = 8 << 20
)

// span reads the bytes [off, end) of an object by one call of open, and on
// to size by further, growing ones. It is a [Source].
type span struct {
	open           Opener
	off, end, size int64
	step           int64
	body           Body
}

// ready opens the next bytes unless some are open.
func (s *span) ready() error {
	if s.off >= s.size {
		return io.EOF
	}
	if s.body != nil {
		return nil
	}
	if s.off >= s.end {
		s.step = min(max(2*s.step, firstStep), lastStep)
		s.end = min(s.off+s.step, s.size)
	}
	body, err := s.open(s.off, s.end-s.off)
	if err != nil {
		return err
	}
	s.body = body
	return nil
}

// Read implements io.Reader.
func (s *span) Read(p []byte) (int, error) {
	b, err := s.Peek()
	if err != nil {
		return 0, err
	}
	n := copy(p, b)
	return n, s.Discard(n)
}

// Peek implements [Source]. A body that ends early is an error.
func (s *span) Peek() ([]byte, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	b, err := s.body.Peek()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return b[:min(int64(len(b)), s.end-s.off)], err
}

// Discard implements [Source].
func (s *span) Discard(n int) error {
	err := s.body.Discard(n)
	if s.off += int64(n); s.off >= s.end {
		err = errors.Join(err, s.Close())
	}
	return err
}

// Close closes the body that is open, if any.
func (s *span) Close() error {
	if s.body == nil {
		return nil
	}
	err := s.body.Close()
	s.body = nil
	return err
}
