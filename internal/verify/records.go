package verify

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/mr"
)

// Records are the records of one input object in order, from its first byte to
// its last. The workers read pieces of objects in blocks (package input); the
// readers here use nothing of that, so that a mistake there does not repeat itself.
type Records interface {
	// Next moves to the next record; io.EOF follows the last. For a record of
	// more bytes than may be held it returns an [*input.TooLongError], and the
	// call after it goes on behind that record.
	Next() error
	// Record returns the record and its size in bytes. A record that is too long
	// has no data. The record is valid until the next call of Next.
	Record() (rec mr.Record, size int64)
	// Close frees what the reader holds.
	Close() error
}

// Object is an input object that is to be read.
type Object struct {
	Name string
	Size int64 // bytes, as it is stored
	// MaxRecord is the most bytes that a record may have; 0 is the default of the
	// format.
	MaxRecord int
	// Open opens n bytes from off on.
	Open func(off, n int64) (io.ReadCloser, error)
	// Unpack decompresses the object; nil if it is not compressed.
	Unpack func(io.Reader) io.ReadCloser
}

// InputKind is a reader of one format of input.
type InputKind struct {
	Options []string // that Open knows, by name
	// Open returns the records of an object. It opens nothing before the first
	// call of Next.
	Open func(options map[string]string, o Object) Records
}

// Inputs are the formats of input that the verifier reads, by the name that the
// job's spec gives them. The table stands beside that of package input on purpose:
// a format is verified by a reader of its own. Nobody changes the table once the
// program runs; a test may add a format before.
var Inputs = map[string]InputKind{
	manifest.Lines: {[]string{manifest.Numbered, manifest.PerTask}, func(options map[string]string, o Object) Records {
		if options[manifest.Numbered] != "" {
			return newRecords(mr.NumberedLines, o)
		}
		return newRecords(mr.Lines, o)
	}},
	manifest.Objects: {nil, func(_ map[string]string, o Object) Records { return newRecords(mr.WholeObjects, o) }},
}

// recordsOf returns what reads the records of a format of input, or an error that
// names the format.
func recordsOf(c manifest.Choice) (func(Object) Records, error) {
	kind, ok := Inputs[c.Name]
	if !ok || !knows(kind.Options, c) {
		return nil, fmt.Errorf("verify cannot read input %s: it has no reader of its own for that format", c)
	}
	return func(o Object) Records { return kind.Open(c.Options, o) }, nil
}

// knows tells whether all options of a choice are among these.
func knows(options []string, c manifest.Choice) bool {
	for name := range c.Options {
		if !slices.Contains(options, name) {
			return false
		}
	}
	return true
}

// records reads lines and whole objects.
type records struct {
	in      mr.Input
	most    int // bytes of a record
	br      *bufio.Reader
	closers []io.Closer
	rec     mr.Record
	length  int64 // of the record, also of one that is too long to be held
	at      int64 // of the next record
	buf     []byte
	done    bool
}

// newRecords opens nothing before the first call of Next.
func newRecords(in mr.Input, o Object) *records {
	most := o.MaxRecord
	if most <= 0 {
		most = input.DefaultMaxLine
		if in == mr.WholeObjects {
			most = input.DefaultMaxObject
		}
	}
	r := &records{in: in, most: most, rec: mr.Record{Object: o.Name}, buf: []byte{}}
	body := o.Body()
	r.closers = []io.Closer{body}
	var src io.Reader = body
	if in == mr.WholeObjects && o.Unpack == nil && o.Size <= int64(most) {
		r.buf = make([]byte, 0, o.Size)
	}
	if o.Unpack != nil {
		stream := o.Unpack(src)
		r.closers = []io.Closer{stream, body}
		src = stream
	}
	r.br = bufio.NewReaderSize(src, 64<<10)
	return r
}

// Next implements [Records].
func (r *records) Next() error {
	if r.done {
		return io.EOF
	}
	r.rec.Offset, r.rec.Data, r.length, r.buf = r.at, nil, 0, r.buf[:0]
	ended, err := false, error(nil)
	for !ended && err == nil {
		var part []byte
		part, err = r.br.ReadSlice('\n')
		r.at += int64(len(part))
		if r.in != mr.WholeObjects && err == nil {
			part, ended = part[:len(part)-1], true
		}
		if r.length += int64(len(part)); r.length <= int64(r.most) {
			r.buf = append(r.buf, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			err = nil
		}
	}
	switch {
	case ended:
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("read %s at byte %d: %w", r.rec.Object, r.at, err)
	default:
		if r.done = true; r.length == 0 && r.in != mr.WholeObjects {
			return io.EOF
		}
	}
	if r.in == mr.NumberedLines {
		r.rec.Line++
	}
	if r.length > int64(r.most) {
		return &input.TooLongError{Object: r.rec.Object, Offset: r.rec.Offset, Max: r.most}
	}
	r.rec.Data = r.buf
	return nil
}

// Record implements [Records].
func (r *records) Record() (rec mr.Record, size int64) { return r.rec, r.length }

// Close implements [Records].
func (r *records) Close() error {
	var errs []error
	for _, c := range r.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// Body returns all bytes of the object as they are stored. A body of another size
// is an error.
func (o Object) Body() io.ReadCloser { return &wholeBody{size: o.Size, open: o.Open} }

// wholeBody is all of an object. It is opened when it is read, unless it is
// empty.
type wholeBody struct {
	size, read int64
	open       func(off, n int64) (io.ReadCloser, error)
	body       io.ReadCloser
}

// Read implements io.Reader. A body of another size is an error.
func (w *wholeBody) Read(p []byte) (int, error) {
	if w.body == nil {
		if w.size == 0 {
			return 0, io.EOF
		}
		body, err := w.open(0, w.size)
		if err != nil {
			return 0, err
		}
		w.body = body
	}
	n, err := w.body.Read(p)
	switch w.read += int64(n); {
	case w.read > w.size:
		return 0, fmt.Errorf("more than its %d bytes", w.size)
	case errors.Is(err, io.EOF) && w.read < w.size:
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}

// Close implements io.Closer.
func (w *wholeBody) Close() error {
	if w.body == nil {
		return nil
	}
	return w.body.Close()
}
