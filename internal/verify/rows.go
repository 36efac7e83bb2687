package verify

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/scratch"
)

// Outputs that are tables. A record is the text of the fields of a row with a tab
// between each two. Each field has the one form that its type has here, whatever the
// format writes, so that rows can be compared as text; one that is no value is empty, and
// one of the type "text" has escapes.

// tableShape is what the spec of a job says of its table.
type tableShape struct {
	names, kinds []string
	given        bool // by the job; or else a line without a tab is a row too
	breaks       bool // "\r\n" in a field is read as "\n" (encoding/csv)
}

// shapeOf reads the options, which have been judged.
func shapeOf(options map[string]string, breaks bool) *tableShape {
	s := &tableShape{breaks: breaks}
	text, given := options["columns"]
	if s.given = given; !given {
		text = "key,value"
	}
	for part := range strings.SplitSeq(text, ",") {
		name, kind, typed := strings.Cut(part, ":")
		if !typed {
			kind = "string"
		}
		s.names, s.kinds = append(s.names, name), append(s.kinds, kind)
	}
	return s
}

// text tells whether a field of each column is text, or of the first alone.
func (s *tableShape) text(all bool) bool {
	other := func(kind string) bool { return kind != "string" && kind != "text" }
	if !all {
		return !other(s.kinds[0])
	}
	return !slices.ContainsFunc(s.kinds, other)
}

// row is the row that a key with a value makes, or a line if there is no key. keyed is
// the length of the fields of the key, or of the first one of a line.
func (s *tableShape) row(key, text []byte, pair bool) (row []byte, keyed int, err error) {
	fields, ofKey, err := s.split(key, text, pair)
	if err != nil {
		return nil, 0, err
	}
	return s.join(nil, fields, ofKey)
}

// split returns the fields of such a row. The first ones, so many, are of the key.
func (s *tableShape) split(key, text []byte, pair bool) (fields [][]byte, ofKey int, err error) {
	n := len(s.names)
	ofKey = 1
	if pair {
		fields = [][]byte{key}
		if s.kinds[0] == "text" {
			fields = bytes.SplitN(key, []byte{'\t'}, n)
			ofKey = len(fields)
		}
		if n > len(fields) || len(text) > 0 {
			fields = append(fields, bytes.SplitN(text, []byte{'\t'}, max(n-len(fields), 1))...)
		}
	} else {
		fields = bytes.SplitN(text, []byte{'\t'}, n)
	}
	if !s.given && len(fields) == 1 {
		fields = append(fields, nil)
	}
	for i, kind := range s.kinds[:min(n, len(fields))] {
		if kind != "text" {
			continue
		}
		if fields[i], err = rawText(fields[i]); err != nil {
			return nil, 0, fmt.Errorf("column %s: %w", s.names[i], err)
		}
	}
	return fields, ofKey, nil
}

// rawText is a text without the escapes of fields of the type "text".
func rawText(f []byte) ([]byte, error) {
	if !escaped.Match(f) {
		return nil, fmt.Errorf("%s has a backslash that is none of \\t, \\n, \\r and \\\\", quote(f))
	}
	return []byte(tsvTexts.Replace(string(f))), nil
}

var (
	escaped  = regexp.MustCompile(`^(?s:[^\\]|\\[tnr\\])*$`)
	tsvTexts = strings.NewReplacer(`\\`, "\\", `\t`, "\t", `\n`, "\n", `\r`, "\r")
)

// join appends the row of these fields to row. keyed is the length of the first ones, so
// many.
func (s *tableShape) join(row []byte, fields [][]byte, ofKey int) (_ []byte, keyed int, err error) {
	if len(fields) != len(s.names) {
		return nil, 0, fmt.Errorf("%d fields for %d columns", len(fields), len(s.names))
	}
	for i, f := range fields {
		if i == ofKey {
			keyed = len(row)
		}
		if i > 0 {
			row = append(row, '\t')
		}
		if row, err = s.field(row, s.kinds[i], f); err != nil {
			return nil, 0, fmt.Errorf("column %s: %w", s.names[i], err)
		}
	}
	if len(fields) == ofKey {
		keyed = len(row)
	}
	return row, keyed, nil
}

// key appends the fields of a key as a row has them.
func (s *tableShape) key(row, key []byte) ([]byte, error) {
	if s.kinds[0] != "text" {
		return s.field(row, s.kinds[0], key)
	}
	for i, part := range bytes.Split(key, []byte{'\t'}) {
		f, err := rawText(part)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			row = append(row, '\t')
		}
		if row, err = s.field(row, "text", f); err != nil {
			return nil, err
		}
	}
	return row, nil
}

// broken tells whether a row may hold a line break.
func (s *tableShape) broken(row []byte) bool {
	return bytes.IndexByte(row, '\n') >= 0 || s.kinds[0] == "text" && bytes.Contains(row, []byte(`\n`))
}

// field appends a field in the form that its type has.
func (s *tableShape) field(row []byte, kind string, f []byte) ([]byte, error) {
	wrong := fmt.Errorf("%s is no %s", quote(f), kind)
	switch {
	case kind == "string" && s.breaks:
		return append(row, bytes.ReplaceAll(f, []byte("\r\n"), []byte("\n"))...), nil
	case kind == "string":
		return append(row, f...), nil
	case kind == "text" && s.breaks:
		return append(row, tsvEscapes.Replace(strings.ReplaceAll(string(f), "\r\n", "\n"))...), nil
	case kind == "text":
		return append(row, tsvEscapes.Replace(string(f))...), nil
	case len(f) == 0:
		return row, nil
	}
	switch kind {
	case "int":
		n, ok := new(big.Int).SetString(string(f), 10)
		if !ok || !n.IsInt64() {
			return nil, wrong
		}
		return n.Append(row, 10), nil
	case "float":
		x, err := strconv.ParseFloat(string(f), 64)
		if err != nil {
			return nil, wrong
		}
		return strconv.AppendFloat(row, x, 'g', -1, 64), nil
	case "bool":
		if string(f) != "true" && string(f) != "false" {
			return nil, wrong
		}
		return append(row, f...), nil
	}
	var v any
	d := json.NewDecoder(bytes.NewReader(f))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return nil, wrong
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, wrong
	}
	if v == nil { // in JSON that is no value
		return row, nil
	}
	text, err := json.Marshal(v)
	return append(row, text...), err
}

// tableKind is the kind of a table that open reads; fields returns those of the next
// row, and io.EOF behind the last.
func tableKind(open func(Output, *tableShape) (fields func() ([][]byte, error), end func()), breaks bool) OutputKind {
	return OutputKind{
		Options: []string{"columns", "compression"},
		Open: func(o Output) Lines {
			t := &tableLines{tableShape: shapeOf(o.Options, breaks)}
			t.fields, t.end = open(o, t.tableShape)
			return t
		},
		shape: func(options map[string]string) *tableShape { return shapeOf(options, breaks) },
	}
}

// tableLines reads rows.
type tableLines struct {
	*tableShape
	fields func() ([][]byte, error)
	end    func()
	row    []byte
	keyed  int
	n      int64
}

// Next implements [Lines].
func (t *tableLines) Next() ([]byte, error) {
	fields, err := t.fields()
	if err != nil {
		return nil, err
	}
	t.n++
	row, keyed, err := t.join(t.row[:0], fields, 1)
	if err != nil {
		return nil, &MalformedError{fmt.Sprintf("row %d: %v", t.n, err)}
	}
	t.row, t.keyed = row, keyed
	return row, nil
}

// Close implements [Lines].
func (t *tableLines) Close() { t.end() }

// plainBody is the body of an output without its compression.
func plainBody(o Output) io.Reader {
	kind := map[string]manifest.Compression{"gzip": manifest.Gzip, "zstd": manifest.Zstd}[o.Options["compression"]]
	if kind == "" {
		return o.Body
	}
	u := &unpacked{kind: kind, left: math.MaxInt64}
	u.in = &tracked{Reader: bufio.NewReaderSize(readerFunc(func(p []byte) (int, error) {
		n, err := o.Body.Read(p)
		if err != nil && !errors.Is(err, io.EOF) {
			u.body = err
		}
		return n, err
	}), 64<<10)}
	return u
}

// malformed makes a [MalformedError] of what a decompressor says of the object.
func malformed(err error) error {
	if errors.Is(err, errPacked) {
		return &MalformedError{err.Error()}
	}
	return err
}

// openSeparated reads CSV with a header.
func openSeparated(comma rune) func(Output, *tableShape) (func() ([][]byte, error), func()) {
	return func(o Output, s *tableShape) (func() ([][]byte, error), func()) {
		in := csv.NewReader(plainBody(o))
		in.Comma, in.FieldsPerRecord, in.ReuseRecord = comma, len(s.names), true
		fields := make([][]byte, len(s.names))
		read := func() error {
			rec, err := in.Read()
			var wrong *csv.ParseError
			if errors.As(err, &wrong) {
				return &MalformedError{err.Error()}
			}
			if err != nil {
				return malformed(err)
			}
			for i, f := range rec {
				fields[i] = append(fields[i][:0], f...)
			}
			return nil
		}
		begun := false
		return func() ([][]byte, error) {
			if !begun {
				begun = true
				if err := read(); errors.Is(err, io.EOF) {
					return nil, &MalformedError{"it has no header"}
				} else if err != nil {
					return nil, err
				}
				for i, name := range s.names {
					if string(fields[i]) != name {
						return nil, &MalformedError{fmt.Sprintf("its header has %s in place of column %s", quote(fields[i]), name)}
					}
				}
			}
			return fields, read()
		}, func() {}
	}
}

// openJSON reads an object of JSON for each line.
func openJSON(o Output, s *tableShape) (func() ([][]byte, error), func()) {
	lines := openLines(plainBody(o))
	fields := make([][]byte, len(s.names))
	n := 0
	return func() ([][]byte, error) {
		line, err := lines.Next()
		if err != nil {
			return nil, malformed(err)
		}
		n++
		var row map[string]json.RawMessage
		if err := json.Unmarshal(line, &row); err != nil || len(row) != len(s.names) {
			return nil, &MalformedError{fmt.Sprintf("line %d has %d fields (%v), want %d", n, len(row), err, len(s.names))}
		}
		for i, name := range s.names {
			value, ok := row[name]
			text := ""
			switch {
			case !ok:
				return nil, &MalformedError{fmt.Sprintf("line %d has no field %s", n, name)}
			case s.kinds[i] == "string", s.kinds[i] == "text":
				if err := json.Unmarshal(value, &text); err != nil || value[0] != '"' {
					return nil, &MalformedError{fmt.Sprintf("line %d: field %s is no string: %s", n, name, quote(value))}
				}
			case string(value) != "null":
				text = string(value)
			}
			fields[i] = append(fields[i][:0], text...)
		}
		return fields, nil
	}, lines.Close
}

// ParquetRows are the rows of a file of Parquet as text. Columns are "name:type".
type ParquetRows interface {
	Columns() []string
	// Next returns a row, valid until the next call; io.EOF follows the last.
	Next() ([][]byte, error)
	Close() error
}

// openParquet reads a file of Parquet, whose footer is at its end, from a scratch file.
func openParquet(o Output, s *tableShape) (func() ([][]byte, error), func()) {
	var file *scratch.File
	var rows ParquetRows
	begin := func() (err error) {
		if file, err = scratch.Create(o.Scratch, "mraws-verify-*"); err != nil {
			return err
		}
		size, err := io.Copy(file, o.Body)
		if err != nil {
			return err
		}
		if rows, err = o.Parquet(file, size); err != nil {
			return &MalformedError{err.Error()}
		}
		var want []string
		for i, name := range s.names {
			kind := s.kinds[i]
			if kind == "text" {
				kind = "string"
			}
			want = append(want, name+":"+kind)
		}
		if got := rows.Columns(); !slices.Equal(got, want) {
			return &MalformedError{fmt.Sprintf("it has the columns %q, want %q", got, want)}
		}
		return nil
	}
	return func() ([][]byte, error) {
			if rows == nil {
				if err := begin(); err != nil {
					return nil, err
				}
			}
			fields, err := rows.Next()
			if err != nil && !errors.Is(err, io.EOF) {
				err = &MalformedError{err.Error()}
			}
			return fields, err
		}, func() {
			if rows != nil {
				_ = rows.Close() // what was read of it counts
			}
			if file != nil {
				_ = file.Close() // it has no name
			}
		}
}
