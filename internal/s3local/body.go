package s3local

import (
	"errors"
	"io"
	"os"

	"github.com/versity/versitygw/s3api/middlewares"
	"github.com/versity/versitygw/s3err"
)

// drainLimit bounds how much of a body is thrown away so that the answer, not
// a reset connection, reaches a client whose upload is refused.
const drainLimit = 64 << 20

// body is the body of an upload. When the client dies, the front end's readers
// report a plain end to the backend, which then keeps what came so far; body
// counts, and turns an early end into an error.
type body struct {
	r     io.Reader
	left  int64 // bytes still to come
	exact bool  // whether an end at another length is an error
	atEnd func() error
	ended bool // all came, and atEnd was called
}

func (g *guard) body(r io.Reader, length *int64) *body {
	b := &body{r: r, exact: g.on.bodies}
	if length != nil {
		b.left = *length
	}
	return b
}

// Read reads the body. Its errors but [io.EOF] are S3 errors: others would be
// taken for faults of the server.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.left -= int64(n)
	if err == nil {
		return n, nil
	}
	var s3e s3err.S3Error
	switch {
	case !b.exact && !errors.Is(err, io.EOF), errors.As(err, &s3e):
		return n, err
	case b.exact && (b.left != 0 || !errors.Is(err, io.EOF)):
		return n, s3err.GetAPIError(s3err.ErrIncompleteBody)
	}
	if !b.ended {
		b.ended = true
		if b.atEnd != nil {
			if err := b.atEnd(); err != nil {
				return n, err
			}
		}
	}
	return n, io.EOF
}

// drain reads the rest and throws it away.
func (b *body) drain() {
	b.atEnd = nil
	if !b.ended {
		// The error says only that the client is gone.
		_, _ = io.CopyN(io.Discard, b, drainLimit)
	}
}

// Algorithm returns which checksum follows the body, "" for none.
func (b *body) Algorithm() string {
	if c, ok := b.r.(middlewares.ChecksumReader); ok {
		return c.Algorithm()
	}
	return ""
}

// Checksum returns the checksum that followed the body.
func (b *body) Checksum() string {
	if c, ok := b.r.(middlewares.ChecksumReader); ok {
		return c.Checksum()
	}
	return ""
}

var _ middlewares.ChecksumReader = (*body)(nil)

// appendFile copies the rest of from to the end of to, in the kernel where it
// can. After an error both are as before: the backend then tries for itself.
func appendFile(to, from *os.File) error {
	end, err := to.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if _, err = io.Copy(to, from); err == nil {
		return nil
	}
	_, serr := from.Seek(0, io.SeekStart)
	return errors.Join(err, serr, to.Truncate(end))
}
