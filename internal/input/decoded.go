package input

import (
	"errors"
	"io"
)

// usualRatio is how much larger than its object a decoded stream is taken to
// be, where a small one is to get a small buffer.
const usualRatio = 8

// decoded is the decoded stream of an object.
type decoded struct {
	span   *span
	decode func(io.Reader) io.ReadCloser
	stream io.ReadCloser
}

// Read starts decoding at its first call.
func (d *decoded) Read(p []byte) (int, error) {
	if d.stream == nil {
		d.stream = d.decode(d.span)
	}
	return d.stream.Read(p)
}

// Close closes the stream, which then reads no more, and what is open of the
// object.
func (d *decoded) Close() error {
	var err error
	if d.stream != nil {
		err = d.stream.Close()
	}
	return errors.Join(err, d.span.Close())
}
