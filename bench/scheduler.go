package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
)

// Scheduler is what the scheduler's core takes for whole jobs with 10,000
// workers.
type Scheduler struct {
	Jobs    []Assigning `json:"jobs"`
	Targets []Verdict   `json:"targets"`
}

// Assigning is a job of one size.
type Assigning struct {
	Tasks  int     `json:"tasks"`
	Rate   float64 `json:"assignments_per_s"`
	CPU    float64 `json:"cpu_ns_per_assignment"`
	Memory float64 `json:"bytes_per_task"`
}

const (
	perAssignment figure = "ns per assignment" // of wall time
	bytesPerTask  figure = "bytes per task"
	steepness     figure = "dearest size over cheapest" // of CPU time for an assignment
)

// schedulerName is the name by which -only picks it.
const schedulerName = "scheduler"

// measureScheduler runs the benchmark of package sched.
func measureScheduler(ctx context.Context) (*Scheduler, error) {
	results, err := goBenchmark(ctx, "internal/coordinator/sched", "BenchmarkJob", "3x")
	if err != nil {
		return nil, err
	}
	s := &Scheduler{}
	if s.Jobs, err = newJobs(results); err != nil {
		return nil, err
	}
	large := s.Jobs[len(s.Jobs)-1]
	low, high, most := math.Inf(1), 0.0, 0.0
	for _, j := range s.Jobs {
		low, high, most = min(low, j.CPU), max(high, j.CPU), max(most, j.Memory)
	}
	for _, v := range []Verdict{
		{Figure: perAssignment, Most: 1e9 / 50_000, Got: 1e9 / large.Rate},
		{Figure: bytesPerTask, Most: 1024, Got: most},
		{Figure: steepness, Most: 2, Got: high / low},
	} {
		v.Met = v.Got > 0 && v.Got <= v.Most
		s.Targets = append(s.Targets, v)
	}
	return s, nil
}

// newJobs makes jobs of the results.
func newJobs(results []goResult) (jobs []Assigning, err error) {
	for _, r := range results {
		j := Assigning{Rate: r.figures["assignments/s"], CPU: r.figures["cpu-ns/assignment"], Memory: r.figures["B/task"]}
		if j.Tasks, err = strconv.Atoi(strings.TrimPrefix(r.name, "tasks=")); err != nil {
			return nil, fmt.Errorf("read the scheduler's benchmark: %w", err)
		}
		if j.Rate <= 0 || j.CPU <= 0 || j.Memory <= 0 {
			return nil, fmt.Errorf("read the scheduler's benchmark: no figures of %d tasks", j.Tasks)
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}

// rows is the table of all sizes.
func (s *Scheduler) rows() table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"tasks", "assignments/s", "CPU µs each", "bytes a task"})
	for _, j := range s.Jobs {
		t.AppendRow(table.Row{j.Tasks, fmt.Sprintf("%.0f", j.Rate), fmt.Sprintf("%.2f", j.CPU/1000), fmt.Sprintf("%.0f", j.Memory)})
	}
	return t
}

const schedulerTitle = schedulerName + ": jobs of one to a million tasks with 10,000 workers, on one core"

// print shows the results to people.
func (s *Scheduler) print(out io.Writer) {
	fmt.Fprintf(out, "%s\n%s\n", schedulerTitle, s.rows().Render())
	for _, v := range s.Targets {
		fmt.Fprintf(out, "  %s\n", v)
	}
	fmt.Fprintln(out)
}
