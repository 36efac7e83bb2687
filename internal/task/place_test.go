package task

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/testkit"
)

// TestOutputPlace: outputs lie in the place of their own that the job has, and nothing
// else does. What an earlier job wrote there late is replaced, and an attempt writes
// nothing in a place that does not belong to its job.
func TestOutputPlace(t *testing.T) {
	place := manifest.Place{Bucket: "results", Dir: "out/"}
	owned := func(job string) *manifest.Owner {
		return &manifest.Owner{Schema: manifest.OwnerSchema, Job: job, Home: manifest.Place{Bucket: "jobs"}}
	}
	for name, tt := range map[string]struct {
		owner *manifest.Owner
		late  bool
		ok    func(error) bool // of a reduce attempt; nil is well
	}{
		"owned":            {owned("job-1"), false, nil},
		"stale output":     {owned("job-1"), true, nil},
		"another's":        {owned("job-2"), false, func(err error) bool { var c *ConflictError; return errors.As(err, &c) && c.Got == "job-2" }},
		"nobody's":         {nil, false, func(err error) bool { var l *LostError; return errors.As(err, &l) && l.Key == "out/_owner.json" }},
		"another's, stale": {owned("job-2"), true, func(err error) bool { var c *ConflictError; return errors.As(err, &c) }},
	} {
		t.Run(name, func(t *testing.T) {
			w := smallJob(t)
			want := oracle(t, w.App, w.Spec.NReduce, file{"a", "the cat\nthe dog\n"}, file{"b", "a cat\r\n"}, file{"c", "end"})
			w.Spec.OutputAt = place
			w.Store.PutJSON(t, layout.Layout{}.Job(), w.Spec)
			results := smallJob(t)
			results.Store = testkit.NewStore()
			if tt.owner != nil {
				results.Store.PutJSON(t, "out/_owner.json", tt.owner)
			}
			if tt.late {
				results.late(t, "out/mr-out-1", "wrong 1\n", "job-0")
			}
			e := w.env(t)
			e.Layout = w.Spec.Layout(e.Layout)
			e.Outputs = func(bucket string) Place {
				if bucket != "results" {
					t.Errorf("asked for the bucket %q", bucket)
				}
				return results.Store
			}
			for i, task := range smallTasks {
				task.ID = fmt.Sprint("a", i)
				_, err := e.Run(context.Background(), task)
				switch {
				case i > 0 && tt.ok != nil && !tt.ok(err), (i == 0 || tt.ok == nil) && err != nil:
					t.Fatalf("%+v: %v", task, err)
				}
			}
			for r := range w.Spec.NReduce {
				if _, err := w.Store.Object(layout.Layout{}.Output(r)); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("output %d lies in output/: %v", r, err)
				}
				o, err := results.Store.Object(e.Layout.Output(r))
				switch {
				case tt.ok == nil && (err != nil || string(o.Data) != want[r] || o.Info.Meta[manifest.MetaJob] != "job-1"):
					t.Errorf("output %d: %v, %q, want %q", r, err, o.Data, want[r])
				case tt.ok != nil && err == nil && o.Info.Meta[manifest.MetaJob] == "job-1":
					t.Errorf("output %d was written into a place that is not the job's", r)
				}
			}
			w.Store.Check(t)
			results.Store.Check(t)
			e.Outputs = nil
			var fatal *FatalError
			if _, err := e.Run(context.Background(), smallTasks[1]); !errors.As(err, &fatal) {
				t.Errorf("where no other bucket can be written: %v", err)
			}
		})
	}
}
