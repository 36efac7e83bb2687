package task

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/testkit"
	"github.com/mraws/mraws/mr"
)

// ordered is an app that sorts lines.
func ordered() mr.App {
	a := testkit.App("ordered", func(rec mr.Record, out mr.Emitter) error {
		out.Emit(rec.Data, nil)
		return nil
	}, func(key []byte, values iter.Seq[[]byte], out mr.Output) error {
		for range values {
			out.WriteLine(key)
		}
		return nil
	}, nil)
	a.Ordered = true
	return a
}

// TestOrdered: the outputs one after the other are the sorted input, shared
// out evenly, whoever took the sample.
func TestOrdered(t *testing.T) {
	text := random(3_000_000)
	w := newFixture(ordered(), 6, 1<<20, 1, file{"a", text})
	w.Scratch = t.TempDir()
	var all strings.Builder
	for r, out := range w.run(t) {
		if n := len(out); n < len(text)/6*8/10 || n > len(text)/6*12/10 {
			t.Errorf("output %d has %d bytes of %d", r, n, len(text))
		}
		all.WriteString(out)
	}
	want := slices.Sorted(strings.Lines(text))
	if got := all.String(); got != strings.Join(want, "") {
		t.Errorf("%d bytes of output are not the %d of the sorted input", len(got), len(text))
	}
}

// TestSameRanges: every worker finds the same ranges by itself.
func TestSameRanges(t *testing.T) {
	var first []byte
	for i := range 3 {
		w := newFixture(ordered(), 10, 1<<20, 1, file{"a", random(1 << 20)}, file{"b", random(2 << 20)})
		w.Scratch = t.TempDir()
		if _, err := w.env(t).Run(context.Background(), Attempt{mr.MapPhase, i, "x"}); err != nil {
			t.Fatal(err)
		}
		data := w.Store.Objects[layout.Layout{}.Ranges()].Data
		if first == nil {
			first = data
		}
		if !bytes.Equal(data, first) {
			t.Errorf("worker %d found other ranges", i)
		}
	}
}

// TestRangesOfOther: ranges of another job are refused, with their key.
func TestRangesOfOther(t *testing.T) {
	w := newFixture(ordered(), 2, 1<<20, 1, file{"a", "x\ny\n"})
	w.Scratch = t.TempDir()
	data, err := manifest.Encode(manifest.Ranges{Schema: manifest.RangesSchema, Job: "older", Bounds: [][]byte{{1}}})
	if err != nil {
		t.Fatal(err)
	}
	w.Store.Replace(layout.Layout{}.Ranges(), data)
	_, err = w.env(t).Run(context.Background(), Attempt{mr.MapPhase, 0, "x"})
	if err == nil || !strings.Contains(err.Error(), layout.Layout{}.Ranges()) || !strings.Contains(err.Error(), `"older"`) {
		t.Errorf("%v: want a refusal that names the key and the job", err)
	}
}

func TestSamplePieces(t *testing.T) {
	job := &manifest.Job{NReduce: 10, Spec: manifest.Spec{Input: manifest.Choice{Name: manifest.Lines}, Partitioner: manifest.RangesOf(10)}}
	for i := range 7 {
		job.Objects = append(job.Objects, manifest.Object{Name: fmt.Sprint(i), Size: int64(i) * 1e6})
	}
	pieces := samplePieces(job)
	if chunks, _ := job.Sample(); len(pieces) != int(chunks) || chunks != 32 {
		t.Fatalf("%d pieces, want %d", len(pieces), chunks)
	}
	for i, p := range pieces {
		if p.Offset < 0 || p.Length <= 0 || p.Offset+p.Length > job.Objects[p.Object].Size {
			t.Errorf("piece %d, %v, is not within object %d", i, p, p.Object)
		}
		if i > 0 && (p.Object < pieces[i-1].Object || p.Object == pieces[i-1].Object && p.Offset < pieces[i-1].Offset+pieces[i-1].Length) {
			t.Errorf("piece %d, %v, overlaps the one before or comes before it", i, p)
		}
	}
}
