package sortbuf

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mraws/mraws/mr"
)

// TestSumTable compares a sum table with a map, spills included.
func TestSumTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := NewSumTable(int64(rapid.SampledFrom([]int{1 << 13, 1 << 16, 1 << 22}).Draw(t, "limit")))
		part := func(key []byte) int { return mr.Partition(key, 5) }
		got, want := map[string]int64{}, map[string]int64{}
		empty := func() {
			b.Sort(5)
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
			if n != b.Len() {
				t.Fatalf("%d keys in all partitions, %d in the table", n, b.Len())
			}
			b.Reset()
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
			if b.AddKnown(k, value) {
				continue
			}
			for !b.Add(part(k), k, value) {
				empty()
			}
		}
		empty()
		if !maps.Equal(got, want) {
			t.Fatalf("sums differ: %v, want %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		}
	})
}
