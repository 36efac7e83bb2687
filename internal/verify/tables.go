package verify

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/mr"
)

// The verifier reads tables with encoding/json and encoding/csv.

// row is a row as the verifier builds it.
type row struct {
	names  []string
	values []any // nil, string, bool or json.RawMessage
}

// shape is what becomes of rows.
type shape struct {
	columns []string // nil is all
	tsv     bool
	asIs    bool // a line of JSON is its row
	fields  bool
}

func newShape(options map[string]string, o Object) shape {
	s := shape{columns: o.Columns, tsv: options["as"] == "tsv", fields: o.Fields}
	if list, ok := options["columns"]; ok && s.columns == nil {
		s.columns, _ = csv.NewReader(strings.NewReader(list)).Read() // the spec was validated
	}
	s.asIs = !s.fields && s.columns == nil && options["as"] == ""
	return s
}

var tsvEscapes = strings.NewReplacer("\\", `\\`, "\t", `\t`, "\n", `\n`, "\r", `\r`)

// give puts a row into a record.
func (s shape) give(r row, rec *mr.Record) error {
	if s.fields {
		rec.Fields = mr.NewFields(r.names...)
		for i, v := range r.values {
			switch v := v.(type) {
			case string:
				rec.Fields.SetText(i, []byte(v))
			case bool:
				rec.Fields.SetBool(i, v)
			case json.RawMessage:
				if v[0] == '{' || v[0] == '[' {
					rec.Fields.SetNested(i, v)
				} else {
					rec.Fields.SetNumber(i, v)
				}
			}
		}
		return nil
	}
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	// put appends a value as JSON; RawMessage would be compacted.
	put := func(v any) error {
		if raw, ok := v.(json.RawMessage); ok {
			line.Write(raw)
			return nil
		}
		err := enc.Encode(v)
		line.Truncate(line.Len() - 1) // its line break
		return err
	}
	for i, v := range r.values {
		if s.tsv {
			if i > 0 {
				line.WriteByte('\t')
			}
			switch v := v.(type) {
			case nil:
			case json.RawMessage:
				_, _ = tsvEscapes.WriteString(&line, string(v))
			default:
				_, _ = tsvEscapes.WriteString(&line, fmt.Sprint(v))
			}
			continue
		}
		line.WriteByte("{,"[min(i, 1)])
		if err := put(r.names[i]); err != nil {
			return err
		}
		line.WriteByte(':')
		if err := put(v); err != nil {
			return err
		}
	}
	if !s.tsv {
		if len(r.values) == 0 {
			line.WriteByte('{')
		}
		line.WriteByte('}')
	}
	rec.Data = line.Bytes()
	return nil
}

// jsonRecords reads lines of JSON.
type jsonRecords struct {
	shape
	lines  Records
	rec    mr.Record
	size   int64
	within int64 // see withinRecords
	cut    bool  // the job has cut the object, which is compressed
}

func newJSONRecords(options map[string]string, o Object) Records {
	lines := newRecords(mr.Lines, o.decoded(options["encoding"]))
	return &jsonRecords{shape: newShape(options, o), lines: lines, cut: lines.blocks != nil}
}

// Next implements [Records].
func (j *jsonRecords) Next() error {
	for {
		err := j.lines.Next()
		j.rec, j.size = j.lines.Record()
		if err != nil {
			return err
		}
		line := j.rec.Data
		if w, ok := j.lines.(withinRecords); ok {
			j.within = w.Within()
		}
		if j.rec.Offset == 0 && j.within == 0 {
			if rest, ok := bytes.CutPrefix(line, []byte("\uFEFF")); ok {
				line, j.size = rest, j.size-3
				if j.cut {
					j.within = 3
				} else {
					j.rec.Offset = 3
				}
			}
		}
		if len(bytes.Trim(line, " \t\r\n")) == 0 {
			continue
		}
		j.rec.Data = nil
		var members map[string]json.RawMessage
		if err := json.Unmarshal(line, &members); err != nil || members == nil {
			return &input.BadError{Object: j.rec.Object, Offset: j.rec.Offset, What: fmt.Sprintf("no JSON object: %v", err)}
		}
		if j.asIs {
			j.rec.Data = line
			return nil
		}
		r, err := j.row(line, members)
		if err == nil {
			err = j.give(r, &j.rec)
		}
		return err
	}
}

// row takes the columns out of a line.
func (j *jsonRecords) row(line []byte, members map[string]json.RawMessage) (r row, err error) {
	raws := []json.RawMessage{}
	if j.columns != nil {
		r.names = make([]string, len(j.columns))
		for i, path := range j.columns {
			names := pathOf(path)
			r.names[i] = strings.Join(names, ".")
			raws = append(raws, member(members, names))
		}
	} else if r.names, err = memberNames(line); err != nil {
		return r, err
	}
	for i, name := range r.names {
		if j.columns == nil {
			raws = append(raws, members[name])
		}
		var v any
		if len(raws[i]) > 0 {
			switch raws[i][0] {
			case '{', '[', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
				v = raws[i]
			default:
				if err := json.Unmarshal(raws[i], &v); err != nil {
					return r, err
				}
			}
		}
		r.values = append(r.values, v)
	}
	return r, nil
}

// pathOf cuts a path at its dots. A dot and a backslash behind a backslash are those of
// a name.
func pathOf(path string) (names []string) {
	for {
		part := pathPart.FindString(path)
		names = append(names, pathEscape.ReplaceAllString(part, "$1"))
		if path = path[len(part):]; path == "" {
			return names
		}
		path = path[1:] // the dot
	}
}

var (
	pathPart   = regexp.MustCompile(`^(?s:\\[.\\]|[^.])*`)
	pathEscape = regexp.MustCompile(`\\([.\\])`)
)

// member follows a path; nil if there is nothing.
func member(members map[string]json.RawMessage, path []string) json.RawMessage {
	raw := members[path[0]]
	if len(path) == 1 {
		return raw
	}
	var inner map[string]json.RawMessage
	if json.Unmarshal(raw, &inner) != nil {
		return nil
	}
	return member(inner, path[1:])
}

// memberNames are the names of the members of an object, each once, in their order.
func memberNames(line []byte) (names []string, err error) {
	in := json.NewDecoder(bytes.NewReader(line))
	if _, err = in.Token(); err != nil {
		return nil, err
	}
	for in.More() {
		name, err := in.Token()
		if err != nil {
			return nil, err
		}
		var skip json.RawMessage
		if err := in.Decode(&skip); err != nil {
			return nil, err
		}
		if name, _ := name.(string); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// Within implements withinRecords.
func (j *jsonRecords) Within() int64 { return j.within }

// Record implements [Records].
func (j *jsonRecords) Record() (rec mr.Record, size int64) { return j.rec, j.size }

// Close implements [Records].
func (j *jsonRecords) Close() error { return j.lines.Close() }

var csvOptions = []string{"columns", "as", "encoding", "delimiter", "header", "quote"}

// csvRecords reads CSV. Package encoding/csv knows one quote: where the table has
// another, that and the usual one change places before and behind it.
type csvRecords struct {
	shape
	in      *csv.Reader // nil before the first call of Next, and without quotes
	br      *bufio.Reader
	raw     bytes.Buffer
	open    func() (*bufio.Reader, closers)
	closers closers
	comma   byte
	quote   byte // 0 for none
	header  bool
	most    int
	all     []string // names of the fields
	at, bom int64
	rec     mr.Record
	size    int64
	blocks  *blockNotes // of an object that the job has cut; nil for others
	within  int64       // see withinRecords
}

func newCSVRecords(options map[string]string, o Object, comma string) Records {
	c := &csvRecords{shape: newShape(options, o), open: o.decoded(options["encoding"]).stream, quote: '"', header: options["header"] != "no", most: o.MaxRecord}
	if c.most <= 0 {
		c.most = input.DefaultMaxLine
	}
	if by, ok := options["delimiter"]; ok {
		comma = unescape(by)
	}
	c.comma = comma[0]
	if quote, ok := options["quote"]; ok {
		if c.quote = 0; quote != "none" {
			c.quote = unescape(quote)[0]
		}
	}
	c.rec.Object = o.Name
	return c
}

// swapped are bytes in which two change places.
type swapped struct {
	io.Reader
	a, b byte
}

func swap(p []byte, a, b byte) {
	for i, c := range p {
		switch c {
		case a:
			p[i] = b
		case b:
			p[i] = a
		}
	}
}

func (s swapped) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	swap(p[:n], s.a, s.b)
	return n, err
}

func (c *csvRecords) begin() {
	br, cl := c.open()
	c.br, c.closers = br, cl
	if u, ok := cl[0].(*unpacked); ok {
		c.blocks = u.notes
	}
	if head, err := br.Peek(3); err == nil && string(head) == "\uFEFF" {
		_, _ = br.Discard(3) // they are there
		c.bom = 3
	}
	var src io.Reader = br
	comma := c.comma
	switch c.quote {
	case 0:
		return
	case '"':
	default:
		src = swapped{src, c.quote, '"'}
		if comma == '"' {
			comma = c.quote
		}
	}
	c.in = csv.NewReader(io.TeeReader(src, &c.raw))
	c.in.Comma, c.in.FieldsPerRecord = rune(comma), -1
}

// Next implements [Records].
func (c *csvRecords) Next() error {
	if c.br == nil {
		c.begin()
	}
	for {
		fields, wrong, err := c.read()
		c.rec.Data, c.rec.Fields = nil, nil
		switch {
		case err != nil:
			return err
		case c.all == nil && c.header && wrong != "":
			return &input.ObjectError{Object: c.rec.Object, What: "has no header: of its first row " + wrong}
		case c.all == nil && wrong == "":
			c.name(fields)
			if c.header {
				continue
			}
		case wrong == "" && len(fields) != len(c.all):
			wrong = fmt.Sprintf("it has %d fields in place of %d", len(fields), len(c.all))
		}
		if wrong != "" {
			return &input.BadError{Object: c.rec.Object, Offset: c.rec.Offset, What: wrong}
		}
		r := row{names: c.columns}
		if r.names == nil {
			r.names = c.all
		}
		for _, name := range r.names {
			i := slices.Index(c.all, name)
			if i < 0 {
				return &input.ObjectError{Object: c.rec.Object, What: fmt.Sprintf("has no column %q: its columns are %.1000q", name, strings.Join(c.all, ","))}
			}
			if fields[i] == "" {
				r.values = append(r.values, nil)
			} else {
				r.values = append(r.values, fields[i])
			}
		}
		return c.give(r, &c.rec)
	}
}

// read reads the next row that has a byte. wrong says what is not CSV.
func (c *csvRecords) read() (fields []string, wrong string, err error) {
	if c.quote == 0 {
		fields, err = c.split()
		return fields, "", err
	}
	fields, err = c.in.Read()
	var broken *csv.ParseError
	switch {
	case errors.As(err, &broken):
		wrong = broken.Err.Error()
	case errors.Is(err, io.EOF):
		return nil, "", io.EOF
	case err != nil:
		return nil, "", fmt.Errorf("read %s at byte %d: %w", c.rec.Object, c.at, err)
	}
	raw := c.raw.Next(int(c.in.InputOffset() - c.at))
	end := c.in.InputOffset()
	for rest := raw; ; raw = rest { // empty lines are none
		var ok bool
		if rest, ok = bytes.CutPrefix(rest, []byte("\n")); ok {
			continue
		}
		if rest, ok = bytes.CutPrefix(rest, []byte("\r\n")); !ok {
			break
		}
	}
	c.place(end - int64(len(raw)) + c.bom)
	c.at = end
	raw = bytes.TrimSuffix(bytes.TrimSuffix(raw, []byte("\n")), []byte("\r"))
	if c.size = int64(len(raw)); c.size > int64(c.most) {
		return nil, "", &input.ObjectError{Object: c.rec.Object, What: fmt.Sprintf("has a row at byte %d that is longer than %d bytes", c.rec.Offset, c.most)}
	}
	if wrong != "" {
		return nil, wrong, nil
	}
	for i := range fields {
		if strings.Contains(fields[i], "\n") && bytes.Contains(raw, []byte("\r\n")) {
			fields[i] = c.exact(raw, i)
		}
		switch c.quote {
		case '"':
		default:
			b := []byte(fields[i])
			swap(b, c.quote, '"')
			fields[i] = string(b)
		}
	}
	return fields, "", nil
}

// place says where in the object a byte of its text is.
func (c *csvRecords) place(text int64) {
	c.rec.Offset = text
	if c.blocks != nil {
		c.rec.Offset, c.within = c.blocks.place(text)
	}
}

// Within implements withinRecords.
func (c *csvRecords) Within() int64 { return c.within }

// split reads the next row of a table without quotes.
func (c *csvRecords) split() ([]string, error) {
	for {
		line, err := c.br.ReadString('\n')
		if line == "" || err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		offset := c.at + c.bom
		c.at += int64(len(line))
		if line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"); line != "" {
			c.size = int64(len(line))
			c.place(offset)
			return strings.Split(line, string(rune(c.comma))), nil
		}
	}
}

// exact is the text of field i in quotes with the line breaks that it has: package
// encoding/csv makes LF of CRLF.
func (c *csvRecords) exact(raw []byte, i int) string {
	first, _ := c.in.FieldPos(0)
	line, column := c.in.FieldPos(i)
	for ; line > first; line-- {
		raw = raw[bytes.IndexByte(raw, '\n')+1:]
	}
	var text strings.Builder
	for raw = raw[column:]; ; { // behind the quote
		part, rest, _ := bytes.Cut(raw, []byte{'"'})
		text.Write(part)
		if len(rest) == 0 || rest[0] != '"' {
			return text.String()
		}
		text.WriteByte('"')
		raw = rest[1:]
	}
}

// name says what the fields are called.
func (c *csvRecords) name(fields []string) {
	c.all = make([]string, 0, len(fields))
	for i, name := range fields {
		if name == "" || !c.header {
			name = fmt.Sprint("column", i)
		}
		plain := name
		for n := 1; slices.Contains(c.all, name); n++ {
			name = fmt.Sprint(plain, "_", n)
		}
		c.all = append(c.all, name)
	}
}

// Record implements [Records].
func (c *csvRecords) Record() (rec mr.Record, size int64) { return c.rec, c.size }

// Close implements [Records].
func (c *csvRecords) Close() error { return c.closers.Close() }

// noParquet reads nothing.
type noParquet struct{ object string }

func newParquetRecords(options map[string]string, o Object) Records {
	if o.Parquet == nil {
		return noParquet{o.Name}
	}
	s := newShape(options, o)
	return o.Parquet(o, s.columns, s.tsv)
}

// Next implements [Records].
func (n noParquet) Next() error {
	return fmt.Errorf("read %s: this program does not read Parquet", n.object)
}

// Record implements [Records].
func (n noParquet) Record() (rec mr.Record, size int64) { return rec, 0 }

// Close implements [Records].
func (noParquet) Close() error { return nil }
