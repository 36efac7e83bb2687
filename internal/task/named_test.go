package task

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/testkit"
	"github.com/mraws/mraws/mr"
)

// sorting counts words, and writes those that are rare to a named output. A word of
// digits goes to one in another format. It maps lines alike in a map-only job.
func sorting() mr.App {
	app := testkit.App("sorting", nil, nil, nil)
	app.NamedOutputs = []string{"rare", "digits=csv"}
	app.NewMapper = func(t *mr.Task) (mr.Mapper, error) {
		return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
			for word := range strings.FieldsSeq(string(rec.Data)) {
				switch {
				case !t.MapOnly:
					out.Emit([]byte(word), []byte("1"))
				case word[0] <= '9':
					t.Named.Emit("digits", []byte(word), []byte(rec.Object))
				default:
					t.Named.Emit("rare", []byte(word), nil)
				}
				if word == "bad" {
					return errors.New("bad")
				}
			}
			if t.MapOnly {
				out.Emit(rec.Data, nil)
			}
			return nil
		}), nil
	}
	app.NewReducer = func(t *mr.Task) (mr.Reducer, error) {
		return mr.ReducerFunc(func(key []byte, values iter.Seq[[]byte], out mr.Output) error {
			n := 0
			for range values {
				n++
			}
			switch {
			case key[0] <= '9':
				t.Named.Emit("digits", key, fmt.Append(nil, n))
			case n == 1:
				t.Named.Emit("rare", key, nil)
			default:
				out.Write(fmt.Append(nil, n))
			}
			return nil
		}), nil
	}
	return app
}

// named are the objects of named outputs that the record of each task names, by name,
// one after the other. Each has to be as its record says.
func (w *fixture) named(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for r := range w.Spec.Outputs() {
		key := layout.Layout{}.ReduceAttempt(r, fmt.Sprintf("r%d", r))
		data, err := w.Store.Object(key)
		if err != nil {
			t.Fatal(err)
		}
		rec, err := manifest.DecodeReduce(data.Data, layout.Layout{}, w.Spec, r, fmt.Sprintf("r%d", r))
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range rec.Named {
			o, err := w.Store.Object(n.Key)
			if err != nil {
				t.Fatal(err)
			}
			if o.Info.ETag != n.ETag || int64(len(o.Data)) != n.Size || manifest.DigestOf(o.Data).String() != n.Hash {
				t.Errorf("%+v, and there is %q", n, o.Data)
			}
			all[n.Name] += string(o.Data)
		}
	}
	return all
}

// TestNamedOutputs: what a reducer writes to named outputs is in objects of the attempt,
// in the format of each, and its record names them. Nothing is there without records.
func TestNamedOutputs(t *testing.T) {
	w := newFixture(sorting(), 1, 0, 1, file{"a", "the cat 12\nthe 7 dog\n12\n"})
	w.Scratch = t.TempDir()
	if out := w.run(t); out[0] != "the 2\n" {
		t.Errorf("%q", out)
	}
	want := map[string]string{"rare": "cat\ndog\n", "digits": "key,value\n12,2\n7,1\n"}
	if d := cmp.Diff(want, w.named(t)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	w = newFixture(sorting(), 1, 0, 1, file{"a", "the the\n"})
	w.Scratch = t.TempDir()
	w.run(t)
	for key := range w.Store.Objects {
		if strings.Contains(key, "named-") {
			t.Errorf("there is %s without records", key)
		}
	}
}

// TestNamedOutputsDirect: so does a mapper of a map-only job. Of a record that is
// skipped nothing is in any output.
func TestNamedOutputsDirect(t *testing.T) {
	for _, memory := range []int64{1, 1 << 20} {
		w := newFixture(sorting(), 0, 0, 1, file{"a", "cat 12\ndog bad 9\n7\n"})
		w.Scratch, w.Memory = t.TempDir(), memory
		w.Spec.MaxBad = manifest.Budget{Records: 1}
		if out := w.run(t); out[0] != "cat 12\n7\n" {
			t.Errorf("%q", out)
		}
		want := map[string]string{"rare": "cat\n", "digits": "key,value\n12,a\n7,a\n"}
		if d := cmp.Diff(want, w.named(t)); d != "" {
			t.Errorf("-want +got:\n%s", d)
		}
	}
}

// TestNamedOutputsRefused: a name that the job does not declare, a record that its
// format cannot represent, and a map task whose job has reduce tasks fail the attempt.
func TestNamedOutputsRefused(t *testing.T) {
	for says, emit := range map[string]func(*mr.Task){
		`"other", which the job does not declare: it has digits, rare`:       func(t *mr.Task) { t.Named.Emit("other", []byte("k"), nil) },
		`write key "k" to the named output rare: line break in the value`:    func(t *mr.Task) { t.Named.Emit("rare", []byte("k"), []byte("a\nb")) },
		"write key \"k\\n\" to the named output rare: line break in the key": func(t *mr.Task) { t.Named.Emit("rare", []byte("k\n"), []byte("v")) },
	} {
		app := sorting()
		app.NewReducer = func(t *mr.Task) (mr.Reducer, error) {
			return mr.ReducerFunc(func([]byte, iter.Seq[[]byte], mr.Output) error { emit(t); return nil }), nil
		}
		w := newFixture(app, 1, 0, 1, file{"a", "x"})
		w.Scratch = t.TempDir()
		e := w.env(t)
		_, err := e.Run(context.Background(), Attempt{mr.MapPhase, 0, "m0"})
		if err == nil {
			_, err = e.Run(context.Background(), Attempt{mr.ReducePhase, 0, "r0"})
		}
		var fatal *FatalError
		if !errors.As(err, &fatal) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %s", err, says)
		}
	}
	app := sorting()
	app.NewMapper = func(t *mr.Task) (mr.Mapper, error) {
		return mr.MapperFunc(func(mr.Record, mr.Emitter) error { t.Named.Emit("rare", []byte("k"), nil); return nil }), nil
	}
	w := newFixture(app, 1, 0, 1, file{"a", "x"})
	w.Scratch = t.TempDir()
	_, err := w.env(t).Run(context.Background(), Attempt{mr.MapPhase, 0, "m0"})
	var failed *AppError
	if !errors.As(err, &failed) || !strings.Contains(err.Error(), "the named output rare in a map task") {
		t.Errorf("%v", err)
	}
}

// TestNamedLines: a line of an executable that begins with the name of a named output
// goes there. Any other line is the job's output, but for one with a name that the job
// does not declare.
func TestNamedLines(t *testing.T) {
	w := newFixture(sorting(), 0, 0, 1, file{"a", "x"})
	w.Scratch = t.TempDir()
	for line, want := range map[string]string{
		"output:rare\tthe cat\tsat": "rare: the cat\tsat\n",
		"output:rare\t":             "rare: \n",
		"output:rare":               "output",
		"output: rare\tx":           "output",
		"output:_\tx":               "output",
		"rare\tx":                   "output",
		"":                          "output",
		"output:other\tx":           "error",
	} {
		err := w.env(t).runAttempt(context.Background(), Attempt{mr.ReducePhase, 0, "r0"}, func(_ context.Context, a *attempt) error {
			n := a.newNamed()
			n.lines = true
			got := "output"
			taken, err := n.take([]byte(line))
			switch {
			case err != nil:
				got = "error"
			case taken:
				if _, err := n.finish(); err != nil {
					return err
				}
				got = "rare: " + readAll(&n.opened["rare"].spool)
			}
			if got != want {
				t.Errorf("%q: %q, want %q", line, got, want)
			}
			return n.Close()
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func readAll(s *spool) string {
	data := make([]byte, s.size)
	_, _ = s.ReadAt(data, 0)
	return string(data)
}

// TestNamedOutputsOfLosers: of two attempts at a task that write other bytes, the record
// that counts names those of the one that committed.
func TestNamedOutputsOfLosers(t *testing.T) {
	app := sorting()
	app.NewReducer = func(t *mr.Task) (mr.Reducer, error) {
		return mr.ReducerFunc(func(key []byte, _ iter.Seq[[]byte], _ mr.Output) error {
			t.Named.Emit("rare", key, []byte(t.Attempt))
			return nil
		}), nil
	}
	w := newFixture(app, 1, 0, 1, file{"a", "x"})
	w.Scratch = t.TempDir()
	w.run(t)
	res, err := w.env(t).Run(context.Background(), Attempt{mr.ReducePhase, 0, "late"})
	if err != nil || !res.Superseded {
		t.Errorf("%+v %v", res, err)
	}
	if d := cmp.Diff(map[string]string{"rare": "x r0\n"}, w.named(t)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	// Where its record is lost, an attempt that has made the same output puts one back.
	delete(w.Store.Objects, layout.Layout{}.ReduceAttempt(0, "r0"))
	if _, err = w.env(t).Run(context.Background(), Attempt{mr.ReducePhase, 0, "later"}); err != nil {
		t.Error(err)
	}
	if d := cmp.Diff(map[string]string{"rare": "x later\n"}, w.named(t)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// TestReplayNamed: a replay writes named outputs to files and compares them.
func TestReplayNamed(t *testing.T) {
	w := newFixture(sorting(), 1, 0, 1, file{"a", "the cat the 7\n"})
	w.Scratch = t.TempDir()
	w.run(t)
	got, files, err := w.replay(t, mr.ReducePhase, 0)
	if err != nil || len(got.Different) > 0 || files["rare/mr-out-0"] != "cat\n" || files["digits/mr-out-0.csv"] != "key,value\n7,1\n" {
		t.Errorf("%+v %q", got, files)
	}
	w.App.NewReducer = func(*mr.Task) (mr.Reducer, error) {
		return mr.ReducerFunc(func(key []byte, _ iter.Seq[[]byte], out mr.Output) error { out.Write(key); return nil }), nil
	}
	if got, _, err = w.replay(t, mr.ReducePhase, 0); err != nil || len(got.Different) != 3 || !strings.Contains(got.Different[1], "named output digits: 0 lines") {
		t.Errorf("%q", got.Different)
	}
}
