package verify

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/mraws/mraws/internal/manifest"
)

// kindOf tells by the first bytes of an object how it is compressed, as the workers
// do; "" says that it is not. What they refuse did not get into a job.
func kindOf(head []byte) manifest.Compression {
	starts := func(with ...byte) bool { return bytes.HasPrefix(head, with) }
	switch {
	case starts(0x1f, 0x8b):
		return manifest.Gzip
	case starts(0xfd, '7', 'z', 'X', 'Z', 0):
		return manifest.XZ
	case starts('B', 'Z', 'h') && len(head) >= 10 && head[3] >= '1' && head[3] <= '9' &&
		(bytes.Equal(head[4:10], blockOfBzip2) || bytes.Equal(head[4:10], []byte{0x17, 0x72, 0x45, 0x38, 0x50, 0x90})):
		return manifest.Bzip2
	case starts(0xff, 6, 0, 0, 's', 'N', 'a', 'P', 'p', 'Y'):
		return manifest.Snappy
	case starts(0xff, 6, 0, 0, 'S', '2', 's', 'T', 'w', 'O'):
		return manifest.S2
	}
	for rest := head; len(rest) >= 4; {
		switch {
		case bytes.Equal(rest[:4], []byte{0x28, 0xb5, 0x2f, 0xfd}):
			return manifest.Zstd
		case bytes.Equal(rest[:4], []byte{0x04, 0x22, 0x4d, 0x18}):
			return manifest.LZ4
		case rest[0]&0xf0 != 0x50 || !bytes.Equal(rest[1:4], []byte{0x2a, 0x4d, 0x18}) || len(rest) < 8:
			return ""
		}
		n := 8 + int64(binary.LittleEndian.Uint32(rest[4:]))
		if n >= int64(len(rest)) {
			return manifest.Zstd // a frame to skip that goes on behind the first bytes
		}
		rest = rest[n:]
	}
	return ""
}

var blockOfBzip2 = []byte{0x31, 0x41, 0x59, 0x26, 0x53, 0x59}

// tracked is a stream that knows how many of its bytes have been taken. It gives
// them one at a time where it is asked to, so that no decompressor takes more than
// it needs.
type tracked struct {
	*bufio.Reader
	taken int64
	last  byte // that was taken by ReadByte
}

func (t *tracked) Read(p []byte) (int, error) {
	n, err := t.Reader.Read(p)
	t.taken += int64(n)
	return n, err
}

func (t *tracked) ReadByte() (byte, error) {
	b, err := t.Reader.ReadByte()
	if err == nil {
		t.taken++
		t.last = b
	}
	return b, err
}

// drop moves past n bytes.
func (t *tracked) drop(n int64) error {
	got, err := io.CopyN(io.Discard, t.Reader, n)
	t.taken += got
	return noEOF(err)
}

// blockStart is where a block begins: in the bytes of the object, and in those that
// it holds all together.
type blockStart struct{ at, text int64 }

// blockNotes knows the blocks of an object that the job has cut: in which one a byte
// is. The workers look for blocks from the middle of an object on; here each is met
// where the one before ends.
type blockNotes struct {
	starts []blockStart // of the last blocks, in order
	text   int64        // bytes that came of all blocks
}

// begin takes note of a block that begins at a byte of the object.
func (b *blockNotes) begin(at int64) {
	if n := len(b.starts); n > 0 && b.starts[n-1].text == b.text {
		b.starts = b.starts[:n-1] // which held nothing
	}
	b.starts = append(b.starts, blockStart{at, b.text})
}

// place is where a byte of the text is, the next ones being asked for in order.
func (b *blockNotes) place(text int64) (at, within int64) {
	for len(b.starts) > 1 && b.starts[1].text <= text {
		b.starts = b.starts[1:]
	}
	if len(b.starts) == 0 {
		return 0, text
	}
	return b.starts[0].at, text - b.starts[0].text
}

// nextBlock returns how many bytes behind the first one of b the next block of bzip2
// begins: within the first byte or with the one behind it, or behind the ends and
// headers of streams. ok is false if there is none.
func nextBlock(b []byte) (n int64, ok bool) {
	for s := range 9 {
		if hasBits(b, s, blockOfBzip2) {
			return int64(s / 8), true
		}
		if hasBits(b, s, []byte{0x17, 0x72, 0x45, 0x38, 0x50, 0x90}) {
			return nextStream(b, (s+48+32+7)/8)
		}
	}
	return 0, false
}

// nextStream is nextBlock where the header of a stream stands at byte at.
func nextStream(b []byte, at int) (n int64, ok bool) {
	if at+4 > len(b) || !bytes.HasPrefix(b[at:], []byte("BZh")) {
		return 0, false
	}
	n, ok = nextBlock(b[at+4:])
	return n + int64(at) + 4, ok
}

// hasBits tells whether bytes stand in b from a bit on.
func hasBits(b []byte, bit int, want []byte) bool {
	for i, w := range want {
		at, s := (bit+8*i)/8, (bit+8*i)%8
		if at+1 >= len(b) && (s > 0 || at >= len(b)) {
			return false
		}
		v := b[at] << s
		if s > 0 {
			v |= b[at+1] >> (8 - s)
		}
		if v != w {
			return false
		}
	}
	return true
}

// frameTo walks over a frame of zstd that the stream is at and copies it to w
// (RFC 8878, sections 3.1.1.1 and 3.1.1.2).
func frameTo(w io.Writer, t *tracked) error {
	take := func(n int64) ([]byte, error) {
		var b bytes.Buffer
		got, err := io.CopyN(io.MultiWriter(w, &b), t.Reader, n)
		t.taken += got
		return b.Bytes(), noEOF(err)
	}
	head, err := take(5)
	if err != nil {
		return err
	}
	d := head[4]
	n := []int64{0, 1, 2, 4}[d&3] + []int64{0, 2, 4, 8}[d>>6]
	if d&0x20 == 0 || d>>6 == 0 {
		n++
	}
	if _, err := take(n); err != nil {
		return err
	}
	for last := false; !last; {
		h, err := take(3)
		if err != nil {
			return err
		}
		v := uint32(h[0]) | uint32(h[1])<<8 | uint32(h[2])<<16
		size := int64(v >> 3)
		last = v&1 == 1
		switch v >> 1 & 3 {
		case 1:
			size = 1
		case 3:
			return errors.New("a block of zstd of an unknown type")
		}
		if size > 128<<10 {
			return fmt.Errorf("a block of zstd of %d bytes", size)
		}
		got, err := io.CopyN(w, t.Reader, size)
		t.taken += got
		if err != nil {
			return noEOF(err)
		}
	}
	if d&4 != 0 {
		_, err = take(4)
	}
	return err
}
