package input

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/mraws/mraws/mr"
)

// WholeReader is a [Reader] of one record, all of an object. An empty object
// is one empty record: a mapper that counts files sees every file.
type WholeReader struct {
	r    io.Reader
	size int64 // -1 until it is known
	max  int
	read int64 // bytes of one that was too long
	done bool
	rec  mr.Record
	err  error
}

// Whole returns a reader of the one record that the size bytes of r make.
// Other than size bytes are an error; a negative size is one that nobody
// knows yet. maxRecord is the most bytes of the
// object; 0 means [DefaultMaxObject].
func Whole(r io.Reader, object string, size int64, maxRecord int) *WholeReader {
	if maxRecord <= 0 {
		maxRecord = DefaultMaxObject
	}
	return &WholeReader{r: r, size: size, max: maxRecord, rec: mr.Record{Object: object}}
}

// Next reads the object at the first call and returns false at the second.
func (w *WholeReader) Next() bool {
	if w.done {
		return false
	}
	w.done = true
	if w.size < 0 {
		return w.readAll()
	}
	if w.size > int64(w.max) {
		return w.tooLong()
	}
	data := make([]byte, w.size)
	if n, err := io.ReadFull(w.r, data); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		w.err = fmt.Errorf("read %s at byte %d: %w", w.rec.Object, n, err)
		return false
	}
	var more [1]byte
	if n, err := io.ReadFull(w.r, more[:]); n > 0 {
		w.err = fmt.Errorf("read %s: more than its %d bytes", w.rec.Object, w.size)
		return false
	} else if err != io.EOF {
		w.err = fmt.Errorf("read %s at byte %d: %w", w.rec.Object, w.size, err)
		return false
	}
	w.rec.Data = data
	return true
}

// readAll reads an object of unknown size.
func (w *WholeReader) readAll() bool {
	data := bytes.NewBuffer([]byte{})
	n, err := io.CopyN(data, w.r, int64(w.max)+1)
	switch {
	case err == nil:
		w.read = n
		return w.tooLong()
	case !errors.Is(err, io.EOF):
		w.err = fmt.Errorf("read %s at byte %d: %w", w.rec.Object, n, err)
		return false
	}
	w.rec.Data = data.Bytes()
	return true
}

func (w *WholeReader) tooLong() bool {
	w.err = &TooLongError{Object: w.rec.Object, Max: w.max}
	return false
}

// Record returns the object; its Data stays valid.
func (w *WholeReader) Record() mr.Record { return w.rec }

// Err returns the error that ended the reading, or nil.
func (w *WholeReader) Err() error { return w.err }

// Skip leaves out an object that is too large.
func (w *WholeReader) Skip() (rec mr.Record, length int64, err error) {
	var long *TooLongError
	if !errors.As(w.err, &long) {
		return rec, 0, errNothingToSkip
	}
	w.err = nil
	if w.size < 0 {
		n, err := io.Copy(io.Discard, w.r)
		if w.size = w.read + n; err != nil {
			w.err = fmt.Errorf("read %s at byte %d: %w", w.rec.Object, w.size, err)
		}
	}
	return w.rec, w.size, w.err
}
