package verify

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/mr"
)

// recordsOf says what a record of the job's input is; ok is false for a format
// that only the workers read. This switch stands beside the table of formats
// (package input) on purpose: a format is verified by a reader of its own.
func recordsOf(c manifest.Choice) (in mr.Input, ok bool) {
	switch c.String() {
	case "lines":
		return mr.Lines, true
	case "lines numbered=true":
		return mr.NumberedLines, true
	case "objects":
		return mr.WholeObjects, true
	}
	return 0, false
}

// records reads the records of one object for the reference, from its first
// byte to its last. The workers read pieces of objects in blocks (package
// input); nothing of that is used here, so that a mistake there does not repeat
// itself.
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

// newRecords opens nothing before the first call of next.
func newRecords(in mr.Input, most int, f fetched, open func(off, n int64) (io.ReadCloser, error), unpack func(io.Reader) io.ReadCloser) *records {
	if most <= 0 {
		most = input.DefaultMaxLine
		if in == mr.WholeObjects {
			most = input.DefaultMaxObject
		}
	}
	r := &records{in: in, most: most, rec: mr.Record{Object: f.obj.Name}, buf: []byte{}}
	body := &wholeBody{size: f.obj.Size, open: open}
	r.closers = []io.Closer{body}
	var src io.Reader = body
	if in == mr.WholeObjects && unpack == nil && f.obj.Size <= int64(most) {
		r.buf = make([]byte, 0, f.obj.Size)
	}
	if unpack != nil {
		stream := unpack(src)
		r.closers = []io.Closer{stream, body}
		src = stream
	}
	r.br = bufio.NewReaderSize(src, 64<<10)
	return r
}

// next moves to the next record; io.EOF follows the last. A record of more
// bytes than may be held comes without data, and tooLong returns an error.
func (r *records) next() error {
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
	if r.tooLong() == nil {
		r.rec.Data = r.buf
	}
	return nil
}

// tooLong returns an error if the record is too long.
func (r *records) tooLong() error {
	if r.length <= int64(r.most) {
		return nil
	}
	return &input.TooLongError{Object: r.rec.Object, Offset: r.rec.Offset, Max: r.most}
}

// Close implements io.Closer.
func (r *records) Close() error {
	var errs []error
	for _, c := range r.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

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
