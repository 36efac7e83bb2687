// Package keyorder makes keys whose bytes are in the order that a job names.
//
// The engine orders keys by their bytes. Where a job names another order of keys, or
// one of values, the key of a pair that the engine gets is an internal one: for each
// field of the order a code whose bytes are in that order, and then the key as the
// mapper emitted it. Where values have an order, the key behind the codes is a code
// too, and the code of the value follows. No code is the beginning of another one, so
// that what follows a code decides only between equal ones, and so that what is behind
// it is found without a length.
//
//	missing := 00                                 the key ends before the field
//	text    := 01 byte* 00 01                     00 in a byte is 00 ff
//	number  := 80                                 zero, or no number
//	        |  c0 length digit* decimal* 00       length and digits before the point
//	        |  40 (the same, complemented)        a negative number
//	length  := 00..fe | ff and 4 bytes, big-endian
//
// All of a code is complemented where the order is reversed. The code of a value that
// is ordered by its bytes is a text, or if it is not reversed the bytes alone, since
// nothing follows it.
package keyorder

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/mr"
)

const (
	codeMissing  = 0x00
	codeText     = 0x01
	codeNegative = 0x40
	codeZero     = 0x80
	codePositive = 0xc0
)

// Order makes internal keys, and finds in them what they are made of; nil is the order
// of bytes, in which the internal key is the key. The buffer of Encode is for one
// goroutine; the other methods may be called by any number of them.
type Order struct {
	fields    manifest.SortFields
	separator []byte
	values    string // [manifest.ByInput] is none
	buf       []byte
}

// New returns nil for keys that are ordered by their bytes, and values by input.
func New(o manifest.KeyOrder) *Order {
	if o.Fields == nil && o.Values == manifest.ByInput {
		return nil
	}
	return &Order{fields: o.Fields, separator: []byte(o.Separator), values: o.Values}
}

// Encode makes the internal key of a pair. It is valid until the next call.
func (o *Order) Encode(key, value []byte) []byte {
	if o == nil {
		return key
	}
	b := o.buf[:0]
	for _, f := range o.fields {
		from := len(b)
		part, ok := partOf(key, o.separator, f)
		switch {
		case !ok:
			b = append(b, codeMissing)
		case f.Numeric:
			b = appendNumber(b, part)
		default:
			b = appendText(b, part)
		}
		if f.Reverse {
			complement(b[from:])
		}
	}
	if o.values == manifest.ByInput {
		o.buf = append(b, key...)
		return o.buf
	}
	o.buf = o.appendValue(appendText(b, key), value)
	return o.buf
}

// appendValue appends the code of a value.
func (o *Order) appendValue(b, value []byte) []byte {
	from := len(b)
	of, reversed := strings.CutSuffix(o.values, manifest.Reversed)
	switch {
	case of == manifest.ByNumber:
		b = appendNumber(b, value)
	case reversed:
		b = appendText(b, value)
	default:
		return append(b, value...)
	}
	if reversed {
		complement(b[from:])
	}
	return b
}

// Key is the key in an internal one; false if that is none.
func (o *Order) Key(internal []byte) (key []byte, ok bool) {
	at, end, ok := o.find(internal)
	switch {
	case !ok:
		return nil, false
	case o == nil || o.values == manifest.ByInput:
		return internal[at:], true
	}
	key = internal[at+1 : end-2]
	if bytes.IndexByte(key, 0) >= 0 {
		key = bytes.ReplaceAll(key, []byte{0, 0xff}, []byte{0})
	}
	return key, true
}

// Head is the beginning of an internal key that all pairs of its key have, and no
// pair of another one; an internal key that is none is its own.
func (o *Order) Head(internal []byte) []byte {
	if o == nil || o.values == manifest.ByInput {
		return internal
	}
	_, end, ok := o.find(internal)
	if !ok {
		return internal
	}
	return internal[:end]
}

// find returns where in an internal key the key, or its code, begins and ends.
func (o *Order) find(internal []byte) (at, end int, ok bool) {
	if o == nil {
		return 0, len(internal), true
	}
	for _, f := range o.fields {
		n := codeLength(internal[at:], f)
		if n < 0 {
			return 0, 0, false
		}
		at += n
	}
	if o.values == manifest.ByInput {
		return at, len(internal), true
	}
	n := codeLength(internal[at:], manifest.SortField{})
	if n < 3 { // a text is not missing
		return 0, 0, false
	}
	return at, at + n, true
}

// Plain is the key in an internal one, or the internal one itself if that is none.
func (o *Order) Plain(internal []byte) []byte {
	if key, ok := o.Key(internal); ok {
		return key
	}
	return internal
}

// ByFields is the partitioner of keys by a range of their fields.
func ByFields(o manifest.KeyOrder) func(key []byte, n int) int {
	separator, f := []byte(o.Separator), manifest.SortField{Field: o.From, Char: 1, EndField: o.To}
	return func(key []byte, n int) int {
		part, _ := partOf(key, separator, f)
		return mr.Partition(part, n)
	}
}

// Partition makes of a partitioner of keys one of internal keys, which returns -1 for
// what is none.
func (o *Order) Partition(f func(key []byte, n int) int) func(internal []byte, n int) int {
	if o == nil {
		return f
	}
	return func(internal []byte, n int) int {
		key, ok := o.Key(internal)
		if !ok {
			return -1
		}
		return f(key, n)
	}
}

// BadKeyError says that a key is none that an order makes.
type BadKeyError struct{ Key []byte }

// Error shows at most 64 bytes of the key.
func (e *BadKeyError) Error() string {
	return fmt.Sprintf("key %.64q is not in the order that the job names", e.Key)
}

// partOf is the part of a key that f names; false if the key ends before it.
func partOf(key, separator []byte, f manifest.SortField) (part []byte, ok bool) {
	at, ok := fieldAt(key, separator, f.Field)
	from := at + f.Char - 1
	if !ok || from >= len(key) {
		return nil, false
	}
	to := len(key)
	if f.EndField > 0 {
		if at, ok := fieldAt(key, separator, f.EndField); ok {
			to = min(at+f.EndChar, len(key))
			if f.EndChar == 0 {
				if i := bytes.Index(key[at:], separator); i >= 0 {
					to = at + i
				} else {
					to = len(key)
				}
			}
		}
	}
	return key[from:max(from, to)], true
}

// fieldAt is where field n begins, from 1; false if there are fewer.
func fieldAt(key, separator []byte, n int) (at int, ok bool) {
	for ; n > 1; n-- {
		i := bytes.Index(key[at:], separator)
		if i < 0 {
			return 0, false
		}
		at += i + len(separator)
	}
	return at, true
}

func complement(b []byte) {
	for i := range b {
		b[i] = ^b[i]
	}
}

// appendText appends the code of bytes.
func appendText(b, text []byte) []byte {
	b = append(b, codeText)
	for {
		i := bytes.IndexByte(text, 0)
		if i < 0 {
			return append(append(b, text...), 0, 1)
		}
		b = append(append(b, text[:i]...), 0, 0xff)
		text = text[i+1:]
	}
}

// appendNumber appends the code of the number that text begins with, behind spaces
// and tabs: a minus sign or none, digits, and a point with digits or none. Without
// digits it is zero.
func appendNumber(b, text []byte) []byte {
	text = bytes.TrimLeft(text, " \t")
	text, negative := bytes.CutPrefix(text, []byte{'-'})
	whole := text[:digits(text)]
	var decimals []byte
	if rest := text[len(whole):]; len(rest) > 0 && rest[0] == '.' {
		decimals = rest[1 : 1+digits(rest[1:])]
	}
	whole, decimals = bytes.TrimLeft(whole, "0"), bytes.TrimRight(decimals, "0")
	if len(whole)+len(decimals) == 0 {
		return append(b, codeZero)
	}
	if negative {
		b = append(b, codeNegative)
	} else {
		b = append(b, codePositive)
	}
	from := len(b)
	if n := len(whole); n < math.MaxUint8 {
		b = append(b, byte(n))
	} else {
		b = binary.BigEndian.AppendUint32(append(b, math.MaxUint8), uint32(n))
	}
	b = append(append(append(b, whole...), decimals...), 0)
	if negative {
		complement(b[from:])
	}
	return b
}

// digits is how many digits text begins with.
func digits(text []byte) int {
	n := 0
	for n < len(text) && text[n] >= '0' && text[n] <= '9' {
		n++
	}
	return n
}

// codeLength is the length of the code of f that b begins with; -1 if there is none.
func codeLength(b []byte, f manifest.SortField) int {
	if len(b) == 0 {
		return -1
	}
	mask := byte(0)
	if f.Reverse {
		mask = 0xff
	}
	switch kind := b[0] ^ mask; {
	case kind == codeMissing, kind == codeZero && f.Numeric:
		return 1
	case kind == codeText && !f.Numeric:
		for at := 1; ; at += 2 {
			i := bytes.IndexByte(b[at:], mask)
			if at += i; i < 0 || at+1 >= len(b) {
				return -1
			}
			if b[at+1]^mask == 1 {
				return at + 2
			}
		}
	case kind == codeNegative && f.Numeric:
		return numberLength(b, ^mask)
	case kind == codePositive && f.Numeric:
		return numberLength(b, mask)
	}
	return -1
}

// numberLength is the length of the code of a number, all but the first byte of which
// is masked; -1 if it does not end.
func numberLength(b []byte, mask byte) int {
	if len(b) < 6 && (len(b) < 2 || b[1]^mask == math.MaxUint8) {
		return -1
	}
	at, n := 2, int64(b[1]^mask)
	if n == math.MaxUint8 {
		var length [4]byte
		for i := range length {
			length[i] = b[2+i] ^ mask
		}
		at, n = 6, int64(binary.BigEndian.Uint32(length[:]))
	}
	if n > int64(len(b)-at) {
		return -1
	}
	at += int(n)
	i := bytes.IndexByte(b[at:], mask)
	if i < 0 {
		return -1
	}
	return at + i + 1
}
