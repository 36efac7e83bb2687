package input

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mraws/mraws/mr"
)

// The options of CSV beside those of all tables.
const (
	optDelimiter = "delimiter" // one byte; the format's default is not said
	optHeader    = "header"    // "no"
	optQuote     = "quote"     // one byte, or "none"
)

var csvOptions = []string{optColumns, optAs, optEncoding, optDelimiter, optHeader, optQuote}

// csvTable makes a record of each row of CSV by RFC 4180 (https://www.rfc-editor.org/rfc/rfc4180):
// a field in quotes may have delimiters, line breaks and doubled quotes. A line ends
// with LF or CRLF, one without a byte is no row, an empty field is null. A row with a
// quote elsewhere, or with other fields than the first of its object, is bad; it ends
// where the line ends that shows it.
type csvTable struct {
	OnePiece
	table    Table
	comma    byte
	quote    byte // 0 for none
	noHeader bool
}

func newCSV(comma byte) func(options map[string]string) (Format, error) {
	return func(options map[string]string) (Format, error) {
		t, err := newTable(options)
		f := csvTable{table: t, comma: comma, quote: '"'}
		if by, ok := options[optDelimiter]; ok && err == nil {
			f.comma, err = oneByte("delimiter", by)
		}
		switch quote, ok := options[optQuote]; {
		case !ok || err != nil:
		case quote == "none":
			f.quote = 0
		default:
			f.quote, err = oneByte("quote", quote)
		}
		switch header, ok := options[optHeader]; {
		case !ok || err != nil:
		case header == "no":
			f.noHeader = true
		default:
			err = fmt.Errorf("header %.200q", header)
		}
		if err == nil && f.comma == f.quote {
			err = errors.New("the delimiter is the quote")
		}
		if err != nil {
			return nil, fmt.Errorf("input CSV: %w", err)
		}
		return encodedIn(options, f)
	}
}

// oneByte reads a character of ASCII that can stand between fields or around them.
func oneByte(what, s string) (byte, error) {
	text, err := ParseText(s)
	if err == nil && (len(text) != 1 || text[0] >= 0x80 || text == "\n" || text == "\r") {
		err = errors.New("it is no single character of ASCII")
	}
	if err != nil {
		return 0, fmt.Errorf("%s %.200q: %w", what, s, err)
	}
	return text[0], nil
}

// Cut implements [Format]: where rows begin behind any byte, the reader finds out.
func (csvTable) Cut(_, at int64) int64 { return at }

// Resumes implements [Format]: rows are found behind any block, as behind any byte.
func (csvTable) Resumes() bool { return true }

// Guesses implements [Format].
func (csvTable) Guesses() bool { return true }

// First implements [Format].
func (csvTable) First(off, n int64) (from, length int64) { return lines{}.First(off, n) }

// Count implements [Format]: a piece may have nothing but a header.
func (csvTable) Count(_, n int64) (least, most int64) { return 0, n + 1 }

// Read implements [Format] by the rows that begin in the piece.
func (f csvTable) Read(p Piece, maxRecord int) (*PieceReader, error) {
	if maxRecord <= 0 {
		maxRecord = DefaultMaxLine
	}
	f.table = f.table.with(p.Rows)
	r := &csvReader{csvTable: f, p: p, Row: NewRow(p, f.table), max: maxRecord, stop: p.Offset + p.Length}
	return &PieceReader{r, r}, nil
}

// csvReader is a [Reader] of the rows of a piece.
type csvReader struct {
	csvTable
	Row
	p       Piece
	max     int   // bytes of a row
	stop    int64 // rows that begin here or behind are the next piece's
	started bool
	began   int64 // where the first row begins, or would
	next    int64 // where the next one does
	over    bool
	src     *blockSource // of a piece of a compressed object; offsets are then those of its text
	from    Position     // where the first row begins, of such a piece
	within  int64        // where in its block the row at hand begins

	body  io.Closer
	lines *LineReader
	names []string // of the fields; nil until the first row
	want  []int    // of each field: its column, or -1
	last  int      // of the fields that are wanted
	found [][]byte // of each column: its field, of a row that goes into a batch

	fields []csvField // of the row at hand, in buf, unless plain has set them
	buf    []byte     // the row
	long   []byte     // a row of several lines, in one piece
	text   []byte     // fields with doubled quotes
	bad    *BadError
	err    error
}

// csvField is where a field lies in its row.
type csvField struct {
	start, end int
	doubled    bool // it has doubled quotes
}

// Next implements [Reader].
func (r *csvReader) Next() bool {
	if r.bad != nil || r.err != nil || r.over {
		return false
	}
	if !r.started {
		r.started = true
		if r.err = r.start(); r.err != nil {
			return false
		}
	}
	for r.more() {
		offset, line, ok := r.line()
		if !ok || line == nil {
			continue
		}
		r.text = r.text[:0]
		size, n, wrong := r.row(line, offset)
		offset = r.place(offset)
		header := false
		switch {
		case r.err != nil:
			return false
		case r.names == nil:
			if header, r.err = r.first(wrong); r.err != nil {
				return false
			}
		case wrong == "" && n != len(r.names):
			wrong = fmt.Sprintf("it has %d fields in place of %d", n, len(r.names))
		}
		switch {
		case header:
		case wrong != "":
			r.bad, r.size = &BadError{Object: r.p.Object, Offset: offset, What: wrong}, size
			return false
		default:
			r.assign()
			r.Took(offset, size, 0)
			return true
		}
	}
	return false
}

// more tells whether the next row, if there is one, is the piece's.
func (r *csvReader) more() bool {
	switch {
	case r.over:
		return false
	case r.src == nil:
		return r.next < r.stop
	}
	r.src.forget(r.next)
	return r.src.limit < 0 || r.next <= r.src.limit
}

// place is where in the object a row begins, or the block that it begins in, which
// r.within then goes with.
func (r *csvReader) place(offset int64) int64 {
	if r.src == nil {
		return offset
	}
	p := r.src.place(offset)
	r.within = p.Within
	return p.Offset
}

// Within is where in its block the row at hand begins.
func (r *csvReader) Within() int64 { return r.within }

// line returns the next line without its LF, and where it begins; of an empty line
// nothing. It is not ok at the end and on errors.
func (r *csvReader) line() (offset int64, line []byte, ok bool) {
	if !r.lines.Next() {
		var long *TooLongError
		r.over, r.next = true, r.lines.at()
		switch err := r.lines.Err(); {
		case errors.As(err, &long):
			r.err = r.tooLong(long.Offset)
		case err != nil:
			r.err = err
		}
		return 0, nil, false
	}
	rec := r.lines.Record()
	r.next = r.lines.at()
	if offset, line = skipBOM(rec.Offset, rec.Data); lineEnd(line) == 0 {
		return offset, nil, true
	}
	return offset, line, true
}

// lineBreak is where the first line of some ends.
func lineBreak(lines []byte) int {
	if n := bytes.IndexByte(lines, '\n'); n >= 0 {
		return n
	}
	return len(lines)
}

// lineEnd is where a line ends that may have a CR.
func lineEnd(line []byte) int {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return n - 1
	}
	return len(line)
}

// tooLong is the error of a row that cannot be held. It is not known where it ends.
func (r *csvReader) tooLong(offset int64) error {
	return &ObjectError{Object: r.p.Object, What: fmt.Sprintf("has a row at byte %d that is longer than %d bytes: perhaps a quote does not end", r.place(offset), r.max)}
}

// row reads the row that begins with a line, and returns its size, without the end of
// its last line, and the number of its fields. wrong says what is not CSV; the row
// ends with its line then.
func (r *csvReader) row(line []byte, offset int64) (size int64, n int, wrong string) {
	r.fields = r.fields[:0]
	end := lineEnd(line)
	if r.quote == 0 || bytes.IndexByte(line, r.quote) < 0 {
		if r.names != nil {
			r.buf = nil
			return int64(end), r.plain(line[:end]), ""
		}
	}
	r.buf = line
	for pos := 0; ; pos++ { // past a delimiter
		if r.quote == 0 || pos == end || r.buf[pos] != r.quote {
			next := bytes.IndexByte(r.buf[pos:end], r.comma)
			stop := pos + next
			if next < 0 {
				stop = end
			}
			if r.quote != 0 && bytes.IndexByte(r.buf[pos:stop], r.quote) >= 0 {
				return int64(end), 0, fmt.Sprintf("field %d has a quote and does not begin with it", len(r.fields)+1)
			}
			r.fields = append(r.fields, csvField{start: pos, end: stop})
			if next < 0 {
				return int64(end), len(r.fields), ""
			}
			pos = stop
			continue
		}
		field := csvField{start: pos + 1}
		if pos = r.closing(pos+1, offset, &field); pos < 0 {
			if r.err == nil {
				wrong = fmt.Sprintf("the quote of field %d does not end", len(r.fields)+1)
			}
			return int64(lineEnd(r.buf)), 0, wrong
		}
		end = lineEnd(r.buf)
		field.end = pos
		r.fields = append(r.fields, field)
		switch pos++; {
		case pos == end:
			return int64(end), len(r.fields), ""
		case r.buf[pos] != r.comma:
			return int64(end), 0, fmt.Sprintf("something follows the quote that ends field %d", len(r.fields))
		}
	}
}

// closing returns where the quote is that ends the field which begins at pos. It takes
// further lines as long as there is none, and returns -1 at the end of the object and
// on errors.
func (r *csvReader) closing(pos int, offset int64, field *csvField) int {
	for {
		if n := bytes.IndexByte(r.buf[pos:], r.quote); n >= 0 {
			if pos += n; pos+1 == len(r.buf) || r.buf[pos+1] != r.quote {
				return pos
			}
			field.doubled = true
			pos += 2
			continue
		}
		pos = len(r.buf)
		if len(r.long) == 0 || &r.buf[0] != &r.long[0] {
			r.long = append(r.long[:0], r.buf...)
		}
		if !r.lines.Next() {
			r.line() // for the error
			return -1
		}
		r.next = r.lines.at()
		r.long = append(append(r.long, '\n'), r.lines.Record().Data...)
		if r.buf = r.long; len(r.buf) > r.max {
			r.err = r.tooLong(offset)
			return -1
		}
	}
}

// plain sets the fields of a row without quotes, and returns their number.
func (r *csvReader) plain(row []byte) int {
	r.Fields.Reset()
	for n := 0; ; n++ {
		if n > r.last {
			return n + bytes.Count(row, []byte{r.comma}) + 1
		}
		end := bytes.IndexByte(row, r.comma)
		field := row
		if end >= 0 {
			field = row[:end:end]
		}
		if column := r.want[n]; column >= 0 && len(field) > 0 {
			r.Fields.SetText(column, field)
		}
		if end < 0 {
			return n + 1
		}
		row = row[end+1:]
	}
}

// assign sets the columns of a row that plain has not read.
func (r *csvReader) assign() {
	if r.buf == nil {
		return
	}
	r.Fields.Reset()
	for i, column := range r.want[:r.last+1] {
		if f := r.fields[i]; column >= 0 && f.end > f.start {
			r.Fields.SetText(column, r.field(f))
		}
	}
}

// field is the text of a field.
func (r *csvReader) field(f csvField) []byte {
	text := r.buf[f.start:f.end:f.end]
	if !f.doubled {
		return text
	}
	from := len(r.text)
	for {
		i := bytes.IndexByte(text, r.quote)
		if i < 0 {
			r.text = append(r.text, text...)
			return r.text[from:len(r.text):len(r.text)]
		}
		r.text = append(r.text, text[:i+1]...)
		text = text[i+2:]
	}
}

// first takes the names of the fields from the first row of the object, unless that is
// wrong. It tells whether it is a header.
func (r *csvReader) first(wrong string) (header bool, err error) {
	switch {
	case wrong != "" && r.noHeader:
		return false, nil
	case wrong != "":
		return false, &ObjectError{Object: r.p.Object, What: "has no header: of its first row " + wrong}
	}
	names := make([]string, 0, len(r.fields))
	for i, f := range r.fields {
		name := ""
		if !r.noHeader {
			name = string(r.field(f))
		}
		if name == "" {
			name = fmt.Sprintf("column%d", i)
		}
		base := name
		for n := 1; slices.Contains(names, name); n++ {
			name = fmt.Sprintf("%s_%d", base, n)
		}
		names = append(names, name)
	}
	return !r.noHeader, r.name(names)
}

// name says what the fields of a row are called.
func (r *csvReader) name(names []string) error {
	r.names, r.want, r.last = names, make([]int, len(names)), -1
	if r.csvTable.table.Columns == nil {
		for i, name := range names {
			r.want[i], r.last = r.Fields.Add(name), i
		}
		return nil
	}
	for i := range r.want {
		r.want[i] = -1
	}
	r.found = make([][]byte, len(r.csvTable.table.Columns))
	for column, name := range r.csvTable.table.Columns {
		i := slices.Index(names, name)
		if i < 0 {
			return &ObjectError{Object: r.p.Object, What: fmt.Sprintf("has no column %q: its columns are %.1000q", name, strings.Join(names, ","))}
		}
		r.want[i], r.last = column, max(r.last, i)
	}
	return nil
}

// Err implements [Reader].
func (r *csvReader) Err() error {
	if r.bad != nil {
		return r.bad
	}
	return r.err
}

// Skip implements [Reader].
func (r *csvReader) Skip() (rec mr.Record, length int64, err error) {
	if r.bad == nil {
		return rec, 0, errNothingToSkip
	}
	rec, r.bad = r.left(r.bad.Offset), nil
	return rec, r.size, nil
}

// Extent implements [ExtentReader].
func (r *csvReader) Extent() Extent {
	if r.src != nil {
		return Extent{Began: r.from, WentOn: r.wentOn()}
	}
	return Extent{Began: Position{Offset: r.began}, WentOn: Position{Offset: r.next}}
}

// Close implements io.Closer.
func (r *csvReader) Close() error {
	if r.body == nil {
		return nil
	}
	return r.body.Close()
}
