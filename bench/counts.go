package main

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// counts is a word count without an engine: an open-addressing table whose
// cells hold the first 16 bytes of a word, so that most comparisons are of
// two numbers and touch one cache line.
type counts struct {
	cells []countCell
	used  int
	text  []byte // of words longer than 16 bytes
}

type countCell struct {
	lo, hi uint64 // the first 16 bytes, zeros behind them
	n      uint64 // count; 0 is a free cell
	length uint32
	at     uint32 // in counts.text, of longer words
}

func newCounts() *counts { return &counts{cells: make([]countCell, 1<<16)} }

// letter tells the bytes that words are made of.
var letter = func() (t [256]bool) {
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	return t
}()

// count counts the words that begin in text[off:end].
func (t *counts) count(text []byte, off, end int) {
	i := off
	if off > 0 && letter[text[off-1]] { // the word of the piece before
		for i < len(text) && letter[text[i]] {
			i++
		}
	}
	for {
		for i < end && !letter[text[i]] {
			i++
		}
		if i >= end {
			return
		}
		start := i
		for i < len(text) && letter[text[i]] {
			i++
		}
		t.add(text, start, i, 1)
	}
}

// add adds n to the word text[start:end].
func (t *counts) add(text []byte, start, end int, n uint64) {
	word := text[start:end]
	var lo, hi uint64
	if length := len(word); start+16 <= len(text) {
		lo, hi = binary.LittleEndian.Uint64(text[start:]), binary.LittleEndian.Uint64(text[start+8:])
		switch {
		case length < 8:
			lo, hi = lo&(1<<(8*length)-1), 0
		case length < 16:
			hi &= 1<<(8*(length-8)) - 1
		}
	} else {
		var b [16]byte
		copy(b[:], word)
		lo, hi = binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:])
	}
	mask := uint64(len(t.cells) - 1)
	h, l := bits.Mul64(lo^0x9e3779b97f4a7c15, hi^0xd1b54a32d192ed03^uint64(len(word)))
	for i := (h ^ l) & mask; ; i = (i + 1) & mask {
		c := &t.cells[i]
		if c.n == 0 {
			*c = countCell{lo, hi, n, uint32(len(word)), uint32(len(t.text))}
			if len(word) > 16 {
				t.text = append(t.text, word...)
			}
			if t.used++; 2*t.used > len(t.cells) {
				t.grow()
			}
			return
		}
		if c.lo == lo && c.hi == hi && int(c.length) == len(word) && (len(word) <= 16 || bytes.Equal(word, t.word(c))) {
			c.n += n
			return
		}
	}
}

// word returns a word of more than 16 bytes.
func (t *counts) word(c *countCell) []byte { return t.text[c.at : c.at+c.length] }

// grow doubles the table.
func (t *counts) grow() {
	old := *t
	*t = counts{cells: make([]countCell, 2*len(old.cells))}
	old.mergeInto(t)
}

// mergeInto adds all words to another table.
func (t *counts) mergeInto(to *counts) {
	var b [16]byte
	for i := range t.cells {
		c := &t.cells[i]
		switch {
		case c.n == 0:
		case c.length > 16:
			to.add(t.text, int(c.at), int(c.at+c.length), c.n)
		default:
			binary.LittleEndian.PutUint64(b[:], c.lo)
			binary.LittleEndian.PutUint64(b[8:], c.hi)
			to.add(b[:], 0, int(c.length), c.n)
		}
	}
}
