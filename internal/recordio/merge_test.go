package recordio

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// list is a Source of records in memory. It overwrites the memory of a
// record when it moves on, as a Reader may.
type list struct {
	recs       []rec
	err        error
	key, value []byte
}

func (l *list) Next() bool {
	for i := range l.key {
		l.key[i] = 0xee
	}
	for i := range l.value {
		l.value[i] = 0xee
	}
	l.key, l.value = nil, nil
	if len(l.recs) == 0 {
		return false
	}
	l.key, l.value = []byte(l.recs[0].K), []byte(l.recs[0].V)
	l.recs = l.recs[1:]
	return true
}
func (l *list) Key() []byte   { return l.key }
func (l *list) Value() []byte { return l.value }
func (l *list) Err() error    { return l.err }

// concat is a combiner that is associative but not commutative and keeps
// every value visible.
func concat(acc, next []byte) []byte { return append(append(acc, ','), next...) }

// reference merges as its definition says: stable sort, then fold.
func reference(lists [][]rec, combine func(acc, next []byte) []byte) []rec {
	all := slices.Concat(lists...)
	slices.SortStableFunc(all, func(a, b rec) int { return cmp.Compare(a.K, b.K) })
	if combine == nil {
		return all
	}
	var folded []rec
	for _, r := range all {
		if n := len(folded); n > 0 && folded[n-1].K == r.K {
			folded[n-1].V = string(combine([]byte(folded[n-1].V), []byte(r.V)))
			continue
		}
		folded = append(folded, r)
	}
	return folded
}

// drawSorted draws sorted lists with many equal keys, whose values tell where
// they come from.
func drawSorted(t *rapid.T) [][]rec {
	key := rapid.OneOf(
		rapid.StringMatching(`[ab]{0,3}`),
		rapid.StringMatching(`[a\x00]{5,10}`),
		rapid.StringMatching(`[\xfe\xff]{6,9}`),
		rapid.StringMatching(`same prefix [ab]{0,2}`),
	)
	lists := make([][]rec, rapid.IntRange(0, 9).Draw(t, "sources"))
	for i := range lists {
		keys := rapid.SliceOfN(key, 0, 12).Draw(t, "keys")
		slices.Sort(keys)
		for n, k := range keys {
			lists[i] = append(lists[i], rec{k, fmt.Sprintf("%d.%d", i, n)})
		}
	}
	return lists
}

// TestMerge: merging is the stable sort of the concatenation, and combining
// folds equal keys in that order.
func TestMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lists := drawSorted(t)
		for _, combine := range []func(acc, next []byte) []byte{nil, concat} {
			var srcs []Source
			for _, l := range lists {
				srcs = append(srcs, &list{recs: l})
			}
			m := Merge(srcs, combine)
			got, err := collect(m)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, reference(lists, combine), got)
			if m.Next() || m.Key() != nil || m.Value() != nil {
				t.Fatal("a record after the end")
			}
		}
	})
}

// TestMergeFiles: the same through files, in two levels and through a run.
func TestMergeFiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lists := drawSorted(t)
		o := drawOptions(t)
		var low, high []Source
		for i, l := range lists {
			run := writeRun(t, o, map[int][]rec{1: l})
			r, err := OpenRun(bytes.NewReader(run), int64(len(run)))
			if err != nil {
				t.Fatal(err)
			}
			low = append(low, r.partition(1))
			if i%3 == 2 || i == len(lists)-1 {
				high = append(high, Merge(low, concat))
				low = nil
			}
		}
		var b bytes.Buffer
		w := NewWriter(&b, o)
		m := Merge(high, concat)
		for m.Next() {
			if err := w.Write(m.Key(), m.Value()); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Close(); err != nil || m.Err() != nil {
			t.Fatal(err, m.Err())
		}
		got, _ := read(t, b.Bytes())
		equal(t, reference(lists, concat), got)
	})
}

// TestWordOf: words order as keys do.
func TestWordOf(t *testing.T) {
	key := rapid.OneOf(
		rapid.Map(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 'a', 0xff}), 0, 10), func(b []byte) string { return string(b) }),
		rapid.String(),
	)
	rapid.Check(t, func(t *rapid.T) {
		a, b := key.Draw(t, "a"), key.Draw(t, "b")
		wa, wb := wordOf([]byte(a)), wordOf([]byte(b))
		if wa == exhausted || wb == exhausted {
			t.Fatal("a key has the word of the end")
		}
		if want, got := cmp.Compare(a, b), cmp.Compare(wa, wb); got != 0 && got != want {
			t.Fatalf("%q and %q have words %x and %x", a, b, wa, wb)
		}
		if wa == wb && a != b && (len(a) < 8 || len(b) < 8) {
			t.Fatalf("%q and %q have one word", a, b)
		}
	})
}

// TestMergeErrors: the merge ends where a source fails, and no record is
// folded of half its values.
func TestMergeErrors(t *testing.T) {
	for _, combine := range []func(acc, next []byte) []byte{nil, concat} {
		for fail := range 3 {
			srcs := []Source{
				&list{recs: []rec{{"a", "1"}, {"b", "1"}}}, &list{recs: []rec{{"a", "2"}, {"b", "2"}}}, &list{recs: nil},
			}
			srcs[fail].(*list).err = errBroken
			m := Merge(srcs, combine)
			got, err := collect(m)
			if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), fmt.Sprintf("merge source %d of 3", fail)) {
				t.Errorf("source %d: %v", fail, err)
			}
			want := reference([][]rec{{{"a", "1"}, {"b", "1"}}, {{"a", "2"}, {"b", "2"}}}, combine)
			if len(got) > len(want) || !slices.Equal(got, want[:len(got)]) {
				t.Errorf("source %d, combine %v: got %v, want a prefix of %v", fail, combine != nil, got, want)
			}
			if combine != nil && len(got) == len(want) {
				t.Errorf("source %d: the last key was folded without all its values: %v", fail, got)
			}
			if m.Next() || m.Key() != nil {
				t.Error("a record after an error")
			}
		}
	}
}

// TestCombinerMemory: combiners that return memory of their own, shrink or
// grow the value do not disturb each other's keys.
func TestCombinerMemory(t *testing.T) {
	shared := []byte("shared memory")
	for name, combine := range map[string]func(acc, next []byte) []byte{
		"shared":  func(acc, next []byte) []byte { return shared },
		"shrinks": func(acc, next []byte) []byte { return acc[:1] },
		"tail":    func(acc, next []byte) []byte { return acc[1:] },
		"nil":     func(acc, next []byte) []byte { return nil },
		"grows":   func(acc, next []byte) []byte { return append(acc, bytes.Repeat(next, 50)...) },
		"new":     func(acc, next []byte) []byte { return bytes.Repeat(next, 30) },
	} {
		var a, b []rec
		for i := range 20 {
			k := fmt.Sprintf("%02d", i)
			a, b = append(a, rec{k, "first"}), append(b, rec{k, "second"})
		}
		want := reference([][]rec{a, b}, combine)
		got, err := collect(Merge([]Source{&list{recs: a}, &list{recs: b}}, combine))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %v, %v, want %v", name, got, err, want)
		}
		if string(shared) != "shared memory" {
			t.Fatalf("%s: the memory of the combiner became %q", name, shared)
		}
	}
}

// add is the combiner of a word count.
func add(acc, next []byte) []byte {
	a, _ := strconv.Atoi(string(acc))
	b, _ := strconv.Atoi(string(next))
	return strconv.AppendInt(acc[:0], int64(a+b), 10)
}

// TestAddCurrent: a sum over a merge is the same whether its sources know
// the hashes of their records or not.
func TestAddCurrent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var srcs []Source
		for range rapid.IntRange(0, 5).Draw(t, "sources") {
			recs := drawRecs(t, 20)
			slices.SortStableFunc(recs, func(a, b rec) int { return strings.Compare(a.K, b.K) })
			data, _ := write(t, drawOptions(t), recs)
			srcs = append(srcs, NewReader(bytes.NewReader(data)))
		}
		combine := add
		if rapid.Bool().Draw(t, "plain") {
			combine = nil
		}
		m := Merge(srcs, combine)
		var got, want Sum
		for m.Next() {
			got.AddCurrent(m, m)
			want.AddRecord(m.Key(), m.Value())
		}
		if m.Err() != nil || got != want {
			t.Fatalf("%v: sum %v, want %v", m.Err(), got, want)
		}
	})
}
