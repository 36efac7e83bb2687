package task

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/testkit"
	"github.com/mraws/mraws/mr"
)

var putOptions = object.PutOptions{}

// text returns about n bytes of words in lines, some of them odd.
func text(seed uint64, n int) string {
	rnd := rand.New(rand.NewPCG(seed, 1))
	var b strings.Builder
	for b.Len() < n {
		w := fmt.Sprintf("w%d", int(rnd.ExpFloat64()*200))
		if rnd.IntN(50) == 0 {
			w = strings.Repeat("long", 3+rnd.IntN(10)) + w
		}
		b.WriteString(w)
		b.WriteString([]string{" ", " ", " ", " ", "\n", "\r\n", "\n\n", "  "}[rnd.IntN(8)])
	}
	return b.String()
}

// TestOracle: whatever the application, the input, the splits, the packing
// and the budget, the outputs are those of the obvious program.
func TestOracle(t *testing.T) {
	scratch := t.TempDir()
	numbered, whole := testkit.Where, testkit.WC
	numbered.Input, whole.Input = mr.NumberedLines, mr.WholeObjects
	apps := []mr.App{testkit.WC, testkit.Where, testkit.WhereCombined, numbered, whole}
	word := rapid.SampledFrom([]string{" ", "\n", "\r\n", "\n\n", " a ", "b ", "b\n", "a", "b", "ab", "a\x00", "a\x00\x00", "\x00", "\xff\xff\xff\xff\xff\xff\xff\xff\xff", "aaaaaaaa", "aaaaaaab", "aaaaaaaaa", "aaaaaaaaab", "aaaaaaa", "é"})
	rapid.Check(t, func(t *rapid.T) {
		app := rapid.SampledFrom(apps).Draw(t, "app")
		nreduce := rapid.IntRange(1, 4).Draw(t, "R")
		var files []file
		for i := range rapid.IntRange(0, 4).Draw(t, "files") {
			var b strings.Builder
			for _, w := range rapid.SliceOfN(word, 0, 60).Draw(t, "words") {
				b.WriteString(w)
			}
			files = append(files, file{fmt.Sprintf("f%d", i), b.String()})
		}
		w := newFixture(app, nreduce, rapid.IntRange(1, 300).Draw(t, "split"), rapid.IntRange(1, 4).Draw(t, "pack"), files...)
		w.shuffled(rapid.SampledFrom([]manifest.Shuffle{"", manifest.ShufflePacked}).Draw(t, "shuffle"))
		w.Scratch = scratch
		w.Memory = int64(rapid.SampledFrom([]int{1, 300, 1000, 4000, 1 << 20}).Draw(t, "memory"))
		if diff := cmp.Diff(oracle(t, app, nreduce, files...), w.run(t)); diff != "" {
			t.Fatalf("-want +got:\n%s", diff)
		}
	})
}

// TestBudgets runs more data, with every part of the machinery in use, and
// compares the segments too.
func TestBudgets(t *testing.T) {
	files := []file{{"a", text(1, 200_000)}, {"b", ""}, {"c", text(2, 150_000)}, {"d", "x"}}
	for _, app := range []mr.App{testkit.WC, testkit.Where, testkit.WhereCombined} {
		t.Run(app.Name, func(t *testing.T) {
			want := oracle(t, app, 3, files...)
			var hashes []string
			for i, memory := range []int64{20_000, 200_000, 1 << 20, 64 << 20, 20_000, 64 << 20} {
				w := newFixture(app, 3, 100_000, 2, files...)
				if i > 3 {
					w.shuffled(manifest.ShufflePacked)
				}
				w.Scratch, w.Memory = t.TempDir(), memory
				if diff := cmp.Diff(want, w.run(t)); diff != "" {
					t.Fatalf("budget %d: outputs differ", memory)
				}
				got := w.hashes(t)
				if hashes == nil {
					hashes = got
				}
				if diff := cmp.Diff(hashes, got); diff != "" {
					t.Errorf("budget %d: segments differ:\n%s", memory, diff)
				}
			}
		})
	}
}

// hashes returns the hashes of all partitions and the sums of both phases.
func (w *fixture) hashes(t testkit.TB) (all []string) {
	t.Helper()
	for m := range w.Spec.Tasks {
		rec, err := w.bucket().mapRecord(context.Background(), m)
		if err != nil {
			t.Fatalf("%v", err)
		}
		for r, p := range rec.Parts {
			key := p.Key
			if rec.Packed != nil {
				key = rec.Packed.Key
			}
			if key != w.Segment(m, r) {
				t.Fatalf("record of map %d names %s", m, key)
			}
			all = append(all, p.Hash)
		}
	}
	return all
}
