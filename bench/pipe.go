package main

import (
	"context"
	"fmt"
	"io"

	"github.com/jedib0t/go-pretty/v6/table"
)

// Pipe is what mappers take that are executables, up to the emitter: without the
// sort, and without a store. CPU time is that of mraws and of the mapper together.
type Pipe struct {
	Mappers []PipeMapper `json:"mappers"`
	Targets []Verdict    `json:"targets"`
}

// PipeMapper is one of them, or one of them in a pipe without mraws.
type PipeMapper struct {
	Name string  `json:"name"`
	CPU  float64 `json:"cpu_s_per_gb"`
	Wall float64 `json:"wall_s_per_gb"`
}

// pipeName is the name by which -only picks it.
const pipeName = "exec-pipe"

const pipeTitle = pipeName + ": executables as mappers, up to the emitter"

const (
	catPerGB    figure = "CPU s/GB of cat"
	pythonPerGB figure = "CPU s/GB of the Python word count"
	overPipe    figure = "CPU of the Python word count over that of a pipe alone"
)

// measurePipe runs the benchmark of package execrunner.
func measurePipe(ctx context.Context) (*Pipe, error) {
	results, err := goBenchmark(ctx, "internal/runner/execrunner", "BenchmarkMapper", "5x")
	if err != nil {
		return nil, err
	}
	return newPipe(results)
}

// newPipe makes figures of the results.
func newPipe(results []goResult) (*Pipe, error) {
	p := &Pipe{}
	took := map[string]float64{}
	for _, r := range results {
		m := PipeMapper{Name: r.name, CPU: 1000 / r.figures["MB/cpu-s"], Wall: 1000 / r.figures["MB/s"]}
		if r.figures["MB/cpu-s"] <= 0 || r.figures["MB/s"] <= 0 {
			return nil, fmt.Errorf("read the benchmark of executables: no figures of %s", r.name)
		}
		took[r.name] = m.CPU
		p.Mappers = append(p.Mappers, m)
	}
	for _, v := range []Verdict{ // 500 MB/s, 45 MB/s, and 54 MB/s over 45
		{Figure: catPerGB, Most: 2, Got: took["cat"]},
		{Figure: pythonPerGB, Most: 22.2, Got: took["python-words"]},
		{Figure: overPipe, Most: 1.2, Got: took["python-words"] / max(took["python-words-alone"], 1e-9)},
	} {
		v.Met = v.Got > 0 && v.Got <= v.Most
		p.Targets = append(p.Targets, v)
	}
	return p, nil
}

// rows is the table of all mappers.
func (p *Pipe) rows() table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"mapper", "MB/s", "MB per CPU second"})
	for _, m := range p.Mappers {
		t.AppendRow(table.Row{m.Name, fmt.Sprintf("%.0f", 1000/m.Wall), fmt.Sprintf("%.1f", 1000/m.CPU)})
	}
	return t
}

// print shows the results to people.
func (p *Pipe) print(out io.Writer) {
	fmt.Fprintf(out, "%s\n%s\n", pipeTitle, p.rows().Render())
	for _, v := range p.Targets {
		fmt.Fprintf(out, "  %s\n", v)
	}
	fmt.Fprintln(out)
}
