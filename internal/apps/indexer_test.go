package apps

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mraws/mraws/mr"
	"github.com/mraws/mraws/mr/mrtest"
)

// naiveIndex is the output of indexer, the obvious way.
func naiveIndex(inputs map[string]string) []string {
	files := map[string]map[string]bool{}
	for name, text := range inputs {
		for _, w := range labWords(text) {
			if files[w] == nil {
				files[w] = map[string]bool{}
			}
			files[w][path.Base(name)] = true
		}
	}
	var lines []string
	for w, names := range files {
		lines = append(lines, fmt.Sprintf("%s %d %s", w, len(names), strings.Join(slices.Sorted(maps.Keys(names)), ",")))
	}
	slices.Sort(lines)
	return lines
}

func TestIndexer(t *testing.T) {
	for _, r := range []int{1, 10} {
		if diff := cmp.Diff(naiveIndex(texts), mrtest.Run(t, indexer(), r, texts)); diff != "" {
			t.Errorf("R = %d (-naive +got):\n%s", r, diff)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.StringMatching(`([ab]/)?[a-d,]{1,3}`)
		inputs := rapid.MapOf(name, rapid.StringMatching(`([abc\n]{0,3} ){0,5}`)).Draw(rt, "inputs")
		res, err := mrtest.Job{App: indexer(), Inputs: inputs}.Run(t.Context())
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(naiveIndex(inputs), res.Lines(), cmp.Transformer("len", func(s []string) string { return strings.Join(s, "\n") })); diff != "" {
			rt.Fatalf("(-naive +got):\n%s", diff)
		}
	})
}

func TestUnion(t *testing.T) {
	set := rapid.Map(rapid.SliceOfDistinct(rapid.StringMatching(`[a-c]{1,3}`), rapid.ID), func(s []string) []string {
		slices.Sort(s)
		return s
	})
	encode := func(names []string) []byte {
		var b []byte
		for _, n := range names {
			b = append(append(b, n...), nameEnd)
		}
		return b
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := set.Draw(t, "a"), set.Draw(t, "b")
		want := slices.Compact(slices.Sorted(slices.Values(slices.Concat(a, b))))
		if diff := cmp.Diff(string(encode(want)), string(union(encode(a), encode(b)))); diff != "" {
			t.Fatal(diff)
		}
	})
}

// counter counts pairs.
type counter map[string]int

func (c counter) Emit(key, _ []byte) { c[string(key)]++ }

// TestIndexerEmitsOnce: a word is one pair for each object, and the memory
// for that is bounded.
func TestIndexerEmitsOnce(t *testing.T) {
	mapper, err := newIndexMapper(nil)
	if err != nil {
		t.Fatal(err)
	}
	pairs := counter{}
	for _, object := range []string{"x", "x", "y/x", "z"} {
		for range 3 {
			if err := mapper.Map(mr.Record{Object: object, Data: []byte("the cat and the dog")}, pairs); err != nil {
				t.Fatal(err)
			}
		}
	}
	if diff := cmp.Diff(counter{"the": 3, "cat": 3, "and": 3, "dog": 3}, pairs); diff != "" {
		t.Errorf("pairs of three objects (-want +got):\n%s", diff)
	}
	m := mapper.(*indexMapper)
	for i := range 300_000 {
		word := strings.Map(func(r rune) rune { return r - '0' + 'a' }, fmt.Sprint(i))
		if err := m.Map(mr.Record{Object: "z", Data: []byte(word)}, discard{}); err != nil {
			t.Fatal(err)
		}
		if m.size > seenBytes || len(m.index) > seenBytes/64 {
			t.Fatalf("%d words of %d bytes are remembered", len(m.index), m.size)
		}
	}
	if err := m.Map(mr.Record{Object: "a\x00b", Data: []byte("x")}, discard{}); err == nil {
		t.Error("a name with a zero byte is no error")
	}
}

// BenchmarkIndexer maps 200 objects that share most of their words.
func BenchmarkIndexer(b *testing.B) {
	lines := strings.Split(goText(b), "\n")
	recs := make([]mr.Record, len(lines))
	size := 0
	for i, l := range lines {
		recs[i] = mr.Record{Object: fmt.Sprint(i * 200 / len(lines)), Data: []byte(l)}
		size += len(l) + 1
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		m, err := newIndexMapper(nil)
		if err != nil {
			b.Fatal(err)
		}
		for _, rec := range recs {
			if err := m.Map(rec, discard{}); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkUnion builds a set of 10,000 names one by one, in order and not.
func BenchmarkUnion(b *testing.B) {
	for name, mul := range map[string]int{"sorted": 1, "shuffled": 7919} {
		b.Run(name, func(b *testing.B) {
			names := make([][]byte, 10_000)
			for i := range names {
				names[i] = append(fmt.Appendf(nil, "file-%05d.txt", i*mul%len(names)), nameEnd)
			}
			for b.Loop() {
				var set []byte
				for _, n := range names {
					set = union(set, n)
				}
			}
		})
	}
}
