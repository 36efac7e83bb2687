// Package parquet writes and reads files of Parquet whose columns are those of an
// output, by github.com/parquet-go/parquet-go. It is linked only by programs that
// have the part of cli/parquet.
package parquet

import (
	"fmt"
	"io"
	"reflect"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"

	"github.com/mraws/mraws/internal/output"
)

// A row group has about so many bytes of values, at most, before they are encoded:
// they are held in memory until it ends. It has no more rows than that either. Where
// one ends must not depend on the memory that a worker has.
const (
	groupBytes = 16 << 20
	groupRows  = 1 << 20
)

// table is the root of a schema whose fields are in the order of the columns, where
// parquet.Group has them by name.
type table struct {
	parquet.Group
	fields []parquet.Field
}

// Fields implements parquet.Node.
func (t *table) Fields() []parquet.Field { return t.fields }

// field is a column in a table.
type field struct {
	parquet.Node
	name string
}

// Name implements parquet.Field.
func (f field) Name() string { return f.name }

// Value implements parquet.Field; no Go values are written or read.
func (f field) Value(reflect.Value) reflect.Value { return reflect.Value{} }

// schema returns the schema of columns. A column of text is required, all others are
// optional.
func schema(columns []output.Column) *parquet.Schema {
	t := &table{Group: parquet.Group{}}
	for _, c := range columns {
		var n parquet.Node
		switch c.Type {
		case output.Int:
			n = parquet.Optional(parquet.Int(64))
		case output.Float:
			n = parquet.Optional(parquet.Leaf(parquet.DoubleType))
		case output.Bool:
			n = parquet.Optional(parquet.Leaf(parquet.BooleanType))
		case output.JSON:
			n = parquet.Optional(parquet.JSON())
		default:
			n = parquet.String()
		}
		t.Group[c.Name] = n
		t.fields = append(t.fields, field{n, c.Name})
	}
	return parquet.NewSchema("row", t)
}

// Writer writes rows of fields. It implements output.RowWriter.
type Writer struct {
	to      *parquet.GenericWriter[any]
	columns []output.Column
	row     parquet.Row
	one     []parquet.Row // row
	text    []byte        // of values of JSON in row
	rows    int64         // of the row group
	bytes   int64
}

// NewWriter returns a writer of a file with these columns. The compression is that
// of pages.
func NewWriter(w io.Writer, columns []output.Column, compression string) (output.RowWriter, error) {
	codecs := map[string]compress.Codec{output.None: &parquet.Uncompressed, output.Gzip: &parquet.Gzip, output.Zstd: &parquet.Zstd}
	codec, ok := codecs[compression]
	if !ok {
		return nil, fmt.Errorf("pages of Parquet with the compression %q", compression)
	}
	p := &Writer{columns: columns, row: make(parquet.Row, len(columns)), one: make([]parquet.Row, 1)}
	p.to = parquet.NewGenericWriter[any](w, schema(columns), parquet.Compression(codec), parquet.CreatedBy("mraws", "1", ""))
	return p, nil
}

// Row writes a row.
func (w *Writer) Row(fields [][]byte) error {
	w.text = w.text[:0]
	for i, c := range w.columns {
		v, err := w.value(c, fields[i])
		if err != nil {
			return err
		}
		level := 1
		if v.IsNull() || c.Type == output.String {
			level = 0
		}
		w.row[i] = v.Level(0, level, i)
		w.bytes += int64(len(fields[i])) + 8
	}
	w.one[0] = w.row
	if _, err := w.to.WriteRows(w.one); err != nil {
		return err
	}
	if w.rows++; w.rows < groupRows && w.bytes < groupBytes {
		return nil
	}
	w.rows, w.bytes = 0, 0
	return w.to.Flush()
}

// value is that of a field.
func (w *Writer) value(c output.Column, f []byte) (parquet.Value, error) {
	if len(f) == 0 && c.Type != output.String {
		return parquet.NullValue(), nil
	}
	switch c.Type {
	case output.Int:
		n, err := c.Int(f)
		return parquet.Int64Value(n), err
	case output.Float:
		x, err := c.Float(f)
		return parquet.DoubleValue(x), err
	case output.Bool:
		b, err := c.Bool(f)
		return parquet.BooleanValue(b), err
	case output.JSON:
		from := len(w.text)
		text, err := c.AppendJSON(w.text, f)
		w.text = text
		return parquet.ByteArrayValue(text[from:]), err
	}
	text, err := c.Text(f)
	return parquet.ByteArrayValue(text), err
}

// Close writes the last row group and the footer.
func (w *Writer) Close() error { return w.to.Close() }
