package task

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/mr"
)

// extentsOf runs all map tasks of a job and returns what their records say of
// guessed pieces, in input order.
func extentsOf(t *testing.T, w *fixture) []manifest.Extent {
	t.Helper()
	e := w.env(t)
	for m := range w.Spec.Tasks {
		e.Progress = new(Progress)
		if _, err := e.Run(context.Background(), Attempt{mr.MapPhase, m, fmt.Sprintf("m%d", m)}); err != nil {
			t.Fatal(err)
		}
	}
	return committedExtents(t, w)
}

// committedExtents is what all records of map tasks say of guessed pieces.
func committedExtents(t *testing.T, w *fixture) (all []manifest.Extent) {
	t.Helper()
	for m := range w.Spec.Tasks {
		all = append(all, mapRecord(t, w, m).Extents...)
	}
	return all
}

// meet tells whether each piece of an object of size bytes begins where the one
// before it went on to.
func meet(extents []manifest.Extent, size int64) bool {
	at := input.Position{}
	for _, e := range extents {
		if e.Began != at {
			return false
		}
		at = e.WentOn
	}
	return at == input.Position{Offset: size}
}

// TestGuesses: readers that guess give each record once if every guess is right,
// wherever the object is cut, and if one is wrong the commit records show it.
func TestGuesses(t *testing.T) {
	for name, tt := range map[string]struct {
		text    string
		records int
		wrong   bool // some cut brings about a wrong guess
	}{
		"plain":     {"a;bb;;ccc;dddd;e;" + strings.Repeat("f", 30) + ";g;", 8, false},
		"brackets":  {"a;[b;b];c;[d;d;d];" + strings.Repeat("e;", 20), 24, true},
		"no record": {strings.Repeat("x", 50), 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			right, wrong := 0, 0
			for split := int64(1); split <= int64(len(tt.text)); split++ {
				w := newFixture(spell, 1, 0, 1, file{"a", tt.text})
				planned(t, w, manifest.Choice{Name: "clauses"}, split)
				extents := extentsOf(t, w)
				if want := len(w.Spec.Tasks); want == 1 && len(extents) > 0 || want > 1 && len(extents) != want {
					t.Fatalf("split %d: %d extents of %d pieces", split, len(extents), want)
				}
				records := int64(0)
				for m := range w.Spec.Tasks {
					records += mapRecord(t, w, m).Input.Records
				}
				if len(extents) == 0 {
					continue
				}
				if !meet(extents, int64(len(tt.text))) {
					wrong++
					continue
				}
				right++
				if records != int64(tt.records) {
					t.Errorf("split %d: %d records, want %d: %v", split, records, tt.records, extents)
				}
			}
			if right == 0 || (wrong > 0) != tt.wrong {
				t.Errorf("%d splits meet, %d do not", right, wrong)
			}
		})
	}
}

func mapRecord(t *testing.T, w *fixture, m int) *manifest.Map {
	t.Helper()
	rec, err := w.bucket().mapRecord(context.Background(), m)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// TestNoExtent: a reader that should have guessed and does not tell fails its
// attempt.
func TestNoExtent(t *testing.T) {
	r := records{live: &live{Progress: new(Progress)}, format: newFixture(spell, 1, 0, 1).Spec.InputFormat()}
	pieces := 1
	r.next = func() *openPiece {
		if pieces--; pieces < 0 {
			return nil
		}
		return &openPiece{guessed: true, Piece: input.Piece{Object: "a", Size: 4, Length: 4, Open: func(off, n int64) (input.Body, error) {
			return testBody{input.NewBuffered(strings.NewReader("a\nb\n"[off:off+n]), n)}, nil
		}}}
	}
	n := 0
	for _, ok := r.Next(); ok; _, ok = r.Next() {
		n++
	}
	if err := r.Err(); n != 2 || err == nil || !strings.Contains(err.Error(), "the reader of its piece at byte 0 does not tell where records begin") {
		t.Errorf("%d records, %v", n, err)
	}
}

type testBody struct{ input.Buffered }

func (testBody) Close() error { return nil }

// TestReplayGuesses: a replay says where its pieces begin otherwise than was
// committed.
func TestReplayGuesses(t *testing.T) {
	w := newFixture(spell, 1, 0, 1, file{"a", "a;b;c;d;"})
	planned(t, w, manifest.Choice{Name: "clauses"}, 3)
	extentsOf(t, w)
	if r, _, err := w.replay(t, mr.MapPhase, 1); err != nil || r.Committed == "" || len(r.Different) > 0 {
		t.Errorf("%+v, %v", r, err)
	}
	was := manifest.Extent{WentOn: input.Position{Offset: 4}}
	d := (&segments{extents: []manifest.Extent{{}}}).differFrom(&manifest.Map{Extents: []manifest.Extent{was}})
	if len(d) != 1 || d[0] != "records of pieces begin and go on to [{byte 0 byte 0}], committed were [{byte 0 byte 4}]" {
		t.Errorf("different: %q", d)
	}
}
