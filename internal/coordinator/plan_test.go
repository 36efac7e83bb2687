package coordinator

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/testkit"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/mr"
)

func init() { testkit.AddFormats() }

// formatOf is a format of input, with options as name and value in turn.
func formatOf(name string, options ...string) input.Format {
	set := map[string]string{}
	for pair := range slices.Chunk(options, 2) {
		set[pair[0]] = pair[1]
	}
	f, err := input.Resolve(name, set)
	if err != nil {
		panic(err)
	}
	return f
}

var lines = formatOf(manifest.Lines)

func objects(sizes ...int64) []manifest.Object {
	var os []manifest.Object
	for i, n := range sizes {
		os = append(os, manifest.Object{Name: fmt.Sprintf("f%04d", i), ETag: `"e"`, Size: n})
	}
	return os
}

// compressed is objects that all are.
func compressed(sizes ...int64) []manifest.Object {
	os := objects(sizes...)
	for i := range os {
		os[i].Compression = manifest.Gzip
	}
	return os
}

func TestPlan(t *testing.T) {
	p := func(o int, off, n int64) manifest.Piece { return manifest.Piece{Object: o, Offset: off, Length: n} }
	tests := []struct {
		name    string
		objects []manifest.Object
		input   input.Format
		want    [][]manifest.Piece
	}{
		{"nothing", nil, lines, nil},
		{"one task for each object", objects(5, 0, 10), lines, [][]manifest.Piece{{p(0, 0, 5)}, {p(1, 0, 0)}, {p(2, 0, 10)}}},
		{"a large object is cut evenly", objects(21, 3), lines, [][]manifest.Piece{{p(0, 0, 7)}, {p(0, 7, 7)}, {p(0, 14, 7)}, {p(1, 0, 3)}}},
		{"numbered lines are not cut", objects(21), formatOf(manifest.Lines, manifest.Numbered, "true"), [][]manifest.Piece{{p(0, 0, 21)}}},
		{"whole objects are not cut", objects(21), formatOf(manifest.Objects), [][]manifest.Piece{{p(0, 0, 21)}}},
		{"compressed objects are not cut", compressed(21, 0), lines, [][]manifest.Piece{{p(0, 0, 21)}, {p(1, 0, 0)}}},
		{"records of fixed length are cut between two", objects(28, 8), formatOf("fixed", "size", "4"), [][]manifest.Piece{{p(0, 0, 8)}, {p(0, 8, 8)}, {p(0, 16, 12)}, {p(1, 0, 8)}}},
		{"records larger than a split", objects(75), formatOf("fixed", "size", "25"), [][]manifest.Piece{{p(0, 0, 25)}, {p(0, 25, 25)}, {p(0, 50, 25)}}},
		{"bytes that weigh more", objects(9), formatOf("indexed"), [][]manifest.Piece{{p(0, 0, 4)}, {p(0, 4, 5)}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Plan(tt.objects, tt.input, 10, PackAuto)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestPlanPacksManySmallObjects(t *testing.T) {
	sizes := make([]int64, PackAbove+1)
	for i := range sizes {
		sizes[i] = 1
	}
	for _, tt := range []struct {
		n    int
		pack Pack
		want int
	}{{PackAbove, PackAuto, PackAbove}, {PackAbove + 1, PackAuto, 26}, {PackAbove + 1, PackNever, PackAbove + 1}} {
		got, err := Plan(objects(sizes[:tt.n]...), lines, 10, tt.pack)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != tt.want {
			t.Errorf("%d objects, pack %s: %d tasks, want %d", tt.n, tt.pack, len(got), tt.want)
		}
	}
	// Compressed ones share a task by what they may become: 8 times as much.
	for split, want := range map[int64]int{1: PackAbove + 1, 15: PackAbove + 1, 16: PackAbove/2 + 1, 10_000: 1} {
		got, err := Plan(compressed(sizes...), lines, split, PackAuto)
		if err != nil || len(got) != want {
			t.Errorf("%d compressed objects at %d: %d tasks, want %d, %v", len(sizes), split, len(got), want, err)
		}
	}
}

func TestShuffle(t *testing.T) {
	for _, tt := range []struct {
		s             Shuffle
		maps, reduces int
		want          manifest.Shuffle
	}{
		{"", 1 << 20, 1 << 20, ""},
		{ShufflePlain, 1 << 20, 1 << 20, ""},
		{ShufflePacked, 1, 1, manifest.ShufflePacked},
		{ShuffleAuto, 100, 100, ""},
		{ShuffleAuto, 10_001, 1, manifest.ShufflePacked},
		{ShuffleAuto, 200, 60, manifest.ShufflePacked},
		{ShuffleAuto, 0, 100_000, ""},
	} {
		if got := tt.s.of(tt.maps, tt.reduces); got != tt.want {
			t.Errorf("%q of %d maps and %d reduces is %q, want %q", tt.s, tt.maps, tt.reduces, got, tt.want)
		}
	}
}

// TestPlanCoversInputInOrder: whatever the objects, the job that comes out
// is valid, which includes that its pieces are the whole input in order.
func TestPlanCoversInputInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 600).Draw(t, "objects")
		sizes := rapid.SliceOfN(rapid.Int64Range(0, 300), n, n).Draw(t, "sizes")
		split := rapid.Int64Range(1, 200).Draw(t, "split size")
		app := mr.App{Name: "a", Input: mr.Input(rapid.IntRange(0, 2).Draw(t, "input"))}
		pack := rapid.SampledFrom([]Pack{PackAuto, PackNever}).Draw(t, "pack")
		job := &manifest.Job{Schema: manifest.JobSchema, ID: "j", Spec: *wire.DescribeApp(app, nil).Spec(nil), NReduce: 1, SplitSize: split, Objects: objects(sizes...)}
		every := rapid.IntRange(1, 4).Draw(t, "compressed, one of")
		for i := range job.Objects {
			if i%every == 1 {
				job.Objects[i].Compression = manifest.Zstd
			}
		}
		if job.Compressed() {
			job.Decompress = manifest.Decompress{Ratio: 1, Limit: 1}
		}
		var err error
		if job.Tasks, err = Plan(job.Objects, job.InputFormat(), split, pack); err != nil {
			t.Fatal(err)
		}
		if err := job.Validate(layout.New("p")); err != nil {
			t.Fatal(err)
		}
		for _, task := range job.Tasks {
			var bytes int64
			for _, p := range task {
				bytes += job.Objects[p.Object].Weight(job.InputFormat(), p.Length)
			}
			cut := app.Input == mr.Lines && job.Objects[task[0].Object].Compression == ""
			if bytes > split && (cut || len(task) > 1) {
				t.Fatalf("task %v has %d bytes, more than the split size %d", task, bytes, split)
			}
		}
	})
}

// TestPlanOfAnotherFormat: the coordinator cuts by the format that the job's
// spec names, and says which object cannot be of it.
func TestPlanOfAnotherFormat(t *testing.T) {
	l := layout.New("p")
	spec := *wire.DescribeApp(mr.App{Name: "a"}, nil).Spec(nil)
	spec.Input = manifest.Choice{Name: "fixed", Options: map[string]string{"size": "4"}}
	for name, tt := range map[string]struct {
		sizes map[string]int
		want  [][]manifest.Piece
		err   string
	}{
		"cut between records": {map[string]int{"a": 28, "b": 8}, [][]manifest.Piece{
			{{Object: 0, Length: 8}}, {{Object: 0, Offset: 8, Length: 8}}, {{Object: 0, Offset: 16, Length: 12}}, {{Object: 1, Length: 8}},
		}, ""},
		"compressed": {map[string]int{"a.gz": 27}, [][]manifest.Piece{{{Length: 27}}}, ""},
		"incomplete": {map[string]int{"a": 28, "b": 9}, nil,
			`plan the job: input object "b": its 9 bytes are no multiple of the record size 4: remove the incomplete record, or give the size that its records have`},
	} {
		t.Run(name, func(t *testing.T) {
			store := newFake()
			for name, size := range tt.sizes {
				data := make([]byte, size)
				if strings.HasSuffix(name, ".gz") {
					copy(data, "\x1f\x8b\x08")
				}
				store.set(l.Input(name), data, nil)
			}
			c := New(Options{Store: store, Layout: l, SplitSize: 10, NReduce: 1, Decompress: manifest.Decompress{Ratio: 1, Limit: 1}})
			job, _, err := c.plan(t.Context(), spec)
			if tt.err != "" {
				var size *manifest.SizeError
				if err == nil || err.Error() != tt.err || !errors.As(err, &size) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, job.Tasks); d != "" {
				t.Error(d)
			}
		})
	}
}
