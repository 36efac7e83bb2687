package parquet

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/mr"
)

// batch is how many values of a column are read at a time.
const batch = 1024

// Read returns a reader of the rows of the row groups whose middle lies in the piece.
// It is an [input.ParquetReader].
func Read(p input.Piece, t input.Table) (*input.PieceReader, error) {
	r := &reader{Row: input.NewPathRow(p, t), p: p, t: t}
	return &input.PieceReader{Reader: r, Body: r}, nil
}

// reader is an [input.Reader] of columns.
type reader struct {
	input.Row
	p      input.Piece
	t      input.Table
	file   *file // nil before the first call of Next
	groups []group
	cols   []*column
	at     int // of groups: the next one
	group  group
	row    int64 // of group: the next one
	open   bool  // group is
	text   []byte
	held   []byte // bytes of the row group at hand
	bad    *input.BadError
	err    error

	offsets, lines [batch]int64 // of the batch at hand
}

// column is a column of the table that is wanted.
type column struct {
	leaves []*leaf
	form   form  // of one without lists and objects
	node   *node // of any other
	above  int   // the definition level of what it lies in
	values [][]parquet.Value

	vectors *vectors // of the batch at hand, nil before the first
}

// leaf is a column that has values.
type leaf struct {
	*parquet.Column
	pages  parquet.Pages
	page   parquet.Page
	reader parquet.ValueReader
	values [batch]parquet.Value
	pos, n int
	end    bool
	row    []parquet.Value // the values of the row at hand, of a column with lists or objects
	at     cursor          // in the page, of a column whose values are taken as they lie
}

// Next implements [input.Reader].
func (r *reader) Next() bool {
	if !r.ready() {
		return false
	}
	if err := r.take(); err != nil {
		return r.fail(err)
	}
	size := r.group.share(r.row)
	r.row++
	r.Took(r.group.middle, size, r.group.first+r.row)
	return true
}

// ready moves to the row group that has the next row. It returns false if there is
// none, and over one that is bad.
func (r *reader) ready() bool {
	if r.bad != nil || r.err != nil {
		return false
	}
	if r.file == nil {
		if r.err = r.start(); r.err != nil {
			return false
		}
	}
	for {
		if !r.open {
			if r.at == len(r.groups) {
				return false
			}
			r.group = r.groups[r.at]
			r.at++
			if err := r.begin(); err != nil {
				return r.fail(err)
			}
			r.open, r.row = true, 0
		}
		if r.row < r.group.rows {
			return true
		}
		if err := r.finish(); err != nil {
			return r.fail(err)
		}
		r.end()
	}
}

// fail ends the row group at hand: it is bad, unless the store did not give its bytes.
func (r *reader) fail(err error) bool {
	r.end()
	if e := stored(err); e != nil {
		r.err = fmt.Errorf("read %s: %w", r.p.Object, e)
	} else {
		r.bad = r.file.bad(r.group, err)
	}
	return false
}

// start reads the footer.
func (r *reader) start() error {
	f, err := open(r.p.Object, r.p.Size, r.p.ReaderAt())
	if err != nil {
		return err
	}
	r.file = f
	return f.shaped(func() error { return r.choose() })
}

// Weigh implements [input.Weigher].
func (r *reader) Weigh() (all int64, err error) {
	if err := r.start(); err != nil {
		if e := stored(err); e != nil {
			err = fmt.Errorf("read %s: %w", r.p.Object, e)
		}
		return 0, err
	}
	for _, g := range r.groups {
		meta, values := &r.file.Metadata().RowGroups[g.index], int64(0)
		for _, c := range r.cols {
			for _, l := range c.leaves {
				if l.Index() < len(meta.Columns) {
					values += min(max(meta.Columns[l.Index()].MetaData.TotalUncompressedSize, 0), mostValues)
				}
			}
		}
		all = min(all+max(values, input.LeastGroup), mostValues)
	}
	return all, nil
}

// mostValues bounds what a footer says of sizes, so that sums do not overflow.
const mostValues = 1 << 53

// choose finds the columns and row groups that are to be read.
func (r *reader) choose() error {
	f := r.file
	cols, err := f.columns(r.t.Columns)
	if err != nil {
		return err
	}
	for _, c := range cols {
		if r.t.Columns == nil {
			r.Fields.Add(c.Name())
		}
		col := &column{}
		for _, l := range leaves(nil, c) {
			col.leaves = append(col.leaves, &leaf{Column: l})
		}
		if col.values = make([][]parquet.Value, len(col.leaves)); c.Leaf() && c.MaxRepetitionLevel() == 0 {
			col.form = formOf(c)
		} else {
			col.node, col.above = newNode(c), above(c)
		}
		r.cols = append(r.cols, col)
	}
	for _, g := range f.groups {
		if r.p.Offset <= g.middle && g.middle < r.p.Offset+r.p.Length {
			r.groups = append(r.groups, g)
		}
	}
	return nil
}

// begin opens the columns of the row group at hand. Where bad ones may be skipped, all
// of it is decoded once before.
func (r *reader) begin() error {
	src, err := r.source()
	if err != nil {
		return err
	}
	if r.p.Rows.Sound {
		if err := r.each(src, (*leaf).count); err != nil {
			return err
		}
	}
	return r.each(src, func(*leaf, int64) error { return nil })
}

// each opens all columns and calls f for each.
func (r *reader) each(src *chunks, f func(l *leaf, rows int64) error) error {
	all := r.file.RowGroups()[r.group.index].ColumnChunks()
	for _, c := range r.cols {
		for _, l := range c.leaves {
			if err := guard(func() error {
				chunk, ok := all[l.Index()].(*parquet.FileColumnChunk)
				if !ok {
					return fmt.Errorf("column %v is no column of a file", l.Path())
				}
				l.close()
				l.pages, l.pos, l.n, l.end, l.at = chunk.PagesFrom(src.of(l.Index())), 0, 0, false, cursor{}
				return f(l, r.group.rows)
			}); err != nil {
				return fmt.Errorf("column %v: %w", name(l.Column), err)
			}
		}
	}
	return nil
}

// name is that of a column, for people.
func name(c *parquet.Column) string {
	var b []byte
	for i, part := range c.Path() {
		if i > 0 {
			b = append(b, '.')
		}
		b = append(b, part...)
	}
	return string(b)
}

// count decodes all of the column.
func (l *leaf) count(rows int64) error {
	var n int64
	for {
		ok, err := l.fill()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		for _, v := range l.values[:l.n] {
			if v.RepetitionLevel() == 0 {
				n++
			}
		}
		l.pos = l.n
	}
	return counted(n, rows)
}

// counted returns an error unless a column has n values of so many rows.
func counted(n, rows int64) error {
	if n != rows {
		return fmt.Errorf("it has %d rows, and by the footer %d", n, rows)
	}
	return nil
}

// take sets the columns of the next row.
func (r *reader) take() error {
	r.Fields.Reset()
	r.text = r.text[:0]
	for i, c := range r.cols {
		if c.node == nil {
			l := c.leaves[0]
			if l.pos == l.n {
				if err := l.more(r.row, r.group.rows); err != nil {
					return err
				}
			}
			v := l.values[l.pos]
			l.pos++
			r.text = c.form.set(r.Fields, i, v, r.text, r.p.Rows.Fields)
			continue
		}
		if err := r.list(i, c, r.row); err != nil {
			return err
		}
	}
	return nil
}

// list sets a column that is a list or an object to the next row of it.
func (r *reader) list(i int, c *column, row int64) error {
	for j, l := range c.leaves {
		if err := l.whole(row, r.group.rows); err != nil {
			return err
		}
		c.values[j] = l.row
	}
	if err := guard(func() error { return r.nested(i, c) }); err != nil {
		return fmt.Errorf("column %s: %w", name(c.leaves[0].Column), err)
	}
	return nil
}

// nested sets a column that is a list or an object.
func (r *reader) nested(i int, c *column) error {
	from := len(r.text)
	r.text = c.node.appendBelow(r.text, c.values, c.above)
	if made := r.text[from:len(r.text):len(r.text)]; bytes.Equal(made, []byte("null")) {
		r.Fields.SetNull(i)
	} else {
		r.Fields.SetNested(i, made)
	}
	return nil
}

// more reads further values of a column that must have them.
func (l *leaf) more(row, rows int64) error {
	var ok bool
	err := guard(func() (err error) { ok, err = l.fill(); return err })
	if err == nil && !ok {
		err = counted(row, rows)
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
	}
	if err != nil {
		return fmt.Errorf("column %s: %w", name(l.Column), err)
	}
	return nil
}

// whole reads all values of a row.
func (l *leaf) whole(row, rows int64) error {
	l.row = l.row[:0]
	for {
		if l.pos == l.n {
			if len(l.row) > 0 && l.end {
				return nil
			}
			if len(l.row) > 0 {
				var ok bool
				if err := guard(func() (err error) { ok, err = l.fill(); return err }); err != nil {
					return fmt.Errorf("column %s: %w", name(l.Column), err)
				}
				if !ok {
					return nil
				}
			} else if err := l.more(row, rows); err != nil {
				return err
			}
		}
		v := l.values[l.pos]
		if len(l.row) > 0 && v.RepetitionLevel() == 0 {
			return nil
		}
		l.pos++
		l.row = append(l.row, v.Clone()) // its page may be gone before the row is
	}
}

// fill reads the next values; ok is false behind the last.
func (l *leaf) fill() (ok bool, err error) {
	l.pos, l.n = 0, 0
	for !l.end {
		if l.reader != nil {
			n, err := l.reader.ReadValues(l.values[:])
			if l.n = n; n > 0 && (err == nil || errors.Is(err, io.EOF)) {
				return true, nil
			}
			if err != nil && !errors.Is(err, io.EOF) {
				return false, err
			}
			if n == 0 {
				l.reader = nil
			}
			continue
		}
		parquet.Release(l.page)
		l.page = nil
		if l.page, err = l.pages.ReadPage(); errors.Is(err, io.EOF) {
			l.page, l.end = nil, true
			break
		} else if err != nil {
			return false, err
		}
		l.reader = l.page.Values()
	}
	return false, nil
}

// finish returns an error unless all columns are at their end.
func (r *reader) finish() error {
	for _, c := range r.cols {
		for _, l := range c.leaves {
			if l.pos < l.n || l.at.pos < l.at.n {
				return fmt.Errorf("column %s: it has more rows than %d, which the footer says", name(l.Column), r.group.rows)
			}
			var ok bool
			if err := guard(func() (err error) { ok, err = l.fill(); return err }); err != nil {
				return fmt.Errorf("column %s: %w", name(l.Column), err)
			}
			if ok {
				return fmt.Errorf("column %s: it has more rows than %d, which the footer says", name(l.Column), r.group.rows)
			}
		}
	}
	return nil
}

// end closes the row group at hand.
func (r *reader) end() {
	r.open = false
	for _, c := range r.cols {
		for _, l := range c.leaves {
			l.close()
		}
	}
}

// close frees what the column holds. Of a broken one the library may fail again.
func (l *leaf) close() {
	_ = guard(func() error { parquet.Release(l.page); return nil })
	l.page, l.reader = nil, nil
	if l.pages != nil {
		_ = guard(l.pages.Close)
		l.pages = nil
	}
}

// Err implements [input.Reader].
func (r *reader) Err() error {
	if r.bad != nil {
		return r.bad
	}
	return r.err
}

// Skip implements [input.Reader]: it leaves out a row group. Its size is that of what
// lies behind its middle.
func (r *reader) Skip() (rec mr.Record, length int64, err error) {
	if r.bad == nil {
		return rec, 0, errors.New("skip record: none is bad")
	}
	r.bad = nil
	return mr.Record{Object: r.p.Object, Offset: r.group.middle}, r.group.size / 2, nil
}

// Within is the number of the row in its row group, from 0.
func (r *reader) Within() int64 {
	if !r.open {
		return 0
	}
	return r.row - 1
}

// Close implements io.Closer.
func (r *reader) Close() error {
	r.end()
	return nil
}
