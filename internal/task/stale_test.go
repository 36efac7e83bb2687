package task

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/testkit"
	"github.com/mraws/mraws/mr"
)

// late writes what a stopped attempt of an earlier job writes when it goes on.
func (w *fixture) late(t *testing.T, key, data, job string) {
	t.Helper()
	if _, err := w.Store.Write(key, []byte(data), object.PutOptions{Meta: map[string]string{
		manifest.MetaJob: job, manifest.MetaAttempt: "zombie", manifest.MetaHash: "00",
	}}); err != nil {
		t.Fatal(err)
	}
}

// staleObjects are the places in which an earlier job may have written late,
// with what it writes there.
func staleObjects() map[string]string {
	var l layout.Layout
	record, err := manifest.Encode(manifest.Map{Schema: manifest.MapSchema, Job: "job-0", Task: 0, Attempt: "zombie"})
	if err != nil {
		panic(err)
	}
	return map[string]string{
		l.Partition(0, 0): "x", l.Partition(0, 1): "x", l.Packed(0): "x", l.MapCommit(0): string(record),
		l.Output(0): "wrong 1\n", l.Output(1): "wrong 2\n",
	}
}

// TestStale: what an attempt of an earlier job writes late, behind a reset, in
// the place of this job counts for nothing: each task commits all the same, and
// what is there in the end is of this job.
func TestStale(t *testing.T) {
	for name, how := range map[string]manifest.Shuffle{"plain": "", "packed": manifest.ShufflePacked} {
		for key, data := range staleObjects() {
			t.Run(name+" "+key, func(t *testing.T) {
				w := smallJob(t).shuffled(how)
				w.Store.PutJSON(t, layout.Layout{}.Job(), w.Spec)
				want := oracle(t, w.App, w.Spec.NReduce, file{"a", "the cat\nthe dog\n"}, file{"b", "a cat\r\n"}, file{"c", "end"})
				w.late(t, key, data, "job-0")
				e := w.env(t)
				for i, task := range smallTasks {
					task.ID = fmt.Sprint("a", i)
					res, err := e.Run(context.Background(), task)
					if err != nil || res.Superseded {
						t.Fatalf("%+v: %+v, %v", task, res, err)
					}
				}
				if d := cmp.Diff(want, w.Outputs(t)); d != "" {
					t.Error(d)
				}
				for _, key := range []string{layout.Layout{}.MapCommit(0), layout.Layout{}.Output(0), layout.Layout{}.Output(1)} {
					if o, _ := w.Store.Object(key); o.Info.Meta[manifest.MetaJob] != w.Spec.ID {
						t.Errorf("%s is of job %q", key, o.Info.Meta[manifest.MetaJob])
					}
				}
				w.Check(t)
			})
		}
	}
}

// TestStaleCounters: an attempt that makes its output again, since that of an earlier
// job lies in its place, commits what the application has counted once.
func TestStaleCounters(t *testing.T) {
	for name, nreduce := range map[string]int{"reduce": 1, "map-only": 0} {
		t.Run(name, func(t *testing.T) {
			app := testkit.App("counting", nil, nil, nil)
			app.NewMapper = func(task *mr.Task) (mr.Mapper, error) {
				return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
					if task.MapOnly {
						task.Counters.Add("lines", 1)
					}
					out.Emit(rec.Data, []byte("1"))
					return nil
				}), nil
			}
			app.NewReducer = func(task *mr.Task) (mr.Reducer, error) {
				task.Counters.Add("reducers", 1)
				return mr.ReducerFunc(func(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
					for v := range values {
						task.Counters.Add("lines", 1)
						out.Write(v)
					}
					return nil
				}), nil
			}
			w := newFixture(app, nreduce, 0, 1, file{"a", "x\ny\nx\n"})
			w.Scratch = t.TempDir()
			w.Store.PutJSON(t, layout.Layout{}.Job(), w.Spec)
			w.late(t, layout.Layout{}.Output(0), "wrong 1\n", "job-0")
			w.run(t)
			o, _ := w.Store.Object(layout.Layout{}.ReduceAttempt(0, "r0"))
			rec, err := manifest.Decode[manifest.Reduce](o.Data, manifest.ReduceSchema)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]int64{"lines": 3}
			if nreduce > 0 {
				want["reducers"] = 1
			}
			if d := cmp.Diff(want, rec.Counters); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestStaleRanges: so do key ranges that an earlier job has made late.
func TestStaleRanges(t *testing.T) {
	w := newFixture(ordered(), 2, 1<<20, 1, file{"a", "x\ny\n"})
	w.Scratch = t.TempDir()
	w.Store.PutJSON(t, layout.Layout{}.Job(), w.Spec)
	data, err := manifest.Encode(manifest.Ranges{Schema: manifest.RangesSchema, Job: "job-0", Bounds: [][]byte{{1}}})
	if err != nil {
		t.Fatal(err)
	}
	w.late(t, layout.Layout{}.Ranges(), string(data), "job-0")
	if _, err := w.env(t).Run(context.Background(), Attempt{mr.MapPhase, 0, "x"}); err != nil {
		t.Fatal(err)
	}
	o, _ := w.Store.Object(layout.Layout{}.Ranges())
	if got, err := manifest.Decode[manifest.Ranges](o.Data, manifest.RangesSchema); err != nil || got.Job != w.Spec.ID {
		t.Errorf("%+v, %v", got, err)
	}
	w.Check(t)
}

// TestNotStale: an object of another job is touched only by the job to which
// the place belongs, and only if it came later than that job.
func TestNotStale(t *testing.T) {
	var l layout.Layout
	spec := func(job string) func(t *testing.T, w *fixture, key string) {
		return func(t *testing.T, w *fixture, _ string) {
			other := *w.Spec
			other.ID = job
			w.Store.PutJSON(t, l.Job(), other)
		}
	}
	for name, prepare := range map[string]func(t *testing.T, w *fixture, key string){
		"the attempt is the late one": spec("job-2"),
		"the job was reset":           func(*testing.T, *fixture, string) {},
		"the object was there before": func(t *testing.T, w *fixture, key string) {
			spec("job-1")(t, w, key)
			o := w.Store.Objects[l.Job()]
			o.Info.Modified = time.Unix(1000, 0)
			w.Store.Objects[l.Job()] = o
		},
	} {
		for key, data := range staleObjects() {
			if key == l.Packed(0) {
				continue
			}
			t.Run(name+" "+key, func(t *testing.T) {
				w := smallJob(t)
				e := w.env(t)
				task := Attempt{mr.MapPhase, 0, "a"}
				if r, ok := l.ParseOutput(key); ok {
					if _, err := e.Run(context.Background(), task); err != nil {
						t.Fatal(err)
					}
					task = Attempt{mr.ReducePhase, r, "b"}
				}
				w.late(t, key, data, "job-2")
				prepare(t, w, key)
				before, _ := w.Store.Object(key)
				_, err := e.Run(context.Background(), task)
				var conflict *ConflictError
				if !errors.As(err, &conflict) || conflict.Key != key || conflict.Got == "" {
					t.Errorf("Run: %v", err)
				}
				if after, _ := w.Store.Object(key); after.Info.ETag != before.Info.ETag {
					t.Errorf("%s was replaced", key)
				}
				w.Check(t)
			})
		}
	}
}
