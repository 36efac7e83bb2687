package keyorder

import (
	"bytes"
	"cmp"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/mr"
)

// compareKeys compares keys as sort(1) and Hadoop's KeyFieldBasedComparator do: by
// each field, and at last by their bytes.
func compareKeys(fields manifest.SortFields, separator, a, b string) int {
	for _, f := range fields {
		x, hasX := fieldOf(a, separator, f)
		y, hasY := fieldOf(b, separator, f)
		c := 0
		switch {
		case !hasX || !hasY:
			c = cmp.Compare(fmt.Sprint(hasX), fmt.Sprint(hasY)) // "false" is before "true"
		case f.Numeric:
			c = numberOf(x).Cmp(numberOf(y))
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

// fieldOf is what f names of a key, found byte by byte.
func fieldOf(key, separator string, f manifest.SortField) (string, bool) {
	starts, ends := []int{0}, []int{} // of the fields
	for i := 0; i < len(key); {
		if strings.HasPrefix(key[i:], separator) {
			ends = append(ends, i)
			i += len(separator)
			starts = append(starts, i)
			continue
		}
		i++
	}
	ends = append(ends, len(key))
	if f.Field > len(starts) {
		return "", false
	}
	from, to := starts[f.Field-1]+f.Char-1, len(key)
	if from >= len(key) {
		return "", false
	}
	if f.EndField > 0 && f.EndField <= len(starts) {
		if to = starts[f.EndField-1] + f.EndChar; f.EndChar == 0 {
			to = ends[f.EndField-1]
		}
	}
	to = min(to, len(key))
	if to < from {
		to = from
	}
	return key[from:to], true
}

// numberOf is the number that a text begins with.
func numberOf(s string) *big.Rat {
	text := ""
	for i, c := range strings.TrimLeft(s, " \t") {
		if c == '-' && i == 0 || c >= '0' && c <= '9' || c == '.' && !strings.Contains(text, ".") {
			text += string(c)
			continue
		}
		break
	}
	digits, negative := strings.CutPrefix(text, "-")
	r, ok := new(big.Rat).SetString("0" + strings.TrimSuffix(digits, "."))
	if !ok {
		panic(text)
	}
	if negative {
		r.Neg(r)
	}
	return r
}

// fieldsGenerator draws orders, and keyGenerator keys that meet in them often.
func fieldsGenerator(t *rapid.T) manifest.SortFields {
	var all manifest.SortFields
	for range rapid.IntRange(1, 3).Draw(t, "fields") {
		f := manifest.SortField{Field: rapid.IntRange(1, 3).Draw(t, "field"), Char: rapid.SampledFrom([]int{1, 1, 1, 2, 5}).Draw(t, "char")}
		if rapid.Bool().Draw(t, "ends") {
			f.EndField, f.EndChar = rapid.IntRange(1, 4).Draw(t, "end"), rapid.SampledFrom([]int{0, 0, 0, 1, 3}).Draw(t, "end char")
		}
		f.Numeric, f.Reverse = rapid.Bool().Draw(t, "numeric"), rapid.Bool().Draw(t, "reverse")
		all = append(all, f)
	}
	return all
}

func keyGenerator() *rapid.Generator[string] {
	number := rapid.StringMatching(` {0,1}-?0{0,2}[0-9]{0,4}(\.[0-9]{0,3}0{0,2})?x?`)
	long := rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom([]string{"", "-"}).Draw(t, "sign") + strings.Repeat("7", rapid.IntRange(250, 260).Draw(t, "digits")) + rapid.SampledFrom([]string{"", ".5", "0"}).Draw(t, "rest")
	})
	word := rapid.StringOfN(rapid.SampledFrom([]rune{0, 1, 'a', 'b', 0xff}), 0, 4, -1)
	field := rapid.OneOf(number, number, word, long)
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(field, 0, 4).Draw(t, "key"), "\t")
	})
}

// sorted is an order by options of sort(1); "" is by bytes.
func sorted(options, values string) *Order {
	o := manifest.KeyOrder{Separator: "\t", Values: values}
	if options != "" {
		fields, err := manifest.ParseSortFields(options)
		if err != nil {
			panic(err)
		}
		o.Fields = fields
	}
	return New(o)
}

// TestValues: the bytes of internal keys are in the order of the keys and then of the
// values, equal values have equal ones, and the key is found in each of them.
func TestValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := manifest.KeyOrder{Separator: "\t", Values: rapid.SampledFrom(manifest.ValueOrders()).Draw(t, "values")}
		if rapid.Bool().Draw(t, "fields") {
			o.Fields = fieldsGenerator(t)
		}
		type pair struct{ key, value string }
		draw := rapid.Custom(func(t *rapid.T) pair { return pair{keyGenerator().Draw(t, "key"), keyGenerator().Draw(t, "value")} })
		pairs := rapid.SliceOfN(draw, 2, 6).Draw(t, "pairs")
		for range 3 { // of one key
			pairs = append(pairs, pair{pairs[0].key, keyGenerator().Draw(t, "value")})
		}
		order, internal := New(o), make([][]byte, len(pairs))
		for i, p := range pairs {
			internal[i] = bytes.Clone(order.Encode([]byte(p.key), []byte(p.value)))
			if got, ok := order.Key(internal[i]); !ok || string(got) != p.key {
				t.Fatalf("key %q is %q, %v", p.key, got, ok)
			}
		}
		for i, a := range pairs {
			for j, b := range pairs {
				c := compareKeys(o.Fields, "\t", a.key, b.key)
				if same := bytes.Equal(order.Head(internal[i]), order.Head(internal[j])); same != (c == 0) {
					t.Fatalf("%+v and %+v have the same head: %v", a, b, same)
				}
				if c == 0 {
					c = compareValues(o.Values, a.value, b.value)
				}
				if got := bytes.Compare(internal[i], internal[j]); got != c {
					t.Fatalf("%+v: %+v and %+v compare as %d, want %d", o, a, b, got, c)
				}
			}
		}
	})
}

// compareValues compares as ValueOrders has it: -1, 0 or 1.
func compareValues(order, a, b string) int {
	of, reversed := strings.CutSuffix(order, manifest.Reversed)
	c := strings.Compare(a, b)
	if of == manifest.ByNumber {
		c = numberOf(a).Cmp(numberOf(b))
	}
	if reversed {
		return -c
	}
	return c
}

// TestPartition: a range of fields decides the partition, and an internal key is put
// where its key is.
func TestPartition(t *testing.T) {
	part := ByFields(manifest.KeyOrder{Separator: ",", From: 2, To: 3})
	for key, middle := range map[string]string{"x,1,2,3": "1,2", "x,1,2": "1,2", "y,1": "1", "x": "", "": "", "x,": "", "x,,2,": ",2"} {
		if p := part([]byte(key), 97); p != mr.Partition([]byte(middle), 97) {
			t.Errorf("%q is in partition %d", key, p)
		}
		for _, o := range []*Order{nil, sorted("-k2,2nr", manifest.ByInput), sorted("", manifest.ByBytes)} {
			if p := o.Partition(part)(o.Encode([]byte(key), []byte("v")), 97); p != part([]byte(key), 97) {
				t.Errorf("%v: internal key of %q is in partition %d", o, key, p)
			}
		}
	}
	if p := sorted("-n", manifest.ByInput).Partition(part)([]byte("?"), 97); p != -1 {
		t.Errorf("what is no key is in partition %d", p)
	}
}

// TestOrder: the bytes of internal keys are in the order of the fields, and the key is
// found in each of them.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fields := fieldsGenerator(t)
		o := New(manifest.KeyOrder{Fields: fields, Separator: "\t", Values: manifest.ByInput})
		keys := rapid.SliceOfN(keyGenerator(), 2, 6).Draw(t, "keys")
		internal := make([][]byte, len(keys))
		for i, k := range keys {
			internal[i] = bytes.Clone(o.Encode([]byte(k), nil))
			if got, ok := o.Key(internal[i]); !ok || string(got) != k {
				t.Fatalf("key %q is %q, %v", k, got, ok)
			}
		}
		for i := range keys {
			for j := range keys {
				want, got := compareKeys(fields, "\t", keys[i], keys[j]), bytes.Compare(internal[i], internal[j])
				if cmp.Compare(got, 0) != cmp.Compare(want, 0) {
					t.Fatalf("%v: %q and %q compare as %d, want %d", fields, keys[i], keys[j], got, want)
				}
			}
		}
	})
}

// FuzzOrderKey: any bytes are an internal key or are not, and what is found in one is
// its end.
func FuzzOrderKey(f *testing.F) {
	o := sorted("-k1,1n -k2,2nr -k1,1 -k2,2r", manifest.ByInput)
	f.Add(o.Encode([]byte("12\t-3.5"), nil))
	f.Add(o.Encode([]byte("\x00"), nil))
	f.Add([]byte{0xc0, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		key, ok := o.Key(b)
		if ok && !bytes.HasSuffix(b, key) {
			t.Errorf("%q is not the end of %q", key, b)
		}
		if !ok && !bytes.Equal(o.Plain(b), b) {
			t.Errorf("%q for people is %q", b, o.Plain(b))
		}
	})
}

// BenchmarkOrder makes the internal key of a key of two fields.
func BenchmarkOrder(b *testing.B) {
	o := sorted("-k2,2nr -k1,1", manifest.ByInput)
	key := []byte("a-key-of-20-bytes-it\t-12345.678")
	for b.Loop() {
		o.Encode(key, nil)
	}
}
