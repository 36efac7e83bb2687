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
	// more bytes than may be held it returns an [*input.TooLongError], for one that is
	// not of its format an [*input.BadError], and the call after it goes on behind that
	// record.
	Next() error
	// Record returns the record and its size in bytes. A record that is too long or
	// bad has no data. The record is valid until the next call of Next.
	Record() (rec mr.Record, size int64)
	// Close frees what the reader holds.
	Close() error
}

// withinRecords are Records of a compressed object that was cut: the Offset of a
// record is that of the block in which it begins.
type withinRecords interface {
	// Within is how many bytes of the block, decompressed, come before the record.
	Within() int64
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
	// Fields says that the application reads the columns of rows.
	Fields bool
	// Columns are those that it reads; nil leaves it to the format.
	Columns []string
	// Parquet reads the rows of Parquet; nil in a program without that part.
	Parquet ParquetReader
}

// ParquetReader reads the rows of an object of Parquet: of these columns, nil for all,
// as lines of TSV or of JSON.
type ParquetReader func(o Object, columns []string, tsv bool) Records

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
	manifest.Lines: {[]string{manifest.Numbered, manifest.PerTask, "encoding"}, func(options map[string]string, o Object) Records {
		o = o.decoded(options["encoding"])
		if options[manifest.Numbered] != "" {
			return newRecords(mr.NumberedLines, o)
		}
		return newRecords(mr.Lines, o)
	}},
	manifest.Objects: {nil, func(_ map[string]string, o Object) Records { return newRecords(mr.WholeObjects, o) }},
	"fixed":          {[]string{"size"}, func(options map[string]string, o Object) Records { return newChunks(o, options["size"]) }},
	"delimiter": {[]string{"by", "encoding"}, func(options map[string]string, o Object) Records {
		return newParts(o.decoded(options["encoding"]), options["by"])
	}},
	"json":    {[]string{"columns", "as", "encoding"}, newJSONRecords},
	"csv":     {csvOptions, func(options map[string]string, o Object) Records { return newCSVRecords(options, o, ",") }},
	"tsv":     {csvOptions, func(options map[string]string, o Object) Records { return newCSVRecords(options, o, "\t") }},
	"parquet": {[]string{"columns", "as"}, newParquetRecords},
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
	closers closers
	rec     mr.Record
	length  int64       // of the record, also of one that is too long to be held
	at      int64       // of the next record
	blocks  *blockNotes // of an object that the job has cut; nil for others
	within  int64       // of the record in its block
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
	if in == mr.WholeObjects && o.Unpack == nil && o.Size <= int64(most) {
		r.buf = make([]byte, 0, o.Size)
	}
	r.br, r.closers = o.stream()
	if u, ok := r.closers[0].(*unpacked); ok {
		r.blocks = u.notes
	}
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
	if r.blocks != nil {
		r.rec.Offset, r.within = r.blocks.place(r.rec.Offset)
	}
	if r.length > int64(r.most) {
		return &input.TooLongError{Object: r.rec.Object, Offset: r.rec.Offset, Max: r.most}
	}
	r.rec.Data = r.buf
	return nil
}

// Within implements withinRecords.
func (r *records) Within() int64 { return r.within }

// Record implements [Records].
func (r *records) Record() (rec mr.Record, size int64) { return r.rec, r.length }

// Close implements [Records].
func (r *records) Close() error { return r.closers.Close() }

// stream returns the bytes of the object, decompressed, and what is to be closed when
// they are not needed any more, in this order.
func (o Object) stream() (*bufio.Reader, closers) {
	body := o.Body()
	if o.Unpack == nil {
		return bufio.NewReaderSize(body, 64<<10), closers{body}
	}
	stream := o.Unpack(body)
	return bufio.NewReaderSize(stream, 64<<10), closers{stream, body}
}

// closers are closed one after the other.
type closers []io.Closer

// Close closes all of them.
func (c closers) Close() error {
	var errs []error
	for _, one := range c {
		errs = append(errs, one.Close())
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
