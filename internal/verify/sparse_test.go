package verify

import (
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
)

// sparseJob has four map tasks and six partitions, most of them without
// records; task 2 has none with any.
func sparseJob() testJob {
	return testJob{app: wordCount(), reduces: 6, prefix: "p", inputs: map[string]string{"a": "x\n", "b": "x y\n", "c": "\n", "d": "z x\n"}}
}

// TestSparse: nothing is missing of partitions that have no records.
func TestSparse(t *testing.T) {
	for name, j := range map[string]testJob{"plain": {}, "packed": {packed: true}, "displaced": {displaced: 2}, "packed and displaced": {packed: true, displaced: 2}} {
		t.Run(name, func(t *testing.T) {
			k := sparseJob()
			k.packed, k.displaced = j.packed, j.displaced
			s, lay := k.build(t)
			rep := run(t, s, lay, k.app, Options{Scratch: t.TempDir()})
			if !rep.OK() {
				t.Fatalf("findings in an intact job:\n%s", show(rep))
			}
			if rep.Structure.Partitions != 24 || rep.Proof.Segments != 5 || rep.Proof.State != OK || rep.Reference.State != OK {
				t.Errorf("%+v %+v", rep.Structure, rep.Proof)
			}
		})
	}
}

// TestSparseDamage: what has records is missed where records are said to be,
// and what has none is not made up for.
func TestSparseDamage(t *testing.T) {
	// filled and bare are the first partitions of map task 0 with and without records.
	look := func(t *testing.T, s *fakeStore, l layout.Layout) (filled, bare int) {
		rec, err := manifest.Decode[manifest.Map](s.objs[l.MapCommit(0)].data, manifest.MapSchema)
		if err != nil {
			t.Fatal(err)
		}
		filled, bare = -1, -1
		for r := len(rec.Parts) - 1; r >= 0; r-- {
			if rec.Parts[r].Sum.Records > 0 {
				filled = r
			} else {
				bare = r
			}
		}
		return filled, bare
	}
	ours := map[string]string{manifest.MetaJob: "wc-01jd9z6t3m"}
	for name, tt := range map[string]struct {
		packed bool
		damage func(t *testing.T, s *fakeStore, l layout.Layout, filled, bare int)
		kind   Kind // "" is no finding
		detail string
	}{
		"filled is missing": {false, func(_ *testing.T, s *fakeStore, l layout.Layout, filled, _ int) {
			delete(s.objs, l.Partition(0, filled))
		}, Missing, "which has committed"},
		"packed is missing": {true, func(_ *testing.T, s *fakeStore, l layout.Layout, _, _ int) {
			delete(s.objs, l.Packed(0))
		}, Missing, "the 6 partitions"},
		"left by another attempt": {false, func(_ *testing.T, s *fakeStore, l layout.Layout, _, bare int) {
			s.put(l.Partition(0, bare), []byte("x"), ours)
		}, "", ""},
		"packed, left by another attempt": {true, func(_ *testing.T, s *fakeStore, l layout.Layout, _, _ int) {
			s.put(l.Packed(2), []byte("x"), ours)
		}, "", ""},
		"foreign": {false, func(_ *testing.T, s *fakeStore, l layout.Layout, _, bare int) {
			s.put(l.Partition(0, bare), []byte("x"), nil)
		}, Foreign, "no task of this job"},
		"packed, foreign": {true, func(_ *testing.T, s *fakeStore, l layout.Layout, _, _ int) {
			s.put(l.Packed(2), []byte("x"), nil)
		}, Foreign, "no task of this job"},
		"said to have none": {false, func(t *testing.T, s *fakeStore, l layout.Layout, filled, bare int) {
			edit(t, s, l.MapCommit(0), manifest.MapSchema, func(m *manifest.Map) { m.Parts[filled] = m.Parts[bare] })
		}, BadRecord, "its partitions have 0 records"},
		"said to have some": {false, func(t *testing.T, s *fakeStore, l layout.Layout, filled, bare int) {
			edit(t, s, l.MapCommit(0), manifest.MapSchema, func(m *manifest.Map) { m.Parts[bare].Sum.Records++ })
		}, BadRecord, "1 records"},
		"filled, of no bytes": {false, func(t *testing.T, s *fakeStore, l layout.Layout, filled, _ int) {
			s.rot(l.Partition(0, filled), func([]byte) []byte { return nil })
		}, Corrupt, ""},
		"filled, replaced by nothing": {false, func(t *testing.T, s *fakeStore, l layout.Layout, filled, _ int) {
			s.put(l.Partition(0, filled), nil, ours)
		}, Replaced, "it has 0 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			j := sparseJob()
			j.packed = tt.packed
			s, lay := j.build(t)
			filled, bare := look(t, s, lay)
			tt.damage(t, s, lay, filled, bare)
			rep := run(t, s, lay, j.app, Options{Scratch: t.TempDir()})
			if tt.kind == "" && rep.OK() {
				return
			}
			for _, f := range rep.Findings {
				if f.Kind == tt.kind && strings.Contains(f.Detail, tt.detail) {
					return
				}
			}
			t.Errorf("want %q %q, findings:\n%s", tt.kind, tt.detail, show(rep))
		})
	}
}
