package worker

import (
	"fmt"
	"maps"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/mr"
)

// TestTally compares a tally with a map, spills included.
func TestTally(t *testing.T) {
	if !sums(mr.SumInt64) || sums(nil) || sums(func(acc, _ []byte) []byte { return acc }) {
		t.Error("sums takes another combiner for mr.SumInt64, or not itself")
	}
	rapid.Check(t, func(t *rapid.T) {
		b := newTally(int64(rapid.SampledFrom([]int{1 << 13, 1 << 16, 1 << 22}).Draw(t, "limit")))
		part := func(key []byte) int { return mr.Partition(key, 5) }
		got, want := map[string]int64{}, map[string]int64{}
		empty := func() {
			b.sort(5)
			last := ""
			n := 0
			for p := range 5 {
				lo, hi := b.span(p)
				last = ""
				for i := lo; i < hi; i++ {
					key, value := b.at(i)
					if part(key) != p || i > lo && string(key) <= last {
						t.Fatalf("key %q of partition %d comes %d. in partition %d, behind %q", key, part(key), i, p, last)
					}
					last = string(key)
					got[last] += mr.ParseInt64(value)
					n++
				}
			}
			if n != b.len() {
				t.Fatalf("%d keys in all partitions, %d in the tally", n, b.len())
			}
			b.reset()
		}
		letters := rapid.StringMatching(`[ab\x00]{0,3}|(some)?(longword){0,3}[xyz]{0,4}`)
		keys := rapid.SliceOfN(letters, 1, 60).Draw(t, "keys")
		for i := range rapid.IntRange(0, 3000).Draw(t, "pairs") {
			key := keys[i*7%len(keys)]
			if i%3 == 0 {
				key += fmt.Sprint(i)
			}
			room := append([]byte(strings.Repeat("#", i%3)+key), "behind the key"...)
			k := room[i%3 : i%3+len(key) : i%3+len(key)+i%15]
			value := mr.AppendInt64(nil, int64(i)-5)
			want[key] += int64(i) - 5
			if b.bump(k, value) {
				continue
			}
			for !b.add(part(k), k, value) {
				empty()
			}
		}
		empty()
		if !maps.Equal(got, want) {
			t.Fatalf("sums differ: %v, want %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		}
	})
}

// adder is a collector that adds up in memory.
func adder() *collector {
	t := newTally(1 << 30)
	c := &collector{t: &attempt{Env: &Env{Progress: new(Progress), Job: &manifest.Job{NReduce: 10}}}, tally: t, buf: t, partition: mr.Partition}
	c.t.shares.pairs = 1 << 30
	return c
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
		mr.EmitSpans(c, text, spans, mr.AppendInt64(nil, 3))
		got := map[string]int64{}
		c.tally.sort(10)
		for i := range c.tally.len() {
			key, value := c.tally.at(i)
			got[string(key)] = mr.ParseInt64(value)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
		if n := c.t.res.Emitted; n != int64(len(spans)/2) {
			t.Fatalf("%d pairs emitted, %d counted", len(spans)/2, n)
		}
	})
}

// BenchmarkTally counts words of a vocabulary that fits into a core's caches
// and of one that does not; the time is that of a word.
func BenchmarkTally(b *testing.B) {
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
			c.EmitSpans(text, spans, value)
			for b.Loop() {
				c.EmitSpans(text, spans, value)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(spans)/2), "ns/pair")
			b.ReportMetric(float64(c.tally.len()), "keys")
		})
	}
}
