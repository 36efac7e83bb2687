package coordinator

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/mr"
)

func inputNames(objects []manifest.Object) []string {
	var names []string
	for _, o := range objects {
		names = append(names, o.Name)
	}
	return names
}

// TestInputs: which objects are input.
func TestInputs(t *testing.T) {
	l := layout.New("p")
	for _, tt := range []struct {
		name    string
		objects map[string]string
		names   []string
		want    []string
		err     string
	}{
		{name: "hidden names", objects: map[string]string{
			"a": "x", "_SUCCESS": "x", ".a.crc": "x", "d/_SUCCESS": "x", "d/.b": "x", "d/b": "x", "_d/c": "x", "e_": "", "f.x": "x",
		}, want: []string{"_d/c", "a", "d/b", "e_", "f.x"}},
		{name: "named", objects: map[string]string{"a": "x", "_b": "x", "c": "x", "d/": "x"}, names: []string{"_b", "c"}, want: []string{"_b", "c"}},
		{name: "none named", objects: map[string]string{"a": "x"}, names: []string{}},
		{name: "named, but gone", objects: map[string]string{"a": "x"}, names: []string{"a", "b"}, err: "s3://bucket/p/input/b does not belong to this job"},
		{name: "placeholders", objects: map[string]string{"": "", "d/": "", "d/a": "x"}, want: []string{"d/a"}},
		{name: "a folder with bytes", objects: map[string]string{"d/": "x", "d/a": "x"}, err: "s3://bucket/p/input/d/ has 1"},
		{name: "the input folder with bytes", objects: map[string]string{"": "xy"}, err: "s3://bucket/p/input/ has 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store := newFake()
			for name, data := range tt.objects {
				store.set(l.InputDir()+name, []byte(data), nil)
			}
			c := New(Options{Store: store, Layout: l, Names: tt.names})
			got, _, err := c.inputs(t.Context(), formatOf(manifest.Lines))
			if err != nil && tt.err != "" && strings.Contains(err.Error(), tt.err) {
				return
			}
			if err != nil || tt.err != "" {
				t.Fatalf("error %v, want %q", err, tt.err)
			}
			if d := cmp.Diff(tt.want, inputNames(got)); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestNamedJob: a job reads what its line names, says so in its spec, and goes
// on whatever else is uploaded.
func TestNamedJob(t *testing.T) {
	b := newFixture(t, 3)
	names := func(o *Options) { o.Names = []string{"in-1"} }
	s := b.start(names)
	s.until("the job is prepared", func(l *loop) bool { return l.job != nil })
	s.kill()
	b.store.set(b.lay.Input("more"), []byte("x"), nil)
	s = b.start(names)
	s.join("w", 1).work(3)
	if got := s.succeeds(); got.Map.Tasks != 1 || got.Emitted != 2 {
		t.Errorf("summary: %+v", got)
	}
	data, _ := b.store.data(b.lay.Job())
	job, err := manifest.Decode[manifest.Job]([]byte(data), manifest.JobSchema)
	if err != nil || !job.Named || len(job.Objects) != 1 {
		t.Errorf("spec: %+v, %v", job, err)
	}
	if s.c.WasDone() {
		t.Error("the job is said to have been done before")
	}
	s = b.start(names)
	s.succeeds()
	if !s.c.WasDone() {
		t.Error("the job is not said to have been done before")
	}
}

// TestForesee: what Run would refuse is refused before anything is uploaded,
// with the same error, and what it would accept is not.
func TestForesee(t *testing.T) {
	for _, tt := range []struct {
		name   string
		spoil  func(*fixture)
		change func(*Options)
		differ []string
		found  bool
		diff   []string // of the conflict
	}{
		{name: "nothing there", spoil: func(b *fixture) { b.store.remove(b.lay.Job()) }},
		{name: "the same", found: true},
		{name: "other content", differ: []string{"in-0"}, found: true, diff: []string{`input changed: "in-0"`}},
		{name: "less input", change: func(o *Options) { o.Names = []string{"in-0"} }, found: true, diff: []string{`input removed: "in-1"`}},
		{name: "more input", change: func(o *Options) { o.Names = append(o.Names, "in-2") }, differ: []string{"in-2"}, found: true, diff: []string{`input added: "in-2"`}},
		{name: "another nreduce", change: func(o *Options) { o.NReduce = 7 }, differ: []string{"in-0"}, found: true, diff: []string{"nreduce: 2 -> 7", `input changed: "in-0"`}},
		{name: "another app", change: func(o *Options) { o.App = &mr.App{Name: "grep"} }, found: true, diff: []string{"app: wc -> grep", `app version: "1" -> ""`, `app parameter fold: "no" -> not set`}},
		{name: "torn spec", spoil: func(b *fixture) { b.store.set(b.lay.Job(), []byte("{"), nil) }, diff: []string{""}},
		{name: "an output of no job", spoil: func(b *fixture) {
			b.store.remove(b.lay.Job())
			b.store.set(b.lay.Output(0), []byte("x"), nil)
		}, diff: []string{"there is no job that it belongs to"}},
		{name: "a summary of no job", spoil: func(b *fixture) {
			b.store.remove(b.lay.Job())
			b.store.set(b.lay.Success(), []byte("x"), nil)
		}, diff: []string{"there is no job that it belongs to"}},
		{name: "a record of no job", spoil: func(b *fixture) {
			b.store.remove(b.lay.Job())
			b.store.set(b.lay.MapCommit(0), []byte("x"), nil)
		}, diff: []string{"there is no job that it belongs to"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newFixture(t, 2)
			s := b.start(func(o *Options) { o.Names = []string{"in-0", "in-1"} })
			s.until("the job is prepared", func(l *loop) bool { return l.job != nil })
			s.kill()
			if tt.spoil != nil {
				tt.spoil(b)
			}
			o := Options{Store: b.store, Layout: b.lay, Log: zerolog.Nop(), App: s.c.o.App, NReduce: 2, Names: []string{"in-0", "in-1"}}
			if tt.change != nil {
				tt.change(&o)
			}
			found, err := New(o).Foresee(t.Context(), func(context.Context) ([]string, error) { return tt.differ, nil })
			var conflict *ConflictError
			if errors.As(err, &conflict) != (tt.diff != nil) || !errors.As(err, &conflict) && err != nil {
				t.Fatalf("found %v, error %v", found, err)
			}
			if tt.diff != nil && tt.diff[0] != "" {
				if d := cmp.Diff(tt.diff, conflict.Diff); d != "" {
					t.Error(d)
				}
			}
			if found != tt.found {
				t.Errorf("found %v, want %v", found, tt.found)
			}
		})
	}
}
