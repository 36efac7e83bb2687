package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/table"
)

// Report is everything that was measured in one go.
type Report struct {
	Date      string    `json:"date"`
	Machine   Machine   `json:"machine"`
	Runs      int       `json:"runs"`
	Scale     float64   `json:"scale"`
	Missing   []string  `json:"missing,omitempty"`
	Workloads []*Result `json:"workloads"`
	// Pipe and Scheduler are nil if they were not picked.
	Pipe      *Pipe      `json:"pipe,omitempty"`
	Scheduler *Scheduler `json:"scheduler,omitempty"`
}

// write writes the files that were asked for.
func (r *Report) write(o *options) error {
	if o.json != "" {
		text, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return fmt.Errorf("encode the results: %w", err)
		}
		if err := os.WriteFile(o.json, append(text, '\n'), 0o644); err != nil {
			return fmt.Errorf("write the results: %w", err)
		}
	}
	if o.md == "" {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s, %d cores, %s, Linux %s, %s. Medians of %d runs.\n", r.Date, r.Machine.CPU, r.Machine.Cores,
		r.Machine.Memory, r.Machine.Kernel, r.Machine.Go, r.Runs)
	if r.Scale != 1 {
		fmt.Fprintf(&b, "Sizes are %g of the usual.\n", r.Scale)
	}
	if len(r.Missing) > 0 {
		fmt.Fprintf(&b, "Not installed, so not measured: %s.\n", strings.Join(r.Missing, ", "))
	}
	section := func(title string, t table.Writer, targets []Verdict) {
		fmt.Fprintf(&b, "\n### %s\n\n%s\n", title, t.RenderMarkdown())
		for _, v := range targets {
			fmt.Fprintf(&b, "\n- %s", v)
		}
		if len(targets) > 0 {
			b.WriteByte('\n')
		}
	}
	for _, w := range r.Workloads {
		section(w.Name+": "+w.What, w.rows(), w.Targets)
	}
	if p := r.Pipe; p != nil {
		section(pipeTitle, p.rows(), p.Targets)
	}
	if s := r.Scheduler; s != nil {
		section(schedulerTitle, s.rows(), s.Targets)
	}
	if err := os.WriteFile(o.md, []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("write the results: %w", err)
	}
	return nil
}

// print shows a workload's results to people.
func (r *Result) print(out io.Writer) {
	fmt.Fprintf(out, "%s: %s (%s)\n%s\n", r.Name, r.What, humanize.Bytes(uint64(r.Bytes)), r.rows().Render())
	for _, v := range r.Targets {
		fmt.Fprintf(out, "  %s\n", v)
	}
	fmt.Fprintln(out)
}

// rows is the table of a workload.
func (r *Result) rows() table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"", "wall s", "from", "to", "CPU s", "peak MiB", "MB/s", "mraws takes"})
	for _, c := range r.Contestants {
		if len(c.Runs) == 0 {
			t.AppendRow(table.Row{c.Name, c.Note})
			continue
		}
		low, high := c.Runs[0].Wall, c.Runs[0].Wall
		for _, run := range c.Runs {
			low, high = min(low, run.Wall), max(high, run.Wall)
		}
		t.AppendRow(table.Row{
			c.Name, fmt.Sprintf("%.2f", c.Wall), fmt.Sprintf("%.2f", low), fmt.Sprintf("%.2f", high), fmt.Sprintf("%.2f", c.CPU),
			c.Peak >> 20, fmt.Sprintf("%.0f", float64(r.Bytes)/mb/c.Wall), fmt.Sprintf("%.3f of its time, %.2f of its CPU", c.Ratio, c.CPURatio),
		})
	}
	return t
}

// String says whether a target was met.
func (v Verdict) String() string {
	met := "missed"
	if v.Met {
		met = "met"
	} else if v.Got == 0 {
		met = "not measured"
	}
	about := string(v.Figure)
	if v.Against != "" {
		about += " against " + v.Against
	}
	return fmt.Sprintf("%s: %s is %.3g, at most %g", met, about, v.Got, v.Most)
}
