package cmd

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mraws/mraws/internal/escape"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/status"
)

// shownRows is how many workers and attempts people are shown.
const shownRows = 20

// statusText is a report for people.
func statusText(r *status.Report) string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s%s\n", name, escape.Line(fmt.Sprintf(format, args...)))
	}
	line("job", "%s", strings.Join(jobText(r), ", "))
	line("state", "%s", stateText(r))
	if r.Map.Tasks+r.Reduce.Tasks > 0 {
		f := r.Finished
		if f == nil {
			f = new(status.Finished)
		}
		line("map", "%s%s", doneText(r.Map), attemptsText(f.Map))
		if r.Reduce.Tasks > 0 { // else the job is map-only
			line("reduce", "%s%s", doneText(r.Reduce), attemptsText(f.Reduce))
		}
	}
	switch {
	case r.Finished != nil:
		line("output", "%s in %s", bytesText(r.OutputBytes), countText(r.Finished.Lines, "line"))
	case r.OutputBytes > 0:
		line("output", "%s so far", bytesText(r.OutputBytes))
	}
	if c := r.Receipt; c != nil {
		line("S3", "%s (%s on S3 in %s, prices of %s), %s received, %s sent",
			countText((object.Traffic{Requests: c.Requests}).Count(), "request"), dollarsText(c.USD), c.Region, c.Prices, bytesText(c.Received), bytesText(c.Sent))
	}
	if c := r.Coordinator; c != nil && !r.Over() {
		line("coordinator", "%s", coordinatorText(c))
	}
	if r.Live != nil {
		liveText(&b, r.Live)
	}
	if r.Log != nil {
		logText(&b, r.Log)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", escape.Line(n))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// jobText is which job a report is about.
func jobText(r *status.Report) []string {
	job, app := r.Job, "app not known yet"
	if job == "" {
		job = "not planned yet"
	}
	if r.App != nil {
		app = "app " + r.App.Name
	}
	return []string{job, app, "s3://" + strings.TrimSuffix(r.Bucket+"/"+r.Prefix, "/")}
}

func stateText(r *status.Report) string {
	text := string(r.State)
	switch {
	case r.State == status.Done && r.Finished != nil:
		text += fmt.Sprintf(" at %s, after %s", r.Finished.At.Local().Format(time.DateTime), secondsText(r.Finished.Seconds))
		if r.Finished.Skipped > 0 {
			text += ", " + countText(r.Finished.Skipped, "bad record") + " skipped"
		}
	case r.State == status.Failed:
		text += ": " + strings.ReplaceAll(r.Failure, "\n", "; ")
	case r.State == status.Cancelled:
		text += " at " + r.Cancelled.At.Local().Format(time.DateTime) + " by " + r.Cancelled.By
	case r.Coordinator == nil || r.Coordinator.State != status.Active:
		text += ", stalled: no coordinator"
	case r.Created != nil:
		text += ", planned " + r.Created.Local().Format(time.DateTime)
	}
	return text
}

// doneText is "3 of 10 done, 30%".
func doneText(p status.Phase) string {
	percent := 100
	if p.Tasks > 0 {
		percent = 100 * p.Done / p.Tasks
	}
	return fmt.Sprintf("%d of %d done, %d%%", p.Done, p.Tasks, percent)
}

func coordinatorText(c *status.Coordinator) string {
	text := strings.Join(c.Addresses, ", ")
	age := secondsText(c.AgeSeconds)
	switch c.State {
	case status.Ended:
		return text + ", ended " + age + " ago"
	case status.Silent:
		text += fmt.Sprintf(", not renewed for %s, lease %s: probably dead", age, secondsText(c.LeaseSeconds))
	default:
		text += ", announced " + age + " ago"
	}
	if c.Error != "" {
		text += "; does not answer: " + c.Error
	}
	return text
}

// liveText adds what the coordinator says.
func liveText(b *strings.Builder, l *status.Live) {
	fmt.Fprintf(b, "%-12s%s, up %s, %s\n", "", escape.Line(l.Address), secondsText(l.UptimeSeconds), countText(int64(l.Workers), "worker"))
	rows := [][]string{}
	for _, p := range []struct {
		name string
		n    status.LivePhase
	}{{"map", l.Map}, {"reduce", l.Reduce}} {
		rows = append(rows, numbers(p.name, p.n.Active, p.n.Tasks-p.n.Done-p.n.Active, p.n.Reused, p.n.Granted+p.n.Adopted,
			p.n.Committed, p.n.Failed, p.n.Lost, p.n.Released, p.n.Superseded, p.n.Speculative))
	}
	b.WriteString("\n" + tableText([]string{"PHASE", "ACTIVE", "WAITING", "REUSED", "ATTEMPTS", "COMMITTED", "FAILED", "LOST", "RELEASED", "SUPERSEDED", "SPECULATIVE"}, rows) + "\n")
	if len(l.Members) > 0 {
		rows = rows[:0]
		for _, m := range l.Members[:min(len(l.Members), shownRows)] {
			row := append(numbers(m.Name, m.Slots, m.Running), secondsText(m.SilentSeconds)+" ago", m.State)
			rows = append(rows, append(append(row, sampleRow(m.Sample)...), m.Host))
		}
		head := slices.Concat([]string{"WORKER", "SLOTS", "RUNNING", "HEARD", "STATE"}, sampleHead(), []string{"HOST"})
		b.WriteString("\n" + tableText(head, rows) + "\n" + more(l.Workers, len(rows)))
	}
	if len(l.Attempts) > 0 {
		rows = rows[:0]
		for _, a := range l.Attempts[:min(len(l.Attempts), shownRows)] {
			rows = append(rows, attemptRow(a))
		}
		b.WriteString("\n" + tableText([]string{"TASK", "FOR", "READ", "LEFT", "", "WORKER", "ATTEMPT"}, rows) + "\n" +
			more(l.Map.Running+l.Reduce.Running, len(rows)))
	}
}

// logText adds what the event log says.
func logText(b *strings.Builder, l *status.Log) {
	since := "; what has happened since is not known"
	if l.Ended != "" {
		since = ", when its coordinator ended"
	}
	fmt.Fprintf(b, "%-12sthe last event is of %s%s\n", "log", l.Until.Local().Format(time.DateTime), since)
	rows := [][]string{}
	for _, p := range []struct {
		name string
		n    status.LogPhase
	}{{"map", l.Map}, {"reduce", l.Reduce}} {
		rows = append(rows, numbers(p.name, p.n.Running, p.n.Committed, p.n.Failed, p.n.Lost, p.n.Released, p.n.Superseded, p.n.Left))
	}
	b.WriteString("\n" + tableText([]string{"PHASE", "RAN", "COMMITTED", "FAILED", "LOST", "RELEASED", "SUPERSEDED", "LEFT"}, rows) + "\n")
	if len(l.Workers) > 0 {
		rows = rows[:0]
		for _, w := range l.Workers[:min(len(l.Workers), shownRows)] {
			row := append(numbers(w.Name, w.Slots, w.Running), w.State)
			rows = append(rows, append(append(row, sampleRow(w.Sample)...), w.Host))
		}
		head := slices.Concat([]string{"WORKER", "SLOTS", "RAN", "STATE"}, sampleHead(), []string{"HOST"})
		b.WriteString("\n" + tableText(head, rows) + "\n" + more(len(l.Workers), len(rows)))
	}
	if len(l.Attempts) > 0 {
		rows = rows[:0]
		for _, a := range l.Attempts[:min(len(l.Attempts), shownRows)] {
			rows = append(rows, []string{a.Task, secondsText(a.Seconds), a.Worker, a.ID})
		}
		b.WriteString("\n" + tableText([]string{"TASK", "RAN FOR", "WORKER", "ATTEMPT"}, rows) + "\n" + more(l.Map.Running+l.Reduce.Running, len(rows)))
	}
	if len(l.Failures) > 0 {
		rows = rows[:0]
		for _, a := range l.Failures {
			rows = append(rows, []string{a.Task, a.Outcome, secondsText(a.Seconds), a.Worker, escape.Short(strings.ReplaceAll(a.Error, "\n", "; "), 100)})
		}
		b.WriteString("\n" + tableText([]string{"TASK", "", "AFTER", "WORKER", "ERROR"}, rows) + "\n")
	}
}

// sampleHead is above [sampleRow].
func sampleHead() []string { return []string{"CPU", "MEMORY", "SCRATCH FREE", "S3 P95", "THROTTLED"} }

// sampleRow is what the process of a worker takes; nil if it has not told.
func sampleRow(s *object.Sample) []string {
	if s == nil {
		return []string{"-", "-", "-", "-", "-"}
	}
	free, waits := "-", "-"
	if s.ScratchFreeBytes != nil {
		free = bytesText(*s.ScratchFreeBytes)
	}
	if s.S3P95 > 0 {
		waits = fmt.Sprintf("%.3gms", s.S3P95)
	}
	return []string{fmt.Sprintf("%.0f%%", s.CPUPercent), bytesText(s.MemoryBytes), free, waits, strconv.FormatInt(s.S3Throttled, 10)}
}

func attemptRow(a status.Attempt) []string {
	read, left := "?", "?"
	if a.Progress > 0 {
		read = strconv.Itoa(int(100*a.Progress)) + "%"
	}
	if a.LeftSeconds > 0 {
		left = "about " + secondsText(a.LeftSeconds)
	}
	var flags []string
	if a.Lags {
		flags = append(flags, "lags")
	}
	if a.Speculative {
		flags = append(flags, "speculative")
	}
	return []string{a.Task, secondsText(a.Seconds), read, left, strings.Join(flags, " "), a.Worker, a.ID}
}

// more says how many rows are not shown.
func more(all, shown int) string {
	if all <= shown {
		return ""
	}
	return fmt.Sprintf("and %d more\n", all-shown)
}

func numbers(first string, of ...int) []string {
	row := []string{first}
	for _, n := range of {
		row = append(row, strconv.Itoa(n))
	}
	return row
}

// secondsText is "0.4s", "12s" or "3m20s".
func secondsText(s float64) string {
	d := time.Duration(s * float64(time.Second))
	if d < 10*time.Second {
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + "s"
	}
	return d.Round(time.Second).String()
}
