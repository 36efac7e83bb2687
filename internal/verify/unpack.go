package verify

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"

	"github.com/mraws/mraws/internal/manifest"
)

// The reference decompresses by itself, each object from its beginning to its end,
// gzip with the standard library, so that a mistake of the workers' decompressor
// does not repeat itself here. (Of zstd, lz4, Snappy and bzip2 there is one library,
// which the two share. Blocks from the middle on only the workers look for.)

var (
	errPacked = errors.New("it does not decompress")
	errMost   = errors.New("it decompresses to more than the job allows")
)

// unpacked is the decompressed stream of an input object.
type unpacked struct {
	in     *tracked
	kind   manifest.Compression
	sniff  bool // the first bytes tell the kind
	gz     *gzip.Reader
	zs     *zstd.Decoder
	lz     *lz4.Reader
	plain  io.Reader      // of the other kinds
	notes  *blockNotes    // of an object that the job has cut
	next   int64          // of bzip2: where the next block begins
	seen   int64          // of bzip2: bytes taken when the block at hand came
	frame  *io.PipeReader // of zstd: the frame at hand
	walked chan struct{}  // closed when all of it has gone through
	left   int64          // what the object may still give
	body   error          // of the store, which is not the object's
	err    error
}

// unpack returns nil for an object that is read as it is.
func (c *committed) unpack(o manifest.Object) func(io.Reader) io.ReadCloser {
	cut := c.isCut(o.Name)
	sniff := c.job.Decompress.Content && !cut
	if o.Compression == "" && !sniff {
		return nil
	}
	return func(r io.Reader) io.ReadCloser {
		u := &unpacked{kind: o.Compression, sniff: sniff, left: c.job.Decompress.Most(o.Size)}
		if cut {
			u.notes = &blockNotes{}
		}
		u.in = &tracked{Reader: bufio.NewReaderSize(readerFunc(func(p []byte) (int, error) {
			n, err := r.Read(p)
			if err != nil && !errors.Is(err, io.EOF) {
				u.body = err
			}
			return n, err
		}), 64<<10)}
		return u
	}
}

// isCut tells whether the job reads an object in several pieces.
func (c *committed) isCut(name string) bool {
	if c.cuts == nil {
		c.cuts = map[string]bool{}
		for _, pieces := range c.job.Tasks {
			for _, p := range pieces {
				if o := &c.job.Objects[p.Object]; p.Length < o.Size {
					c.cuts[o.Name] = true
				}
			}
		}
	}
	return c.cuts[name]
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// Read implements io.Reader. What is wrong with the object is an error that
// wraps errPacked.
func (u *unpacked) Read(p []byte) (int, error) {
	if u.err != nil {
		return 0, u.err
	}
	if u.sniff {
		u.sniff = false
		head, _ := u.in.Peek(512)
		u.kind = kindOf(head)
	}
	if u.kind == "" {
		return u.in.Read(p)
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
	switch u.kind {
	case manifest.Zstd:
		if u.notes != nil {
			return u.frames(p)
		}
		return u.zstd(p)
	case manifest.Gzip, manifest.BGZF:
		return u.gzip(p)
	case manifest.Bzip2:
		return u.bzip2(p)
	case manifest.LZ4:
		return u.lz4(p)
	}
	if u.plain == nil {
		switch u.kind {
		case manifest.XZ:
			if u.plain, err = xz.NewReader(u.in); err != nil {
				return 0, noEOF(err)
			}
		case manifest.Snappy, manifest.S2:
			u.plain = s2.NewReader(u.in)
		default:
			return 0, fmt.Errorf("verify has no reader of compression %q", u.kind)
		}
	}
	return u.plain.Read(p)
}

func (u *unpacked) zstd(p []byte) (int, error) {
	if u.zs == nil {
		if _, err := u.in.Peek(1); err != nil {
			return 0, noEOF(err)
		}
		if err := u.newZstd(u.in); err != nil {
			return 0, err
		}
	}
	return u.zs.Read(p)
}

func (u *unpacked) newZstd(r io.Reader) (err error) {
	u.zs, err = zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderMaxMemory(math.MaxInt64))
	return err
}

// frames reads a zstd object that was cut, frame by frame.
func (u *unpacked) frames(p []byte) (n int, err error) {
	for {
		if u.frame == nil {
			if err := u.nextFrame(); err != nil {
				return 0, err
			}
		}
		n, err = u.zs.Read(p)
		u.notes.text += int64(n)
		if !errors.Is(err, io.EOF) {
			return n, err
		}
		if _, err := io.Copy(io.Discard, u.frame); err != nil {
			return n, err
		}
		<-u.walked
		if u.frame = nil; n > 0 {
			return n, nil
		}
	}
}

func (u *unpacked) nextFrame() error {
	for {
		head, err := u.in.Peek(8)
		switch {
		case len(head) == 0 && errors.Is(err, io.EOF):
			return io.EOF
		case len(head) >= 4 && bytes.Equal(head[:4], []byte{0x28, 0xb5, 0x2f, 0xfd}):
			u.notes.begin(u.in.taken)
			r, w := io.Pipe()
			u.frame, u.walked = r, make(chan struct{})
			go func() {
				defer close(u.walked)
				_ = w.CloseWithError(frameTo(w, u.in))
			}()
			if u.zs == nil {
				return u.newZstd(r)
			}
			return u.zs.Reset(r)
		case len(head) < 8:
			return noEOF(err)
		case head[0]&0xf0 != 0x50 || !bytes.Equal(head[1:4], []byte{0x2a, 0x4d, 0x18}):
			return errors.New("something else behind its end")
		}
		if err := u.in.drop(8 + int64(binary.LittleEndian.Uint32(head[4:]))); err != nil {
			return err
		}
	}
}

// bzip2 reads all streams. The library takes a block as a whole before it gives the
// first byte of what that holds, and no byte more.
func (u *unpacked) bzip2(p []byte) (int, error) {
	if u.plain == nil {
		head, _ := u.in.Peek(64)
		u.next, _ = nextStream(head, 0)
		u.plain = bzip2.NewReader(u.in)
	}
	n, err := u.plain.Read(p)
	if u.notes != nil && n > 0 && u.in.taken != u.seen {
		u.notes.begin(u.next)
		u.seen = u.in.taken
		behind, _ := u.in.Peek(64)
		found, _ := nextBlock(append([]byte{u.in.last}, behind...))
		u.next = u.seen - 1 + found
	}
	if u.notes != nil {
		u.notes.text += int64(n)
	}
	return n, err
}

// lz4 reads all frames.
func (u *unpacked) lz4(p []byte) (int, error) {
	if u.lz == nil {
		u.lz = lz4.NewReader(u.in)
	}
	for {
		n, err := u.lz.Read(p)
		if n > 0 || !errors.Is(err, io.EOF) {
			return n, err
		}
		if _, err := u.in.Peek(1); err != nil {
			return 0, err
		}
		u.lz.Reset(u.in)
	}
}

func (u *unpacked) gzip(p []byte) (n int, err error) {
	if u.gz == nil {
		u.gz = new(gzip.Reader)
		if err := u.member(); err != nil {
			return 0, err
		}
	}
	for {
		n, err = u.gz.Read(p)
		if u.notes != nil {
			u.notes.text += int64(n)
		}
		if !errors.Is(err, io.EOF) {
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
	if u.notes != nil {
		u.notes.begin(u.in.taken)
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
	if u.frame != nil {
		_ = u.frame.Close()
		<-u.walked
	}
	if u.zs != nil {
		u.zs.Close()
	}
	u.err = errors.New("read of a closed stream")
	return nil
}
