// Package gen makes the inputs of the benchmark. Every generator writes the
// same bytes for the same arguments on every machine, so that figures of two
// machines speak of the same work.
package gen

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// rng returns the generator's own random source: PCG, whose sequence is part
// of Go's promise of compatibility.
func rng(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x6d72617773)) }

// Words returns n different words of lower-case ASCII letters. Frequent words
// come first and are short, as in a language: the mean length of what Text
// draws is that of English prose, about 4.5 letters.
func Words(n int, seed uint64) []string {
	r := rng(seed)
	words := make([]string, 0, n)
	taken := make(map[string]bool, n)
	var b []byte
	for len(words) < n {
		length := 2 + r.IntN(3)
		for rank := len(words); rank > 8 && length < 14; rank /= 6 {
			length += r.IntN(2) + r.IntN(2)
		}
		b = b[:0]
		for range length {
			b = append(b, letters[r.IntN(len(letters))])
		}
		if w := string(b); !taken[w] {
			taken[w] = true
			words = append(words, w)
		}
	}
	return words
}

// letters holds each letter about as often as English does.
const letters = "eeeeeeeeeeeetttttttttaaaaaaaaooooooooiiiiiiinnnnnnnssssssrrrrrrhhhhhhddddllllcccuuummmwwffggyyppbbvkjxqz"

// output is a bufio.Writer whose errors are kept for Flush, as it does by
// itself.
type output struct{ w *bufio.Writer }

func newOutput(w io.Writer) output { return output{bufio.NewWriterSize(w, 1<<20)} }

func (o output) byte(c byte)     { _ = o.w.WriteByte(c) }
func (o output) string(s string) { _, _ = o.w.WriteString(s) }
func (o output) bytes(b []byte)  { _, _ = o.w.Write(b) }

// Text writes at least size bytes of prose: lines of about 70 bytes, words
// drawn from vocabulary words by Zipf's law (exponent 1.07, as measured for
// English), some with a capital, a comma or a full stop.
func Text(w io.Writer, size int64, vocabulary int, seed uint64) error {
	words := Words(vocabulary, seed)
	r := rng(seed + 1)
	zipf := rand.NewZipf(r, 1.07, 2.7, uint64(vocabulary-1))
	out := newOutput(w)
	column, capital := 0, true
	for written := int64(0); written < size; {
		word := words[zipf.Uint64()]
		if column > 0 && column+len(word) > 72 {
			out.byte('\n')
			written++
			column = 0
		} else if column > 0 {
			out.byte(' ')
			written++
			column++
		}
		if capital {
			out.byte(word[0] - 'a' + 'A')
			out.string(word[1:])
		} else {
			out.string(word)
		}
		n := len(word)
		capital = false
		switch p := r.Uint32N(16); {
		case p == 0:
			out.byte('.')
			n++
			capital = true
		case p == 1:
			out.byte(',')
			n++
		}
		written += int64(n)
		column += n
	}
	out.byte('\n')
	return out.w.Flush()
}

// Record is the length of a record of Records and Needles in bytes, its line
// end included.
const Record = 100

// Records writes n records as gensort's ASCII mode has them (sortbenchmark.org):
// a random key of 10 printable bytes, a record number, filler, a line end. A
// share of hot (0 to 1) of them has the same key.
func Records(w io.Writer, n int64, hot float64, seed uint64) error {
	r := rng(seed)
	out := newOutput(w)
	rec := make([]byte, Record)
	for i := range n {
		for j := range 10 {
			rec[j] = byte(' ' + r.Uint32N(95))
		}
		if hot > 0 && r.Float64() < hot {
			copy(rec, "hot key 00")
		}
		copy(rec[10:], fmt.Sprintf("  %032X  ", i))
		fill := byte('A' + r.Uint32N(26))
		for j := 46; j < Record-1; j++ {
			rec[j] = fill + byte((j-46)/4)%6
		}
		rec[Record-1] = '\n'
		out.bytes(rec)
	}
	return out.w.Flush()
}

// Needle is in about one of 100,000 records of Needles, and nowhere else.
const Needle = "QZX"

// Needles writes n records for the grep of the MapReduce paper (section 5.2):
// 100 bytes each, a rare pattern of three letters in about one of 108,300
// (92,337 of 10^10 bytes' worth there).
func Needles(w io.Writer, n int64, seed uint64) error {
	r := rng(seed)
	out := newOutput(w)
	rec := make([]byte, Record)
	for range n {
		for j := 0; j < Record-1; j += 9 {
			bits := r.Uint64()
			for k := j; k < min(j+9, Record-1); k++ {
				c := byte('a' + bits&31)
				if c > 'z' {
					c = ' '
				}
				rec[k] = c
				bits >>= 5
			}
		}
		if r.Uint32N(108_300) == 0 {
			copy(rec[r.IntN(Record-4):], Needle)
		}
		rec[Record-1] = '\n'
		out.bytes(rec)
	}
	return out.w.Flush()
}

// Small writes n files of prose of 2 to 14 KB into dir, a thousand to a
// folder.
func Small(dir string, n int, seed uint64) error {
	r := rng(seed)
	for i := range n {
		name := filepath.Join(dir, fmt.Sprintf("%03d", i/1000), fmt.Sprintf("doc-%06d.txt", i))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return fmt.Errorf("make folder of small files: %w", err)
		}
		size := 2000 + r.Int64N(12_000)
		if err := File(name, func(w io.Writer) error { return Text(w, size, 3000, seed+uint64(i%64)) }); err != nil {
			return err
		}
	}
	return nil
}

// File writes a file by means of fill. The name appears once it is whole.
func File(name string, fill func(io.Writer) error) (err error) {
	f, err := os.Create(name + ".part")
	if err != nil {
		return fmt.Errorf("make %s: %w", name, err)
	}
	if err = fill(f); err == nil {
		err = f.Close()
	} else {
		_ = f.Close() // fill's error says more
	}
	if err != nil {
		return fmt.Errorf("fill %s: %w", name, err)
	}
	return os.Rename(name+".part", name)
}
