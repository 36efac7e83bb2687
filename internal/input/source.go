package input

import (
	"bufio"
	"io"
)

// Source is a stream that shows its bytes where they lie, which saves their
// reader a copy of the input.
type Source interface {
	// Peek returns what is at hand of the bytes that come next, at least one,
	// or an error: io.EOF behind the last. They are valid until Discard or the
	// source's end.
	Peek() ([]byte, error)
	// Discard moves past the first n bytes that Peek has returned.
	Discard(n int) error
}

// Body is a [Source] that is open until it is closed.
type Body interface {
	Source
	io.Closer
}

// Buffered is a [Source] of any reader.
type Buffered struct{ r *bufio.Reader }

// NewBuffered returns r behind a buffer, a small one if r is expected to give
// few bytes; 0 says that nobody knows how many.
func NewBuffered(r io.Reader, expect int64) Buffered {
	size := maxBlock
	if expect > 0 {
		size = int(min(expect, maxBlock))
	}
	return Buffered{bufio.NewReaderSize(r, size)}
}

// Peek implements [Source].
func (b Buffered) Peek() ([]byte, error) {
	if _, err := b.r.Peek(1); err != nil {
		return nil, err
	}
	return b.r.Peek(b.r.Buffered())
}

// Discard implements [Source].
func (b Buffered) Discard(n int) error {
	_, err := b.r.Discard(n)
	return err
}
