package sortbuf

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"unsafe"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestEntrySizes: rank must not cost padding, since buffers hold millions.
func TestEntrySizes(t *testing.T) {
	if n := unsafe.Sizeof(pair{}); n != 24 {
		t.Errorf("a pair takes %d bytes", n)
	}
	if n := unsafe.Sizeof(group{}); n != 40 {
		t.Errorf("a group takes %d bytes", n)
	}
}

func TestSortEntries(t *testing.T) {
	byOff := func(a, b pair) int { return cmp.Compare(a.off, b.off) }
	check := func(t interface{ Fatalf(string, ...any) }, e []pair, parts int) {
		want := slices.Clone(e)
		slices.SortFunc(want, func(a, b pair) int {
			return cmp.Or(cmp.Compare(a.part, b.part), cmp.Compare(a.prefix, b.prefix), cmp.Compare(a.off, b.off))
		})
		sortEntries(e, parts, byOff, nil)
		if !slices.Equal(e, want) {
			t.Fatalf("not in order: %s", gocmp.Diff(want, e, gocmp.AllowUnexported(pair{}, rank{})))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{0, 1, 2, fewEntries, fewEntries + 1, 300, 3000, someEntries, someEntries + 1, 20_000}).Draw(t, "n")
		parts := rapid.IntRange(1, 20).Draw(t, "parts")
		mask := rapid.SampledFrom([]uint64{0, 1, 0xff, 0xff00, 0xff000000000000ff, 0x0303030303030303, 1<<64 - 1}).Draw(t, "mask")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		e := make([]pair, n)
		for i := range e {
			e[i] = pair{rank: rank{prefix: r.Uint64() & mask, part: r.Uint32N(uint32(parts))}, off: uint64(i)}
		}
		check(t, e, parts)
	})
}

func BenchmarkSortEntries(b *testing.B) {
	for _, n := range []int{1_000, 30_000, 600_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 1))
			all, e := make([]pair, n), make([]pair, n)
			for i := range all {
				all[i].off = uint64(i)
				for range 8 { // printable ASCII
					all[i].prefix = all[i].prefix<<8 | ' ' + r.Uint64N(95)
				}
			}
			for b.Loop() {
				copy(e, all)
				sortEntries(e, 1, func(a, b pair) int { return cmp.Compare(a.off, b.off) }, nil)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/entry")
		})
	}
}
