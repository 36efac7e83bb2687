package sortbuf

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/recordio"
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
