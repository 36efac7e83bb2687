package execrunner

import (
	"bytes"
	"cmp"
	"fmt"
	"math/big"
	"slices"
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

// TestOrder: the bytes of internal keys are in the order of the fields, and the key is
// found in each of them.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fields := fieldsGenerator(t)
		o := &order{fields: fields, separator: []byte("\t")}
		keys := rapid.SliceOfN(keyGenerator(), 2, 6).Draw(t, "keys")
		internal := make([][]byte, len(keys))
		for i, k := range keys {
			internal[i] = bytes.Clone(o.encode([]byte(k)))
			if got, ok := o.key(internal[i]); !ok || string(got) != k {
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
	o := newOrder(&manifest.Exec{Sort: "-k1,1n -k2,2nr -k1,1 -k2,2r"})
	f.Add(o.encode([]byte("12\t-3.5")))
	f.Add(o.encode([]byte("\x00")))
	f.Add([]byte{0xc0, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		key, ok := o.key(b)
		if ok && !bytes.HasSuffix(b, key) {
			t.Errorf("%q is not the end of %q", key, b)
		}
		if !ok && !bytes.Equal(o.plain(b), b) {
			t.Errorf("%q for people is %q", b, o.plain(b))
		}
	})
}

// TestSort: mapper, combiner and reducer see keys as they were written; combiner and
// reducer get them in the order of the fields, and the partition is that of the key.
func TestSort(t *testing.T) {
	b := newBench(t, "cat", "cat")
	b.exec.KeyFields, b.exec.Sort, b.exec.PartitionFields = 2, "-k2,2nr", 1
	const input = "a\t9\tu\nb\t-10\tv\nc\t10\tw\na\t9\tx\nd\t9.0\ty\ne\n"
	sorted := []string{"c\t10|w", "a\t9|u", "a\t9|x", "d\t9.0|y", "b\t-10|v", "e|"}
	decode := func(pairs []string) []string {
		t.Helper()
		slices.SortStableFunc(pairs, func(x, y string) int { return strings.Compare(key(x), key(y)) })
		o, plain := newOrder(&b.exec), []string(nil)
		for _, p := range pairs {
			k, ok := o.key([]byte(key(p)))
			if !ok {
				t.Fatalf("key of %q", p)
			}
			plain = append(plain, string(k)+p[len(key(p)):])
		}
		return plain
	}
	pairs, err := b.mapAll(true, object{"a", input})
	internal := slices.Clone(pairs)
	want(t, decode(pairs), err, sorted...)
	b.exec.Combiner = `awk -F '\t' '{ print NR "\t" $1 "\t" $2 "\t" $3 }'`
	pairs, err = b.mapAll(true, object{"a", input})
	for i, p := range pairs {
		k, v, _ := strings.Cut(p, "|")
		pairs[i] = string(newOrder(&b.exec).plain([]byte(k))) + "|" + v
	}
	want(t, pairs, err, "1\tc|10\tw", "2\ta|9\tu", "3\ta|9\tx", "4\td|9.0\ty", "5\tb|-10\tv", "6\te|\t")
	b.exec.Combiner = ""
	slices.SortStableFunc(internal, func(x, y string) int { return strings.Compare(key(x), key(y)) })
	got, err := b.reduce(internal...)
	want(t, got, err, "c\t10\tw", "a\t9\tu", "a\t9\tx", "d\t9.0\ty", "b\t-10\tv", "e\t")
	if _, err := b.reduce("no internal key|"); err == nil || !strings.Contains(err.Error(), "not in the order that the job names") {
		t.Errorf("a key of bytes: %v", err)
	}
	p := b.host.Runner(b.job, lay).Properties()
	k := newOrder(&b.exec).encode([]byte("long\tkey"))
	if got := p.Partition(k, 97); got != mr.Partition([]byte("long"), 97) || p.Partition([]byte("?"), 97) != -1 {
		t.Errorf("partition %d", got)
	}
	if got := p.KeyOf(k); string(got) != "long\tkey" {
		t.Errorf("for people it is %q", got)
	}
	b.exec.Reducer = manifest.Aggregate
	b.exec.KeyFields, b.exec.PartitionFields, b.exec.Sort = 0, 0, "-r"
	o := newOrder(&b.exec)
	first, second := string(bytes.Clone(o.encode([]byte("LongValueSum:b")))), string(bytes.Clone(o.encode([]byte("LongValueSum:a"))))
	got, err = b.reduce(first+"|1", first+"|2", second+"|5")
	want(t, got, err, "b\t3", "a\t5")
}

// TestPartitionRange: a range of fields decides the partition, also of fields within
// the key of a line.
func TestPartitionRange(t *testing.T) {
	b := newBench(t, "cat", "cat")
	b.exec.KeySeparator, b.exec.PartitionFrom, b.exec.PartitionFields = ",", 2, 3
	got, err := b.mapAll(true, object{"a", "x,1\tv\n"})
	want(t, got, err, "x,1|v")
	part := b.host.Runner(b.job, lay).Properties().Partition
	for key, middle := range map[string]string{"x,1,2,3": "1,2", "x,1,2": "1,2", "y,1": "1", "x": "", "": "", "x,": "", "x,,2,": ",2"} {
		if p := part([]byte(key), 97); p != mr.Partition([]byte(middle), 97) {
			t.Errorf("%q is in partition %d", key, p)
		}
	}
}

// BenchmarkOrder makes the internal key of a key of two fields.
func BenchmarkOrder(b *testing.B) {
	o := newOrder(&manifest.Exec{Sort: "-k2,2nr -k1,1"})
	key := []byte("a-key-of-20-bytes-it\t-12345.678")
	for b.Loop() {
		o.encode(key)
	}
}
