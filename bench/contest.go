package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
)

// Result is what a workload's contestants took.
type Result struct {
	Name        string    `json:"name"`
	What        string    `json:"what"`
	Bytes       int64     `json:"bytes"`
	Contestants []*Entry  `json:"contestants"`
	Targets     []Verdict `json:"targets,omitempty"`
}

// Entry is one contestant's row.
type Entry struct {
	Name string `json:"name"`
	Runs []Run  `json:"runs"`
	// Wall, CPU and Peak are medians; Ratio is the median over the rounds
	// of mraws's wall time divided by this one's.
	Run
	Ratio    float64 `json:"ratio,omitempty"`
	CPURatio float64 `json:"cpu_ratio,omitempty"`
	// Note says why there are no figures, or what is wrong with the result.
	Note string `json:"note,omitempty"`

	contestant contestant
}

// Verdict is a target and what was measured.
type Verdict struct {
	Figure  figure  `json:"figure"`
	Against string  `json:"against,omitempty"`
	Most    float64 `json:"most"`
	Got     float64 `json:"got"`
	Met     bool    `json:"met"`
}

// measure runs a workload: every contestant once, to warm up, and then all in
// turn. Each result is checked; whose is wrong once is out, without a time.
func (e *environment) measure(ctx context.Context, w workload) (*Result, error) {
	in, err := e.makeInput(ctx, w.input)
	if err != nil {
		return nil, err
	}
	store, err := e.store(ctx, in)
	if err != nil {
		return nil, err
	}
	r := &Result{Name: w.name, What: w.what}
	if r.Bytes, err = sizeOf(in); err != nil {
		return nil, err
	}
	for _, c := range w.contestants {
		r.Contestants = append(r.Contestants, &Entry{Name: c.name, Note: e.absent(c), contestant: c})
	}
	want := map[form]digest{}
	for round := range e.o.runs + 1 {
		for _, entry := range r.Contestants {
			if entry.Note != "" {
				continue // absent, or it failed
			}
			run, err := e.one(ctx, entry, in, store, want)
			switch {
			case ctx.Err() != nil:
				return nil, context.Cause(ctx)
			case err != nil && entry.contestant.ours:
				return nil, err
			case err != nil:
				entry.Note, entry.Runs = err.Error(), nil
			case round > 0:
				entry.Runs = append(entry.Runs, run)
			}
		}
	}
	r.sum(w.targets)
	return r, nil
}

// one runs a contestant once and compares its result with the one in want of
// its form, which the first to have that form leaves there.
func (e *environment) one(ctx context.Context, entry *Entry, in, store string, want map[form]digest) (run Run, err error) {
	c := entry.contestant
	out, err := os.MkdirTemp(e.o.dir, "out-")
	if err != nil {
		return run, fmt.Errorf("make a folder for results: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(out)) }()
	env := e.environ(c, in, store, out)
	if err := shell(ctx, env, c.before); err != nil {
		return run, err
	}
	fmt.Fprintf(os.Stderr, "  %s\n", c.name)
	said := filepath.Join(out, "stdout")
	if run, err = execute(ctx, env, c.command, said, e.o.limit); err != nil {
		return run, err
	}
	if c.inner {
		if run.Wall, err = parseSeconds(said); err != nil {
			return run, err
		}
	}
	if err := shell(ctx, env, c.result); err != nil || c.form == "" {
		return run, err
	}
	got, err := c.form.read(filepath.Join(out, "result"))
	if err != nil {
		return run, err
	}
	f := c.form
	if f == countsFirst {
		f = words
	}
	if w, ok := want[f]; !ok {
		want[f] = got
	} else if w != got {
		return run, fmt.Errorf("another result than the others: %d lines, not %d", got.lines, w.lines)
	}
	return run, nil
}

// sizeOf returns the size of a file or of all files of a folder, in bytes.
func sizeOf(path string) (n int64, err error) {
	err = filepath.WalkDir(path, func(_ string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	return n, err
}

// sum fills in medians, ratios and verdicts.
func (r *Result) sum(targets []target) {
	us := r.Contestants[0]
	for _, c := range r.Contestants {
		c.Wall = median(c.Runs, func(i int) float64 { return c.Runs[i].Wall })
		c.CPU = median(c.Runs, func(i int) float64 { return c.Runs[i].CPU })
		c.Peak = int64(median(c.Runs, func(i int) float64 { return float64(c.Runs[i].Peak) }))
		c.Ratio = median(c.Runs, func(i int) float64 { return us.Runs[i].Wall / c.Runs[i].Wall })
		c.CPURatio = median(c.Runs, func(i int) float64 { return us.Runs[i].CPU / c.Runs[i].CPU })
	}
	for _, t := range targets {
		v := Verdict{Figure: t.figure, Against: t.against, Most: t.most}
		e := us
		if i := slices.IndexFunc(r.Contestants, func(c *Entry) bool { return c.Name == t.against }); i >= 0 {
			e = r.Contestants[i]
		}
		if len(e.Runs) > 0 {
			v.Got = t.figure.of(e, r.Bytes)
		}
		v.Met = v.Got > 0 && v.Got <= v.Most
		r.Targets = append(r.Targets, v)
	}
}

// figure is what a target is about.
type figure string

const (
	wall    figure = "wall"     // mraws's wall time divided by the other's
	cpu     figure = "cpu"      // the same of CPU time
	slower  figure = "slower"   // the other's wall time divided by mraws's
	perGB   figure = "cpu s/GB" // CPU seconds for a GB of input
	wallS   figure = "wall s"   // wall time in seconds
	peakMiB figure = "peak MiB" // resident memory of all processes
	idle    figure = "idle"     // share of the cores that did nothing
)

// of returns the figure of e, which has runs.
func (f figure) of(e *Entry, bytes int64) float64 {
	switch f {
	case wall:
		return e.Ratio
	case cpu:
		return e.CPURatio
	case slower:
		return 1 / e.Ratio
	case perGB:
		return e.CPU / (float64(bytes) / gb)
	case wallS:
		return e.Wall
	case idle:
		return 1 - e.CPU/(e.Wall*float64(runtime.NumCPU()))
	default:
		return float64(e.Peak) / (1 << 20)
	}
}

// median of f over all runs, 0 if there are none.
func median(runs []Run, f func(i int) float64) float64 {
	if len(runs) == 0 {
		return 0
	}
	all := make([]float64, len(runs))
	for i := range runs {
		all[i] = f(i)
	}
	slices.Sort(all)
	if n := len(all); n%2 == 0 {
		return (all[n/2-1] + all[n/2]) / 2
	}
	return all[len(all)/2]
}
