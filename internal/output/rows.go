package output

import (
	"bytes"
	"fmt"
	"io"
	"slices"
)

// RowWriter writes the rows of a table.
type RowWriter interface {
	// Row writes a row with a field for each column. The fields are valid during
	// the call only. An error is an [*UnfitError] or one of the writer.
	Row(fields [][]byte) error
	// Close writes what is held, and what ends the table.
	Close() error
}

// rowEncoder is the [Encoder] of formats that are tables. The first field of a pair is
// its key, the others are what its value has between tabs. Where the first column is of
// type [Text], in which no tab is, the key has as many fields as there are between its
// tabs. The fields of a line are what it has between tabs. The last column takes the
// rest.
type rowEncoder struct {
	columns []Column
	given   bool // by the job; or else a line without a tab is a row too
	to      RowWriter
	key     []byte
	fields  [][]byte
	text    []byte // of fields with escapes
}

// newRowEncoder returns an encoder whose rows open writes, to whom a column of type
// Text is one of type String.
func newRowEncoder(t tabular, open func(columns []Column) (RowWriter, error)) (Encoder, error) {
	to, err := open(textless(t.columns))
	return &rowEncoder{columns: t.columns, given: t.given, to: to}, err
}

// textless are columns of which those of type Text are of type String.
func textless(columns []Column) []Column {
	columns = slices.Clone(columns)
	for i := range columns {
		if columns[i].Type == Text {
			columns[i].Type = String
		}
	}
	return columns
}

// Key implements [Encoder].
func (e *rowEncoder) Key(key []byte) error {
	e.key = key
	return nil
}

// Value implements [Encoder].
func (e *rowEncoder) Value(value []byte) error {
	if e.fields = e.fields[:0]; e.columns[0].Type == Text {
		e.cut(e.key)
	} else {
		e.fields = append(e.fields, e.key)
	}
	if len(e.columns) > len(e.fields) || len(value) > 0 {
		e.cut(value)
	}
	return e.write(nil)
}

// Line implements [Encoder].
func (e *rowEncoder) Line(line []byte) error {
	e.fields = e.fields[:0]
	e.cut(line)
	return e.write(e.fields[0])
}

// cut appends what is between the tabs of text.
func (e *rowEncoder) cut(text []byte) {
	for len(e.fields)+1 < len(e.columns) {
		i := bytes.IndexByte(text, '\t')
		if i < 0 {
			break
		}
		e.fields = append(e.fields, text[:i])
		text = text[i+1:]
	}
	e.fields = append(e.fields, text)
}

// write writes the row; key is that of a line.
func (e *rowEncoder) write(key []byte) error {
	if !e.given && len(e.fields) == 1 {
		e.fields = append(e.fields, nil)
	}
	if n := len(e.fields); n != len(e.columns) {
		return &UnfitError{What: fmt.Sprintf("a row of %d fields for the %d columns %s", n, len(e.columns), FormatColumns(e.columns)), Key: key}
	}
	err := e.unescape()
	if err == nil {
		err = e.to.Row(e.fields)
	}
	if unfit, ok := err.(*UnfitError); ok { //nolint:errorlint // it is not wrapped
		unfit.Key = key
	}
	return err
}

// unescape makes values of the fields of type Text.
func (e *rowEncoder) unescape() (err error) {
	e.text = e.text[:0]
	for i, c := range e.columns {
		if c.Type != Text || bytes.IndexByte(e.fields[i], '\\') < 0 {
			continue
		}
		from := len(e.text)
		if e.text, err = c.unescape(e.text, e.fields[i]); err != nil {
			return err
		}
		e.fields[i] = e.text[from:]
	}
	return nil
}

// Close implements [Encoder].
func (e *rowEncoder) Close() error { return e.to.Close() }

// table is a format that is a table of text.
type table struct {
	tableFormat
	tabular
	compression string
}

// tableFormat is what tables of text differ in.
type tableFormat struct {
	ending, contentType string
	bare                bool // a row of one empty field has one byte
	header              func(columns []Column) []byte
	writer              func(columns []Column, to block) RowWriter
}

// tableColumns reads the option of the columns.
func tableColumns(options map[string]string) (columns []Column, given bool, err error) {
	text, given := options[ColumnsOption]
	if !given {
		return DefaultColumns(), false, nil
	}
	columns, err = ParseColumns(text)
	return columns, true, err
}

// tabular is a [Format] with columns.
type tabular struct {
	columns []Column
	given   bool // by the job
}

// Columns implements [Table].
func (t tabular) Columns() []Column { return t.columns }

// newTable returns what makes a format of options.
func newTable(of func() tableFormat) func(map[string]string) (Format, error) {
	return func(options map[string]string) (Format, error) {
		columns, given, err := tableColumns(options)
		if err == nil {
			err = checkCompression(options)
		}
		return table{of(), tabular{columns, given}, options[CompressionOption]}, err
	}
}

// ContentType implements [Format].
func (t table) ContentType() string { return contentType(t.compression, t.contentType) }

// Ending implements [Format].
func (t table) Ending() string { return t.ending + endings[t.compression] }

// Check implements [Format]: each row has two bytes at least, one ends it; but of bare
// lines that may be all.
func (t table) Check(records, size int64) error {
	if t.compression != "" {
		return checkPacked(size)
	}
	rows := size - int64(len(t.header(t.columns)))
	if t.bare {
		rows *= 2
	}
	if records > rows/2 || (records == 0) != (rows == 0) {
		return fmt.Errorf("%d bytes and %d rows", size, records)
	}
	return nil
}

// Encoder implements [Format].
func (t table) Encoder(w io.Writer, _ Libraries) (Encoder, error) {
	return newRowEncoder(t.tabular, func(columns []Column) (RowWriter, error) { return t.rows(w, Libraries{}, columns) })
}

// rows implements partFormat.
func (t table) rows(w io.Writer, _ Libraries, columns []Column) (RowWriter, error) {
	to, end := compressTo(w, t.compression)
	return t.writer(columns, block{to: to, end: end, buf: t.header(columns)}), nil
}

// parquet is the format whose encoder is one of [Libraries].
type parquet struct {
	tabular
	compression string
}

func newParquet(options map[string]string) (Format, error) {
	columns, given, err := tableColumns(options)
	p := parquet{tabular{columns, given}, Zstd}
	if c, ok := options[CompressionOption]; ok {
		if p.compression = c; c != None && err == nil {
			err = checkCompression(options)
		}
	}
	return p, err
}

// ContentType implements [Format].
func (parquet) ContentType() string { return "application/vnd.apache.parquet" }

// Ending implements [Format]: pages are compressed, not the object.
func (parquet) Ending() string { return ".parquet" }

// Check implements [Format]: a file has its magic bytes twice and a footer.
func (parquet) Check(_, size int64) error {
	if size < 12 {
		return fmt.Errorf("%d bytes, fewer than any Parquet file", size)
	}
	return nil
}

// Encoder implements [Format].
func (p parquet) Encoder(w io.Writer, libs Libraries) (Encoder, error) {
	return newRowEncoder(p.tabular, func(columns []Column) (RowWriter, error) { return p.rows(w, libs, columns) })
}

// rows implements partFormat.
func (p parquet) rows(w io.Writer, libs Libraries, columns []Column) (RowWriter, error) {
	if libs.Parquet == nil {
		return nil, &MissingError{"Parquet"}
	}
	return libs.Parquet(w, columns, p.compression)
}
