package verify

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/klauspost/compress/zstd"

	"github.com/mraws/mraws/internal/manifest"
)

// The reference decompresses by itself, gzip with the standard library, so
// that a mistake of the workers' decompressor does not repeat itself here.
// (The library has no zstd; there the two share one.)

var (
	errPacked = errors.New("it does not decompress")
	errMost   = errors.New("it decompresses to more than the job allows")
)

// unpacked is the decompressed stream of an input object.
type unpacked struct {
	in   *bufio.Reader
	gz   *gzip.Reader
	zs   *zstd.Decoder
	kind manifest.Compression
	left int64 // what the object may still give
	body error // of the store, which is not the object's
	err  error
}

// unpack returns nil for an object that is not compressed.
func (c *committed) unpack(o manifest.Object) func(io.Reader) io.ReadCloser {
	if o.Compression == "" {
		return nil
	}
	return func(r io.Reader) io.ReadCloser {
		u := &unpacked{kind: o.Compression, left: c.job.Decompress.Most(o.Size)}
		u.in = bufio.NewReaderSize(readerFunc(func(p []byte) (int, error) {
			n, err := r.Read(p)
			if err != nil && !errors.Is(err, io.EOF) {
				u.body = err
			}
			return n, err
		}), 64<<10)
		return u
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// Read implements io.Reader. What is wrong with the object is an error that
// wraps errPacked.
func (u *unpacked) Read(p []byte) (int, error) {
	if u.err != nil {
		return 0, u.err
	}
	n, err := u.read(p)
	switch u.left -= int64(n); {
	case u.left < 0:
		err = fmt.Errorf("%w: %w", errPacked, errMost)
		n = 0
	case err == nil, errors.Is(err, io.EOF):
	case u.body != nil:
		err = u.body
	default:
		err = fmt.Errorf("%w: %s: %w", errPacked, u.kind, err)
	}
	u.err = err
	return n, err
}

func (u *unpacked) read(p []byte) (n int, err error) {
	if u.kind == manifest.Zstd {
		if u.zs == nil {
			if _, err := u.in.Peek(1); err != nil {
				return 0, noEOF(err)
			}
			if u.zs, err = zstd.NewReader(u.in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderMaxMemory(math.MaxInt64)); err != nil {
				return 0, err
			}
		}
		return u.zs.Read(p)
	}
	if u.gz == nil {
		u.gz = new(gzip.Reader)
		if err := u.member(); err != nil {
			return 0, err
		}
	}
	for {
		if n, err = u.gz.Read(p); !errors.Is(err, io.EOF) {
			return n, err
		}
		switch more, err := u.another(); {
		case err != nil:
			return n, err
		case !more:
			return n, io.EOF
		case n > 0:
			return n, nil
		}
	}
}

// another begins the next member of a gzip file. Zero bytes up to the end are
// none, as for gzip(1).
func (u *unpacked) another() (more bool, err error) {
	head, err := u.in.Peek(1)
	switch {
	case errors.Is(err, io.EOF):
		return false, nil
	case err != nil:
		return false, err
	case head[0] != 0:
		return true, u.member()
	}
	for {
		switch b, err := u.in.ReadByte(); {
		case errors.Is(err, io.EOF):
			return false, nil
		case err != nil:
			return false, err
		case b != 0:
			return false, errors.New("zero bytes and then something else behind its end")
		}
	}
}

// member reads the header of a member. The reserved flags, which the library
// does not look at, must be 0 (RFC 1952, section 2.3.1.2).
func (u *unpacked) member() error {
	if head, err := u.in.Peek(4); err != nil {
		return noEOF(err)
	} else if head[3]&0xe0 != 0 {
		return gzip.ErrHeader
	}
	if err := u.gz.Reset(u.in); err != nil {
		return noEOF(err)
	}
	u.gz.Multistream(false)
	return nil
}

// noEOF makes an early end an error.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Close implements io.Closer.
func (u *unpacked) Close() error {
	if u.zs != nil {
		u.zs.Close()
	}
	u.err = errors.New("read of a closed stream")
	return nil
}
