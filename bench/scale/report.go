package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/table"
)

// print shows the table.
func (o *options) print(out io.Writer, rows []row) {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = 0
	t.AppendHeader(table.Row{"cell", "design", "maps × reduces", "time", "of it maps", "PUT", "GET", "machines $", "requests $", "total $", "$/TB", "MB/s per vCPU", "slots wait for"})
	for _, r := range rows {
		t.AppendRow(r.cells())
	}
	for _, p := range published() {
		t.AppendRow(p)
	}
	if o.markdown {
		fmt.Fprintln(out, t.RenderMarkdown())
		return
	}
	fmt.Fprintf(out, "on %s\n%s\n", o.machine.Name, t.Render())
}

// published are the figures of others, MB/s by core: Luan and others,
// "Exoshuffle-CloudSort", arXiv:2301.03734, 2023 (40 machines of 16 vCPUs),
// and of databricks.com/blog/2014/11/05 Spark 2014 on 6,592 vCPUs and
// Hadoop 2013 on 50,400 cores, their seconds from sortbenchmark.org.
// docs/scale.md has the arithmetic.
func published() []table.Row {
	return []table.Row{
		{"100TB/40", "Exoshuffle-CloudSort 2022", "", clock(5378), "", "", "", "", "", "97", "0.97", "29.1"},
		{"100TB/206", "Spark 2014", "", clock(1406), "", "", "", "", "", "", "", "10.8"},
		{"102TB/2100", "Hadoop 2013", "", clock(4328), "", "", "", "", "", "", "", "0.5"},
	}
}

func clock(seconds float64) string {
	return time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
}

func (r *row) cells() table.Row {
	j := r.sim.Job
	size := fmt.Sprintf("%s × %s", humanize.Comma(int64(j.Maps)), humanize.Comma(int64(j.Reduces)))
	walls := strings.Join(r.sim.walls(), "; ")
	if walls != "" {
		walls = "DOES NOT FIT: " + walls
	}
	if r.result == nil {
		least := "over " + clock(r.sim.estimate())
		if days := r.sim.estimate() / 86400; days >= 2 {
			least = fmt.Sprintf("over %.0f days", days)
		}
		return table.Row{r.cell, r.design, size, least, "", "", "", "", "", "", "", "", walls}
	}
	x := r.result
	tbs := j.Bytes / tb
	waits := x.waits()
	if walls != "" {
		waits = walls + "; else " + waits
	}
	return table.Row{
		r.cell, r.design, size, clock(x.Seconds), clock(x.Map), count(x.Puts), count(x.Gets),
		dollars(x.Dollars.Machines), dollars(x.Dollars.Requests), dollars(x.Total()), fmt.Sprintf("%.2f", x.Total()/tbs),
		fmt.Sprintf("%.1f", x.PerVCPU/1e6), waits,
	}
}

func dollars(n float64) string {
	if n >= 100 {
		return fmt.Sprintf("%.0f", n)
	}
	return fmt.Sprintf("%.2f", n)
}

func count(n float64) string { return humanize.SIWithDigits(n, 1, "") }

// waits lists what slots spent their time on, the most first.
func (r *Result) waits() string {
	type share struct {
		limit limit
		of    float64
	}
	all := 0.0
	var shares []share
	for l, t := range r.Waited {
		all += t
		shares = append(shares, share{limit(l), t})
	}
	slices.SortStableFunc(shares, func(a, b share) int { return cmp.Compare(b.of, a.of) })
	var said []string
	for _, s := range shares {
		if of := s.of / all; of >= 0.08 {
			said = append(said, fmt.Sprintf("%s %.0f%%", s.limit, 100*of))
		}
	}
	return strings.Join(said, ", ")
}
