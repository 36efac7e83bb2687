package apps

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode"
	"unicode/utf8"
)

// edges appends to at the offsets at which text changes between letters and other
// bytes: start and end of each word, in turn. The words are those of classes.next.
// It processes 64 bytes at a time, as the bits of a uint64.
func edges(at []uint32, text []byte) []uint32 {
	var last uint64 // 1 if the byte before is of a letter
	rest := 0       // bytes of the next block that belong to a rune of this one
	letters := false
	for base := 0; base < len(text); base += 64 {
		var m uint64
		ascii := false
		if base+64 <= len(text) {
			m, ascii = letterBits((*[64]byte)(text[base:]))
		} else {
			var block [64]byte
			copy(block[:], text[base:])
			m, ascii = letterBits(&block)
		}
		if !ascii || rest > 0 {
			m, rest, letters = runeBits(text, base, rest, letters)
		}
		for e := m ^ (m<<1 | last); e != 0; e &= e - 1 {
			at = append(at, uint32(base+bits.TrailingZeros64(e)))
		}
		last = m >> 63
	}
	if len(at)%2 != 0 {
		at = append(at, uint32(len(text)))
	}
	return at
}

// stepBytes is the number of bytes of a block that are processed together. It is so
// small that their offsets stay in the L1 and L2 caches.
const stepBytes = 16 << 10

// step returns the start of text, whole lines of it if it is long.
func step(text []byte) []byte {
	if len(text) > stepBytes {
		if i := bytes.LastIndexByte(text[:stepBytes], '\n'); i >= 0 {
			return text[:i+1]
		}
	}
	return text
}

const (
	low   = 0x0101010101010101 // in each byte a 1
	high  = 0x80 * low
	first = (0x80 - 'a') * low     // sets the high bit of bytes from 'a' on
	after = (0x80 - 'z' - 1) * low // and from behind 'z' on
)

// letterBits returns a bit for each byte of a block that is an ASCII letter,
// and whether all of it is ASCII.
func letterBits(block *[64]byte) (m uint64, ascii bool) {
	var all uint64
	for i := range 8 {
		x := binary.LittleEndian.Uint64(block[8*i:])
		all |= x
		y := (x | 0x20*low) &^ high // lower case; no byte carries into the next
		is := ((y + first) &^ (y + after)) & high &^ x
		m |= (is >> 7) * 0x0102040810204080 >> 56 << (8 * i)
	}
	return m, all&high == 0
}

// runeBits is letterBits of the block of text at base if it is not all ASCII. The
// first skip bytes belong to a rune of the block before, and letter says whether that
// is a letter. It returns skip and letter of the next block.
func runeBits(text []byte, base, skip int, letter bool) (m uint64, rest int, letters bool) {
	set := func(from, to int) {
		m |= 1<<to - 1<<from // in bytes of the block; 1<<64 is 0
	}
	if letter {
		set(0, skip)
	}
	i := skip
	for i < 64 && base+i < len(text) {
		r, n := rune(text[base+i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRune(text[base+i:])
		}
		letters = unicode.IsLetter(r)
		if letters {
			set(i, min(i+n, 64))
		}
		i += n
	}
	return m, max(i-64, 0), letters
}
