package input

import (
	"errors"
	"fmt"
	"io"
)

// window shows the bytes of a source in one piece, as far as is asked for. They lie
// where the source has them; only what crosses the end of a view is copied.
type window struct {
	src  Source
	name string // of the object, for errors
	buf  []byte // what is at hand, of the source or held
	lent int    // bytes of buf that are of the source: all or none
	held []byte
	pos  int   // of what comes next in buf
	base int64 // offset in the object of buf[0]
	eof  bool
	err  error
}

// rest is what is at hand, and at its offset.
func (w *window) rest() []byte { return w.buf[w.pos:] }

func (w *window) at() int64 { return w.base + int64(w.pos) }

// more adds bytes to the rest, if it is not empty at most so many. At the end of the
// input it sets eof; on an error it returns false.
func (w *window) more(most int) bool {
	if w.pos > 0 || w.lent > 0 {
		w.held = append(w.held[:0], w.buf[w.pos:]...)
		w.base += int64(w.pos)
		w.pos = 0
	}
	w.buf = w.held
	if w.lent > 0 {
		if err := w.src.Discard(w.lent); err != nil {
			return w.fail(err)
		}
		w.lent = 0
	}
	view, err := w.src.Peek()
	switch {
	case errors.Is(err, io.EOF):
		w.eof = true
		return true
	case err != nil:
		return w.fail(err)
	case len(w.held) == 0:
		w.buf, w.lent = view, len(view)
		return true
	}
	view = view[:min(len(view), most)]
	w.held = append(w.held, view...)
	w.buf = w.held
	if err := w.src.Discard(len(view)); err != nil {
		return w.fail(err)
	}
	return true
}

func (w *window) fail(err error) bool {
	w.err = fmt.Errorf("read %s at byte %d: %w", w.name, w.base+int64(len(w.buf)), err)
	return false
}
