package input

import (
	"fmt"

	"github.com/mraws/mraws/mr"
)

// jsonLines makes a record of each line that is a JSON object. A line of nothing but
// spaces is none. Lines are cut as those of [lines] are.
type jsonLines struct {
	lines
	table Table
}

func newJSON(options map[string]string) (Format, error) {
	t, err := newTable(options)
	if err != nil {
		return nil, err
	}
	if t.TSV && t.Columns == nil {
		return nil, fmt.Errorf("rows of JSON as tsv without columns: each line may have others")
	}
	return encodedIn(options, jsonLines{table: t})
}

// Blocks implements [Format].
func (jsonLines) Blocks() bool { return false }

// Count implements [Format]: each line may be empty.
func (jsonLines) Count(_, n int64) (least, most int64) { return 0, n + 1 }

// Read implements [Format].
func (f jsonLines) Read(p Piece, maxRecord int) (*PieceReader, error) {
	r, err := f.lines.Read(p, maxRecord)
	if err != nil {
		return nil, err
	}
	return &PieceReader{newJSONReader(r.Reader, p, f.table.with(p.Rows)), r.Body}, nil
}

// jsonReader is a [Reader] of JSON lines.
type jsonReader struct {
	Row
	lines Reader
	scan  jsonScanner
	asIs  bool
	bad   *BadError
	// cut says that the lines are those of blocks of a compressed object, and within
	// is then where in its block the record at hand begins.
	cut    bool
	within int64
}

func newJSONReader(lines Reader, p Piece, t Table) *jsonReader {
	r := &jsonReader{Row: NewPathRow(p, t), lines: lines, asIs: t.AsIs && !p.Rows.Fields, cut: p.Blocks != nil}
	r.scan.fields, r.scan.check = r.Fields, r.asIs
	if t.Columns != nil {
		r.scan.tree = newJSONTree(t.Columns)
	}
	return r
}

// Next implements [Reader].
func (r *jsonReader) Next() bool {
	for r.bad == nil && r.lines.Next() {
		rec := r.lines.Record()
		offset, line := rec.Offset, rec.Data
		r.within = 0
		if w, ok := r.lines.(withinReader); ok {
			r.within = w.Within()
		}
		if r.within == 0 {
			if offset, line = skipBOM(offset, line); offset != rec.Offset && r.cut {
				offset, r.within = rec.Offset, offset
			}
		}
		at := r.scan.scan(line)
		switch {
		case at < 0:
		case at == len(line) && len(r.scan.trim(line)) == 0:
			continue
		default:
			r.bad = &BadError{Object: rec.Object, Offset: offset, What: r.scan.wrong(line, at)}
			r.size = int64(len(line))
			return false
		}
		if !r.asIs {
			r.Took(offset, int64(len(line)), 0)
			return true
		}
		r.rec.Offset, r.rec.Data, r.size = offset, line, int64(len(line))
		return true
	}
	return false
}

// Within is where in its block the record at hand begins.
func (r *jsonReader) Within() int64 { return r.within }

// Extent implements [ExtentReader], of a piece of a compressed object.
func (r *jsonReader) Extent() (e Extent) {
	if x, ok := r.lines.(ExtentReader); ok {
		e = x.Extent()
	}
	return e
}

// trim leaves what is no space.
func (s *jsonScanner) trim(line []byte) []byte {
	s.b = line
	return line[s.space(0):]
}

// wrong says what is wrong at a byte of a line.
func (s *jsonScanner) wrong(line []byte, at int) string {
	start := len(line) - len(s.trim(line))
	switch {
	case s.deep:
		return fmt.Sprintf("the JSON of the line has more than %d objects and lists in each other at its byte %d", deepestJSON, at)
	case at == start:
		return "the line is no JSON object"
	case at >= len(line):
		return "the JSON of the line does not end"
	}
	return fmt.Sprintf("the line is no JSON at its byte %d, %q", at, line[at])
}

// Err implements [Reader].
func (r *jsonReader) Err() error {
	if r.bad != nil {
		return r.bad
	}
	return r.lines.Err()
}

// Skip implements [Reader].
func (r *jsonReader) Skip() (rec mr.Record, length int64, err error) {
	if r.bad == nil {
		rec, length, err = r.lines.Skip()
		if w, ok := r.lines.(withinReader); ok {
			r.within = w.Within()
		}
		return rec, length, err
	}
	rec, r.bad = r.left(r.bad.Offset), nil
	return rec, r.size, nil
}
