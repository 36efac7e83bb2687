package verify

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/mraws/mraws/internal/manifest"
)

// A job of executables may name an order of keys (manifest.Exec.Sort). Its segments
// then have keys that begin with codes, one for each field of the order, whose bytes
// are in that order, and end with the key that the mapper wrote (order.go of package
// execrunner). The verifier makes no codes. It finds the keys behind them, compares
// neighbours as sort(1) would, and asks the same of the bytes of the whole.

// keyOrder is such an order; nil is the order of the bytes.
type keyOrder struct {
	fields    manifest.SortFields
	separator string
}

func newKeyOrder(e *manifest.Exec) *keyOrder {
	if e.Sort == "" {
		return nil
	}
	return &keyOrder{e.SortFields(), e.SeparatorInKey()}
}

// key is what stands behind the codes; false if they are none.
func (o *keyOrder) key(internal []byte) (key []byte, ok bool) {
	if o == nil {
		return internal, true
	}
	at := 0
	for _, f := range o.fields {
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
			return nil, false
		}
		switch kind {
		case 0x00, 0x80:
		case 0x01:
			for c, ok := next(); ; c, ok = next() {
				if !ok {
					return nil, false
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
				return nil, false
			}
			at += int(length)
			for c, ok := next(); c != 0 || !ok; c, ok = next() {
				if !ok {
					return nil, false
				}
			}
		default:
			return nil, false
		}
	}
	return internal[at:], true
}

// show is the key for people.
func (o *keyOrder) show(internal []byte) string {
	if key, ok := o.key(internal); ok {
		return quote(key)
	}
	return quote(internal)
}

// disorder says why a key may not follow the one before it; "" if it may.
func (o *keyOrder) disorder(before, key []byte) string {
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
	return ""
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
func partitionFields(e *manifest.Exec, key []byte) []byte {
	if e.PartitionFields == 0 {
		return key
	}
	fields := bytes.Split(key, []byte(e.SeparatorInKey()))
	from := min(max(e.PartitionFrom-1, 0), len(fields))
	fields = fields[from:min(max(e.PartitionFields, from), len(fields))]
	return bytes.Join(fields, []byte(e.SeparatorInKey()))
}
