package input

import (
	"bytes"
	"errors"
	"io"
)

// Where the rows of a piece begin. A line break ends a row unless it lies in quotes,
// which cannot be told from the bytes behind it alone. So what follows the first line
// break of a piece is read under both hypotheses, that it ends a row and that it lies
// in quotes, until only one of them gives CSV, or rows of as many fields as the object
// has (Ge et al., "Speculative Distributed CSV Data Parsing for Big Data Analytics",
// SIGMOD 2019). If that does not tell within farthestProbe bytes, the object is read
// from its start.
//
// Either way what the reader finds is told with [csvReader.Extent], and the
// coordinator compares it with what the reader of the piece before went on to.

const (
	firstProbe    = 16 << 10
	farthestProbe = 1 << 20
	// fewestRows is how many rows must have the right number of fields before they
	// say more than the lack of quotes.
	fewestRows = 8
)

// start opens the piece at its first row.
func (r *csvReader) start() error {
	options := LinesOptions{Object: r.p.Object, First: true, Limit: -1, MaxRecord: r.max}
	if r.p.Decode != nil {
		r.stop = 1<<63 - 1
		body := r.p.Stream()
		r.body, r.lines = body, Lines(NewBuffered(body, usualRatio*min(r.p.Size, maxBlock)), options)
		return nil
	}
	if r.p.Blocks != nil {
		return r.startBlocks(options)
	}
	r.began, r.next = r.p.Offset, r.p.Offset
	if r.p.Offset > 0 {
		if err := r.head(); err != nil {
			return err
		}
		began, err := r.find()
		if err != nil {
			return err
		}
		r.began, r.next = began, began
		if began >= r.stop {
			r.over = true
			return nil
		}
	}
	from, _ := r.First(r.p.Offset, r.p.Length)
	body := r.p.span(from)
	r.body = body
	for from < r.began { // what belongs to the piece before
		view, err := body.Peek()
		if err == nil {
			n := int(min(int64(len(view)), r.began-from))
			from += int64(n)
			err = body.Discard(n)
		}
		if err != nil {
			return err
		}
	}
	options.Offset = r.began
	r.lines = Lines(body, options)
	return nil
}

// rows returns a reader of the rows of the object from its start, which opens its
// bytes in steps.
func (r *csvReader) rows() *csvReader {
	options := LinesOptions{Object: r.p.Object, First: true, Limit: -1, MaxRecord: r.max}
	all := &csvReader{csvTable: r.csvTable, Row: NewRow(r.p, r.csvTable.table), p: r.p, max: r.max, stop: 1<<63 - 1, started: true}
	body := r.p.span(0)
	body.end = min(firstProbe, r.p.Size)
	if all.body = body; r.p.Blocks == nil {
		all.lines = Lines(body, options)
		return all
	}
	src := newBlockSource(r.p, body)
	all.src, all.body, all.lines = src, src, Lines(src, options)
	return all
}

// head takes the names of the fields from the first row of the object.
func (r *csvReader) head() (err error) {
	all := r.rows()
	defer func() { err = errors.Join(err, all.Close()) }()
	for all.names == nil && !all.over {
		offset, line, ok := all.line()
		if ok && line != nil {
			_, _, wrong := all.row(line, offset)
			if all.err == nil {
				_, all.err = all.first(wrong)
			}
		}
		if all.err != nil {
			return all.err
		}
	}
	if all.names == nil {
		return nil
	}
	return r.name(all.names)
}

// find returns where the first row begins at or behind the start of the piece: the
// size of the object if none does.
func (r *csvReader) find() (int64, error) {
	from := r.p.Offset - 1
	if r.quote == 0 {
		return r.walk(from)
	}
	var buf []byte
	for size := int64(firstProbe); size <= farthestProbe; size *= 4 {
		n := min(size, r.p.Size-from)
		more := make([]byte, n)
		if _, err := (readerAt{r.p}).ReadAt(more[copy(more, buf):], from+int64(len(buf))); err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		buf = more
		if at, ok := r.decide(buf, from+n == r.p.Size, size == farthestProbe); ok {
			return from + int64(at), nil
		}
		if from+n == r.p.Size {
			break
		}
	}
	return r.walk(0)
}

// walk returns where the first row begins at or behind the start of the piece, with
// rows that are read from a byte on where one ends.
func (r *csvReader) walk(from int64) (_ int64, err error) {
	all := r.rows()
	if from > 0 { // a line break ends a row then
		body := r.p.span(from)
		body.end = min(from+firstProbe, r.p.Size)
		all.body = body
		all.lines = Lines(body, LinesOptions{Object: r.p.Object, Offset: from, First: true, Limit: -1, MaxRecord: r.max})
	}
	defer func() { err = errors.Join(err, all.Close()) }()
	for all.next < r.p.Offset && !all.over {
		if offset, line, ok := all.line(); ok && line != nil {
			all.row(line, offset)
		}
		if all.err != nil {
			return 0, all.err
		}
	}
	return all.next, nil
}

// probe is what a text gives under one hypothesis.
type probe struct {
	dead  bool // it is no CSV
	open  bool // it is the end of the object, and in quotes
	begin int  // where the first row begins; -1 if none does
	rows  int  // that begin and end in the text
	fit   bool // all of them have the right number of fields
}

// decide returns where the first row begins in buf behind its first line break. It is
// not ok if buf does not tell. end says that the object ends with buf, and all that
// there will be no larger one.
func (r *csvReader) decide(buf []byte, end, all bool) (at int, ok bool) {
	nl := bytes.IndexByte(buf, '\n') + 1
	if nl == 0 || nl == len(buf) {
		return len(buf), end
	}
	out, in := r.probe(buf, nl, false, end), r.probe(buf, nl, true, end)
	fits := func(p probe) bool { return !p.dead && !p.open && p.fit && p.rows > 0 }
	switch {
	case in.dead && fits(out):
		return out.begin, true
	case out.dead && fits(in):
		return in.begin, true
	case end && in.rows == 0 && !in.dead && !in.open && (out.dead || out.rows > 0 && !out.fit): // within the last row
		if in.begin < 0 {
			return len(buf), true
		}
		return in.begin, true
	case out.dead || in.dead:
		return 0, false
	case fits(out) && !fits(in) && len(r.names) > 1 && (out.rows >= fewestRows || all || end):
		return out.begin, true
	case fits(in) && !fits(out) && out.rows > 0 && (in.rows >= fewestRows || all || end):
		return in.begin, true
	}
	return 0, false
}

// ended is p with one more row, if there is one.
func (p probe) ended(row, fit bool) probe {
	if row {
		p.rows++
		p.fit = p.fit && fit
	}
	return p
}

// probe reads text from a byte on, which lies in quotes or begins a row.
func (r *csvReader) probe(text []byte, i int, quoted, end bool) probe {
	p := probe{begin: -1, fit: true}
	fields := 0 // of the row at hand that came before
	if !quoted {
		p.begin = i
	}
	whole := !quoted // the row at hand began in the text
	for first := true; i < len(text); first = false {
		// A field begins at i, or goes on in quotes.
		if quoted && first || text[i] == r.quote {
			if !(quoted && first) {
				i++
			}
			for {
				n := bytes.IndexByte(text[i:], r.quote)
				if n < 0 {
					p.open = end
					return p
				}
				if i += n + 1; i < len(text) && text[i] == r.quote {
					i++
					continue
				}
				break
			}
			if i+1 < len(text) && text[i] == '\r' && text[i+1] == '\n' {
				i++
			}
			if i == len(text) || text[i] == '\r' && i+1 == len(text) {
				fields++
				return p.ended(whole && end, fields == len(r.names))
			}
			if text[i] != r.comma && text[i] != '\n' {
				p.dead = true
				return p
			}
		} else {
			n := i
			for n < len(text) && text[n] != r.comma && text[n] != '\n' && text[n] != r.quote {
				n++
			}
			if i = n; n == len(text) {
				fields++
				return p.ended(whole && end, fields == len(r.names))
			}
			if text[n] == r.quote {
				p.dead = true
				return p
			}
		}
		fields++
		if text[i] == '\n' {
			p = p.ended(whole, fields == len(r.names))
			if whole, fields = true, 0; p.begin < 0 {
				p.begin = i + 1
			}
			for i+1 < len(text) && text[i+1] == '\n' {
				i++ // no row
			}
		}
		i++
	}
	return p
}
