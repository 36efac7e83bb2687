package output

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mraws/mraws/mr"
)

// Column is a column of a table.
type Column struct {
	Name string `json:"name"`
	Type Type   `json:"type"`
}

// Type says which values a column has.
type Type string

// The types. A field that is empty is no value (null) of each type but String.
const (
	String Type = "string" // text; of JSON and Parquet it has to be UTF-8
	Int    Type = "int"    // a decimal number of 64 bits with sign
	Float  Type = "float"  // a number of 64 bits by IEEE 754
	Bool   Type = "bool"   // true or false
	JSON   Type = "json"   // any value of JSON
	// Text is text as [mr.AppendTSVText] writes it: \t, \n, \r and \\ in a field are a
	// tab, a line feed, a carriage return and a backslash of the value.
	Text Type = "text"
)

// Types are the names of all types.
func Types() []string {
	return []string{string(String), string(Text), string(Int), string(Float), string(Bool), string(JSON)}
}

// MostColumns is how many columns a table may have.
const MostColumns = 1000

// mostName bounds the name of a column, bytes.
const mostName = 256

// DefaultColumns are those of a job that names none.
func DefaultColumns() []Column { return []Column{{"key", String}, {"value", String}} }

// ParseColumns reads columns as --output-columns has them: names with commas between
// them, each with ":" and its type behind unless that is string.
func ParseColumns(text string) (columns []Column, err error) {
	for part := range strings.SplitSeq(text, ",") {
		name, kind, typed := strings.Cut(part, ":")
		c := Column{name, Type(kind)}
		if !typed {
			c.Type = String
		}
		columns = append(columns, c)
	}
	return columns, CheckColumns(columns)
}

// FormatColumns is the inverse of [ParseColumns].
func FormatColumns(columns []Column) string {
	parts := make([]string, len(columns))
	for i, c := range columns {
		if parts[i] = c.Name; c.Type != String {
			parts[i] += ":" + string(c.Type)
		}
	}
	return strings.Join(parts, ",")
}

// CheckColumns returns an error unless a table may have these columns.
func CheckColumns(columns []Column) error {
	seen := map[string]bool{}
	for i, c := range columns {
		switch {
		case c.Name == "":
			return fmt.Errorf("column %d has no name", i+1)
		case len(c.Name) > mostName || !utf8.ValidString(c.Name) || strings.ContainsAny(c.Name, ",:") || strings.ContainsFunc(c.Name, unicode.IsControl):
			return fmt.Errorf("column %.200q: a name is text of at most %d bytes without comma, colon and control characters", c.Name, mostName)
		case !slices.Contains(Types(), string(c.Type)):
			return fmt.Errorf("column %s has the unknown type %.200q; there are string, text, int, float, bool and json", c.Name, string(c.Type))
		case seen[c.Name]:
			return fmt.Errorf("there are two columns %s", c.Name)
		}
		seen[c.Name] = true
	}
	if len(columns) == 0 || len(columns) > MostColumns {
		return fmt.Errorf("%d columns; a table has 1 to %d", len(columns), MostColumns)
	}
	return nil
}

// unfit is the error of a field that is no value of the column.
func (c Column) unfit(field []byte, why string) error {
	return &UnfitError{What: fmt.Sprintf("column %q takes %s, not", c.Name, why), Data: field}
}

// number is the error of a field that is no number, or none that the type can hold.
func (c Column) number(field []byte, err error, what string) error {
	if errors.Is(err, strconv.ErrRange) {
		what += " of 64 bits"
	}
	return c.unfit(field, what)
}

// Int returns the value of a field of a column of type Int.
func (c Column) Int(field []byte) (int64, error) {
	n, err := strconv.ParseInt(string(field), 10, 64)
	if err != nil {
		return 0, c.number(field, err, "an int")
	}
	return n, nil
}

// Float returns the value of a field of a column of type Float.
func (c Column) Float(field []byte) (float64, error) {
	if bytes.ContainsAny(field, "xX_pP") { // what Go writes otherwise than everybody
		return 0, c.unfit(field, "a float")
	}
	x, err := strconv.ParseFloat(string(field), 64)
	if err != nil {
		return 0, c.number(field, err, "a float")
	}
	return x, nil
}

// Bool returns the value of a field of a column of type Bool.
func (c Column) Bool(field []byte) (bool, error) {
	switch string(field) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, c.unfit(field, "true or false")
}

// AppendJSON appends the value of a field of a column of type JSON to dst, on one
// line and without spaces between its parts.
func (c Column) AppendJSON(dst, field []byte) ([]byte, error) {
	if utf8.Valid(field) {
		b := bytes.NewBuffer(dst)
		if err := json.Compact(b, field); err == nil {
			return b.Bytes(), nil
		}
	}
	return dst, c.unfit(field, "JSON")
}

// Text returns the field of a column of type String as text of UTF-8.
func (c Column) Text(field []byte) ([]byte, error) {
	if !utf8.Valid(field) {
		return nil, c.unfit(field, "UTF-8")
	}
	return field, nil
}

// unescape appends the value of a field of a column of type Text to dst.
func (c Column) unescape(dst, field []byte) ([]byte, error) {
	for rest := field; ; {
		i := bytes.IndexByte(rest, '\\')
		if i < 0 {
			return append(dst, rest...), nil
		}
		at := -1
		if i+1 < len(rest) {
			at = strings.IndexByte(`tnr\`, rest[i+1])
		}
		if at < 0 {
			return dst, c.unfit(field, `text with \t, \n, \r and \\ for what no line can hold`)
		}
		dst = append(append(dst, rest[:i]...), "\t\n\r\\"[at])
		rest = rest[i+2:]
	}
}

// null tells whether a field is no value.
func (c Column) null(field []byte) bool { return len(field) == 0 && c.Type != String }

// appendValue appends a field that is a value of another type than String, in the
// one form that its type has.
func (c Column) appendValue(dst, field []byte) ([]byte, error) {
	switch c.Type {
	case Int:
		n, err := c.Int(field)
		return strconv.AppendInt(dst, n, 10), err
	case Float:
		x, err := c.Float(field)
		return AppendFloat(dst, x), err
	case Bool:
		b, err := c.Bool(field)
		return strconv.AppendBool(dst, b), err
	}
	return c.AppendJSON(dst, field)
}

// AppendFloat appends x as [mr.AppendFloat] does, but nan, inf and -inf as readers of
// CSV know them.
func AppendFloat(dst []byte, x float64) []byte {
	switch {
	case math.IsNaN(x):
		return append(dst, "nan"...)
	case math.IsInf(x, 1):
		return append(dst, "inf"...)
	case math.IsInf(x, -1):
		return append(dst, "-inf"...)
	}
	return mr.AppendFloat(dst, x, 64)
}
