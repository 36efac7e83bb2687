package mr

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
	"unsafe"
)

// Fields are the columns of one row, in an order that holds for all rows of a job
// whose columns are named, by [App.Columns] or on its command line. Without names
// they are those that the object has: of CSV and Parquet all of them, of JSON those
// of that line, in its order. Find a column once and read it by its index, from 0:
//
//	status := rec.Fields.Index("status")
//
// A read takes no memory. Rows, and the bytes that they return, are valid during the
// call of Map. An index that is not below Len panics.
type Fields struct {
	names  []string
	values []field
	made   []byte // what Text has made of numbers
}

// FieldKind says what a column of a row holds.
type FieldKind uint8

const (
	// NullField is no value: a null, a member that a JSON line does not have, or an
	// empty field of CSV.
	NullField FieldKind = iota
	// TextField is text. Each value of CSV that is not null is text.
	TextField
	// NumberField is a number, as JSON writes numbers.
	NumberField
	// BoolField is true or false.
	BoolField
	// NestedField is a list or an object, whose text is JSON.
	NestedField
)

// field is a value.
type field struct {
	kind FieldKind
	form form
	bits uint64 // of form binary and real, and of BoolField
	text []byte
}

// form says where a number is.
type form uint8

const (
	asText form = iota
	asInt
	asFloat
)

// NewFields returns a row of these columns, all of them null. It is for those who
// test a mapper.
func NewFields(names ...string) *Fields {
	return &Fields{names: slices.Clip(names), values: make([]field, len(names))}
}

// Len is the number of columns.
func (f *Fields) Len() int { return len(f.values) }

// Name is the name of a column.
func (f *Fields) Name(i int) string { return f.names[i] }

// Index is the first column of this name, or -1. It compares names one by one.
func (f *Fields) Index(name string) int { return slices.Index(f.names, name) }

// Kind is what a column holds.
func (f *Fields) Kind(i int) FieldKind { return f.values[i].kind }

// Null says whether a column holds nothing.
func (f *Fields) Null(i int) bool { return f.values[i].kind == NullField }

// Text is the text of a column: of a number its digits, of a list or an object its
// JSON, of nothing no bytes.
func (f *Fields) Text(i int) []byte {
	v := &f.values[i]
	switch {
	case v.form == asText && v.kind != BoolField:
		return v.text
	case v.kind == BoolField:
		return strconvBool(v.bits != 0)
	}
	from := len(f.made)
	f.made = v.append(f.made)
	return f.made[from:len(f.made):len(f.made)]
}

var yes, no = []byte("true"), []byte("false")

func strconvBool(b bool) []byte {
	if b {
		return yes[:4:4]
	}
	return no[:5:5]
}

// Int is the whole number of a column: of a number or of the digits of a text. Null
// and all else are an error that names the column.
func (f *Fields) Int(i int) (int64, error) {
	v := &f.values[i]
	switch {
	case v.form == asInt:
		return int64(v.bits), nil
	case v.form == asFloat:
		if x := math.Float64frombits(v.bits); x == math.Trunc(x) && x >= -1<<63 && x < 1<<63 {
			return int64(x), nil
		}
	case v.kind == TextField || v.kind == NumberField:
		if n, err := strconv.ParseInt(unsafe.String(unsafe.SliceData(v.text), len(v.text)), 10, 64); err == nil {
			return n, nil
		}
	}
	return 0, f.wrong(i, "a whole number of 64 bits")
}

// Float is the number of a column: of a number or of the digits of a text. Null and
// all else are an error that names the column.
func (f *Fields) Float(i int) (float64, error) {
	v := &f.values[i]
	switch {
	case v.form == asInt:
		return float64(int64(v.bits)), nil
	case v.form == asFloat:
		return math.Float64frombits(v.bits), nil
	case v.kind == TextField || v.kind == NumberField:
		if x, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(v.text), len(v.text)), 64); err == nil {
			return x, nil
		}
	}
	return 0, f.wrong(i, "a number")
}

// wrong is the error of a column that does not hold what.
func (f *Fields) wrong(i int, what string) error {
	if f.Null(i) {
		return fmt.Errorf("column %q is null, not %s", f.names[i], what)
	}
	text := f.Text(i)
	return fmt.Errorf("column %q is %.100q, not %s", f.names[i], text, what)
}

// Reset makes all columns null.
func (f *Fields) Reset() {
	clear(f.values)
	f.made = f.made[:0]
}

// Clear removes all columns.
func (f *Fields) Clear() {
	f.Reset()
	f.names, f.values = f.names[:0], f.values[:0]
}

// Add adds a column that is null, and returns its index.
func (f *Fields) Add(name string) int {
	f.names, f.values = append(f.names, name), append(f.values, field{})
	return len(f.names) - 1
}

// SetNull makes a column null.
func (f *Fields) SetNull(i int) { f.values[i] = field{} }

// SetText gives a column a text, which is not copied.
func (f *Fields) SetText(i int, text []byte) { f.values[i] = field{kind: TextField, text: text} }

// SetNumber gives a column a number as JSON writes it. It is not copied.
func (f *Fields) SetNumber(i int, text []byte) { f.values[i] = field{kind: NumberField, text: text} }

// SetInt gives a column a number.
func (f *Fields) SetInt(i int, n int64) {
	f.values[i] = field{kind: NumberField, form: asInt, bits: uint64(n)}
}

// SetFloat gives a column a number.
func (f *Fields) SetFloat(i int, x float64) {
	f.values[i] = field{kind: NumberField, form: asFloat, bits: math.Float64bits(x)}
}

// SetBool gives a column true or false.
func (f *Fields) SetBool(i int, b bool) {
	f.values[i] = field{kind: BoolField}
	if b {
		f.values[i].bits = 1
	}
}

// SetNested gives a column a list or an object as JSON. It is not copied.
func (f *Fields) SetNested(i int, json []byte) {
	f.values[i] = field{kind: NestedField, text: json}
}

// AppendJSON appends the row to b as a JSON object, a member for each column. What
// is no UTF-8 becomes U+FFFD, and a number that JSON does not have null.
func (f *Fields) AppendJSON(b []byte) []byte {
	b = append(b, '{')
	for i := range f.values {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(AppendJSONText(b, f.names[i]), ':')
		switch v := &f.values[i]; {
		case v.kind == NullField, v.form == asFloat && notJSON(v.bits):
			b = append(b, "null"...)
		case v.kind == TextField:
			b = AppendJSONText(b, v.text)
		default:
			b = v.append(b)
		}
	}
	return append(b, '}')
}

// AppendTSV appends the texts of the columns to b, with tabs between them, as
// [AppendTSVText] writes them. A null is empty.
func (f *Fields) AppendTSV(b []byte) []byte {
	for i := range f.values {
		if i > 0 {
			b = append(b, '\t')
		}
		v := &f.values[i]
		if v.form != asText || v.kind == BoolField {
			b = v.append(b)
			continue
		}
		b = AppendTSVText(b, v.text)
	}
	return b
}

// AppendTSVText appends a text to b so that it is one field of one line: a tab in it
// becomes \t, a line feed \n, a carriage return \r and a backslash \\.
func AppendTSVText(b, text []byte) []byte {
	from := 0
	for i, c := range text {
		if c > '\r' && c != '\\' {
			continue // nearly all
		}
		e := byte(0)
		switch c {
		case '\t':
			e = 't'
		case '\n':
			e = 'n'
		case '\r':
			e = 'r'
		case '\\':
			e = '\\'
		default:
			continue
		}
		b = append(append(b, text[from:i]...), '\\', e)
		from = i + 1
	}
	return append(b, text[from:]...)
}

func notJSON(bits uint64) bool {
	x := math.Float64frombits(bits)
	return math.IsNaN(x) || math.IsInf(x, 0)
}

// append appends the text of the value to b. Numbers are written as [AppendFloat] does.
func (v *field) append(b []byte) []byte {
	switch {
	case v.kind == BoolField:
		return append(b, strconvBool(v.bits != 0)...)
	case v.form == asInt:
		return strconv.AppendInt(b, int64(v.bits), 10)
	case v.form == asText:
		return append(b, v.text...)
	}
	return AppendFloat(b, math.Float64frombits(v.bits), 64)
}

// AppendFloat appends x, a number of 32 or 64 bits, to b as encoding/json does: the
// shortest text that is read as x again. What JSON does not have is NaN, Infinity and
// -Infinity.
func AppendFloat(b []byte, x float64, bits int) []byte {
	switch {
	case math.IsNaN(x):
		return append(b, "NaN"...)
	case math.IsInf(x, 1):
		return append(b, "Infinity"...)
	case math.IsInf(x, -1):
		return append(b, "-Infinity"...)
	}
	format := byte('f')
	if abs := math.Abs(x); abs != 0 && (bits == 64 && (abs < 1e-6 || abs >= 1e21) || bits == 32 && (float32(abs) < 1e-6 || float32(abs) >= 1e21)) {
		format = 'e'
	}
	b = strconv.AppendFloat(b, x, format, -1, bits)
	if n := len(b); format == 'e' && n >= 4 && b[n-4] == 'e' && b[n-3] == '-' && b[n-2] == '0' {
		b[n-2] = b[n-1] // e-09 is e-9
		b = b[:n-1]
	}
	return b
}

const hexDigits = "0123456789abcdef"

// AppendJSONText appends s to b as a string of JSON, as encoding/json does without
// escapes for HTML. What is no UTF-8 becomes U+FFFD.
func AppendJSONText[T string | []byte](b []byte, s T) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			b = append(b, s[from:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, '\\', 'n')
			case '\r':
				b = append(b, '\\', 'r')
			case '\t':
				b = append(b, '\\', 't')
			case '\b':
				b = append(b, '\\', 'b')
			case '\f':
				b = append(b, '\\', 'f')
			default:
				b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			from = i
			continue
		}
		r, n := utf8.DecodeRuneInString(string(s[i:min(len(s), i+utf8.UTFMax)]))
		switch {
		case r == utf8.RuneError && n == 1:
			b = append(append(b, s[from:i]...), `\ufffd`...)
		case r == '\u2028' || r == '\u2029':
			b = append(append(b, s[from:i]...), '\\', 'u', '2', '0', '2', hexDigits[r&15])
		default:
			i += n
			continue
		}
		i += n
		from = i
	}
	return append(append(b, s[from:]...), '"')
}
