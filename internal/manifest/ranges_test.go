package manifest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestPartitioner(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.OneOf(rapid.SliceOfN(rapid.Byte(), 0, 12),
			rapid.Map(rapid.StringMatching(`(same word)?[ab\x00]{0,3}`), func(s string) []byte { return []byte(s) }))
		r := &Ranges{Job: "j", Bounds: slices.SortedFunc(slices.Values(rapid.SliceOfN(key, 0, 20).Draw(t, "bounds")), bytes.Compare)}
		n := len(r.Bounds) + 1
		if err := r.Validate("j", n); err != nil {
			t.Fatal(err)
		}
		part := r.Partitioner()
		for _, k := range append(rapid.SliceOf(key).Draw(t, "keys"), r.Bounds...) {
			want := 0
			for _, b := range r.Bounds {
				if bytes.Compare(b, k) <= 0 {
					want++
				}
			}
			if got := part(k, n); got != want {
				t.Fatalf("key %q goes to %d, want %d of %q", k, got, want, r.Bounds)
			}
		}
	})
}

func TestRangesValidate(t *testing.T) {
	for want, r := range map[string]*Ranges{
		"of job":      {Job: "other"},
		"2 bounds":    {Job: "j", Bounds: [][]byte{{1}, {2}}},
		"bound 1 is ": {Job: "j", Bounds: [][]byte{{2}, {1}}},
	} {
		n := 2
		if strings.HasPrefix(want, "bound") {
			n = 3
		}
		if err := r.Validate("j", n); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: want an error with %q", err, want)
		}
	}
}

func BenchmarkPartitioner(b *testing.B) {
	for _, n := range []int{10, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			rnd := rand.New(rand.NewPCG(1, 2))
			keys := make([][]byte, 1<<12)
			for i := range keys {
				keys[i] = binary.BigEndian.AppendUint64([]byte(nil), rnd.Uint64())
			}
			r := &Ranges{Bounds: slices.SortedFunc(slices.Values(keys[:n-1]), bytes.Compare)}
			part := r.Partitioner()
			for i := 0; b.Loop(); i++ {
				part(keys[i%len(keys)], n)
			}
		})
	}
}
