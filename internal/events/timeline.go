package events

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// mostPoints bounds the points of the curve of progress.
const mostPoints = 2000

// traceEvent is an event of the Chrome trace format, which Perfetto opens
// (https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU).
type traceEvent struct {
	Name  string         `json:"name"`
	Phase string         `json:"ph"`            // M metadata, X slice, C counter, i instant
	At    int64          `json:"ts"`            // microseconds since the first event
	Took  *int64         `json:"dur,omitempty"` // microseconds, of a slice
	PID   int            `json:"pid"`
	TID   int            `json:"tid"`
	Scope string         `json:"s,omitempty"` // of an instant: g is global
	Args  map[string]any `json:"args,omitempty"`
}

// WriteTrace writes the job as JSON in the Chrome trace format: a process for the job,
// with its phases, takeovers and progress, and one for each worker, with a thread for
// each slot on which the attempts are slices. What runs ends with the last event. Each
// write is a line.
func (s *State) WriteTrace(w io.Writer) error {
	t := &tracer{state: s, out: w}
	t.job()
	for i, name := range t.names() {
		t.worker(i+2, name)
	}
	if t.err == nil {
		_, t.err = io.WriteString(w, "\n],\"displayTimeUnit\":\"ms\"}\n")
	}
	if t.err != nil {
		return fmt.Errorf("write the trace: %w", t.err)
	}
	return nil
}

type tracer struct {
	state    *State
	out      io.Writer
	wrote    bool
	err      error
	byWorker map[string][]*Attempt
}

func (t *tracer) add(e traceEvent) {
	if t.err != nil {
		return
	}
	line, err := json.Marshal(e)
	if err != nil {
		t.err = err
		return
	}
	before := ",\n"
	if !t.wrote {
		before, t.wrote = "{\"traceEvents\":[\n", true
	}
	_, t.err = t.out.Write(append([]byte(before), line...))
}

func (t *tracer) name(what, name string, pid, tid int) {
	t.add(traceEvent{Name: what, Phase: "M", PID: pid, TID: tid, Args: map[string]any{"name": name}})
}

// micros is a time in microseconds since the first event.
func (t *tracer) micros(at Time) int64 { return int64(max(at, t.state.First)-t.state.First) * 1000 }

// slice adds a slice from start to end.
func (t *tracer) slice(name string, start, end Time, pid, tid int, args map[string]any) {
	took := max(0, t.micros(end)-t.micros(start))
	t.add(traceEvent{Name: name, Phase: "X", At: t.micros(start), Took: &took, PID: pid, TID: tid, Args: args})
}

// names returns the names of all workers, also of those that have attempts only.
func (t *tracer) names() []string {
	t.byWorker = map[string][]*Attempt{}
	for _, w := range t.state.Names() {
		t.byWorker[w] = nil
	}
	for _, tasks := range [][]Task{t.state.Map, t.state.Reduce} {
		for i := range tasks {
			for _, a := range tasks[i].Attempts {
				if a.Start > 0 {
					t.byWorker[a.Worker] = append(t.byWorker[a.Worker], a)
				}
			}
		}
	}
	names := make([]string, 0, len(t.byWorker))
	for w := range t.byWorker {
		names = append(names, w)
	}
	slices.Sort(names)
	return names
}

// job adds the process of the job.
func (t *tracer) job() {
	s := t.state
	t.name("process_name", "job "+s.Job, 1, 0)
	t.name("thread_name", "phases", 1, 1)
	t.name("thread_name", "coordinators", 1, 2)
	start := s.First
	for _, p := range s.Phases {
		if p.End >= start {
			t.slice(p.Name, start, p.End, 1, 1, nil)
			start = p.End
		}
	}
	if len(s.Done)+len(s.Phases) == 0 || !s.Over {
		t.slice("running", start, s.Last, 1, 1, nil)
	}
	for i, c := range s.Coordinators {
		t.slice(c.Epoch, c.Start, cmp.Or(c.End, s.Last), 1, 2, args("from", c.From, "cause", c.Cause, "ended", c.Ended))
		if i > 0 {
			t.add(traceEvent{Name: "takeover", Phase: "i", Scope: "g", At: t.micros(c.Start), PID: 1, TID: 2})
		}
	}
	for _, phase := range []struct {
		name  string
		tasks []Task
	}{{"map", s.Map}, {"reduce", s.Reduce}} {
		t.progress(phase.name, phase.tasks)
	}
}

// progress adds the curves of the tasks of a phase that are done, and of attempts that
// run.
func (t *tracer) progress(phase string, tasks []Task) {
	type change struct {
		at            Time
		done, running int
	}
	var changes []change
	for i := range tasks {
		if a := tasks[i].Committed; a != nil {
			changes = append(changes, change{a.End, 1, 0})
		}
		for _, a := range tasks[i].Attempts {
			if a.Start > 0 {
				changes = append(changes, change{a.Start, 0, 1})
				if !a.Running() {
					changes = append(changes, change{a.End, 0, -1})
				}
			}
		}
	}
	if len(tasks) == 0 {
		return
	}
	slices.SortStableFunc(changes, func(a, b change) int { return cmp.Compare(a.at, b.at) })
	every := max(1, (t.state.Last-t.state.First)/mostPoints)
	point := func(at Time, done, running int) {
		t.add(traceEvent{Name: phase + " tasks", Phase: "C", At: t.micros(at), PID: 1, Args: map[string]any{"done": done, "running": running}})
	}
	done, running := 0, 0
	point(t.state.First, 0, 0)
	for i, c := range changes {
		done, running = done+c.done, running+c.running
		if i == len(changes)-1 || (changes[i+1].at-t.state.First)/every > (c.at-t.state.First)/every {
			point(c.at, done, running)
		}
	}
}

// worker adds the process of a worker. Attempts of one slot follow on each other: one
// whose end the coordinator has seen late ends when the next one of its slot starts.
func (t *tracer) worker(pid int, name string) {
	title := "worker " + cmp.Or(name, "unknown")
	if w := t.state.Workers[name]; w != nil && w.Host != "" {
		title += " on " + w.Host
	}
	t.name("process_name", title, pid, 0)
	attempts := t.byWorker[name]
	slices.SortStableFunc(attempts, func(a, b *Attempt) int { return cmp.Compare(a.Start, b.Start) })
	ends := map[int][]*Attempt{} // by thread, in order
	var free []Time              // of threads without a slot: when the last attempt of each ends
	for _, a := range attempts {
		thread := a.Slot + 1
		if a.Slot < 0 { // above those of slots
			i := slices.IndexFunc(free, func(until Time) bool { return until <= a.Start })
			if i < 0 {
				i, free = len(free), append(free, 0)
			}
			free[i] = t.until(a)
			thread = 10_000 + i
		}
		ends[thread] = append(ends[thread], a)
	}
	threads := make([]int, 0, len(ends))
	for thread := range ends {
		threads = append(threads, thread)
	}
	slices.Sort(threads)
	for _, thread := range threads {
		title := fmt.Sprintf("slot %d", thread-1)
		if thread >= 10_000 {
			title = "slot not known"
		}
		t.name("thread_name", title, pid, thread)
		for i, a := range ends[thread] {
			end := t.until(a)
			if i+1 < len(ends[thread]) {
				end = min(end, ends[thread][i+1].Start)
			}
			t.slice(a.Task, a.Start, end, pid, thread, attemptArgs(a))
		}
	}
}

// until is when an attempt ends, or the last event if it runs.
func (t *tracer) until(a *Attempt) Time {
	if a.Running() {
		return t.state.Last
	}
	return max(a.End, a.Start)
}

func attemptArgs(a *Attempt) map[string]any {
	m := args("attempt", a.ID, "outcome", cmp.Or(a.Outcome, "running"), "cause", a.Cause)
	if a.Speculative {
		m["speculative"] = true
	}
	if w := a.Work; w != nil {
		m["records"], m["bytes"], m["wrote_records"], m["wrote_bytes"] = w.Records, w.Bytes, w.WroteRecords, w.WroteBytes
	}
	return m
}

// args makes a map of names and values, without those that are "".
func args(pairs ...string) map[string]any {
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			m[pairs[i]] = pairs[i+1]
		}
	}
	return m
}
