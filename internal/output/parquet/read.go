package parquet

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/parquet-go/parquet-go"

	"github.com/mraws/mraws/internal/output"
)

// Reader reads the rows of a file that a [Writer] has written, or one like it: its
// columns are not nested. It takes the bytes for hostile: what the library panics
// over is an error.
type Reader struct {
	columns []output.Column
	groups  []parquet.RowGroup
	rows    parquet.Rows // of the row group that is read; nil before the first and behind the last
	want    int64        // rows that are left in it, as the footer says
	buf     []parquet.Row
	next    int // of buf
	fields  [][]byte
	text    []byte // of numbers in fields
}

// Open reads the footer of a file of size bytes.
func Open(r io.ReaderAt, size int64) (p *Reader, err error) {
	defer caught(&err)
	f, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, err
	}
	p = &Reader{groups: f.RowGroups()}
	for _, c := range f.Schema().Fields() {
		column, err := columnOf(c)
		if err != nil {
			return nil, err
		}
		p.columns = append(p.columns, column)
	}
	p.fields = make([][]byte, len(p.columns))
	return p, nil
}

func columnOf(f parquet.Field) (output.Column, error) {
	c := output.Column{Name: f.Name()}
	if !f.Leaf() || f.Repeated() {
		return c, fmt.Errorf("column %q is nested", c.Name)
	}
	logical := ""
	if l := f.Type().LogicalType(); l != nil {
		logical = l.String()
	}
	switch kind := f.Type().Kind(); {
	case kind == parquet.Int64 && (logical == "" || logical == "INT(64,true)"):
		c.Type = output.Int
	case kind == parquet.Double && logical == "":
		c.Type = output.Float
	case kind == parquet.Boolean:
		c.Type = output.Bool
	case kind == parquet.ByteArray && logical == "JSON":
		c.Type = output.JSON
	case kind == parquet.ByteArray && logical == "STRING":
		c.Type = output.String
	default:
		return c, fmt.Errorf("column %q is of type %s", c.Name, f.Type())
	}
	return c, nil
}

// caught makes an error of a panic of the library.
func caught(err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("it cannot be decoded: %v", v)
	}
}

// Columns are the columns of the file.
func (p *Reader) Columns() []output.Column { return p.columns }

// Next returns the next row as text, valid until the next call, and io.EOF behind
// the last. A field that is no value is empty.
func (p *Reader) Next() (fields [][]byte, err error) {
	defer caught(&err)
	for p.next == len(p.buf) {
		if err := p.fill(); err != nil {
			return nil, err
		}
	}
	row := p.buf[p.next]
	p.next++
	if len(row) != len(p.columns) {
		return nil, fmt.Errorf("a row of %d values in %d columns", len(row), len(p.columns))
	}
	p.text = p.text[:0]
	for i, c := range p.columns {
		p.fields[i] = p.field(c, row[i])
	}
	return p.fields, nil
}

// field is a value as text.
func (p *Reader) field(c output.Column, v parquet.Value) []byte {
	from := len(p.text)
	switch {
	case v.IsNull():
		return nil
	case c.Type == output.Int:
		p.text = strconv.AppendInt(p.text, v.Int64(), 10)
	case c.Type == output.Float:
		p.text = output.AppendFloat(p.text, v.Double())
	case c.Type == output.Bool:
		p.text = strconv.AppendBool(p.text, v.Boolean())
	default:
		return v.ByteArray()
	}
	return p.text[from:len(p.text):len(p.text)]
}

// fill reads the next rows.
func (p *Reader) fill() error {
	if p.rows == nil {
		if len(p.groups) == 0 {
			return io.EOF
		}
		p.rows, p.want = p.groups[0].Rows(), p.groups[0].NumRows()
		p.groups = p.groups[1:]
	}
	if cap(p.buf) == 0 {
		p.buf = make([]parquet.Row, 64)
	}
	p.buf, p.next = p.buf[:cap(p.buf)], 0
	n, err := p.rows.ReadRows(p.buf)
	p.buf = p.buf[:n]
	p.want -= int64(n)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return err
	case p.want < 0, errors.Is(err, io.EOF) && p.want > 0:
		return fmt.Errorf("a row group has other rows than its footer says: %d fewer", p.want)
	case errors.Is(err, io.EOF):
		rows := p.rows
		p.rows = nil
		return rows.Close()
	}
	return nil
}

// Close frees what the reader holds.
func (p *Reader) Close() (err error) {
	defer caught(&err)
	if p.rows == nil {
		return nil
	}
	return p.rows.Close()
}
