package sortbuf

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/mr"
)

// TestSpansOfRanges: pairs sorted as one lie where the partitioner of the
// ranges would have put them, with bounds that are equal, short, or too few.
func TestSpansOfRanges(t *testing.T) {
	const parts = 6
	key := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 'a', 'b', 0xff}), 0, 10)
	rapid.Check(t, func(t *rapid.T) {
		bounds := rapid.SliceOfN(key, 0, parts-1).Draw(t, "bounds")
		slices.SortFunc(bounds, bytes.Compare)
		where := (&manifest.Ranges{Bounds: bounds}).Partitioner()
		l := new(Spare).List(1<<20, 0, bounds)
		want := make([][]string, parts)
		for i, k := range rapid.SliceOfN(key, 0, 100).Draw(t, "keys") {
			l.Add(0, k, []byte{byte(i)})
			p := where(k, parts)
			want[p] = append(want[p], fmt.Sprintf("%s %d", k, i))
		}
		l.Sort(parts)
		for p := range parts {
			slices.SortStableFunc(want[p], func(a, b string) int {
				return strings.Compare(a[:strings.LastIndexByte(a, ' ')], b[:strings.LastIndexByte(b, ' ')])
			})
			var got []string
			for s := Partition(l, p); s != nil && s.Next(); {
				got = append(got, fmt.Sprintf("%s %d", s.Key(), s.Value()[0]))
			}
			if !slices.Equal(got, want[p]) {
				t.Fatalf("partition %d of bounds %q has %q, want %q", p, bounds, got, want[p])
			}
		}
	})
}

// TestListOrder compares the order of a list with a stable sort, for keys of which
// many are the same, and many begin with the same bytes.
func TestListOrder(t *testing.T) {
	values := []string{"", "1", "22", "\x00\xff", "333", "a value that is long",
		string(mr.AppendInt64(nil, 0)), string(mr.AppendInt64(nil, 0xff01)), string(mr.AppendInt64(nil, 1<<16)), string(mr.AppendInt64(nil, -1))}
	stems := []string{"", "a", "the", "\x00", "abcdefgh", "abcdefgh\x00", "abcdefghijklmnop", strings.Repeat("k", 31), strings.Repeat("k", 32), strings.Repeat("k", 64)}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{1, fewEntries + 1, 500, 3 * someEntries}).Draw(t, "n")
		keys := rapid.IntRange(1, 4).Draw(t, "endings")
		parts := rapid.IntRange(1, 3).Draw(t, "parts")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		l := new(Spare).List(64<<20, 0, nil)
		want := make([][]string, parts)
		for i := range n {
			k := stems[min(r.IntN(len(stems)), r.IntN(len(stems)))] + "\x00b\x00d"[:r.IntN(keys)]
			p := len(k) % parts
			v := strconv.Itoa(i)
			if r.IntN(3) > 0 {
				v = values[r.IntN(len(values))]
			}
			l.Add(p, []byte(k), []byte(v))
			want[p] = append(want[p], k+"|"+v)
		}
		l.Sort(parts)
		for p := range parts {
			slices.SortStableFunc(want[p], func(a, b string) int {
				a, _, _ = strings.Cut(a, "|")
				b, _, _ = strings.Cut(b, "|")
				return strings.Compare(a, b)
			})
			var got []string
			for s := Partition(l, p); s != nil && s.Next(); {
				got = append(got, string(s.Key())+"|"+string(s.Value()))
			}
			if !slices.Equal(got, want[p]) {
				t.Fatalf("partition %d: %d pairs are not in the order of their keys, or of Add", p, len(got))
			}
		}
	})
}

// BenchmarkWords sorts a million pairs of ten partitions whose keys are words of
// which few are most of them, as a mapper emits them without a combiner.
func BenchmarkWords(b *testing.B) {
	const n = 1_000_000
	r := rand.New(rand.NewPCG(8, 8))
	zipf := rand.NewZipf(r, 1.07, 2.7, 30_000)
	words := make([][]byte, n)
	for i := range words {
		w := zipf.Uint64()
		words[i] = bytes.Repeat(strconv.AppendUint(nil, w*7919%1000, 36), 1+int(w%6))
	}
	l := new(Spare).List(256<<20, 0, nil)
	for b.Loop() {
		b.StopTimer()
		l.Reset()
		for _, w := range words {
			l.Add(len(w)%10, w, []byte{'1'})
		}
		b.StartTimer()
		l.Sort(10)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/pair")
}

// BenchmarkList sorts a million pairs of ten partitions by keys of 10
// random bytes, and goes through pairs that are sorted.
func BenchmarkList(b *testing.B) {
	const n = 1_000_000
	random := rand.New(rand.NewPCG(8, 8))
	text := make([]byte, n*100)
	for i := range text {
		text[i] = 'a' + byte(random.IntN(26))
	}
	fill := func(l *List) {
		for i := range n {
			line := text[100*i : 100*i+99]
			l.Add(int(line[0]-'a')*10/26, line[:10], line[10:])
		}
	}
	l := new(Spare).List(256<<20, 0, nil)
	b.Run("sort", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			l.Reset()
			fill(l)
			b.StartTimer()
			l.Sort(10)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/pair")
	})
	b.Run("walk", func(b *testing.B) {
		l.Reset()
		fill(l)
		l.Sort(10)
		for b.Loop() {
			for part := range 10 {
				for p := Partition(l, part); p.Next(); {
					recordio.HashRecord(p.Key(), p.Value())
				}
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/pair")
	})
}
