package apps

import (
	"fmt"
	"maps"
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
			files[w][mr.EscapeName(naiveShort(name, inputs), ",")] = true
		}
	}
	var lines []string
	for w, names := range files {
		lines = append(lines, fmt.Sprintf("%s %d %s", w, len(names), strings.Join(slices.Sorted(maps.Keys(names)), ",")))
	}
	slices.Sort(lines)
	return lines
}

// naiveShort is the shortest end of name that is no end of another, the obvious
// way.
func naiveShort(name string, inputs map[string]string) string {
	elements := strings.Split(name, "/")
	for i := len(elements) - 1; i > 0; i-- {
		short := strings.Join(elements[i:], "/")
		same := 0
		for other := range inputs {
			if strings.HasSuffix("/"+other, "/"+short) {
				same++
			}
		}
		if same == 1 && strings.Trim(short, "/") != "" {
			return short
		}
	}
	return name
}

// TestShortNames: two ways to shorten names do what the obvious way does.
func TestShortNames(t *testing.T) {
	check := func(fatalf func(string, ...any), objects []string) {
		inputs := map[string]string{}
		for _, o := range objects {
			inputs[o] = ""
		}
		objects = slices.Sorted(maps.Keys(inputs))
		names, plain := &shortNames{}, plainStarts(objects)
		shown := map[string]bool{}
		for i, o := range objects {
			want := naiveShort(o, inputs)
			if got, err := names.of(o, objects); err != nil || got != want || o[plain[i]:] != want {
				fatalf("%q: %q is called %q, %v and %q, want %q", objects, o, got, err, o[plain[i]:], want)
			}
			shown[want] = true
		}
		if len(shown) != len(objects) {
			fatalf("%q have %d names", objects, len(shown))
		}
		if _, err := names.of("none", objects); err == nil {
			fatalf("a name that is no input has a short one")
		}
	}
	for _, objects := range [][]string{
		{"pg-grimm.txt"}, {"books/pg-grimm.txt", "books/pg-tom.txt"}, {"i/a/R.md", "i/b/R.md"}, {"R.md", "a/R.md"}, {"a/b/R.md", "c/b/R.md", "R.mdx", "xR.md"},
		{"a", "/a", "//a", "a/", "a//", "/"}, {"x/y/z", "y/z", "z", "x/y", "y"},
	} {
		check(t.Fatalf, objects)
	}
	rapid.Check(t, func(t *rapid.T) {
		check(t.Fatalf, rapid.SliceOfN(rapid.StringMatching(`([ab]{0,2}/){0,3}[ab]{1,2}/?`), 1, 12).Draw(t, "objects"))
	})
}

// TestIndexerNames: names that a line of output cannot hold, and those that
// would look like two, are escaped.
func TestIndexerNames(t *testing.T) {
	want := []string{`w 6 R\n.md,R\x00\xff.md,R\x2cS.md,a/R.md,b/R.md,plain name.md`}
	got := mrtest.Run(t, indexer(), 1, map[string]string{
		"i/a/R.md": "w", "i/b/R.md": "w", "i/a/R,S.md": "w w", "R\n.md": "w", "i/R\x00\xff.md": "w", "i/c/plain name.md": "w",
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestIndexer(t *testing.T) {
	for _, r := range []int{1, 10} {
		if diff := cmp.Diff(naiveIndex(texts), mrtest.Run(t, indexer(), r, texts)); diff != "" {
			t.Errorf("R = %d (-naive +got):\n%s", r, diff)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.StringMatching(`([ab]/){0,2}[a-d,\n]{1,3}`)
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

func indexMapperOf(objects ...string) *indexMapper {
	return newIndexMapper(&mr.Task{Objects: func() []string { return objects }}, &shortNames{})
}

// counter counts pairs.
type counter map[string]int

func (c counter) Emit(key, _ []byte) { c[string(key)]++ }

// TestIndexerEmitsOnce: a word is one pair for each object, and the memory
// for that is bounded.
func TestIndexerEmitsOnce(t *testing.T) {
	m := indexMapperOf("x", "y/x", "z")
	pairs := counter{}
	for _, object := range []string{"x", "x", "y/x", "z"} {
		for range 3 {
			if err := m.Map(mr.Record{Object: object, Data: []byte("the cat and the dog")}, pairs); err != nil {
				t.Fatal(err)
			}
		}
	}
	if diff := cmp.Diff(counter{"the": 3, "cat": 3, "and": 3, "dog": 3}, pairs); diff != "" {
		t.Errorf("pairs of three objects (-want +got):\n%s", diff)
	}
	for i := range 300_000 {
		word := strings.Map(func(r rune) rune { return r - '0' + 'a' }, fmt.Sprint(i))
		if err := m.Map(mr.Record{Object: "z", Data: []byte(word)}, discard{}); err != nil {
			t.Fatal(err)
		}
		if m.size > seenBytes || len(m.index) > seenBytes/64 {
			t.Fatalf("%d words of %d bytes are remembered", len(m.index), m.size)
		}
	}
}

// BenchmarkIndexer maps 200 objects that share most of their words.
func BenchmarkIndexer(b *testing.B) {
	lines := strings.SplitAfter(goText(b), "\n")
	blocks, objects, size := []mr.Record{}, []string{}, 0
	for i := range 200 {
		objects = append(objects, fmt.Sprintf("%03d", i))
		text := strings.Join(lines[i*len(lines)/200:(i+1)*len(lines)/200], "")
		blocks = append(blocks, mr.Record{Object: objects[i], Lines: int64(len(lines) / 200), Data: []byte(text)})
		size += len(text)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		m := indexMapperOf(objects...)
		for _, block := range blocks {
			if err := m.MapBlock(block, discard{}); err != nil {
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
