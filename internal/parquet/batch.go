package parquet

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"

	"github.com/mraws/mraws/mr"
)

// vectors is a column of the batch at hand. Where nothing has to be made of the values
// of a page they stay where they lie in it.
type vectors struct {
	kinds  [batch]mr.FieldKind
	texts  [batch][]byte
	ints   [batch]int64
	floats [batch]float64
	same   mr.FieldKind // all of kinds are it
}

// cursor is a place in a page whose values are taken as they lie.
type cursor struct {
	pos, n  int    // rows of the page
	levels  []byte // of each row, where it may be null
	most    byte   // the level of one that is not
	value   int    // the next one of the values, of which nulls are none
	codes   []int32
	ints    []int64
	small   []int32
	floats  []float64
	bytes   []byte
	offsets []uint32
}

// NextBatch implements [input.BatchReader]. A batch ends where a page of a column does.
func (r *reader) NextBatch() bool {
	if !r.ready() {
		return false
	}
	n := int(min(batch, r.group.rows-r.row))
	for _, c := range r.cols {
		have, err := c.ahead(r.row, r.group.rows)
		if err != nil {
			return r.fail(err)
		}
		n = min(n, have)
	}
	r.NewBatch()
	r.Fields.Reset()
	r.text = r.text[:0]
	b := r.Batch()
	b.Offsets, b.Lines = r.offsets[:n], r.lines[:n]
	for i := range n {
		b.Offsets[i], b.Lines[i] = r.group.middle, r.group.first+r.row+int64(i)+1
	}
	for i, c := range r.cols {
		if err := r.fill(i, c, n); err != nil {
			return r.fail(err)
		}
	}
	r.TookBatch(r.group.each*int64(n) + min(max(r.group.more-r.row, 0), int64(n)))
	r.row += int64(n)
	return true
}

// ahead returns how many rows of the column are at hand, at least one.
func (c *column) ahead(row, rows int64) (n int, err error) {
	l := c.leaves[0]
	switch {
	case c.node != nil:
		return batch, nil
	case !c.lies():
		if l.pos == l.n {
			err = l.more(row, rows)
		}
		return l.n - l.pos, err
	}
	for l.at.pos == l.at.n && err == nil {
		var end bool
		if err = guard(func() (err error) { end, err = l.turn(c.form); return err }); err == nil && end {
			if err = counted(row, rows); err == nil {
				err = io.ErrUnexpectedEOF
			}
		}
		if err != nil {
			return 0, fmt.Errorf("column %s: %w", name(l.Column), err)
		}
	}
	return l.at.n - l.at.pos, nil
}

// lies says that values of the column are taken as they lie in a page.
func (c *column) lies() bool {
	if c.node != nil {
		return false
	}
	switch kind := c.leaves[0].Type().Kind(); c.form.kind {
	case asText:
		return kind == parquet.ByteArray
	case asInt, asFloat64:
		return true
	}
	return false
}

// turn moves to the next page, unless the column is at its end.
func (l *leaf) turn(f form) (end bool, err error) {
	parquet.Release(l.page)
	l.page, l.at = nil, cursor{}
	if l.page, err = l.pages.ReadPage(); err != nil {
		l.page, l.end = nil, errors.Is(err, io.EOF)
		if l.end {
			err = nil
		}
		return l.end, err
	}
	at, data := &l.at, l.page.Data()
	values := 0
	if dict := l.page.Dictionary(); dict != nil {
		at.codes, data = data.Int32(), dict.Page().Data()
		values = len(at.codes)
	}
	n := at.view(f, l.Type().Kind(), data)
	if at.codes == nil {
		values = n
	}
	if at.n = values; l.MaxDefinitionLevel() > 0 {
		at.levels, at.most = l.page.DefinitionLevels(), byte(l.MaxDefinitionLevel())
		at.n = len(at.levels)
		for i, level := range at.levels {
			if level == at.most {
				values--
			}
			if values < 0 {
				at.n = i // no value is left: the column is too short
				break
			}
		}
	}
	return false, nil
}

// view takes the values as what they are, and returns how many.
func (c *cursor) view(f form, kind parquet.Kind, data encoding.Values) int {
	switch {
	case f.kind == asFloat64:
		c.floats = data.Double()
		return len(c.floats)
	case f.kind == asText:
		c.bytes, c.offsets = data.ByteArray()
		return max(len(c.offsets)-1, 0)
	case kind == parquet.Int32:
		c.small = data.Int32()
		return len(c.small)
	}
	c.ints = data.Int64()
	return len(c.ints)
}

// fill makes the values of the next n rows a column of the batch.
func (r *reader) fill(i int, c *column, n int) error {
	to := &r.Batch().Columns[i]
	if c.vectors == nil {
		c.vectors = &vectors{}
	}
	err := guard(func() error {
		if c.lies() {
			c.leaves[0].at.take(c.vectors, to, n)
			return nil
		}
		return r.convert(i, c, to, n)
	})
	if err != nil && c.node == nil {
		return fmt.Errorf("column %s: %w", name(c.leaves[0].Column), err)
	}
	return err
}

// take moves past n rows, which it makes a column.
func (c *cursor) take(v *vectors, to *mr.Vector, n int) {
	kind := mr.NumberField
	if c.offsets != nil {
		kind = mr.TextField
	}
	present := n
	to.Kinds, to.Texts = v.all(kind)[:n], nil
	if c.levels != nil {
		present = v.nulls(c.levels[c.pos:c.pos+n], c.most, kind)
	}
	from := c.value
	c.pos, c.value = c.pos+n, from+present
	switch {
	case c.floats != nil && c.codes == nil && present == n:
		to.Floats = c.floats[from : from+n]
	case c.ints != nil && c.codes == nil && present == n:
		to.Ints = c.ints[from : from+n]
	case c.floats != nil:
		to.Floats = v.floats[:n]
		taken(to.Floats, c.floats, c.codes, from, present)
		spread(to.Floats, to.Kinds, present)
	case c.offsets != nil:
		to.Texts = v.texts[:n]
		c.text(to.Texts[:present], from)
		spread(to.Texts, to.Kinds, present)
	case c.small != nil:
		to.Ints = v.ints[:n]
		for i := range present {
			to.Ints[i] = int64(c.small[c.index(from+i)])
		}
		spread(to.Ints, to.Kinds, present)
	default:
		to.Ints = v.ints[:n]
		taken(to.Ints, c.ints, c.codes, from, present)
		spread(to.Ints, to.Kinds, present)
	}
}

// index is where a value lies: in the page, or in the dictionary.
func (c *cursor) index(i int) int {
	if c.codes != nil {
		return int(c.codes[i])
	}
	return i
}

// text makes texts of the values from one on.
func (c *cursor) text(texts [][]byte, from int) {
	if c.codes == nil {
		offsets := c.offsets[from : from+len(texts)+1]
		start := offsets[0]
		for i := range texts {
			end := offsets[i+1]
			texts[i] = c.bytes[start:end:end]
			start = end
		}
		return
	}
	for i, code := range c.codes[from : from+len(texts)] {
		start, end := c.offsets[code], c.offsets[code+1]
		texts[i] = c.bytes[start:end:end]
	}
}

// taken copies n values from one on.
func taken[T any](to, values []T, codes []int32, from, n int) {
	if codes == nil {
		copy(to, values[from:from+n])
		return
	}
	for i, code := range codes[from : from+n] {
		to[i] = values[code]
	}
}

// spread moves the first n values of a column, which are those that are not null, to
// their rows.
func spread[T any](values []T, kinds []mr.FieldKind, n int) {
	for i := len(values) - 1; n <= i; i-- {
		if kinds[i] != mr.NullField {
			n--
			values[i] = values[n]
		}
	}
}

// all returns kinds that are all the same.
func (v *vectors) all(kind mr.FieldKind) []mr.FieldKind {
	if v.same != kind {
		for i := range v.kinds {
			v.kinds[i] = kind
		}
		v.same = kind
	}
	return v.kinds[:]
}

// nulls sets the kinds of rows by their levels, and returns how many are not null.
func (v *vectors) nulls(levels []byte, most byte, kind mr.FieldKind) (present int) {
	for i, level := range levels {
		if level == most {
			present++
		} else {
			v.kinds[i], v.same = mr.NullField, mr.NullField
		}
	}
	return present
}

// convert makes a column of values that do not lie in their page as they are.
func (r *reader) convert(i int, c *column, to *mr.Vector, n int) error {
	v := c.vectors
	v.same = mr.NullField // of some
	to.Kinds, to.Texts = v.kinds[:n], nil
	switch c.form.kind {
	case asFloat16, asFloat32:
		to.Floats = v.floats[:n]
	default:
		to.Texts = v.texts[:n]
	}
	for k := range n {
		if c.node != nil {
			if err := r.list(i, c, r.row+int64(k)); err != nil {
				return err
			}
		} else {
			l := c.leaves[0]
			r.text = c.form.set(r.Fields, i, l.values[l.pos], r.text, true)
			l.pos++
		}
		v.kinds[k] = r.Fields.Kind(i)
		if to.Floats == nil {
			v.texts[k] = r.Fields.Text(i)
		} else if !r.Fields.Null(i) {
			v.floats[k], _ = r.Fields.Float(i) // it is one
		}
	}
	return nil
}
