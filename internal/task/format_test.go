package task

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/coordinator"
	"github.com/mraws/mraws/internal/decompress"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/testkit"
	"github.com/mraws/mraws/mr"
)

func init() { testkit.AddFormats() }

// spell lists for each record where it lies.
var spell = testkit.App("spell", func(rec mr.Record, out mr.Emitter) error {
	out.Emit(fmt.Appendf(nil, "%q", rec.Data), fmt.Appendf(nil, "%s:%d", rec.Object, rec.Offset))
	return nil
}, func(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
	out.Write(bytes.Join(slices.Collect(func(yield func([]byte) bool) {
		for v := range values {
			if !yield(bytes.Clone(v)) {
				return
			}
		}
	}), []byte{','}))
	return nil
}, nil)

// planned makes the job of these files one of another input format, cut as the
// coordinator does, and reads its spec back as a worker does.
func planned(t *testing.T, w *fixture, in manifest.Choice, split int64) {
	t.Helper()
	w.Scratch = t.TempDir()
	w.Spec.Input, w.Spec.SplitSize = in, split
	var err error
	if w.Spec.Tasks, err = coordinator.Plan(w.Spec.Objects, w.Spec.InputFormat(), split, coordinator.PackAuto); err != nil {
		t.Fatal(err)
	}
	data, err := manifest.Encode(w.Spec)
	if err != nil {
		t.Fatal(err)
	}
	if w.Spec, err = manifest.DecodeJob(data, layout.Layout{}); err != nil {
		t.Fatal(err)
	}
}

// lines joins outputs and cuts them into sorted lines.
func linesOf(outputs []string) []string {
	return slices.Sorted(strings.Lines(strings.Join(outputs, "")))
}

// TestFixedRecords: a format that the engine was not made for gives each record
// once, with its place, from objects that are cut, packed, compressed or empty,
// wherever they are cut.
func TestFixedRecords(t *testing.T) {
	long := strings.Repeat("one\ntwo\x00six\r\r\r\r", 40) // 160 records, some with line ends
	want := map[string][]string{}
	note := func(name, text string) {
		for off := 0; off < len(text); off += 4 {
			key := fmt.Sprintf("%q", text[off:off+4])
			want[key] = append(want[key], fmt.Sprintf("%s:%d", name, off))
		}
	}
	files := []file{{"a", long}, {"b.gz", gz(t, "gzipgzip")}}
	note("a", long)
	note("b.gz", "gzipgzip")
	for i := range coordinator.PackAbove {
		f := file{fmt.Sprintf("c%04d", i), []string{"tiny", "", "one\ntwo\x00"}[i%3]}
		note(f.Name, f.Text)
		files = append(files, f)
	}
	var lines []string
	for key, places := range want {
		lines = append(lines, key+" "+strings.Join(places, ",")+"\n")
	}
	slices.Sort(lines)
	for split, tasks := range map[int64]int{50: 0, 101: 0, 1 << 20: 1} {
		w := newFixture(spell, 3, 0, 1, files...)
		planned(t, w, manifest.Choice{Name: "fixed", Options: map[string]string{"size": "4"}}, split)
		cut := 0
		for _, pieces := range w.Spec.Tasks {
			if pieces[0].Object == 0 && pieces[0].Offset > 0 {
				cut++
			}
			for _, p := range pieces {
				if p.Offset%4 != 0 {
					t.Errorf("split %d: piece %v", split, p)
				}
			}
		}
		if cut == 0 && tasks == 0 || tasks > 0 && len(w.Spec.Tasks) != tasks || len(w.Spec.Tasks) > coordinator.PackAbove {
			t.Errorf("split %d: %d tasks, %d of them inside the large object", split, len(w.Spec.Tasks), cut)
		}
		if diff := cmp.Diff(lines, linesOf(w.run(t))); diff != "" {
			t.Errorf("split %d (-want +got):\n%s", split, diff)
		}
	}
}

// TestFixedRecordsInOrder: key ranges are found in a sample of such records,
// which begins at records, also where one is larger than a chunk of the sample.
func TestFixedRecordsInOrder(t *testing.T) {
	for _, size := range []int{10, 5000} {
		var text strings.Builder
		for i := range 40000 / size {
			fmt.Fprintf(&text, "%0*d", size, (i*7919)%40000)
		}
		app := testkit.App("ordered", func(rec mr.Record, out mr.Emitter) error {
			if len(bytes.TrimLeft(rec.Data[:size-5], "0")) > 0 || rec.Offset%int64(size) != 0 {
				return fmt.Errorf("no record: %q", rec.Data)
			}
			out.Emit(rec.Data[size-5:], nil)
			return nil
		}, func(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
			for range values {
				out.Write(nil)
			}
			return nil
		}, nil)
		app.Ordered = true
		w := newFixture(app, 4, 0, 1, file{"a", text.String()})
		w.Spec.Partitioner.Options = map[string]string{manifest.SampleChunks: "16", manifest.SampleBytes: "64"}
		planned(t, w, manifest.Choice{Name: "fixed", Options: map[string]string{"size": fmt.Sprint(size)}}, 9000)
		out := strings.SplitAfter(strings.TrimSuffix(strings.Join(w.run(t), ""), "\n"), "\n")
		if len(out) != 40000/size || !slices.IsSorted(out) {
			t.Errorf("records of %d bytes: %d lines, in order %t", size, len(out), slices.IsSorted(out))
		}
	}
}

// TestIncompleteRecord: what no plan can see, that a decompressed object ends
// within a record, fails the attempt, and says where.
func TestIncompleteRecord(t *testing.T) {
	w := newFixture(spell, 1, 0, 1, file{"a.gz", gz(t, "four4444x")})
	planned(t, w, manifest.Choice{Name: "fixed", Options: map[string]string{"size": "4"}}, 100)
	_, err := w.env(t).Run(context.Background(), Attempt{mr.MapPhase, 0, "m"})
	var damage *decompress.Error
	if err == nil || errors.As(err, &damage) || !strings.Contains(err.Error(), "record at byte 8 of a.gz: it has 1 of 4 bytes") {
		t.Errorf("%v", err)
	}
	w.Check(t)
}

// TestIndexedRecords: a format that is read from the end of its objects, in any
// order, and not ahead of the reader.
func TestIndexedRecords(t *testing.T) {
	records := []string{"alpha", "", "beta", strings.Repeat("long ", 30), "\n", "alpha"}
	files := []file{{"a.gz", testkit.Indexed(records...)}, {"b", testkit.Indexed()}, {"c", testkit.Indexed("alpha")}}
	for _, split := range []int64{1, 40, 1 << 20} {
		w := newFixture(spell, 2, 0, 1, files...)
		for i := range w.Spec.Objects {
			w.Spec.Objects[i].Compression = "" // as the coordinator has it for the format
		}
		w.Spec.Decompress = manifest.Decompress{}
		planned(t, w, manifest.Choice{Name: "indexed"}, split)
		want := []string{`"" a.gz:5`, `"\n" a.gz:159`, `"alpha" a.gz:0,a.gz:160,c:0`, `"beta" a.gz:5`, fmt.Sprintf("%q a.gz:9", records[3])}
		for i := range want {
			want[i] += "\n"
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, linesOf(w.run(t))); diff != "" {
			t.Errorf("split %d (-want +got):\n%s", split, diff)
		}
	}
}

// TestFramedOutput: a format of output that the engine was not made for, with
// keys and values that no line can hold, and bytes where there is no record.
func TestFramedOutput(t *testing.T) {
	app := testkit.App("framed", func(rec mr.Record, out mr.Emitter) error {
		out.Emit(append([]byte("\n"), rec.Data...), fmt.Appendf(nil, "%d\n", rec.Offset))
		return nil
	}, func(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
		for v := range values {
			out.Write(v)
		}
		return nil
	}, nil)
	w := newFixture(app, 3, 0, 1, file{"a", "one\ntwo\none\n"})
	w.Spec.Output = manifest.Choice{Name: "framed"}
	planned(t, w, w.Spec.Input, 5)
	var got []string
	for r, text := range w.run(t) {
		records := testkit.Framed(t, text)
		got = append(got, records...)
		rec, err := manifest.DecodeReduce(w.Store.Objects[layout.Layout{}.ReduceAttempt(r, fmt.Sprintf("r%d", r))].Data, layout.Layout{}, w.Spec, r, fmt.Sprintf("r%d", r))
		if err != nil || rec.Output.Lines != int64(len(records)) || rec.Output.Size != int64(len(text)) {
			t.Errorf("record of output %d: %+v, %v", r, rec, err)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"\none=0\n", "\none=8\n", "\ntwo=4\n"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestUnfitOutput: a record that the format cannot hold fails the attempt for
// good, at its key.
func TestUnfitOutput(t *testing.T) {
	app := testkit.App("lines", func(_ mr.Record, out mr.Emitter) error {
		out.Emit([]byte("k"), nil)
		return nil
	}, func(key []byte, values iter.Seq[[]byte], out mr.Output) error {
		out.WriteLine([]byte("k and more"))
		return nil
	}, nil)
	app.Ordered = true
	w := newFixture(app, 1, 0, 1, file{"a", "one\n"})
	w.Spec.Output = manifest.Choice{Name: "framed"}
	planned(t, w, w.Spec.Input, 5)
	if _, err := w.env(t).Run(context.Background(), Attempt{mr.MapPhase, 0, "m"}); err != nil {
		t.Fatal(err)
	}
	_, err := w.env(t).Run(context.Background(), Attempt{mr.ReducePhase, 0, "r"})
	var fatal *FatalError
	if !errors.As(err, &fatal) || !strings.Contains(err.Error(), `write key "k": a line "k and more"`) {
		t.Errorf("%v", err)
	}
	w.Check(t)
}
