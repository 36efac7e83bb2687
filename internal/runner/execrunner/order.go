package execrunner

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/internal/runner"
	"github.com/mraws/mraws/mr"
)

// The engine orders keys by their bytes. Where a job names another order, the key
// that the engine gets is an internal one: for each field of the order a code whose
// bytes are in that order, and then the key as the mapper wrote it. No code is the
// beginning of another one, so that what follows a code decides only between equal
// ones, and so that the key behind them is found without a length.
//
//	missing := 00                                 the key ends before the field
//	text    := 01 byte* 00 01                     00 in a byte is 00 ff
//	number  := 80                                 zero, or no number
//	        |  c0 length digit* decimal* 00       length and digits before the point
//	        |  40 (the same, complemented)        a negative number
//	length  := 00..fe | ff and 4 bytes, big-endian
//
// All of a code is complemented where the order is reversed.
const (
	codeMissing  = 0x00
	codeText     = 0x01
	codeNegative = 0x40
	codeZero     = 0x80
	codePositive = 0xc0
)

// order makes internal keys. Its buffer is for one goroutine; key may be called by
// any number of them.
type order struct {
	fields    manifest.SortFields
	separator []byte
	buf       []byte
}

// newOrder returns nil for keys that are ordered by their bytes.
func newOrder(e *manifest.Exec) *order {
	fields := e.SortFields()
	if fields == nil {
		return nil
	}
	return &order{fields: fields, separator: []byte(e.SeparatorInKey())}
}

// encode makes the internal key of a key. It is valid until the next call.
func (o *order) encode(key []byte) []byte {
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
	o.buf = append(b, key...)
	return o.buf
}

// key is the key in an internal one; false if that is none.
func (o *order) key(internal []byte) (key []byte, ok bool) {
	if o == nil {
		return internal, true
	}
	rest := internal
	for _, f := range o.fields {
		n := codeLength(rest, f)
		if n < 0 {
			return nil, false
		}
		rest = rest[n:]
	}
	return rest, true
}

// plain is the key in an internal one, or the internal one itself if that is none.
func (o *order) plain(internal []byte) []byte {
	if key, ok := o.key(internal); ok {
		return key
	}
	return internal
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

// badKeyError says that a key is none that this runner makes.
type badKeyError struct{ key []byte }

func (e *badKeyError) Error() string {
	return fmt.Sprintf("key %q is not in the order that the job names", short(string(e.key)))
}

// ordered gives back the keys of the mapper.
type ordered struct {
	runner.Groups
	order *order
	key   []byte
	err   error
}

// keysOf are groups with the keys of the mapper.
func (r *execRunner) keysOf(in runner.Groups) runner.Groups {
	o := newOrder(r.exec)
	if o == nil {
		return in
	}
	return &ordered{Groups: in, order: o}
}

func (g *ordered) Next() bool {
	if g.err != nil || !g.Groups.Next() {
		return false
	}
	var ok bool
	if g.key, ok = g.order.key(g.Groups.Key()); !ok {
		g.err = &badKeyError{g.Groups.Key()}
	}
	return ok
}

func (g *ordered) Key() []byte { return g.key }

func (g *ordered) Err() error { return firstOf(g.Groups.Err(), g.err) }

// orderedSource gives back the keys of the mapper from pairs that were just sorted.
type orderedSource struct {
	recordio.Source
	order *order
}

func (s orderedSource) Key() []byte { return s.order.plain(s.Source.Key()) }

// partition is the partitioner of keys, nil for that of the engine.
func (r *execRunner) partition() func(key []byte, n int) int {
	if r.exec.Reducer == "" {
		return func(key []byte, n int) int { return partitionOfTask(key, len(r.job.Tasks), n) }
	}
	from, to, separator, o := max(r.exec.PartitionFrom, 1), r.exec.PartitionFields, []byte(r.exec.SeparatorInKey()), newOrder(r.exec)
	if to == 0 && o == nil {
		return nil
	}
	return func(internal []byte, n int) int {
		key, ok := o.key(internal)
		if !ok {
			return -1
		}
		if to > 0 {
			key, _ = partOf(key, separator, manifest.SortField{Field: from, Char: 1, EndField: to})
		}
		return mr.Partition(key, n)
	}
}
