package decompress

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"

	"github.com/mraws/mraws/internal/manifest"
)

// A compressed object of some kinds may be cut: its blocks, or frames, decompress
// each by itself. The reader of a piece looks for the first one that begins in it,
// by the bytes that blocks begin with, and by what must follow if they are none by
// accident. It may be wrong; what pieces say of their ends shows it.

// Blocks are the blocks of a compressed object from a byte on.
type Blocks struct {
	o    manifest.Object
	most int64
	body counter
	kind blockKind
	at   int64 // of the block at hand
	cur  io.Reader
	out  int64 // decompressed bytes
	done bool  // there is no other
	err  error
}

// blockKind moves from block to block.
type blockKind interface {
	// next finds the next block and returns where it begins and what decompresses
	// it. At the end it returns io.EOF. An error comes with the place that is
	// damaged.
	next() (at int64, block io.Reader, err error)
}

// Blocks returns the blocks of object o that begin at byte from or behind it, given
// all bytes of its body from there on. They may hold most bytes, decompressed. One
// stream of a decoder is in use at a time.
func (d *Decoder) Blocks(o manifest.Object, from, most int64, body io.Reader) *Blocks {
	b := &Blocks{o: o, most: most, body: counter{r: body}}
	place := placed{at: from, find: from > 0}
	switch o.Compression {
	case manifest.BGZF:
		place.in = bufio.NewReaderSize(&b.body, 2*maxBGZF)
		b.kind = &bgzfBlocks{placed: place}
	case manifest.Zstd:
		place.in = bufio.NewReaderSize(&b.body, walkSize)
		b.kind = &zstdFrames{placed: place, d: d}
	default:
		b.kind = &bzip2Blocks{in: &b.body, base: from, find: from > 0}
	}
	return b
}

// Next moves to the next block and returns where it begins in the object; io.EOF
// follows the last.
func (b *Blocks) Next() (int64, error) {
	if b.done || b.err != nil && !errors.Is(b.err, io.EOF) {
		return 0, b.err
	}
	b.err = b.guard(func() (err error) {
		b.at, b.cur, err = b.kind.next()
		return err
	})
	b.done = b.err != nil
	return b.at, b.err
}

// Read reads what the block at hand holds, up to its end, io.EOF. Bytes before
// another error are not to be relied on.
func (b *Blocks) Read(p []byte) (n int, err error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	b.err = b.guard(func() (err error) {
		for n == 0 && err == nil {
			n, err = b.cur.Read(p)
		}
		return err
	})
	if b.out += int64(n); b.out > b.most {
		b.err = b.fail(ErrTooLarge)
		return 0, b.err
	}
	if n > 0 && errors.Is(b.err, io.EOF) {
		b.err = nil // comes again
	}
	return n, b.err
}

// Taken is how many bytes of the object were read so far.
func (b *Blocks) Taken() int64 { return b.body.n.Load() }

// Close ends the reading.
func (b *Blocks) Close() error {
	b.err = errors.New("read of a closed stream")
	return nil
}

// guard makes of errors and panics of a decompressor one that says where.
func (b *Blocks) guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = b.fail(fmt.Errorf("damaged: panic: %v", v))
		}
	}()
	if err = f(); err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return b.fail(err)
}

func (b *Blocks) fail(err error) error {
	if b.body.err != nil {
		return b.body.err
	}
	return &Error{Object: b.o.Name, Kind: b.o.Compression, At: b.at, Size: b.o.Size, Out: b.out, Cut: true, Err: meaning(err)}
}

// placed is a buffered stream that knows its place in the object.
type placed struct {
	in   *bufio.Reader
	at   int64 // of the next byte
	find bool  // the next block is to be looked for
}

func (p *placed) discard(n int) error {
	n, err := p.in.Discard(n)
	p.at += int64(n)
	return err
}

// seek moves on to the first place of magic for which is, given the bytes from there
// on, as many as the buffer holds and whether that is all, returns true. It returns
// io.EOF if there is none.
func (p *placed) seek(magic string, is func(b []byte, all bool) bool) error {
	for {
		b, err := p.in.Peek(p.in.Size())
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		i := bytes.Index(b, []byte(magic))
		switch {
		case i == 0 && is(b, err != nil):
			return nil
		case i == 0:
			i = 1
		case i < 0 && err != nil:
			_ = p.discard(len(b))
			return io.EOF
		case i < 0:
			i = len(b) - len(magic) + 1
		}
		if err := p.discard(i); err != nil {
			return err
		}
	}
}

// maxBGZF is the most bytes of a block of BGZF, as it is stored, and what it holds.
const maxBGZF = 64 << 10

// bgzfSize tells from the first bytes of a gzip member how large it is as a block
// of BGZF (SAM/BAM Format Specification, section 4.1), which has that in an extra
// field. ok is false for another member.
func bgzfSize(b []byte) (size int, ok bool) {
	if len(b) < 18 || string(b[:4]) != gzipMagic+"\x08\x04" {
		return 0, false
	}
	extra := b[12:]
	if n := int(binary.LittleEndian.Uint16(b[10:])); n < len(extra) {
		extra = extra[:n]
	}
	for len(extra) >= 4 {
		n := int(binary.LittleEndian.Uint16(extra[2:]))
		if extra[0] == 'B' && extra[1] == 'C' && n == 2 && len(extra) >= 6 {
			size = int(binary.LittleEndian.Uint16(extra[4:])) + 1
			return size, size >= 26 // header, an empty block, trailer
		}
		extra = extra[min(4+n, len(extra)):]
	}
	return 0, false
}

// bgzfBlocks are the blocks of a BGZF file.
type bgzfBlocks struct {
	placed
	gz    gzip.Reader
	text  bytes.Buffer
	plain bytes.Reader
}

func (z *bgzfBlocks) next() (int64, io.Reader, error) {
	if z.find {
		z.find = false
		if err := z.seek(gzipMagic+"\x08\x04", isBGZF); err != nil {
			return z.at, nil, err
		}
	}
	head, err := z.in.Peek(18)
	size, ok := bgzfSize(head)
	switch {
	case len(head) == 0 && errors.Is(err, io.EOF):
		return z.at, nil, io.EOF
	case len(head) < 18 && bytes.HasPrefix([]byte(gzipMagic+"\x08\x04"), head[:min(len(head), 4)]):
		return z.at, nil, noEOF(err)
	case !bytes.HasPrefix(head, []byte(gzipMagic)):
		return z.at, nil, ErrTrailing
	case !ok:
		return z.at, nil, errors.New("a member of gzip that is no block of BGZF follows blocks of BGZF")
	}
	b, err := z.in.Peek(size)
	if err != nil {
		return z.at, nil, noEOF(err)
	}
	z.plain.Reset(b)
	if err := z.gz.Reset(&z.plain); err != nil {
		return z.at, nil, noEOF(err)
	}
	z.gz.Multistream(false)
	z.text.Reset()
	if n, err := z.text.ReadFrom(io.LimitReader(&z.gz, maxBGZF+1)); err != nil {
		return z.at, nil, noEOF(err)
	} else if n > maxBGZF || z.plain.Len() > 0 {
		return z.at, nil, errors.New("damaged: a block of BGZF is not as long as it says")
	}
	at := z.at
	z.plain.Reset(z.text.Bytes())
	return at, &z.plain, z.discard(size)
}

// isBGZF tells whether a block begins at b: another one must follow, or the end.
func isBGZF(b []byte, all bool) bool {
	size, ok := bgzfSize(b)
	if !ok || size > len(b) {
		return false
	}
	_, next := bgzfSize(b[size:])
	return next || all && size == len(b)
}

// walkSize is how many bytes are looked at to tell whether a frame of zstd begins
// there.
const walkSize = 1 << 20

// maxZstdBlock is the most bytes of a block within a frame.
const maxZstdBlock = 128 << 10

// frameHeader reads the header of a frame (RFC 8878, section 3.1.1.1): its size, and
// whether a checksum ends the frame. short says that b ends before.
func frameHeader(b []byte) (size int, sum, short bool, err error) {
	if len(b) < 5 {
		return 0, false, true, nil
	}
	if binary.LittleEndian.Uint32(b) != zstdMagic {
		return 0, false, false, ErrTrailing
	}
	d := b[4]
	if d&0x08 != 0 {
		return 0, false, false, errors.New("damaged: a frame of zstd with a reserved bit")
	}
	size = 5 + [4]int{0, 1, 2, 4}[d&3] + [4]int{0, 2, 4, 8}[d>>6]
	if single := d&0x20 != 0; !single || d>>6 == 0 {
		size++ // the window, or the size in one byte
	}
	return size, d&0x04 != 0, len(b) < size, nil
}

// blockHeader reads the header of a block (RFC 8878, section 3.1.1.2): how many
// bytes follow, and whether it is the last of its frame.
func blockHeader(b []byte) (size int, last bool, err error) {
	h := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
	size = int(h >> 3)
	switch kind := h >> 1 & 3; {
	case kind == 3 || size > maxZstdBlock:
		return 0, false, errors.New("damaged: a block of zstd with a type or size that cannot be")
	case kind == 1:
		size = 1
	}
	return size, h&1 != 0, nil
}

// isFrame walks over the blocks of what may be a frame, to its end, behind which
// another one or nothing must follow, or as far as b goes.
func isFrame(b []byte, all bool) bool {
	at, sum, short, err := frameHeader(b)
	if err != nil || short {
		return false
	}
	for last := false; !last; {
		if len(b)-at < 3 {
			return !all
		}
		size, end, err := blockHeader(b[at:])
		if err != nil {
			return false
		}
		at, last = at+3+size, end
		if at > len(b) {
			return !all
		}
	}
	if sum {
		at += 4
	}
	if at > len(b) || len(b)-at < 4 {
		return !all || at == len(b)
	}
	m := binary.LittleEndian.Uint32(b[at:])
	return m == zstdMagic || m&skippableMask == skippable
}

// zstdFrames are the frames of a zstd file that hold something.
type zstdFrames struct {
	placed
	d    *Decoder
	open *frame
}

func (z *zstdFrames) next() (int64, io.Reader, error) {
	if z.find {
		z.find = false
		if err := z.seek("\x28\xb5\x2f\xfd", isFrame); err != nil {
			return z.at, nil, err
		}
	}
	if z.open != nil { // what the decoder has left of it
		_, err := io.Copy(io.Discard, z.open)
		z.at, z.open = z.at+z.open.n, nil
		if err != nil {
			return z.at, nil, err
		}
	}
	if err := z.skip(); err != nil {
		return z.at, nil, err
	}
	if err := z.d.makeZstd(); err != nil {
		return z.at, nil, err
	}
	z.open = &frame{in: z.in}
	return z.at, z.d.zs, z.d.zs.Reset(z.open)
}

// skip moves past frames that are to be skipped, to the next one; io.EOF says that
// there is none.
func (z *zstdFrames) skip() error {
	for {
		head, err := z.in.Peek(8)
		switch {
		case len(head) == 0 && errors.Is(err, io.EOF):
			return io.EOF
		case len(head) < 4:
			return noEOF(err)
		}
		m := binary.LittleEndian.Uint32(head)
		if m == zstdMagic {
			return nil
		}
		if m&skippableMask != skippable {
			return ErrTrailing
		}
		if len(head) < 8 {
			return noEOF(err)
		}
		n, err := io.CopyN(io.Discard, z.in, 8+int64(binary.LittleEndian.Uint32(head[4:])))
		if z.at += n; err != nil {
			return noEOF(err)
		}
	}
}

// frame is the bytes of one frame of a stream, and none behind it.
type frame struct {
	in              *bufio.Reader
	n               int64 // that were read
	left            int   // up to the next header
	begun, sum, end bool
}

// Read implements io.Reader. A frame that the stream ends within is an error.
func (f *frame) Read(p []byte) (int, error) {
	if f.left == 0 {
		if err := f.header(); err != nil {
			return 0, err
		}
	}
	n, err := f.in.Read(p[:min(len(p), f.left)])
	f.n += int64(n)
	f.left -= n
	return n, noEOF(err)
}

func (f *frame) header() error {
	switch {
	case !f.begun:
		b, err := f.in.Peek(18)
		size, sum, short, ferr := frameHeader(b)
		if short || ferr != nil {
			return errors.Join(ferr, noEOF(err))
		}
		f.begun, f.left, f.sum = true, size, sum
	case f.end && f.sum:
		f.left, f.sum = 4, false
	case f.end:
		return io.EOF
	default:
		b, err := f.in.Peek(3)
		if len(b) < 3 {
			return noEOF(err)
		}
		size, last, err := blockHeader(b)
		if err != nil {
			return err
		}
		f.left, f.end = 3+size, last
	}
	return nil
}

// Several tells whether a zstd object has more than one frame, given its first
// bytes: whether one ends there and another follows.
func Several(head io.Reader) (bool, error) {
	z := zstdFrames{placed: placed{in: bufio.NewReaderSize(head, bufferSize)}}
	f := &frame{in: z.in}
	if err := z.skip(); err != nil {
		return false, endless(err)
	}
	if _, err := io.Copy(io.Discard, f); err != nil {
		return false, endless(err)
	}
	err := z.skip()
	return err == nil, endless(err)
}

// endless is err unless it says that the bytes were all that there are.
func endless(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// SeekTable is how many of the last bytes of a zstd object tell whether it has a
// table of its frames (Zstandard Seekable Format 0.1.0).
const SeekTable = 9

// Seekable tells whether a zstd object that ends with these bytes says that it has
// several frames.
func Seekable(tail []byte) bool {
	return len(tail) == SeekTable && binary.LittleEndian.Uint32(tail[5:]) == 0x8f92eab1 && binary.LittleEndian.Uint32(tail) > 1
}
