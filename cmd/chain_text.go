package cmd

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// printPlan prints the jobs of a chain.
func (c *chainRun) printPlan(plan []plannedJob) error {
	if c.forMachines() {
		return printList(c.printer, struct {
			Schema string       `json:"schema"`
			Chain  string       `json:"chain"`
			Bucket string       `json:"bucket"`
			Prefix string       `json:"prefix"`
			Folder string       `json:"folder"` // of the lines
			Jobs   []plannedJob `json:"jobs"`
		}{"mraws/plan/v1", c.file.Name.Text, c.conf.Bucket, c.base(), c.dir, plan}, plan)
	}
	var rows [][]string
	var lines strings.Builder
	for _, p := range plan {
		repeat := p.Repeat
		if repeat == "" {
			repeat = "once"
		}
		rows = append(rows, []string{p.Step, p.App, repeat, p.Output})
		fmt.Fprintf(&lines, "\n%s", p.Line)
	}
	return c.say("chain %s, in folder %s\n\n%s\n\neach step as a line of its own:%s", c.file.Name.Text, c.dir,
		tableText([]string{"step", "app", "runs", "output"}, rows), lines.String())
}

// chainJSON is a chain that is done, as one document.
type chainJSON struct {
	Schema  string          `json:"schema"`
	Chain   string          `json:"chain"`
	Bucket  string          `json:"bucket"`
	Prefix  string          `json:"prefix"`
	DataDir string          `json:"data_dir,omitempty"`
	Seconds float64         `json:"seconds"`
	Output  string          `json:"output"` // of the last step
	Steps   []chainStepJSON `json:"steps"`
}

// chainStepJSON is a step that is done. A step that keeps the last rounds only has the
// jobs of those that it has run or found.
type chainStepJSON struct {
	Step    string    `json:"step"`
	Rounds  int       `json:"rounds,omitempty"`
	Stopped string    `json:"stopped,omitempty"` // why there were no more rounds
	Jobs    []jobJSON `json:"jobs"`
}

// result prints the summary of the chain, and the first lines of the output of its last
// step.
func (c *chainRun) result(ctx context.Context) error {
	last := c.results[len(c.results)-1]
	job := last.jobs[len(last.jobs)-1]
	if c.forMachines() {
		doc := chainJSON{
			Schema: "mraws/chain/v1", Chain: c.file.Name.Text, Bucket: c.st.Bucket(), Prefix: c.base(), DataDir: c.st.DataDir,
			Seconds: time.Since(c.began).Seconds(), Output: job.job.Output,
		}
		for _, r := range c.results {
			step := chainStepJSON{Step: r.name, Rounds: r.rounds, Stopped: r.stopped}
			for _, j := range r.jobs {
				step.Jobs = append(step.Jobs, j.job)
			}
			doc.Steps = append(doc.Steps, step)
		}
		if err := printList(c.printer, doc, doc.Steps); err != nil {
			return err
		}
		return c.skipped()
	}
	text := fmt.Sprintf("chain %s: %s in %.1fs\n%s", c.file.Name.Text, countText(int64(len(c.results)), "step"), time.Since(c.began).Seconds(), c.text())
	out, _ := job.where.outputs(c.st)
	lines, key, err := c.firstLines(ctx, out, job.success, c.flags.head)
	if err != nil {
		return err
	}
	if len(lines) > 0 {
		text += fmt.Sprintf("\nfirst lines of %s:\n  %s", key, strings.Join(lines, "\n  "))
	}
	if err := c.say("%s", text); err != nil {
		return err
	}
	return c.skipped()
}

// text is a table of the steps that are done.
func (c *chainRun) text() string {
	var rows [][]string
	for _, r := range c.results {
		state, before := "done", 0
		var seconds float64
		var skipped int64
		verified := len(r.jobs) > 0
		for _, j := range r.jobs {
			seconds, skipped = seconds+j.success.Seconds, skipped+j.success.Skipped
			verified = verified && j.job.Verify != nil
			if j.again {
				before++
			}
		}
		switch {
		case before == len(r.jobs):
			state = "done before"
		case before > 0:
			state = "resumed"
		}
		if r.rounds > 0 {
			state += ", " + countText(int64(r.rounds), "round")
		}
		if verified {
			state += ", verified"
		}
		last := r.jobs[len(r.jobs)-1]
		lines, _ := last.success.Wrote()
		rows = append(rows, []string{
			r.name, state, strconv.FormatFloat(seconds, 'f', 1, 64) + "s", humanize.Comma(r.jobs[0].success.Input.Records), humanize.Comma(lines),
			humanize.Comma(skipped), last.job.Output,
		})
	}
	return tableText([]string{"step", "state", "time", "records in", "lines out", "skipped", "output"}, rows)
}

// skipped is the warning of a chain whose jobs have skipped bad records.
func (c *chainRun) skipped() error {
	var n int64
	var lists []string
	for _, r := range c.results {
		for _, j := range r.jobs {
			if j.success.Skipped > 0 {
				n += j.success.Skipped
				lists = append(lists, fmt.Sprintf("s3://%s/%s", c.st.Bucket(), j.where.layout.BadDir()))
			}
		}
	}
	if n == 0 {
		return nil
	}
	return &Error{Code: ExitSkipped, Warning: true, What: countText(n, "bad record") + " skipped",
		Hint: strings.Join(lists, ", ") + ": lists of them with object, offset and error"}
}
