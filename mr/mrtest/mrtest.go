// Package mrtest runs an application in memory, for the tests of people who
// write map and reduce code. It takes the promises of package mr at their
// word: what is valid "during the call" only is overwritten after the call,
// and a combiner is tried in several groupings, so that code which leans on
// more than it was promised fails here and not on a cluster.
package mrtest

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mraws/mraws/mr"
)

// Run runs app over inputs, from name below input/ to content, and returns
// the lines of all nreduce partitions in byte order. Parameters have their
// defaults. An error ends the test; use [Job] to see it.
func Run(t testing.TB, app mr.App, nreduce int, inputs map[string]string) []string {
	t.Helper()
	res, err := Job{App: app, NReduce: nreduce, Inputs: inputs}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return res.Lines()
}

// Job is one run of an app.
type Job struct {
	App     mr.App
	NReduce int               // 0 means 1
	Params  map[string]string // as given with --app-arg
	// Inputs are each one map task, in byte order of name. For an app with [mr.Rows]
	// one whose name ends in .csv or .tsv is a table with a header, any other JSON
	// lines.
	Inputs map[string]string
	// Workers is how many tasks run at the same time, each on a goroutine
	// with a worker's name of its own: w0, w1 and so on. 0 means 1, which
	// runs the tasks one after the other.
	Workers int
	// Files are the files that the job ships, such as a [testing/fstest.MapFS] or
	// os.DirFS("testdata"); nil is none.
	Files fs.FS
	// Side holds the side files; nil means a new, empty area.
	Side mr.SideFiles
}

// Result is what a [Job] left behind.
type Result struct {
	// Partitions holds mr-out-<r> at index r: lines "key value\n".
	Partitions []string
	// Named holds the named outputs by name: _named/errors/mr-out-<r> at index r of
	// Named["errors"], "" where there is no such object. Those with a format of their
	// own are shown as lines too.
	Named map[string][]string
	// Counters are summed over all tasks.
	Counters map[string]int64
	// Side is the side-file area.
	Side mr.SideFiles
}

// Lines returns the lines of all partitions in byte order, as
// `cat mr-out-* | LC_ALL=C sort` shows them.
func (r Result) Lines() []string {
	lines := strings.Split(strings.Join(r.Partitions, ""), "\n")
	lines = lines[:len(lines)-1]
	slices.Sort(lines)
	return lines
}

// Check calls the Check of the job's app on the output.
func (j Job) Check(res Result) error {
	params, err := j.App.Resolve(j.Params)
	if err != nil {
		return err
	}
	lines := func(yield func(mr.Line, error) bool) {
		for r, text := range res.Partitions {
			for line := range strings.Lines(text) {
				if !yield(mr.Line{Partition: r, Text: strings.TrimSuffix(line, "\n")}, nil) {
					return
				}
			}
		}
	}
	objects := slices.Sorted(maps.Keys(j.Inputs))
	return j.App.Check(lines, mr.CheckInfo{Maps: len(objects), Reduces: len(res.Partitions), Objects: objects, Params: params})
}

// Run runs all map tasks, then all reduce tasks. Where the app has a
// [mr.App.Reference] of its own name Run does the same with that, and wants the
// same output.
func (j Job) Run(ctx context.Context) (Result, error) {
	if err := j.App.Validate(); err != nil {
		return Result{}, err
	}
	params, err := j.App.Resolve(j.Params)
	if err != nil {
		return Result{}, err
	}
	r := &run{Job: j, params: params, names: slices.Sorted(maps.Keys(j.Inputs)), counters: map[string]int64{}}
	r.NReduce = max(j.NReduce, 1)
	if r.Side == nil {
		r.Side = NewSideFiles()
	}
	if r.Files == nil {
		r.Files = embed.FS{} // which is empty
	}
	res, err := r.all(ctx)
	if err != nil || j.App.Reference == nil || j.App.Reference.Name != j.App.Name {
		return res, err
	}
	return res, r.sameAsReference(ctx, res)
}

// sameAsReference runs the app's own reference and compares the output.
func (r *run) sameAsReference(ctx context.Context, res Result) error {
	plain := &run{Job: r.Job, params: r.params, names: r.names, counters: map[string]int64{}}
	plain.App, plain.Side = *r.App.Reference, NewSideFiles()
	want, err := plain.all(ctx)
	if err != nil {
		return fmt.Errorf("reference: %w", err)
	}
	if w, g := strings.Join(want.Partitions, ""), strings.Join(res.Partitions, ""); w != g {
		return fmt.Errorf("app %s gives another output than its reference: %q, want %q", r.App.Name, g, w)
	}
	for name, w := range want.Named {
		if g := res.Named[name]; !slices.Equal(w, g) {
			return fmt.Errorf("app %s gives another named output %s than its reference: %q, want %q", r.App.Name, name, g, w)
		}
	}
	return nil
}

// all runs the tasks of both phases.
func (r *run) all(ctx context.Context) (Result, error) {
	if r.App.Partition == nil {
		r.App.Partition = mr.Partition
	}
	pairs := make([][]pair, len(r.names))
	err := r.each(ctx, mr.MapPhase, len(r.names), func(t *mr.Task) (err error) {
		pairs[t.Index], err = r.mapTask(t, r.names[t.Index])
		return err
	})
	if err != nil {
		return Result{}, err
	}
	shuffled := r.shuffle(slices.Concat(pairs...))
	outputs := make([]string, r.NReduce)
	named := map[string][]string{}
	for _, d := range r.App.NamedOutputs {
		name, _, _ := mr.ParseNamedOutput(d) // Validate has read it
		named[name] = make([]string, r.NReduce)
	}
	err = r.each(ctx, mr.ReducePhase, r.NReduce, func(t *mr.Task) error {
		out, err := r.reduceTask(t, shuffled[t.Index])
		outputs[t.Index] = out.text.String()
		for name, text := range out.named {
			named[name][t.Index] = text.String()
		}
		return err
	})
	return Result{Partitions: outputs, Named: named, Counters: r.counters, Side: r.Side}, err
}

type run struct {
	Job
	params   map[string]string
	names    []string // of the inputs, in byte order
	mu       sync.Mutex
	counters map[string]int64 // guarded by mu
}

// Add adds to the counters of the job.
func (r *run) Add(name string, n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counters[name] += n
}

// each runs the n tasks of a phase on the job's workers, which take them in
// order, and returns the errors.
func (r *run) each(ctx context.Context, phase mr.Phase, n int, do func(*mr.Task) error) error {
	tasks := make(chan int, n)
	for i := range n {
		tasks <- i
	}
	close(tasks)
	errs := make([]error, n)
	var wg sync.WaitGroup
	for w := range max(r.Workers, 1) {
		wg.Go(func() {
			for i := range tasks {
				err := do(&mr.Task{
					Context: ctx, Job: "test", Worker: fmt.Sprintf("w%d", w), Attempt: fmt.Sprintf("%s-%d-0", phase, i),
					Phase: phase, Index: i, Params: maps.Clone(r.params), Files: r.Files, Side: r.Side, Counters: r,
					Objects: func() []string { return slices.Clone(r.names) },
				})
				if err != nil {
					errs[i] = fmt.Errorf("app %s: %s task %d: %w", r.App.Name, phase, i, err)
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// pair is one intermediate pair, in the partition that it belongs to.
type pair struct {
	partition  int
	key, value string
}

// group is a key with its values in input order.
type group struct {
	key    string
	values []string
}

// shuffle gives each partition its keys in byte order, each with its values in that
// of the app.
func (r *run) shuffle(pairs []pair) [][]group {
	slices.SortStableFunc(pairs, func(a, b pair) int { return cmp.Compare(a.key, b.key) })
	parts := make([][]group, r.NReduce)
	for i, p := range pairs {
		if r.App.Ordered {
			p.partition = i * r.NReduce / len(pairs)
			if i > 0 && pairs[i-1].key == p.key {
				p.partition = pairs[i-1].partition
			}
			pairs[i] = p
		}
		part := parts[p.partition]
		if len(part) == 0 || part[len(part)-1].key != p.key {
			part = append(part, group{key: p.key})
		}
		last := &part[len(part)-1]
		last.values = append(last.values, p.value)
		parts[p.partition] = part
	}
	for _, part := range parts {
		for _, g := range part {
			slices.SortStableFunc(g.values, func(a, b string) int { return r.App.SortValues.Compare([]byte(a), []byte(b)) })
		}
	}
	return parts
}

// spoil overwrites memory that was promised for the time of a call only.
func spoil(bs ...[]byte) {
	for _, b := range bs {
		for i := range b {
			b[i] = 0xAA
		}
	}
}

// spoilRow does so with the columns of a row, nil for none.
func spoilRow(f *mr.Fields) {
	if f == nil {
		return
	}
	for i := range f.Len() {
		if kind := f.Kind(i); kind != mr.NullField && kind != mr.BoolField {
			spoil(f.Text(i))
			f.SetText(i, []byte("spoilt"))
		}
	}
}

// spoiling yields a copy of each value that is spoilt when the next is taken.
func spoiling(values []string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, v := range values {
			b := []byte(v)
			more := yield(b)
			spoil(b)
			if !more {
				return
			}
		}
	}
}
