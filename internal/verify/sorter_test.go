package verify

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestSorter: whatever is emitted comes back by partition, key and time of
// emission, in however little memory it is sorted.
func TestSorter(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.IntRange(1, 5).Draw(t, "partitions")
		limit := rapid.SampledFrom([]int64{1, 1 << 20, 3 << 20, 1 << 40}).Draw(t, "limit")
		text := rapid.OneOf(rapid.StringMatching(`[ab\x00]{0,3}`), rapid.StringMatching(`prefixed[ab\x00]{0,2}`))
		type emitted struct {
			pair
			part int
		}
		var all []emitted
		s := newSorter(dir, parts, limit, func(key []byte) (int, error) { return len(key) * 7 % parts, nil })
		defer s.close()
		for i := range rapid.IntRange(0, 30).Draw(t, "pairs") {
			key := []byte(text.Draw(t, "key"))
			value := fmt.Append(nil, i)
			switch rapid.IntRange(0, 99).Draw(t, "size") {
			case 50:
				value = bytes.Repeat([]byte{byte(i)}, 1<<20+5)
			case 51:
				value = bytes.Repeat([]byte{byte(i)}, 1<<20-len(key))
			case 60, 61, 62, 63, 64, 65:
				value = nil
			}
			all = append(all, emitted{pair{key, value}, len(key) * 7 % parts})
			s.Emit(key, value)
		}
		if err := s.finish(); err != nil {
			t.Fatal(err)
		}
		slices.SortStableFunc(all, func(a, b emitted) int {
			return cmp.Or(cmp.Compare(a.part, b.part), bytes.Compare(a.key, b.key))
		})
		opt := Options{Scratch: dir, fanIn: 2}.withDefaults()
		for r := range parts {
			m, drop, err := s.sorted(t.Context(), opt, r)
			if err != nil {
				t.Fatal(err)
			}
			for m.Next() {
				if len(all) == 0 || all[0].part != r || !bytes.Equal(all[0].key, m.Key()) || !bytes.Equal(all[0].value, m.Value()) {
					t.Fatalf("partition %d has the pair %q, %.20q, %d pairs are left", r, m.Key(), m.Value(), len(all))
				}
				all = all[1:]
			}
			if m.Err() != nil {
				t.Fatal(m.Err())
			}
			drop()
		}
		if len(all) > 0 {
			t.Fatalf("%d pairs are missing", len(all))
		}
	})
}
