package mr

import "slices"

// Batch is some rows of one object, column by column, for a [BatchMapper]. All of it
// is valid during the call of MapBatch only, and must not be changed.
type Batch struct {
	// Object is as [Record.Object] has it.
	Object string
	// Names are those of the columns, in the order that [App.Columns] gives.
	Names []string
	// Columns are the values of the rows, one Vector for each name.
	Columns []Vector
	// Offsets are where the rows lie, as [Record.Offset] has it.
	Offsets []int64
	// Lines are as [Record.Line] has it; nil where that is 0.
	Lines []int64

	row *Fields
}

// Vector is a column of a [Batch]. It has one of Texts, Ints and Floats, with a value
// for each row.
type Vector struct {
	// Kinds say what the rows hold. The value of a [NullField] means nothing.
	Kinds []FieldKind
	// Texts are as [Fields.Text] has them.
	Texts [][]byte
	// Ints are numbers.
	Ints []int64
	// Floats are numbers.
	Floats []float64
}

// Len is the number of rows.
func (b *Batch) Len() int { return len(b.Offsets) }

// Record is a row as Map gets it, valid until the next call of Record.
func (b *Batch) Record(row int) Record {
	if b.row == nil || !slices.Equal(b.row.names, b.Names) {
		b.row = NewFields(b.Names...)
	}
	b.row.Reset()
	for c := range b.Columns {
		b.Columns[c].set(b.row, c, row)
	}
	rec := Record{Object: b.Object, Offset: b.Offsets[row], Fields: b.row}
	if b.Lines != nil {
		rec.Line = b.Lines[row]
	}
	return rec
}

// set sets a column of a row to the value of one here.
func (v *Vector) set(f *Fields, column, row int) {
	switch kind := v.Kinds[row]; {
	case kind == NullField:
		f.SetNull(column)
	case v.Ints != nil:
		f.SetInt(column, v.Ints[row])
	case v.Floats != nil:
		f.SetFloat(column, v.Floats[row])
	case kind == NumberField:
		f.SetNumber(column, v.Texts[row])
	case kind == BoolField:
		f.SetBool(column, string(v.Texts[row]) == "true")
	case kind == NestedField:
		f.SetNested(column, v.Texts[row])
	default:
		f.SetText(column, v.Texts[row])
	}
}

// Reset gives the batch columns of these names, and no row.
func (b *Batch) Reset(object string, names []string) {
	b.Object, b.Names, b.Offsets, b.Lines = object, names, b.Offsets[:0], nil
	if len(b.Columns) != len(names) {
		b.Columns = make([]Vector, len(names))
	}
	for c := range b.Columns {
		v := &b.Columns[c]
		v.Kinds, v.Texts, v.Ints, v.Floats = v.Kinds[:0], v.Texts[:0], nil, nil
	}
}

// Append adds a row whose columns are those of the batch, in the same order. All of its
// values become Texts, which are not copied; those that the row makes of numbers are
// valid until it is reset. It is for readers, and for those who test a mapper.
func (b *Batch) Append(offset int64, row *Fields) {
	b.Offsets = append(b.Offsets, offset)
	for c := range b.Columns {
		v, f := &b.Columns[c], &row.values[c]
		text := f.text
		if f.form != asText || f.kind == BoolField {
			text = row.Text(c)
		}
		v.Kinds, v.Texts = append(v.Kinds, f.kind), append(v.Texts, text)
	}
}

// BatchMapper is a [Mapper] of an app with [Rows] and [App.Columns] that can take many
// rows at a time, column by column, which saves a call and the fields of each row. The
// engine decides which method it calls for which rows: where the job may skip bad
// records it calls Map alone. `mraws verify` calls Map alone too: keep it plain, and let
// it share as little as possible with MapBatch, so that a mistake in one of them is
// found.
type BatchMapper interface {
	Mapper
	// MapBatch maps the rows of a batch. Both methods must emit the same pairs in the
	// same order. Only where [Task.MapOnly] is false, and the app has a Combine for
	// which the order of values is all the same, may MapBatch fold pairs of one key by
	// it and emit the result later, at the latest in Flush: with [EmitFolded].
	//
	// With an error MapBatch returns the row that it failed over, which the engine
	// names as that of Map. A panic is blamed on the batch as a whole.
	MapBatch(batch *Batch, out Emitter) (row int, err error)
}

// FoldEmitter is an [Emitter] that takes a pair which stands for several pairs of its
// key, folded by [App.Combine], and counts those. An engine's emitter may be one;
// [EmitFolded] looks.
type FoldEmitter interface {
	Emitter
	EmitFolded(key, value []byte, pairs int64)
}

// EmitFolded emits a pair that stands for so many pairs, see [FoldEmitter].
func EmitFolded(out Emitter, key, value []byte, pairs int64) {
	if f, ok := out.(FoldEmitter); ok {
		f.EmitFolded(key, value, pairs)
		return
	}
	out.Emit(key, value)
}
