package coordinator

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	"pgregory.net/rapid"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// TestCutLines: the pieces of any bytes have n lines each, but for the last, which has
// what is left, however they are read.
func TestCutLines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`([ab]{0,3}\r?\n){0,12}[ab]{0,3}`).Draw(t, "text")
		text = strings.Repeat(text, rapid.SampledFrom([]int{1, 1, 1, 40_000}).Draw(t, "times"))
		n := rapid.Int64Range(1, 6).Draw(t, "n")
		lines := strings.SplitAfter(text, "\n")
		if lines[len(lines)-1] == "" {
			lines = lines[:len(lines)-1]
		}
		var want []int64
		at := int64(0)
		for i, line := range lines {
			if i > 0 && int64(i)%n == 0 {
				want = append(want, at)
			}
			at += int64(len(line))
		}
		r := io.Reader(strings.NewReader(text))
		if len(text) < 100 && rapid.Bool().Draw(t, "byte by byte") {
			r = iotest.DataErrReader(iotest.OneByteReader(r))
		}
		var got []int64
		if err := cutLines(r, int64(len(text)), n, func(at int64) error { got = append(got, at); return nil }); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("%d lines by %d (-want +got)\n%s", len(lines), n, d)
		}
	})
	failed := errors.New("no more")
	nothing := func(int64) error { return nil }
	if err := cutLines(strings.NewReader("a\nb"), 5, 1, nothing); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("an object that is too short: %v", err)
	}
	if err := cutLines(iotest.ErrReader(failed), 5, 1, nothing); !errors.Is(err, failed) {
		t.Errorf("an error: %v", err)
	}
	if err := cutLines(strings.NewReader("a\nb"), 3, 1, func(int64) error { return failed }); !errors.Is(err, failed) {
		t.Errorf("too many cuts: %v", err)
	}
}

// TestPlanLines: each task has the lines of one object, of any bucket, at the version
// that was listed; what cannot be cut is named.
func TestPlanLines(t *testing.T) {
	home, logs := newFake(), newFake()
	home.set("p/input/a", []byte("1\n2\n3"), nil)
	home.set("p/input/b", nil, nil)
	logs.set("d/c", []byte("1\n2\n"), nil)
	var log bytes.Buffer
	c := New(Options{
		Store: home, Buckets: only(logs), Layout: layout.New("p"), Log: zerolog.New(&log),
		Sources: []Source{{}, {Bucket: "logs", Prefix: "d/"}},
	})
	objects, _, err := c.inputs(t.Context(), lines)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.planLines(t.Context(), objects, 2)
	want := [][]manifest.Piece{{{Object: 0, Length: 4}}, {{Object: 0, Offset: 4, Length: 1}}, {{Object: 1}}, {{Object: 2, Length: 4}}}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v (-want +got)\n%s", err, d)
	}
	if !strings.Contains(log.String(), `"bytes":9`) {
		t.Errorf("the log is %s", log.String())
	}
	job := &manifest.Job{
		Schema: manifest.JobSchema, ID: "lines-1", NReduce: 1, SplitSize: 1, Objects: objects, Tasks: got,
		Spec: *(&manifest.Exec{Mapper: "cat", Reducer: "cat"}).Spec("exec"),
	}
	job.Input.Options = map[string]string{manifest.PerTask: "2"}
	if err := job.Validate(layout.New("p")); err != nil {
		t.Error(err)
	}
	logs.set("d/c", []byte("other\n"), nil)
	if _, err := c.planLines(t.Context(), objects, 2); !errors.Is(err, object.ErrPrecondition) || !strings.Contains(err.Error(), "cut s3://logs/d/c behind each 2 lines") {
		t.Errorf("an object that has changed: %v", err)
	}
	objects[0].Compression = manifest.CompressionOf("a.gz")
	if _, err := c.planLines(t.Context(), objects, 2); !errors.Is(err, ErrCompressedLines) || !strings.HasSuffix(err.Error(), ": a") || !ofJob(err) {
		t.Errorf("a compressed object: %v", err)
	}
	home.set("p/input/many", bytes.Repeat([]byte{'\n'}, mostLineTasks+1), nil)
	many, err := home.Stat(t.Context(), "p/input/many")
	if err != nil {
		t.Fatal(err)
	}
	objects = []manifest.Object{{Name: "many", ETag: many.ETag, Size: many.Size}}
	if _, err := c.planLines(t.Context(), objects, 1); !errors.Is(err, ErrManyLineTasks) || !strings.Contains(err.Error(), fmt.Sprint(mostLineTasks)) {
		t.Errorf("too many tasks: %v", err)
	}
	if got, err := c.planLines(t.Context(), objects, 2); err != nil || len(got) != mostLineTasks/2+1 {
		t.Errorf("%d tasks, %v", len(got), err)
	}
}

// TestPlanLinesOnce: a coordinator that goes on with a job takes the tasks from its
// spec and does not read the input again.
func TestPlanLinesOnce(t *testing.T) {
	f := newFake()
	f.set("p/input/a", []byte("1\n2\n3"), nil)
	spec := (&manifest.Exec{Mapper: "cat", Reducer: "cat"}).Spec("exec")
	run := func(n string) (*manifest.Job, bool, error) {
		o := Options{Store: f, Layout: layout.New("p"), NReduce: 1, SplitSize: 1, Exec: spec, Input: &manifest.Choice{Name: manifest.Lines, Options: map[string]string{manifest.PerTask: n}}}
		return New(o).settle(t.Context(), o.withFormats(*spec))
	}
	first, created, err := run("2")
	if err != nil || !created || len(first.Tasks) != 2 {
		t.Fatalf("%+v, %v, %v", first, created, err)
	}
	f.inject("open", "", 1, notDone)
	again, created, err := run("2")
	if err != nil || created || again.ID != first.ID {
		t.Errorf("again: %+v, %v, %v", again, created, err)
	}
	var conflict *ConflictError
	if _, _, err := run("1"); !errors.As(err, &conflict) || !strings.Contains(strings.Join(conflict.Diff, ""), "input: lines per-task=2 -> lines per-task=1") {
		t.Errorf("another number of lines: %v", err)
	}
}
