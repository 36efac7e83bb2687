package parquet

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/verify"
	"github.com/mraws/mraws/mr"
)

// Rows returns the rows of an object for the verifier, which the library puts together
// row by row. It is a [verify.ParquetReader].
func Rows(o verify.Object, columns []string, tsv bool) verify.Records {
	t := input.Table{Columns: columns, TSV: tsv}
	return &rows{o: o, t: t, Row: input.NewPathRow(input.Piece{Object: o.Name, Rows: input.Rows{Fields: o.Fields}}, t)}
}

type rows struct {
	input.Row
	o    verify.Object
	t    input.Table
	file *file
	cols []*parquet.Column
	at   int // of the row groups: the next one
	all  [][]parquet.Value
	rest [][]parquet.Value // rows of the group at hand that come yet
	done int64             // rows of the group
	text []byte
	bad  bool // the record at hand is a bad row group
}

// objectAt reads an object in any order.
type objectAt struct{ o verify.Object }

// ReadAt implements io.ReaderAt.
func (a objectAt) ReadAt(p []byte, off int64) (int, error) {
	n := min(int64(len(p)), a.o.Size-off)
	if n <= 0 {
		return 0, io.EOF
	}
	body, err := a.o.Open(off, n)
	if err != nil {
		return 0, err
	}
	got, err := io.ReadFull(body, p[:n])
	if err = errors.Join(err, body.Close()); err == nil && got < len(p) {
		err = io.EOF
	}
	return got, err
}

// Next implements [verify.Records].
func (r *rows) Next() error {
	if r.file == nil {
		f, err := open(r.o.Name, r.o.Size, objectAt{r.o})
		if err != nil {
			return err
		}
		if err := f.shaped(func() (err error) {
			r.cols, err = f.columns(r.t.Columns)
			for _, c := range r.cols {
				newNode(c)
				if r.t.Columns == nil {
					r.Fields.Add(c.Name())
				}
			}
			return err
		}); err != nil {
			return err
		}
		r.file = f
	}
	r.bad = false
	for len(r.rest) == 0 {
		if r.at == len(r.file.groups) {
			return io.EOF
		}
		g := r.file.groups[r.at]
		r.at++
		r.done = 0
		if err := guard(func() error { return r.read(g) }); err != nil {
			if e := stored(err); e != nil {
				return e
			}
			r.rest, r.bad = nil, true
			return r.file.bad(g, err)
		}
	}
	g := r.file.groups[r.at-1]
	row := r.rest[0]
	r.rest = r.rest[1:]
	r.Fields.Reset()
	r.text = r.text[:0]
	if err := guard(func() error { r.set(row); return nil }); err != nil {
		return r.file.bad(g, err)
	}
	size := g.share(r.done)
	r.done++
	r.Took(g.middle, size, g.first+r.done)
	return nil
}

// chosen is a row group with some of its columns.
type chosen struct {
	parquet.RowGroup
	chunks []parquet.ColumnChunk
}

// ColumnChunks implements [parquet.RowGroup].
func (c chosen) ColumnChunks() []parquet.ColumnChunk { return c.chunks }

// read reads all rows of a row group.
func (r *rows) read(g group) (err error) {
	whole := r.file.RowGroups()[g.index]
	some := chosen{RowGroup: whole}
	for _, c := range r.cols {
		for _, l := range leaves(nil, c) {
			chunk := whole.ColumnChunks()[l.Index()]
			if err := sound(chunk, g.rows); err != nil {
				return err
			}
			some.chunks = append(some.chunks, chunk)
		}
	}
	in := parquet.NewRowGroupRowReader(some)
	defer func() { err = errors.Join(err, guard(in.Close)) }()
	r.all = r.all[:0]
	for {
		buf := make([]parquet.Row, 64)
		n, err := in.ReadRows(buf)
		for _, row := range buf[:n] {
			own := make([]parquet.Value, len(row))
			for i, v := range row {
				own[i] = v.Clone()
			}
			r.all = append(r.all, own)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if int64(len(r.all)) > g.rows {
			break
		}
	}
	r.rest = r.all
	if len(some.chunks) == 0 {
		return errors.New("it has no column")
	}
	// The library ends with the longest column: a shorter one shows in its rows.
	for i, row := range r.all {
		of := map[int]bool{}
		for _, v := range row {
			of[v.Column()] = true
		}
		if len(of) != len(some.chunks) {
			return fmt.Errorf("row %d has values of %d of %d columns", i, len(of), len(some.chunks))
		}
	}
	return counted(int64(len(r.all)), g.rows)
}

// sound reads all pages of a column: what puts rows together does not look at each of
// their checksums.
func sound(c parquet.ColumnChunk, rows int64) (err error) {
	pages := c.Pages()
	defer func() { err = errors.Join(err, guard(pages.Close)) }()
	var n int64
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return counted(n, rows)
		}
		if err != nil {
			return err
		}
		n += page.NumRows()
		parquet.Release(page)
	}
}

// set sets the columns of a row, whose values come column by column.
func (r *rows) set(row []parquet.Value) {
	for i, c := range r.cols {
		below := leaves(nil, c)
		values := make([][]parquet.Value, len(below))
		for j, l := range below {
			for len(row) > 0 && row[0].Column() == l.Index() {
				values[j], row = append(values[j], row[0]), row[1:]
			}
		}
		if c.Leaf() && c.MaxRepetitionLevel() == 0 {
			r.text = formOf(c).set(r.Fields, i, values[0][0], r.text, r.o.Fields)
			continue
		}
		made := newNode(c).appendBelow(nil, values, above(c))
		if string(made) == "null" {
			r.Fields.SetNull(i)
		} else {
			r.Fields.SetNested(i, made)
		}
	}
}

// Record implements [verify.Records].
func (r *rows) Record() (rec mr.Record, size int64) {
	if r.bad {
		g := r.file.groups[r.at-1]
		return mr.Record{Object: r.o.Name, Offset: g.middle}, g.size / 2
	}
	return r.Row.Record(), r.Size()
}

// Within is the number of the row in its row group, from 0.
func (r *rows) Within() int64 {
	if r.bad {
		return 0
	}
	return r.done - 1
}

// Close implements [verify.Records].
func (*rows) Close() error { return nil }
