package verify

import (
	"maps"
	"slices"
	"testing"

	"github.com/mraws/mraws/internal/manifest"
)

// TestRestored: a segment that was lost and made again is another version,
// maybe of another size, and no finding. What it says of itself is not
// believed: its records are those of the commit record, or it is found.
func TestRestored(t *testing.T) {
	for _, variant := range []struct {
		displaced int
		packed    bool
	}{{0, false}, {2, false}, {0, true}, {2, true}} {
		j := wcJob()
		j.displaced, j.packed = variant.displaced, variant.packed
		for name, same := range map[string]bool{"restored": true, "another's": false} {
			t.Run(name, func(t *testing.T) {
				s, lay := j.build(t)
				first := lay.Partition(0, 1)
				if j.packed {
					first = lay.Packed(0)
				}
				other := s.objs[first].data
				n := 0
				for _, key := range slices.Sorted(maps.Keys(s.objs)) {
					o := s.objs[key]
					if o.meta[manifest.MetaHash] == "" || o.meta[manifest.MetaJob] == "" || key == first {
						continue
					}
					_, _, plain := lay.ParsePartition(key)
					if _, packed := lay.ParsePacked(key); !plain && !packed {
						continue
					}
					n++
					meta := maps.Clone(o.meta)
					meta[manifest.MetaAttempt], meta[manifest.MetaRestored] = "late", "late"
					data := o.data
					if !same {
						data = other
					}
					s.put(key, slices.Clone(data), meta)
				}
				if n == 0 {
					t.Fatal("there are no segments to restore")
				}
				rep := run(t, s, lay, j.app, Options{Scratch: t.TempDir()})
				if rep.OK() != same {
					t.Errorf("%d segments, findings:\n%s", n, show(rep))
				}
			})
		}
	}
}
