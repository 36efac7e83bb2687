package recordio

import (
	"errors"
	"fmt"
	"io"
)

const (
	// bigBuffer is how much a Reader allocates on the word of a header, and
	// the size from which it gives back a buffer that has become too large.
	bigBuffer = 1 << 20
	// roundTo avoids growing a buffer again for each block that is a little
	// larger than the last.
	roundTo = 8 << 10
)

func roundUp(n int) int { return (n + roundTo - 1) &^ (roundTo - 1) }

// discard drops the used bytes from the buffer. What is left is at most the
// header of the next block, so little is copied.
func (r *Reader) discard() {
	r.have = copy(r.buf, r.buf[r.used:r.have])
	r.off += int64(r.used)
	r.used = 0
}

// shrink gives back a big buffer, left by a large record, of which the next
// block needs only n bytes.
func (r *Reader) shrink(n int) {
	if len(r.buf) > bigBuffer && n < len(r.buf)/4 {
		r.buf = append(make([]byte, 0, roundUp(n)), r.buf[:r.have]...)
		r.buf = r.buf[:cap(r.buf)]
	}
}

// fill reads until the buffer holds at least n bytes, and up to ahead more if
// they come with the same read. It returns false on an error.
func (r *Reader) fill(n, ahead int) bool {
	enough, err := r.read(n, n+ahead)
	if enough {
		return true
	}
	if errors.Is(err, io.EOF) {
		return r.fail(&CorruptError{Offset: r.off, cut: true,
			Reason: fmt.Sprintf("the stream ends after %d of %d bytes of a block", r.have, n)})
	}
	return r.fail(fmt.Errorf("read record stream at byte %d: %w", r.off+int64(r.have), err))
}

// read reads until the buffer holds at least n bytes, at most limit. It
// reports whether it does; if not, the error says why.
func (r *Reader) read(n, limit int) (bool, error) {
	for idle := 0; r.have < n; {
		if len(r.buf) < limit && r.have == len(r.buf) || len(r.buf) < min(limit, bigBuffer) {
			// Beyond bigBuffer, the buffer grows only as bytes arrive.
			size := min(roundUp(limit), max(bigBuffer, 2*len(r.buf)))
			makeRoom(size)
			grown := make([]byte, size)
			copy(grown, r.buf[:r.have])
			r.buf = grown
		}
		room := r.buf[r.have:min(limit, len(r.buf))]
		m, err := r.src.Read(room)
		if m < 0 || m > len(room) {
			return false, fmt.Errorf("source read %d bytes into %d", m, len(room))
		}
		r.have += m
		if r.have >= n {
			break // the source will tell its error again
		}
		if err != nil {
			return false, err
		}
		if m > 0 {
			idle = 0
		} else if idle++; idle == 100 {
			return false, io.ErrNoProgress
		}
	}
	return true, nil
}

// ReaderMemory bounds the memory in bytes that one [Reader] holds of a
// stream written with o: the share of one source in a merge. largest is what
// [Writer.Largest] said of the stream. (While a large record is being read
// there may be half as much again for a moment.)
func ReaderMemory(o Options, largest int64) int64 {
	o = o.withDefaults()
	const fixed = 2 << 10 // the Reader itself and its SHA-256
	block := max(o.BlockSize, int(largest)+frameMax)
	n := fixed + int64(roundUp(block+2*headerLen+checksumLen))
	if o.Codec != None && block <= MaxBlockSize {
		n += int64(roundUp(block))
	}
	return n
}
