package input

import (
	"errors"
	"fmt"
	"io"

	"github.com/mraws/mraws/mr"
)

// WholeReader is a [Reader] of one record, all of an object. An empty object
// is one empty record: a mapper that counts files sees every file.
type WholeReader struct {
	r    io.Reader
	size int64
	max  int
	done bool
	rec  mr.Record
	err  error
}

// Whole returns a reader of the one record that the size bytes of r make.
// Other than size bytes are an error. maxRecord is the most bytes of the
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
	if w.size > int64(w.max) {
		w.err = &TooLongError{Object: w.rec.Object, Max: w.max}
		return false
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
	return w.rec, w.size, nil
}
