package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// form says what the lines of a result look like, so that results of
// different programs can be compared.
type form string

const (
	words       form = "words"       // "word n", in any order
	countsFirst form = "countsfirst" // " n word", in any order
	postings    form = "postings"    // "word n file,file", lines and files in any order
	matches     form = "matches"     // "n:line" or "file n:line", in any order
	lines       form = "lines"       // lines in any order
	sorted      form = "sorted"      // lines in the order of their bytes
)

// digest stands for a result: the same for the same lines in any order.
type digest struct {
	lines int64
	sum   uint64
}

// read digests the file of a result. Lines of form sorted must be in order.
func (f form) read(name string) (d digest, err error) {
	file, err := os.Open(name)
	if err != nil {
		return d, fmt.Errorf("read result: %w", err)
	}
	defer file.Close()
	s := bufio.NewScanner(file)
	s.Buffer(nil, 64<<20)
	var last []byte
	for s.Scan() {
		line := s.Bytes()
		switch f {
		case sorted:
			if bytes.Compare(last, line) > 0 {
				return d, fmt.Errorf("line %d of the result is less than the one before it", d.lines+1)
			}
			last = append(last[:0], line...)
		case countsFirst:
			n, word, _ := bytes.Cut(bytes.TrimLeft(line, " "), []byte(" "))
			if len(word) == 0 {
				continue // tr's empty first line
			}
			line = fmt.Appendf(nil, "%s %s", word, n)
		case postings:
			if i := bytes.LastIndexByte(line, ' '); i >= 0 {
				files := strings.Split(string(line[i+1:]), ",")
				slices.Sort(files)
				line = append(line[:i+1], strings.Join(files, ",")...)
			}
		case matches:
			if line[0] < '0' || line[0] > '9' {
				_, line, _ = bytes.Cut(line, []byte(" "))
			}
		}
		d.lines++
		d.sum += xxhash.Sum64(line)
	}
	return d, s.Err()
}
