package parquet

import (
	"encoding/binary"
	"math"
	"math/big"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/mraws/mraws/mr"
)

// kind says what a value becomes.
type kind int

const (
	asText kind = iota
	asBool
	asInt
	asUint
	asFloat32
	asFloat64
	asFloat16
	asDecimal
	asDate
	asTime
	asTimestamp
	asInt96
	asUUID
)

// form is how the values of a column are written.
type form struct {
	kind  kind
	scale int           // of a decimal
	unit  time.Duration // of times
	utc   bool          // a timestamp is one of UTC, and says so
}

// formOf is the form of a column that has values.
func formOf(c *parquet.Column) form {
	t := c.Type()
	if logical := t.LogicalType(); logical != nil {
		switch l := logical.Value.(type) {
		case *format.DecimalType:
			return form{kind: asDecimal, scale: int(l.Scale)}
		case *format.DateType:
			return form{kind: asDate}
		case *format.TimeType:
			return form{kind: asTime, unit: l.Unit.Value.Duration()}
		case *format.TimestampType:
			return form{kind: asTimestamp, unit: l.Unit.Value.Duration(), utc: l.IsAdjustedToUTC}
		case *format.IntType:
			if !l.IsSigned {
				return form{kind: asUint}
			}
		case *format.UUIDType:
			return form{kind: asUUID}
		case *format.Float16Type:
			return form{kind: asFloat16}
		}
	}
	switch t.Kind() {
	case parquet.Boolean:
		return form{kind: asBool}
	case parquet.Int32, parquet.Int64:
		return form{kind: asInt}
	case parquet.Int96:
		return form{kind: asInt96}
	case parquet.Float:
		return form{kind: asFloat32}
	case parquet.Double:
		return form{kind: asFloat64}
	}
	return form{}
}

// isText tells whether a value is text rather than a number or true or false.
func (f form) isText() bool {
	switch f.kind {
	case asText, asDate, asTime, asTimestamp, asInt96, asUUID:
		return true
	}
	return false
}

// integer is the number in 32 or 64 bits.
func integer(v parquet.Value) int64 {
	if v.Kind() == parquet.Int32 {
		return int64(v.Int32())
	}
	return v.Int64()
}

// set puts a value into a column of a row. What has to be written down for that is
// appended to text. A number is set as one if the application reads it.
func (f form) set(row *mr.Fields, i int, v parquet.Value, text []byte, read bool) []byte {
	if v.IsNull() {
		row.SetNull(i)
		return text
	}
	switch f.kind {
	case asText:
		row.SetText(i, v.ByteArray())
		return text
	case asBool:
		row.SetBool(i, v.Boolean())
		return text
	case asInt:
		row.SetInt(i, integer(v))
		return text
	case asFloat64:
		row.SetFloat(i, v.Double())
		return text
	case asFloat16:
		row.SetFloat(i, float16(v.ByteArray()))
		return text
	case asFloat32:
		if x := float64(v.Float()); read || math.IsNaN(x) || math.IsInf(x, 0) {
			row.SetFloat(i, x)
			return text
		}
	}
	from := len(text)
	text = f.append(text, v)
	if made := text[from:len(text):len(text)]; f.isText() {
		row.SetText(i, made)
	} else {
		row.SetNumber(i, made)
	}
	return text
}

// append appends a value that is not null as text.
func (f form) append(b []byte, v parquet.Value) []byte {
	switch f.kind {
	case asBool:
		return strconv.AppendBool(b, v.Boolean())
	case asInt:
		return strconv.AppendInt(b, integer(v), 10)
	case asUint:
		if v.Kind() == parquet.Int32 {
			return strconv.AppendUint(b, uint64(v.Uint32()), 10)
		}
		return strconv.AppendUint(b, v.Uint64(), 10)
	case asFloat32:
		return mr.AppendFloat(b, float64(v.Float()), 32)
	case asFloat64:
		return mr.AppendFloat(b, v.Double(), 64)
	case asFloat16:
		return mr.AppendFloat(b, float16(v.ByteArray()), 32)
	case asDecimal:
		return appendDecimal(b, v, f.scale)
	case asDate:
		return time.Unix(int64(v.Int32())*86400, 0).UTC().AppendFormat(b, time.DateOnly)
	case asTime:
		return time.Unix(0, integer(v)*int64(f.unit)).UTC().AppendFormat(b, "15:04:05.999999999")
	case asTimestamp:
		n, per := integer(v), int64(time.Second/f.unit)
		b = time.Unix(n/per, n%per*int64(f.unit)).UTC().AppendFormat(b, "2006-01-02T15:04:05.999999999")
		if f.utc {
			b = append(b, 'Z')
		}
		return b
	case asInt96:
		n := v.Int96()
		const julian = 2440588 // the day 1970-01-01
		nanos := int64(n[1])<<32 | int64(n[0])
		return time.Unix((int64(n[2])-julian)*86400, nanos).UTC().AppendFormat(b, "2006-01-02T15:04:05.999999999")
	case asUUID:
		const digits = "0123456789abcdef"
		for i, c := range v.ByteArray() {
			if i == 4 || i == 6 || i == 8 || i == 10 {
				b = append(b, '-')
			}
			b = append(b, digits[c>>4], digits[c&15])
		}
		return b
	}
	return append(b, v.ByteArray()...)
}

// appendJSON appends a value as JSON.
func (f form) appendJSON(b []byte, v parquet.Value) []byte {
	switch {
	case v.IsNull():
		return append(b, "null"...)
	case f.kind == asText:
		return mr.AppendJSONText(b, v.ByteArray())
	case f.isText():
		return append(f.append(append(b, '"'), v), '"')
	}
	from := len(b)
	if b = f.append(b, v); b[from] == 'N' || b[from] == 'I' || len(b) > from+1 && b[from+1] == 'I' {
		b = append(b[:from], "null"...) // JSON has no NaN and no Infinity
	}
	return b
}

// float16 reads a number of 16 bits by IEEE 754.
func float16(b []byte) float64 {
	n := binary.LittleEndian.Uint16(b)
	exp, frac := int(n>>10&31), float64(n&1023)
	x := math.Ldexp(frac, -24)
	switch exp {
	case 0:
	case 31:
		if x = math.Inf(1); frac != 0 {
			return math.NaN()
		}
	default:
		x = math.Ldexp(1024+frac, exp-25)
	}
	if n>>15 != 0 {
		x = -x
	}
	return x
}

// appendDecimal writes a number with so many digits behind its point.
func appendDecimal(b []byte, v parquet.Value, scale int) []byte {
	var digits []byte
	negative := false
	var small int64
	switch v.Kind() {
	case parquet.Int32, parquet.Int64:
		small = integer(v)
	default:
		bytes := v.ByteArray()
		if len(bytes) > 8 {
			n := new(big.Int).SetBytes(bytes)
			if bytes[0] >= 0x80 {
				n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(bytes))))
			}
			negative = n.Sign() < 0
			digits = n.Abs(n).Append(nil, 10)
			break
		}
		for i, c := range bytes {
			if i == 0 {
				small = int64(int8(c))
			} else {
				small = small<<8 | int64(c)
			}
		}
	}
	var room [40]byte
	if digits == nil {
		negative = small < 0
		magnitude := uint64(small)
		if negative {
			magnitude = -magnitude
		}
		digits = strconv.AppendUint(room[:0], magnitude, 10)
	}
	if negative {
		b = append(b, '-')
	}
	if scale <= 0 {
		return append(b, digits...)
	}
	if whole := len(digits) - scale; whole > 0 {
		b, digits = append(b, digits[:whole]...), digits[whole:]
	} else {
		b = append(b, '0')
	}
	b = append(b, '.')
	for range scale - len(digits) {
		b = append(b, '0')
	}
	return append(b, digits...)
}
