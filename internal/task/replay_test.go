package task

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/testkit"
	"github.com/mraws/mraws/mr"
)

// files takes what a replay writes.
type files map[string]*closeBuffer

type closeBuffer struct {
	bytes.Buffer
	closed int
}

func (b *closeBuffer) Close() error { b.closed++; return nil }

func (f files) create(name string) (io.WriteCloser, error) {
	f[name] = new(closeBuffer)
	return f[name], nil
}

// texts returns the content of all files, and fails if one is still open.
func (f files) texts(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, b := range f {
		if all[name] = b.String(); b.closed != 1 {
			t.Errorf("%s was closed %d times", name, b.closed)
		}
	}
	return all
}

// replay replays a task, and fails the test if that writes to the bucket.
func (w *fixture) replay(t *testing.T, phase mr.Phase, index int) (Replayed, map[string]string, error) {
	t.Helper()
	before := len(w.Store.Calls)
	out := files{}
	r, err := w.env(t).Replay(context.Background(), phase, index, out.create)
	for _, c := range w.Store.Calls[before:] {
		if op, _, _ := strings.Cut(c, " "); !slices.Contains([]string{"get", "open", "stat", "list"}, op) {
			t.Errorf("the replay called %s", c)
		}
	}
	w.Check(t)
	return r, out.texts(t), err
}

func TestReplay(t *testing.T) {
	w := badJob(t)
	before, _, err := w.replay(t, mr.MapPhase, 0)
	if err != nil || before.Committed != "" || before.Skipped != 2 || before.Different != nil {
		t.Fatalf("%+v, %v", before, err)
	}
	if _, _, err := w.replay(t, mr.ReducePhase, 1); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("reduce before map: %v", err)
	}
	outputs := w.run(t)
	r, texts, err := w.replay(t, mr.MapPhase, 0)
	if want := (Replayed{Records: 6, Bytes: 38, Emitted: 7, Skipped: 2, Committed: "m0"}); err != nil || cmp.Diff(want, r) != "" {
		t.Errorf("%v, %s", err, cmp.Diff(want, r))
	}
	want := map[string]string{"mr-0-0": "", "mr-0-1": ""}
	for _, l := range []string{`"a"	"b:0:0"`, `"cat"	"a:0:0"`, `"cat"	"b:0:0"`, `"dog"	"a:18:0"`, `"end"	"c:0:0"`, `"the"	"a:0:0"`, `"the"	"a:18:0"`} {
		key := strings.Trim(l[:strings.IndexByte(l, '\t')], `"`)
		want[fmt.Sprintf("mr-0-%d", mr.Partition([]byte(key), 2))] += l + "\n"
	}
	o, err := w.Store.Object(layout.Layout{}.Bad(0))
	if err != nil {
		t.Fatal(err)
	}
	want["bad-map-0"] = string(o.Data)
	if diff := cmp.Diff(want, texts); diff != "" {
		t.Errorf("files, -want +got:\n%s", diff)
	}
	for i := range outputs {
		r, texts, err := w.replay(t, mr.ReducePhase, i)
		if err != nil || r.Committed != fmt.Sprint("r", i) || r.Different != nil || r.Emitted != int64(strings.Count(outputs[i], "\n")) {
			t.Errorf("reduce %d: %+v, %v", i, r, err)
		}
		if diff := cmp.Diff(map[string]string{fmt.Sprint("mr-out-", i): outputs[i]}, texts); diff != "" {
			t.Errorf("reduce %d:\n%s", i, diff)
		}
	}
	if _, _, err := w.replay(t, mr.MapPhase, 1); err == nil || !strings.Contains(err.Error(), "job job-1 has no map task 1") {
		t.Errorf("no such task: %v", err)
	}
}

// TestReplayDifferent: a replay shows that an application does not do the
// same twice.
func TestReplayDifferent(t *testing.T) {
	w := badJob(t)
	w.run(t)
	w.App = brittle(testkit.App("where", func(rec mr.Record, out mr.Emitter) error {
		if bytes.Contains(rec.Data, []byte("dog")) {
			return errors.New("a dog")
		}
		return testkit.MapWhere(rec, out)
	}, func(_ []byte, _ iter.Seq[[]byte], out mr.Output) error {
		out.Write([]byte("x"))
		return nil
	}, nil))
	w.Spec.MaxBad.Records = 9
	r, _, err := w.replay(t, mr.MapPhase, 0)
	if err != nil || len(r.Different) < 2 || !strings.HasPrefix(r.Different[0], "partition ") ||
		!strings.HasPrefix(r.Different[len(r.Different)-1], "skipped: 3 records, list with SHA-256 ") {
		t.Errorf("%+v, %v", r, err)
	}
	r, _, err = w.replay(t, mr.ReducePhase, 0)
	if err != nil || len(r.Different) != 1 || !strings.HasPrefix(r.Different[0], "output: ") {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestReplayError: an error has all that is needed to look at the record.
func TestReplayError(t *testing.T) {
	for word, stack := range map[string]bool{"bad": false, "worse": true} {
		w := newFixture(brittle(testkit.Where), 2, 14, 9, file{"a", "fine\nmore\nand " + word + "\n"})
		w.Scratch = t.TempDir()
		_, texts, err := w.replay(t, mr.MapPhase, 0)
		var te *AppError
		if !errors.As(err, &te) || te.Object != "a" || te.Offset != 10 || te.Line != 3 || strings.Contains(te.Stack, "brittle") != stack {
			t.Errorf("%s: %v, %+v", word, err, te)
		}
		if err == nil || !strings.Contains(err.Error(), "replay map task 0: record at byte 10 of a (line 3): ") || len(texts) > 0 {
			t.Errorf("%s: %v, %v", word, err, texts)
		}
	}
}

// TestReplaySide: side files of the job are there, and what a replay writes
// is there for itself only.
func TestReplaySide(t *testing.T) {
	a := testkit.WC
	a.NewMapper = func(task *mr.Task) (mr.Mapper, error) {
		return mr.MapperFunc(func(_ mr.Record, out mr.Emitter) error {
			for _, name := range []string{"d/old", "d/new", "d/new"} {
				err := task.Side.Create(task.Context, name, []byte("x"))
				out.Emit([]byte(name), fmt.Append(nil, errors.Is(err, fs.ErrExist)))
			}
			if err := task.Side.Put(task.Context, "d/old", []byte("mine")); err != nil {
				return err
			}
			old, err := task.Side.Get(task.Context, "d/old")
			if err != nil {
				return err
			}
			names, err := task.Side.List(task.Context, "d/")
			out.Emit([]byte(strings.Join(names, ",")), old)
			return err
		}), nil
	}
	a.Combine = nil
	w := newFixture(a, 1, 0, 1, file{"a", "x\n"})
	w.Scratch = t.TempDir()
	key, _ := layout.Layout{}.Side("d/old")
	if _, err := w.Store.Put(context.Background(), key, []byte("theirs"), putOptions); err != nil {
		t.Fatal(err)
	}
	_, texts, err := w.replay(t, mr.MapPhase, 0)
	want := "\"d/new\"\t\"false\"\n\"d/new\"\t\"true\"\n\"d/new,d/old\"\t\"mine\"\n\"d/old\"\t\"true\"\n"
	if err != nil || texts["mr-0-0"] != want {
		t.Errorf("%v, %s", err, texts)
	}
}
