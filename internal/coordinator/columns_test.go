package coordinator

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	pq "github.com/parquet-go/parquet-go"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/parquet"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/mr"
)

// wideRow has a small column and a large one.
type wideRow struct {
	ID   int64  `parquet:"id"`
	Text []byte `parquet:"text"`
}

// wideTable is Parquet of 4 row groups with 4 MiB of text each.
func wideTable(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	random := rand.NewChaCha8([32]byte{})
	w := pq.NewGenericWriter[wideRow](&b)
	for range 4 {
		for i := range 256 {
			text := make([]byte, 16<<10)
			_, _ = random.Read(text)
			if _, err := w.Write([]wideRow{{int64(i), text}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestPlanByColumns: a job that reads one of two columns has as few map tasks as that
// takes, in objects of their own and packed. Where a footer cannot be read, or the
// program reads no Parquet, the sizes of the objects count.
func TestPlanByColumns(t *testing.T) {
	l, table := layout.New("p"), wideTable(t)
	spec := *wire.DescribeApp(mr.App{Name: "a"}, nil).Spec(nil)
	spec.Input = manifest.Choice{Name: "parquet"}
	named := spec
	named.Input.Options = map[string]string{"columns": "id"}
	noColumn := []string{"no column of the table"}
	for name, tt := range map[string]struct {
		spec    manifest.Spec
		columns []string // of the application
		none    bool     // the program reads no Parquet
		other   string   // an object besides the table
		want    int      // tasks
	}{
		"all":               {spec, nil, false, "", 11},
		"one":               {spec, []string{"id"}, false, "", 2},
		"one that is named": {named, nil, false, "", 2},
		"both":              {spec, []string{"id", "text"}, false, "", 11},
		"no reader":         {spec, []string{"id"}, true, "", 11},
		"no such column":    {spec, noColumn, false, "", 11},
		"not all of them":   {spec, []string{"id"}, false, "no table, as can be seen at its end", 3},
	} {
		t.Run(name, func(t *testing.T) {
			store := newFake()
			store.set(l.Input("a"), table, nil)
			if tt.other != "" {
				store.set(l.Input("b"), append(make([]byte, 2<<20), tt.other...), nil)
			}
			o := Options{Store: store, Layout: l, SplitSize: 2 << 20, NReduce: 1, Parquet: parquet.Read, Columns: tt.columns}
			if tt.none {
				o.Parquet = nil
			}
			job, _, err := New(o).plan(t.Context(), tt.spec)
			if err != nil || len(job.Tasks) != tt.want || job.SplitSize != o.SplitSize {
				t.Errorf("%d tasks with a split size of %d, %v, want %d", len(job.Tasks), job.SplitSize, err, tt.want)
			}
		})
	}
	t.Run("the store fails", func(t *testing.T) {
		store := newFake()
		store.set(l.Input("a"), table, nil)
		c := New(Options{Store: store, Layout: l, SplitSize: 2 << 20, NReduce: 1, Parquet: parquet.Read, Columns: []string{"id"}})
		o := manifest.Object{Name: "a", ETag: `"another version"`, Size: int64(len(table))}
		if _, err := c.splitOf(t.Context(), spec, []manifest.Object{o}, false); err == nil || errors.As(err, new(*input.ObjectError)) {
			t.Errorf("%v", err)
		}
	})
}

// TestSplitAmongSlots: tasks become smaller where slots would have none, down to a size
// that is worth while, and never larger.
func TestSplitAmongSlots(t *testing.T) {
	const mib = 1 << 20
	for _, tt := range []struct {
		share float64
		slots int
		size  int64
		want  int64
	}{
		{0.5, 0, 300 * mib, 64 * mib},
		{0.5, 2, 300 * mib, 64 * mib},
		{0.5, 3, 300 * mib, 50*mib + 1},
		{0.5, 4, 200 * mib, 25*mib + 1},
		{0.5, 100, 300 * mib, leastSplit},
	} {
		got := splitting{64 * mib, tt.share}.among(tt.slots, tt.size)
		if got.size != tt.want || got.share != tt.share {
			t.Errorf("%+v: %+v", tt, got)
		}
	}
	if got := (splitting{mib, 0.5}).among(100, 300*mib); got.size != mib {
		t.Errorf("a split size of %d", got.size)
	}
}
