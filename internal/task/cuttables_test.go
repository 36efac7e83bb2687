package task

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/mraws/mraws/internal/coordinator"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/testkit"
	"github.com/mraws/mraws/mr"
)

// bgzf is text in blocks of BGZF of so many bytes.
func bgzf(t testing.TB, text string, size int) string { return string(testkit.BGZF(t, text, size)) }

// frames is text in frames of zstd of so many bytes.
func frames(t testing.TB, text string, size int) string {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	var file []byte
	for len(text) > 0 {
		n := min(size, len(text))
		file, text = w.EncodeAll([]byte(text[:n]), file), text[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return string(file)
}

// packedTable is a job over one compressed table, in n pieces.
func packedTable(t *testing.T, o tableObject, kind manifest.Compression, data string, n int, skip int64) *fixture {
	w := newFixture(byLines, 2, 0, 1, file{"o", data})
	w.Scratch = t.TempDir()
	w.Spec.Input, w.Spec.MaxBad = o.format, manifest.Budget{Records: skip}
	w.Spec.Decompress = manifest.Decompress{Ratio: 200, Limit: 1 << 40, Content: true}
	in := &w.Spec.Objects[0]
	if n > 1 {
		in.Compression = kind
	}
	tasks, err := coordinator.Plan([]manifest.Object{*in}, w.Spec.InputFormat(), max((8*in.Size+int64(n)-1)/int64(n), 1), coordinator.PackNever)
	if err != nil {
		t.Fatal(err)
	}
	if n == 1 {
		tasks = [][]manifest.Piece{{{Length: in.Size}}}
	}
	w.Spec.Tasks = tasks
	return w
}

// byLines lists lines, wherever they are.
var byLines = testkit.App("by-lines", func(rec mr.Record, out mr.Emitter) error {
	out.Emit(fmt.Appendf(nil, "%q", rec.Data), []byte("x"))
	return nil
}, join, nil)

// TestCutTables: rows of compressed CSV, TSV and JSON are the same in any number of
// pieces, and neighbours meet. So it is with the bad records of a damaged twin that may
// be skipped. A file with another bit fails a task, or its pieces do not meet.
func TestCutTables(t *testing.T) {
	objects := tableObjects(t)
	for _, name := range []string{"csv", "tsv", "json"} {
		o := objects[name]
		for kind, pack := range map[manifest.Compression]func(testing.TB, string, int) string{manifest.BGZF: bgzf, manifest.Zstd: frames} {
			t.Run(fmt.Sprint(name, " ", kind), func(t *testing.T) {
				t.Parallel()
				data, twin := pack(t, o.text, 700), pack(t, o.damaged, 700)
				whole, err := packedTable(t, o, kind, data, 1, 0).runTables(t)
				if err != nil {
					t.Fatal(err)
				}
				skipped, err := packedTable(t, o, kind, twin, 1, 1).runTables(t)
				if err != nil {
					t.Fatal(err)
				}
				for _, n := range []int{2, 3, 7, 40} {
					for _, tt := range []struct {
						data string
						skip int64
						want []string
					}{{data, 0, whole}, {twin, 1, skipped}} {
						w := packedTable(t, o, kind, tt.data, n, tt.skip)
						if len(w.Spec.Tasks) < 2 {
							t.Fatalf("%d tasks", len(w.Spec.Tasks))
						}
						got, err := w.runTables(t)
						if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
							t.Fatalf("in %d pieces: %v, -whole +cut:\n%s", n, err, diff)
						}
						if !meet(committedExtents(t, w), int64(len(tt.data))) {
							t.Errorf("in %d pieces: %v", n, committedExtents(t, w))
						}
					}
				}
				bad := []byte(data)
				bad[len(bad)/2] ^= 4
				w := packedTable(t, o, kind, string(bad), 7, 0)
				e, failed := w.env(t), 0
				for m := range w.Spec.Tasks {
					e.Progress = new(Progress)
					if _, err := e.Run(context.Background(), Attempt{mr.MapPhase, m, fmt.Sprintf("m%d", m)}); err != nil {
						failed++
					}
				}
				if failed == 0 && meet(committedExtents(t, w), int64(len(bad))) {
					t.Error("nobody has found a bit that is another")
				}
			})
		}
	}
}
