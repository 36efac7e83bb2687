// Package decompress tells by their first bytes how input objects are compressed,
// and decompresses them: gzip, BGZF, zstd, bzip2, xz, lz4, Snappy and S2, of any
// number of members, frames or streams; and from the middle of an object on, where
// its blocks can be found. It takes the bytes for hostile: what it holds is bounded,
// what it gives is bounded by its caller, and whatever is wrong with an object is an
// [*Error] that says where.
package decompress

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/klauspost/readahead"
	"github.com/pierrec/lz4/v4"

	"github.com/mraws/mraws/internal/manifest"
)

// What can be wrong with an object. An [*Error] wraps one of these or the
// error of the decompressor.
var (
	ErrEmpty     = errors.New("the object is empty, which no compressed file is")
	ErrFormat    = errors.New("its first bytes do not match its name")
	ErrTruncated = errors.New("it is cut off: was all of it uploaded?")
	ErrTrailing  = errors.New("other bytes follow the end of the compressed data")
	ErrChecksum  = errors.New("damaged: its checksum or length is not that of its data")
	ErrWindow    = fmt.Errorf("its window is larger than %d MiB, which zstd makes only in its long mode and at levels above 19", maxWindow>>20)
	ErrTooLarge  = errors.New("it decompresses to more than the limit")
	ErrDict      = errors.New("too large a dictionary")
	ErrTar       = errors.New("it holds a tar archive, which is not read: unpack it, and upload what is in it")
)

// Error says that an object cannot be decompressed. Unless its bytes were
// damaged on their way, nobody else can.
type Error struct {
	Object string // its name
	Kind   manifest.Compression
	At     int64 // bytes of the object that were read, of Size
	Size   int64
	Out    int64 // decompressed bytes before
	Cut    bool  // it was read from the middle on: At is where a block begins
	Err    error
}

// Error names the object and both places.
func (e *Error) Error() string {
	return fmt.Sprintf("decompress %s (%s) at byte %d of %d, %d decompressed: %v", e.Object, e.Kind, e.At, e.Size, e.Out, e.Err)
}

// Unwrap returns what is wrong.
func (e *Error) Unwrap() error { return e.Err }

// Same tells whether two readings failed at the same place for the same
// reason. How far a decompressor has read by then is no part of that.
func (e *Error) Same(o *Error) bool {
	return e.Object == o.Object && e.Out == o.Out && e.Err.Error() == o.Err.Error()
}

const (
	// maxWindow is the largest window of a zstd object in bytes: what RFC 8878
	// wants every decoder to have, and all that levels up to 19 ask for.
	maxWindow = 8 << 20

	bufferSize = 64 << 10
	// An object of at least aheadFrom bytes is decompressed in a goroutine of
	// its own, up to so many buffers ahead of who reads it.
	aheadFrom    = 64 << 10
	aheadBuffers = 4
	aheadSize    = 128 << 10
)

// Memory is about what a [Decoder] holds for objects of that kind, in bytes.
func Memory(c manifest.Compression) int64 {
	switch c {
	case manifest.Gzip:
		return aheadBuffers*aheadSize + 2*bufferSize // the window has 32 KiB
	case manifest.BGZF:
		return aheadBuffers*aheadSize + 4*bufferSize
	case manifest.Zstd:
		return aheadBuffers*aheadSize + walkSize + maxWindow + 1<<20
	case manifest.Bzip2: // a word for each byte of a block of 900 kB
		return aheadBuffers*aheadSize + 2*maxBzip2 + 4<<20
	case manifest.XZ:
		return aheadBuffers*aheadSize + bufferSize + usualDict + 1<<20
	case manifest.LZ4, manifest.S2:
		return aheadBuffers*aheadSize + bufferSize + 2*maxChunk
	case manifest.Snappy:
		return aheadBuffers*aheadSize + 4*bufferSize
	}
	return 0
}

// usualDict is the dictionary of xz at its usual level, bytes.
const usualDict = 8 << 20

// Decoder decompresses objects one after the other and keeps its buffers
// between them. The zero value is ready; close it when done.
type Decoder struct {
	// Dict is the largest dictionary of an xz object, bytes; at least 8 MiB and at
	// most 64 MiB are taken for it.
	Dict int64

	in    *bufio.Reader
	gz    gzip.Reader
	zs    *zstd.Decoder
	sn    *s2.Reader
	lz    *lz4.Reader
	ahead [][]byte
}

// Close frees what the decoder holds.
func (d *Decoder) Close() {
	if d.zs != nil {
		d.zs.Close()
	}
	*d = Decoder{Dict: d.Dict}
}

// Open returns the decompressed bytes of object o, which may be at most most,
// given all the bytes of its body. An error of the body comes through as it
// is, any other is an [*Error]. Bytes before an error are not to be relied
// on. One stream of a decoder is in use at a time, until it is closed.
func (d *Decoder) Open(o manifest.Object, most int64, body io.Reader) *Stream {
	s := &Stream{src: source{d: d, o: o, most: most, body: counter{r: body}}}
	s.r = &s.src
	return s
}

// Stream is the decompressed bytes of one object.
type Stream struct {
	src    source
	r      io.Reader
	opened bool
	ahead  io.ReadCloser // nil without a goroutine
}

// Read begins to decompress at its first call.
func (s *Stream) Read(p []byte) (int, error) {
	if !s.opened {
		s.opened = true
		if err := s.open(); err != nil {
			return 0, err
		}
	}
	return s.r.Read(p)
}

func (s *Stream) open() (err error) {
	if s.src.o.Size < aheadFrom {
		return nil
	}
	d := s.src.d
	for len(d.ahead) < aheadBuffers {
		d.ahead = append(d.ahead, make([]byte, aheadSize))
	}
	if s.ahead, err = readahead.NewReaderBuffer(&s.src, d.ahead); err == nil {
		s.r = s.ahead
	}
	return err
}

// Taken is how many bytes of the object were read so far. It may be called at
// any time.
func (s *Stream) Taken() int64 { return s.src.body.n.Load() }

// Close returns when nothing reads from the body any more.
func (s *Stream) Close() error {
	s.opened, s.r = true, closed{}
	if s.ahead == nil {
		return nil
	}
	return s.ahead.Close()
}

type closed struct{}

func (closed) Read([]byte) (int, error) { return 0, errors.New("read of a closed stream") }

// counter counts what is read of a body and keeps its error, so that it is
// not taken for one of the decompressor.
type counter struct {
	r   io.Reader
	n   atomic.Int64
	err error
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}

// source decompresses in the goroutine that reads it.
type source struct {
	d    *Decoder
	o    manifest.Object
	most int64
	body counter
	out  int64
	dec  io.Reader // nil at the start
	err  error
}

// Read fills p unless the end or an error comes before.
func (s *source) Read(p []byte) (n int, err error) {
	before := s.out
	for n < len(p) && s.err == nil {
		var m int
		m, s.err = s.step(p[n:])
		n += m
	}
	if before == 0 && isTar(p[:n]) {
		s.err = s.fail(ErrTar)
		return 0, s.err
	}
	if n > 0 {
		return n, nil
	}
	return 0, s.err
}

// step reads some bytes. A panic of a decompressor over what it was given is
// one more way to say that it is damaged.
func (s *source) step(p []byte) (n int, err error) {
	defer func() {
		if v := recover(); v != nil {
			n, err = 0, s.fail(fmt.Errorf("damaged: panic: %v", v))
		}
	}()
	if s.dec == nil {
		if s.dec, err = s.start(); err != nil {
			return 0, s.fail(err)
		}
	}
	n, err = s.dec.Read(p)
	if s.out += int64(n); s.out > s.most {
		n -= int(s.out - s.most)
		s.out = s.most
		return n, s.fail(ErrTooLarge)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = s.fail(err)
	}
	return n, err
}

// start chooses the decompressor.
func (s *source) start() (io.Reader, error) {
	d := s.d
	if d.in == nil {
		d.in = bufio.NewReaderSize(nil, bufferSize)
	}
	d.in.Reset(&s.body)
	switch s.o.Compression {
	case manifest.Zstd:
		return d.frames()
	case manifest.Bzip2:
		return bzip2Stream(d.in), nil
	case manifest.XZ:
		return &xzReader{in: d.in, most: min(max(d.Dict, usualDict), maxDict)}, nil
	case manifest.LZ4:
		if d.lz == nil {
			d.lz = lz4.NewReader(nil)
			if err := d.lz.Apply(lz4.ConcurrencyOption(1)); err != nil {
				return nil, fmt.Errorf("make an lz4 decoder: %w", err)
			}
		}
		return &lz4Frames{in: d.in, lz: d.lz}, nil
	case manifest.Snappy, manifest.S2:
		return d.chunks(), nil
	}
	return &members{in: d.in, gz: &d.gz}, nil
}

// fail makes the error of a decompressor one that says where.
func (s *source) fail(err error) error {
	if s.body.err != nil {
		return s.body.err
	}
	at := s.body.n.Load() - int64(s.d.in.Buffered())
	return &Error{Object: s.o.Name, Kind: s.o.Compression, At: at, Size: s.o.Size, Out: s.out, Err: meaning(err)}
}
