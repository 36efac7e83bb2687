package decompress

import (
	"bytes"
	"compress/bzip2"
	"encoding/binary"
	"errors"
	"io"
)

// The first 48 bits of a block of bzip2, at any bit of a byte, and of what ends a
// stream: the digits of pi and of its square root.
const (
	bzip2Block = 0x314159265359
	bzip2End   = 0x177245385090
	mask48     = 1<<48 - 1
)

// maxBzip2 bounds a block as it is stored, in bytes: it holds 900,000 bytes behind
// a first run-length coding, and bzip2 makes no more than that and a hundredth of
// it.
const maxBzip2 = 2 << 20

// bzip2Blocks are the blocks of a bzip2 file. Each is given to the library as a
// stream of its own.
type bzip2Blocks struct {
	in   io.Reader
	buf  []byte
	base int64 // offset in the object of buf[0]
	eof  bool
	bit  int64 // of buf: where the next block begins, or what follows the last
	find bool  // it is to be looked for
	any  bool  // the header of a stream has been read, or looked past
	wrap []byte
}

// fill reads more, and forgets the bytes before the bit keep, which it returns in
// its new place.
func (z *bzip2Blocks) fill(keep int64) (int64, error) {
	if n := keep / 8; n >= 256<<10 {
		z.buf = append(z.buf[:0], z.buf[n:]...)
		z.base, z.bit, keep = z.base+n, z.bit-8*n, keep-8*n
	}
	const step = 256 << 10
	n := len(z.buf)
	z.buf = append(z.buf, make([]byte, step)...)
	got, err := io.ReadFull(z.in, z.buf[n:])
	z.buf = z.buf[:n+got]
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		z.eof, err = true, nil
	}
	return keep, err
}

// bits48 returns 48 bits of the buffer; ok is false if it does not have them.
func (z *bzip2Blocks) bits48(bit int64) (v uint64, ok bool) {
	i, s := bit/8, uint(bit%8)
	if bit+48 > 8*int64(len(z.buf)) {
		return 0, false
	}
	var b [8]byte
	copy(b[:], z.buf[i:])
	return binary.BigEndian.Uint64(b[:]) << s >> 16, true
}

// ready sees to it that the buffer has n bits from z.bit on; ok is false if the
// object ends before.
func (z *bzip2Blocks) ready(n int64) (ok bool, err error) {
	for z.bit+n > 8*int64(len(z.buf)) {
		if z.eof {
			return false, nil
		}
		if _, err := z.fill(z.bit); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (z *bzip2Blocks) at() int64 { return z.base + z.bit/8 }

func (z *bzip2Blocks) next() (int64, io.Reader, error) {
	if z.find {
		return z.first()
	}
	for {
		if !z.any {
			if err := z.header(); err != nil {
				return z.at(), nil, err
			}
		}
		ok, err := z.ready(80)
		if err != nil {
			return z.at(), nil, err
		}
		v, _ := z.bits48(z.bit)
		switch {
		case !ok:
			return z.at(), nil, io.ErrUnexpectedEOF
		case v == bzip2Block:
			at := z.at()
			r, err := z.block()
			return at, r, err
		case v != bzip2End:
			return z.at(), nil, errors.New("damaged: neither a block of bzip2 nor the end of a stream follows a block")
		}
		z.bit = (z.bit + 80 + 7) / 8 * 8
		z.any = false
		switch ok, err := z.ready(8); {
		case err != nil:
			return z.at(), nil, err
		case !ok:
			return z.at(), nil, io.EOF
		}
	}
}

// header reads that of a stream.
func (z *bzip2Blocks) header() error {
	ok, err := z.ready(32)
	if err != nil {
		return err
	}
	b := z.buf[z.bit/8:]
	switch {
	case !ok && bytes.HasPrefix([]byte("BZh"), b[:min(len(b), 3)]):
		return io.ErrUnexpectedEOF
	case !ok || string(b[:3]) != "BZh" || b[3] < '1' || b[3] > '9':
		return ErrTrailing
	}
	z.bit += 32
	z.any = true
	return nil
}

// first looks for the first block: bits that look like one, and are none, do not
// decompress.
func (z *bzip2Blocks) first() (int64, io.Reader, error) {
	for {
		bit, err := z.search(z.bit, false)
		if err != nil {
			return z.at(), nil, err
		}
		if bit < 0 {
			z.find, z.bit = false, 8*int64(len(z.buf))
			return z.at(), nil, io.EOF
		}
		z.bit = bit
		at := z.at()
		r, err := z.block()
		if err == nil {
			z.find, z.any = false, true
			return at, r, nil
		}
		z.bit++
	}
}

// search returns the first bit from from on at which a block begins, or where ends
// is set what ends a stream; -1 if there is none. It keeps the bytes from z.bit on,
// unless it looks for the first block.
func (z *bzip2Blocks) search(from int64, ends bool) (int64, error) {
	for {
		if bit := scan48(z.buf, from, ends); bit >= 0 {
			return bit, nil
		}
		if z.eof {
			return -1, nil
		}
		from = max(from, 8*int64(len(z.buf))-47)
		keep := z.bit
		if z.find && !ends {
			z.bit = from
			keep = from
		} else if 8*int64(len(z.buf))-z.bit > 8*maxBzip2 {
			return -1, nil
		}
		now, err := z.fill(keep)
		if err != nil {
			return -1, err
		}
		from -= keep - now
	}
}

// scan48 returns the first bit of b from from on that begins with one of the two
// patterns, -1 if none does. Of each shift of a pattern five bytes are whole, which
// bytes.Index finds faster than a loop over bits.
func scan48(b []byte, from int64, ends bool) int64 {
	best := int64(-1)
	patterns := []uint64{bzip2Block, bzip2End}
	if !ends {
		patterns = patterns[:1]
	}
	for _, magic := range patterns {
		for s := range int64(8) {
			var p [8]byte
			binary.BigEndian.PutUint64(p[:], magic<<16>>uint(s))
			whole := p[1:6]
			at := from/8 + 1
			for at < int64(len(b)) {
				rest := b[at:]
				if best >= 0 { // no later one matters
					rest = rest[:min(int64(len(rest)), max(best/8+6-at, 0))]
				}
				i := bytes.Index(rest, whole)
				if i < 0 {
					break
				}
				bit := (at+int64(i)-1)*8 + s
				var w [8]byte
				copy(w[:], b[bit/8:])
				if bit >= from && (best < 0 || bit < best) && bit+48 <= 8*int64(len(b)) && binary.BigEndian.Uint64(w[:])<<uint(s)>>16 == magic {
					best = bit
					break
				}
				at += int64(i) + 1
			}
		}
	}
	return best
}

// block decompresses the block at z.bit and moves behind it. A block ends where
// another one or the end of the stream begins. Bits that look like that may lie
// within it: then it does not decompress, and ends later.
func (z *bzip2Blocks) block() (io.Reader, error) {
	failed := io.ErrUnexpectedEOF
	for end := z.bit + 80; ; end++ {
		var err error
		if end, err = z.search(end, true); err != nil {
			return nil, err
		}
		if end < 0 {
			return nil, failed
		}
		r := bzip2.NewReader(bytes.NewReader(z.wrapped(z.bit, end)))
		var first [1]byte
		n, err := r.Read(first[:])
		if n == 1 {
			z.bit = end
			return io.MultiReader(bytes.NewReader(bytes.Clone(first[:])), r), nil
		}
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			failed = err
		}
		if errors.Is(err, io.EOF) {
			failed = errors.New("damaged: an empty block of bzip2")
		}
	}
}

// wrapped makes a stream of the bits of one block.
func (z *bzip2Blocks) wrapped(from, to int64) []byte {
	w := append(z.wrap[:0], "BZh9"...)
	i, s := from/8, uint(from%8)
	n := to - from
	for ; n >= 8; n, i = n-8, i+1 {
		b := z.buf[i] << s
		if s > 0 {
			b |= z.buf[i+1] >> (8 - s)
		}
		w = append(w, b)
	}
	// The last bits of the block, the end, and the checksum of the stream, which is
	// that of its only block.
	var acc uint64 // the lowest have bits are waiting
	have := uint(n)
	if n > 0 {
		v := uint16(z.buf[i]) << 8
		if int(i+1) < len(z.buf) {
			v |= uint16(z.buf[i+1])
		}
		acc = uint64(v<<s) >> (16 - have)
	}
	put := func(v uint64, bits uint) {
		for bits >= 8 {
			bits -= 8
			acc = acc<<8 | v>>bits&0xff
			w = append(w, byte(acc>>have))
			acc &= 1<<have - 1
		}
	}
	put(bzip2End, 48)
	put(uint64(binary.BigEndian.Uint32(w[10:])), 32)
	if have > 0 {
		w = append(w, byte(acc<<(8-have)))
	}
	z.wrap = w
	return w
}
