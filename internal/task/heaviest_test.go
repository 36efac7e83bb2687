package task

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/testkit"
)

// TestHeaviest compares the keys that are kept with those of a list of all.
func TestHeaviest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h heaviest
		var all []manifest.HeavyKey
		buf := make([]byte, 200) // reused, as a reader does
		for i, n := range rapid.SliceOfN(rapid.Int64Range(1, 20), 0, 30).Draw(t, "bytes") {
			key := append(buf[:0], fmt.Sprint(i, strings.Repeat("x", rapid.IntRange(0, 80).Draw(t, "long")))...)
			all = append(all, manifest.HeavyKey{Text: shortKey(key), Records: n, Bytes: n})
			if n > h.least {
				h.add(key, n, n)
			}
			clear(key)
		}
		slices.SortStableFunc(all, func(a, b manifest.HeavyKey) int { return cmp.Compare(b.Bytes, a.Bytes) })
		want := slices.Clone(all[:min(len(all), manifest.MostHeavyKeys)])
		slices.SortFunc(want, manifest.Heavier)
		if got := h.list(); !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

// TestHeaviestOfAttempt: the record of a reduce attempt counts all records of a key,
// also those that the application leaves, and not those of the next one.
func TestHeaviestOfAttempt(t *testing.T) {
	app := halves
	app.Combine = nil
	w := newFixture(app, 1, 0, 0, file{"a", "b|22\na|1\nb|333\nc|\nd|4444\nb|22\n"})
	w.Scratch = t.TempDir()
	w.run(t)
	rec, err := manifest.Decode[manifest.Reduce](w.Store.Objects["intermediate/_attempts/reduce-0/r0"].Data, manifest.ReduceSchema)
	if err != nil {
		t.Fatal(err)
	}
	want := []manifest.HeavyKey{{Text: `"b"`, Records: 3, Bytes: 10}, {Text: `"d"`, Records: 1, Bytes: 5}, {Text: `"a"`, Records: 1, Bytes: 2}}
	if diff := gocmp.Diff(want, rec.Heaviest); diff != "" {
		t.Error(diff)
	}
}

// TestHotKey: most pairs have one key, and there is a combiner. However often a map
// attempt spills, it leaves one pair of the key, so a reduce attempt reads as many as
// there are map tasks (decision 0098).
func TestHotKey(t *testing.T) {
	lines := strings.Repeat("hot hot hot hot hot hot hot hot hot cold\n", 4000)
	for _, memory := range []int64{1000, 64 << 20} {
		w := newFixture(testkit.WC, 1, 20_000, 1, file{"a", lines + text(7, 50_000) + lines})
		w.Scratch, w.Memory = t.TempDir(), memory
		w.run(t)
		rec, err := manifest.Decode[manifest.Reduce](w.Store.Objects["intermediate/_attempts/reduce-0/r0"].Data, manifest.ReduceSchema)
		if err != nil {
			t.Fatal(err)
		}
		if rec.Heaviest[0].Records > int64(len(w.Spec.Tasks)) {
			t.Errorf("memory of %d: %d map tasks left %v", memory, len(w.Spec.Tasks), rec.Heaviest)
		}
	}
}
