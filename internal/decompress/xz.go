package decompress

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// maxDict is the largest dictionary of an xz object in bytes: that of xz -9.
const maxDict = 64 << 20

// xzReader reads the streams of an xz file (The .xz File Format, version 1.2.1)
// one after the other. The library decompresses the blocks; their frame is read
// here, since it says how large a dictionary is before that is made.
type xzReader struct {
	in     *bufio.Reader
	most   int64      // bytes of a dictionary
	check  func() any // of the stream at hand: makes a hash, nil for none
	size   int        // bytes of a check
	stream bool       // one is open
	some   bool       // one has ended
	block  io.Reader
	sum    hash.Hash
	at     *counted // in the block
	begun  int64
	index  []xzRecord
	out    int64 // bytes of the block
}

type xzRecord struct{ unpadded, size int64 }

// counted counts what is read of a buffer.
type counted struct {
	*bufio.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *counted) ReadByte() (byte, error) {
	b, err := c.Reader.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

var errXZ = errors.New("damaged: a header of xz does not have its checksum, or says what cannot be")

// Read implements io.Reader.
func (x *xzReader) Read(p []byte) (int, error) {
	for {
		switch {
		case !x.stream:
			if err := x.header(); err != nil {
				return 0, err
			}
		case x.block == nil:
			if err := x.next(); err != nil {
				return 0, noEOF(err)
			}
		default:
			n, err := x.block.Read(p)
			x.out += int64(n)
			if x.sum != nil {
				x.sum.Write(p[:n])
			}
			if errors.Is(err, io.EOF) {
				err = x.ended()
			}
			if n > 0 || err != nil {
				return n, noEOF(err)
			}
		}
	}
}

// header reads the header of the next stream, behind zero bytes, of which there
// are fours. At the end it returns io.EOF.
func (x *xzReader) header() error {
	for x.some {
		zeros, err := x.in.Peek(4)
		switch {
		case len(zeros) == 0 && errors.Is(err, io.EOF):
			return io.EOF
		case err != nil && !errors.Is(err, io.EOF):
			return err
		case len(zeros) < 4 || !bytes.Equal(zeros, make([]byte, 4)):
			if !bytes.HasPrefix([]byte(xzMagic), zeros) {
				return ErrTrailing
			}
			x.some = false
			continue
		}
		_, _ = x.in.Discard(4)
	}
	var h [12]byte
	if _, err := io.ReadFull(x.in, h[:]); err != nil {
		return noEOF(err)
	}
	switch {
	case string(h[:6]) != xzMagic:
		return ErrFormat
	case crc32.ChecksumIEEE(h[6:8]) != binary.LittleEndian.Uint32(h[8:]) || h[6] != 0:
		return errXZ
	}
	switch h[7] {
	case 0:
		x.check, x.size = nil, 0
	case 1:
		x.check, x.size = func() any { return crc32.NewIEEE() }, 4
	case 4:
		x.check, x.size = func() any { return crc64.New(crc64.MakeTable(crc64.ECMA)) }, 8
	case 10:
		x.check, x.size = func() any { return sha256.New() }, 32
	default:
		return fmt.Errorf("a check of xz with the number %d, which is unknown", h[7])
	}
	x.stream, x.index = true, x.index[:0]
	return nil
}

// next reads the header of the next block, or the end of the stream.
func (x *xzReader) next() error {
	first, err := x.in.Peek(1)
	if err != nil {
		return err
	}
	if first[0] == 0 {
		return x.end()
	}
	h := make([]byte, (int(first[0])+1)*4)
	if _, err := io.ReadFull(x.in, h); err != nil {
		return err
	}
	n := len(h) - 4
	if crc32.ChecksumIEEE(h[:n]) != binary.LittleEndian.Uint32(h[n:]) || h[1]&0x3c != 0 {
		return errXZ
	}
	if h[1]&3 != 0 {
		return errors.New("xz with a filter other than LZMA2, which is not read")
	}
	rest := h[2:n]
	for _, bit := range []byte{0x40, 0x80} { // the sizes, which the index has too
		if h[1]&bit != 0 {
			_, k := binary.Uvarint(rest)
			if k <= 0 {
				return errXZ
			}
			rest = rest[k:]
		}
	}
	if len(rest) < 3 || rest[0] != 0x21 || rest[1] != 1 || rest[2] > 40 {
		return errors.New("xz with a filter other than LZMA2, which is not read")
	}
	dict := int64(1)<<32 - 1
	if b := rest[2]; b < 40 {
		dict = (2 | int64(b)&1) << (b/2 + 11)
	}
	if dict > x.most {
		return fmt.Errorf("%w: its dictionary has %d MiB, and there is memory for %d", ErrDict, dict>>20, x.most>>20)
	}
	x.at, x.begun, x.out = &counted{Reader: x.in}, int64(len(h)), 0
	if x.block, err = (lzma.Reader2Config{DictCap: int(max(dict, lzma.MinDictCap))}).NewReader2(x.at); err != nil {
		return err
	}
	x.sum = nil
	if x.check != nil {
		x.sum, _ = x.check().(hash.Hash)
	}
	return nil
}

// ended reads what follows the data of a block: zero bytes up to a multiple of 4,
// and the check.
func (x *xzReader) ended() error {
	tail := make([]byte, int(-(x.begun+x.at.n)&3)+x.size)
	if _, err := io.ReadFull(x.in, tail); err != nil {
		return err
	}
	pad := len(tail) - x.size
	for _, b := range tail[:pad] {
		if b != 0 {
			return errXZ
		}
	}
	if x.sum != nil {
		sum := x.sum.Sum(nil)
		if x.size < 32 { // CRCs are little-endian
			for i, j := 0, len(sum)-1; i < j; i, j = i+1, j-1 {
				sum[i], sum[j] = sum[j], sum[i]
			}
		}
		if !bytes.Equal(sum, tail[pad:]) {
			return ErrChecksum
		}
	}
	x.index = append(x.index, xzRecord{x.begun + x.at.n + int64(x.size), x.out})
	x.block = nil
	return nil
}

// end reads index and footer of a stream.
func (x *xzReader) end() error {
	crc := crc32.NewIEEE()
	c := &counted{Reader: x.in}
	in := &teeBytes{c, crc}
	_, _ = in.ReadByte() // which has been seen
	n, err := binary.ReadUvarint(in)
	if err != nil {
		return err
	}
	if n != uint64(len(x.index)) {
		return errXZ
	}
	for _, want := range x.index {
		unpadded, err := binary.ReadUvarint(in)
		size, serr := binary.ReadUvarint(in)
		if err = errors.Join(err, serr); err != nil {
			return err
		}
		if int64(unpadded) != want.unpadded || int64(size) != want.size {
			return ErrChecksum
		}
	}
	for c.n%4 != 0 {
		if b, err := in.ReadByte(); err != nil {
			return err
		} else if b != 0 {
			return errXZ
		}
	}
	var f [16]byte // checksum of the index, and footer
	if _, err := io.ReadFull(c, f[:]); err != nil {
		return err
	}
	if crc.Sum32() != binary.LittleEndian.Uint32(f[:]) || crc32.ChecksumIEEE(f[8:14]) != binary.LittleEndian.Uint32(f[4:]) ||
		(int64(binary.LittleEndian.Uint32(f[8:]))+1)*4 != c.n-12 || string(f[14:]) != "YZ" {
		return errXZ
	}
	x.stream, x.some = false, true
	return nil
}

// teeBytes hashes the bytes that are read.
type teeBytes struct {
	from *counted
	to   hash.Hash32
}

func (t *teeBytes) ReadByte() (byte, error) {
	b, err := t.from.ReadByte()
	if err == nil {
		_, _ = t.to.Write([]byte{b})
	}
	return b, err
}
