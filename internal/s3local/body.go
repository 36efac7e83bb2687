package s3local

import (
	"errors"
	"io"
	"os"

	"github.com/versity/versitygw/s3api/middlewares"
	"github.com/versity/versitygw/s3err"
)

// drainLimit is the maximum size in bytes of a refused body that the server reads and
// discards, so that the client gets the reply and not a reset connection.
const drainLimit = 64 << 20

// body is the body of an upload. If the client dies, the readers of the front end
// return io.EOF, and the backend would keep a truncated object. body counts the
// bytes and turns an early end into an error.
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

// Read reads the body. Its errors other than [io.EOF] are S3 errors. The front end
// would report others as internal errors.
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

// drain reads and discards the rest.
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

// appendFile copies the rest of from to the end of to, in the kernel if possible.
// After an error both are unchanged, and the backend copies by itself.
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
