package task

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mraws/mraws/internal/sortbuf"
	"github.com/mraws/mraws/mr"
)

// adder is a collector that adds up in memory.
func adder() *collector {
	t := sortbuf.NewSumTable(1 << 30)
	return &collector{live: &live{Progress: new(Progress)}, merger: merger{nparts: 10}, sums: t, buf: t, partition: mr.Partition, limit: 1 << 30}
}

// TestEmitSpans: many pairs at a time count as they do one by one, also while
// the table grows under keys that were looked for before.
func TestEmitSpans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var text []byte
		var spans []uint32
		want := map[string]int64{}
		step, words := rapid.Uint64().Draw(t, "step"), rapid.SampledFrom([]uint64{1, 100, 20_000}).Draw(t, "words")
		for i := range rapid.Uint64Range(0, 20_000).Draw(t, "pairs") {
			from := len(text)
			text = append(text, strings.Repeat("x", int(i*step%words%20))...)
			text = strconv.AppendUint(text, i*step%words, 36)
			spans = append(spans, uint32(from), uint32(len(text)))
			want[string(text[from:])] += 3
		}
		c := adder()
		if err := c.EmitSpans(text, spans, mr.AppendInt64(nil, 3)); err != nil {
			t.Fatal(err)
		}
		got := map[string]int64{}
		c.sums.Sort(10)
		for part := range 10 {
			for s := sortbuf.Partition(c.sums, part); s != nil && s.Next(); {
				got[string(s.Key())] = mr.ParseInt64(s.Value())
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
		if n := c.emitted; n != int64(len(spans)/2) {
			t.Fatalf("%d pairs emitted, %d counted", len(spans)/2, n)
		}
	})
}

// BenchmarkEmitSpans counts words of a vocabulary that fits into a core's caches
// and of one that does not; the time is that of a word.
func BenchmarkEmitSpans(b *testing.B) {
	for _, vocabulary := range []uint64{30_000, 2_000_000} {
		b.Run(fmt.Sprint(vocabulary), func(b *testing.B) {
			random := rand.New(rand.NewPCG(1, 2))
			zipf := rand.NewZipf(random, 1.05, 3, vocabulary-1)
			var text []byte
			var spans []uint32
			for range 4 << 20 {
				from := len(text)
				word := bits.Reverse64(zipf.Uint64()) * 0x9e3779b97f4a7c15
				for n := 2 + word>>60; n > 0; n-- {
					text = append(text, 'a'+byte(word%26))
					word /= 26
				}
				spans = append(spans, uint32(from), uint32(len(text)))
				text = append(text, ' ')
			}
			c := adder()
			value := mr.AppendInt64(nil, 1)
			if err := c.EmitSpans(text, spans, value); err != nil { // all keys are known then
				b.Fatal(err)
			}
			for b.Loop() {
				if err := c.EmitSpans(text, spans, value); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(spans)/2), "ns/pair")
			b.ReportMetric(float64(c.sums.Len()), "keys")
		})
	}
}
