package input

import (
	"bufio"
	"io"
)

// Source is a stream that shows its bytes where they lie. A body that is one
// saves its reader a copy of the input.
type Source interface {
	// Peek returns what is at hand of the bytes that come next, at least one,
	// or an error: io.EOF behind the last. They are valid until Discard or the
	// source's end.
	Peek() ([]byte, error)
	// Discard moves past the first n bytes that Peek has returned.
	Discard(n int) error
}

// AsSource returns r if it is a [Source], else r behind a buffer, a small one
// if r is expected to give few bytes; 0 says that nobody knows how many.
func AsSource(r io.Reader, expect int64) Source {
	if s, ok := r.(Source); ok {
		return s
	}
	size := maxBlock
	if expect > 0 {
		size = int(min(expect, maxBlock))
	}
	return buffered{bufio.NewReaderSize(r, size)}
}

// buffered is a [Source] of any reader.
type buffered struct{ r *bufio.Reader }

// Peek implements [Source].
func (b buffered) Peek() ([]byte, error) {
	if _, err := b.r.Peek(1); err != nil {
		return nil, err
	}
	return b.r.Peek(b.r.Buffered())
}

// Discard implements [Source].
func (b buffered) Discard(n int) error {
	_, err := b.r.Discard(n)
	return err
}
