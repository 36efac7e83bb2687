package input

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/mraws/mraws/mr"
)

// delimited makes a record of what lies between texts that end records, as lines are
// made. What follows the last one is a record unless it is empty.
type delimited struct {
	OnePiece
	by string
}

// mostDelimiter bounds what ends a record, in bytes.
const mostDelimiter = 64

func newDelimited(options map[string]string) (Format, error) {
	by, err := ParseText(options["by"])
	if err == nil && (by == "" || len(by) > mostDelimiter) {
		err = fmt.Errorf("it has %d bytes, not 1 to %d", len(by), mostDelimiter)
	}
	if err != nil {
		return nil, fmt.Errorf("input delimiter by %.200q: %w", options["by"], err)
	}
	return encodedIn(options, delimited{by: by})
}

// ParseText reads a text with the escapes \n, \r, \t, \0, \\ and \xNN.
func ParseText(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if i++; i == len(s) {
			return "", fmt.Errorf(`a backslash is written \\`)
		}
		switch s[i] {
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't':
			b.WriteByte('\t')
		case '0':
			b.WriteByte(0)
		case '\\':
			b.WriteByte('\\')
		case 'x':
			if i+2 < len(s) {
				if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
					b.WriteByte(byte(n))
					i += 2
					continue
				}
			}
			fallthrough
		default:
			return "", fmt.Errorf(`it has an escape that is none of \n, \r, \t, \0, \\ and \xNN`)
		}
	}
	return b.String(), nil
}

// Cut implements [Format]. Where the delimiter can overlap itself it is not known
// from the middle of an object where records begin.
func (f delimited) Cut(size, at int64) int64 {
	for n := 1; n < len(f.by); n++ {
		if f.by[:n] == f.by[len(f.by)-n:] {
			return f.OnePiece.Cut(size, at)
		}
	}
	return at
}

// First implements [Format]: the bytes before the piece tell whether a record starts
// at its offset.
func (f delimited) First(off, n int64) (from, length int64) {
	from = max(off-int64(len(f.by)), 0)
	return from, off + n - from
}

// Count implements [Format]: each record but the last of an object has a delimiter.
func (f delimited) Count(off, n int64) (least, most int64) {
	if n > 0 && off == 0 {
		least = 1
	}
	return least, n/int64(len(f.by)) + 1
}

// Read implements [Format] by the records that start in the piece.
func (f delimited) Read(p Piece, maxRecord int) (*PieceReader, error) {
	r := &delimitedReader{by: []byte(f.by), stop: p.Offset + p.Length, max: maxRecord, rec: mr.Record{Object: p.Object}}
	if r.max <= 0 {
		r.max = DefaultMaxLine
	}
	if p.Decode != nil {
		body := p.Stream()
		r.in, r.stop = window{src: NewBuffered(body, 0), name: p.Object}, 1<<63-1
		return &PieceReader{r, body}, nil
	}
	from, _ := f.First(p.Offset, p.Length)
	body := p.span(from)
	r.in, r.skip = window{src: body, name: p.Object, base: from}, p.Offset > 0
	return &PieceReader{r, body}, nil
}

// delimitedReader is a [Reader] of the records of a piece, which owns those that start
// in it.
type delimitedReader struct {
	in   window
	by   []byte
	stop int64
	max  int
	skip bool // what comes first belongs to the piece before
	rec  mr.Record
	long *TooLongError
}

// Next implements [Reader].
func (r *delimitedReader) Next() bool {
	if r.skip {
		if _, ok := r.pass(r.stop); !ok {
			return false
		}
		r.skip = false
	}
	if r.long != nil || r.in.err != nil || r.in.at() >= r.stop {
		return false
	}
	scanned := 0
	for {
		rest := r.in.rest()
		n := bytes.Index(rest[scanned:], r.by)
		if n >= 0 {
			n += scanned
		}
		if n > r.max || n < 0 && len(rest) > r.max+len(r.by) {
			r.long = &TooLongError{Object: r.rec.Object, Offset: r.in.at(), Max: r.max}
			return false
		}
		if n >= 0 {
			r.take(rest[:n:n], len(r.by))
			return true
		}
		if r.in.eof {
			if len(rest) > r.max {
				r.long = &TooLongError{Object: r.rec.Object, Offset: r.in.at(), Max: r.max}
				return false
			}
			r.take(rest[:len(rest):len(rest)], 0)
			return len(rest) > 0
		}
		scanned = max(0, len(rest)-len(r.by)+1)
		if !r.in.more(firstStep) {
			return false
		}
	}
}

func (r *delimitedReader) take(data []byte, behind int) {
	r.rec.Offset, r.rec.Data = r.in.at(), data
	r.in.pos += len(data) + behind
}

// pass moves behind the next delimiter, or to stop if none begins before, and returns
// how many bytes lie before it. It holds no more of them than a delimiter has. ok is
// false on an error.
func (r *delimitedReader) pass(stop int64) (n int64, ok bool) {
	for {
		rest := r.in.rest()
		if i := bytes.Index(rest, r.by); i >= 0 {
			r.in.pos += i + len(r.by)
			return n + int64(i), true
		}
		keep := len(r.by) - 1
		if r.in.eof {
			keep = 0
		}
		passed := max(0, len(rest)-keep)
		r.in.pos += passed
		n += int64(passed)
		if r.in.eof || r.in.at() >= stop {
			return n, true
		}
		if !r.in.more(firstStep) {
			return n, false
		}
	}
}

// Record implements [Reader].
func (r *delimitedReader) Record() mr.Record { return r.rec }

// Err implements [Reader].
func (r *delimitedReader) Err() error {
	if r.long != nil {
		return r.long
	}
	return r.in.err
}

// Skip implements [Reader].
func (r *delimitedReader) Skip() (rec mr.Record, length int64, err error) {
	if r.long == nil {
		return rec, 0, errNothingToSkip
	}
	r.rec.Offset, r.rec.Data, r.long = r.long.Offset, nil, nil
	length, _ = r.pass(1<<63 - 1)
	return r.rec, length, r.in.err
}
