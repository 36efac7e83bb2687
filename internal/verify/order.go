package verify

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/mraws/mraws/internal/manifest"
)

// A job may name an order of keys, and of values (manifest.Order). Its segments then
// have keys that begin with codes, one for each field of the order, whose bytes are in
// that order, and end with the key of the mapper, or with a code of it and one of the
// value (package keyorder). The verifier finds the keys behind the codes by itself,
// compares neighbours as sort(1) would, and asks the same of the bytes of the whole.
// Only the reference makes codes, by that package: they put what it emits into
// partitions, and their order has been looked at by then.

// keyOrder is such an order; nil is the order of the bytes.
type keyOrder struct {
	fields    manifest.SortFields
	separator string
	values    string // [manifest.ByInput] is none
}

func newKeyOrder(o manifest.KeyOrder) *keyOrder {
	if o.Fields == nil && o.Values == manifest.ByInput {
		return nil
	}
	return &keyOrder{o.Fields, o.Separator, o.Values}
}

// key is the key of the mapper; false if there is none.
func (o *keyOrder) key(internal []byte) (key []byte, ok bool) {
	if o == nil {
		return internal, true
	}
	at, ok := o.behind(internal, o.fields)
	if !ok || o.values == manifest.ByInput {
		return internal[at:], ok
	}
	for rest := internal[at:]; len(rest) > 0 && rest[0] == 1; {
		part, more, found := bytes.Cut(rest[1:], []byte{0})
		if key = append(key, part...); !found || len(more) == 0 {
			return nil, false
		}
		switch more[0] {
		case 0x01:
			return key, true
		case 0xff:
			key, rest = append(key, 0), append([]byte{1}, more[1:]...)
		default:
			return nil, false
		}
	}
	return nil, false
}

// behind returns where in an internal key the codes of the fields end.
func (o *keyOrder) behind(internal []byte, fields manifest.SortFields) (at int, ok bool) {
	for _, f := range fields {
		flip := byte(0)
		if f.Reverse {
			flip = 0xff
		}
		// next reads a byte; false behind the last.
		next := func() (byte, bool) {
			if at >= len(internal) {
				return 0, false
			}
			at++
			return internal[at-1] ^ flip, true
		}
		kind, ok := next()
		if !ok {
			return 0, false
		}
		switch kind {
		case 0x00, 0x80:
		case 0x01:
			for c, ok := next(); ; c, ok = next() {
				if !ok {
					return 0, false
				}
				if c == 0 {
					if c, _ = next(); c == 0x01 {
						break
					}
				}
			}
		case 0x40, 0xc0:
			if kind == 0x40 {
				flip = ^flip
			}
			c, _ := next()
			length := int64(c)
			if c == 0xff {
				length = 0
				for range 4 {
					c, _ = next()
					length = length<<8 | int64(c)
				}
			}
			if length > int64(len(internal)-at) {
				return 0, false
			}
			at += int(length)
			for c, ok := next(); c != 0 || !ok; c, ok = next() {
				if !ok {
					return 0, false
				}
			}
		default:
			return 0, false
		}
	}
	return at, true
}

// show is the key for people.
func (o *keyOrder) show(internal []byte) string {
	if key, ok := o.key(internal); ok {
		return quote(key)
	}
	return quote(internal)
}

// same tells whether two internal keys are of one key of the mapper.
func (o *keyOrder) same(a, b []byte) bool {
	if o == nil || o.values == manifest.ByInput {
		return bytes.Equal(a, b)
	}
	x, okX := o.key(a)
	y, okY := o.key(b)
	return okX && okY && bytes.Equal(x, y)
}

// disorder says why a pair may not follow the one before it; "" if it may.
func (o *keyOrder) disorder(before, valueBefore, key, value []byte) string {
	a, ok := o.key(before)
	if !ok {
		return fmt.Sprintf("key %s is not in the order that the job names", quote(before))
	}
	b, ok := o.key(key)
	if !ok {
		return fmt.Sprintf("key %s is not in the order that the job names", quote(key))
	}
	after := bytes.Compare(before, key) > 0
	if o != nil && !after {
		after = o.compare(string(a), string(b)) > 0
	}
	if after {
		return fmt.Sprintf("key %s comes after key %s", quote(b), quote(a))
	}
	if o != nil && o.values != manifest.ByInput && bytes.Equal(a, b) && o.compareValues(string(valueBefore), string(value)) > 0 {
		return fmt.Sprintf("value %s of key %s comes after value %s", quote(value), quote(b), quote(valueBefore))
	}
	return ""
}

// compareValues compares two values of a key.
func (o *keyOrder) compareValues(a, b string) int {
	switch o.values {
	case manifest.ByBytes:
		return strings.Compare(a, b)
	case manifest.ByBytes + manifest.Reversed:
		return strings.Compare(b, a)
	case manifest.ByNumber:
		return compareNumbers(a, b)
	}
	return compareNumbers(b, a)
}

// compare compares two keys by each field in turn, and then by their bytes.
func (o *keyOrder) compare(a, b string) int {
	for _, f := range o.fields {
		x, hasX := o.part(a, f)
		y, hasY := o.part(b, f)
		c := 0
		switch {
		case !hasX && !hasY:
		case !hasX:
			c = -1
		case !hasY:
			c = 1
		case f.Numeric:
			c = compareNumbers(x, y)
		default:
			c = strings.Compare(x, y)
		}
		if f.Reverse {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return strings.Compare(a, b)
}

// part is what a field names of a key; false if the key ends before that.
func (o *keyOrder) part(key string, f manifest.SortField) (string, bool) {
	fields := strings.SplitAfter(key, o.separator)
	start := func(n int) int { return len(strings.Join(fields[:n-1], "")) }
	if f.Field > len(fields) || start(f.Field)+f.Char > len(key) {
		return "", false
	}
	end := len(key)
	if f.EndField > 0 && f.EndField <= len(fields) {
		end = min(end, start(f.EndField)+f.EndChar)
		if f.EndChar == 0 {
			end = start(f.EndField) + len(strings.TrimSuffix(fields[f.EndField-1], o.separator))
		}
	}
	from := start(f.Field) + f.Char - 1
	return key[from:max(from, end)], true
}

// compareNumbers compares the numbers that two texts begin with.
func compareNumbers(a, b string) int {
	x, y := readNumber(a), readNumber(b)
	if x.negative != y.negative {
		if x.negative {
			return -1
		}
		return 1
	}
	c := len(x.whole) - len(y.whole)
	if c == 0 {
		c = strings.Compare(x.whole+"."+x.decimals, y.whole+"."+y.decimals)
	}
	if x.negative {
		return -c
	}
	return c
}

// number is a number of any length. Zero is not negative.
type number struct {
	negative        bool
	whole, decimals string // without zeros at the outer end
}

func readNumber(s string) (n number) {
	s = strings.TrimLeft(s, " \t")
	s, n.negative = strings.CutPrefix(s, "-")
	notDigit := func(c rune) bool { return c < '0' || c > '9' }
	end := strings.IndexFunc(s, notDigit)
	if end < 0 {
		end = len(s)
	}
	n.whole = strings.TrimLeft(s[:end], "0")
	if rest, ok := strings.CutPrefix(s[end:], "."); ok {
		if end = strings.IndexFunc(rest, notDigit); end < 0 {
			end = len(rest)
		}
		n.decimals = strings.TrimRight(rest[:end], "0")
	}
	n.negative = n.negative && n.whole+n.decimals != ""
	return n
}

// partitionFields is the part of a key that decides its partition.
func partitionFields(o manifest.KeyOrder, key []byte) []byte {
	fields := bytes.Split(key, []byte(o.Separator))
	from := min(max(o.From-1, 0), len(fields))
	fields = fields[from:min(max(o.To, from), len(fields))]
	return bytes.Join(fields, []byte(o.Separator))
}
