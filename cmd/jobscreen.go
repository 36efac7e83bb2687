package cmd

import (
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/mraws/mraws/internal/status"
	"github.com/mraws/mraws/internal/wire"
)

// phaseNow is how far a phase of a job is.
type phaseNow struct {
	tasks, done int64
	bytes       *status.Reading // nil if nobody knows
	running     int
	retried     int
	speculative int
	failed      int
	lost        int
}

// complete says whether all tasks are committed.
func (p phaseNow) complete() bool { return p.done >= p.tasks }

// jobNow is how far a job is.
type jobNow struct {
	maps, reduces phaseNow
	workers       map[string]int // by state
	unknown       string         // why nobody knows workers and attempts; "" if they are known
	done          bool
	over          bool // the job is not done, and nothing goes on
}

// nowOf is how far a job is by the word of its coordinator.
func nowOf(st *wire.StatusReply) jobNow {
	phase := func(p *wire.PhaseStatus, r *wire.Reading) phaseNow {
		return phaseNow{
			tasks: int64(p.GetTasks()), done: int64(p.GetDone()), bytes: &status.Reading{Total: r.GetTotal(), Done: r.GetDone()},
			running: int(p.GetRunning()), retried: int(p.GetRetried()), speculative: int(p.GetSpeculative()), failed: int(p.GetFailed()), lost: int(p.GetLost()),
		}
	}
	n := jobNow{maps: phase(st.GetMap(), st.GetMapBytes()), reduces: phase(st.GetReduce(), st.GetReduceBytes()), workers: map[string]int{}}
	for state, count := range st.GetWorkers() {
		n.workers[state] = int(count)
	}
	return n
}

// nowOfReport is how far a job is by its bucket, and by the word of its coordinator if it
// has answered.
func nowOfReport(r *status.Report) jobNow {
	n := jobNow{
		maps:    phaseNow{tasks: int64(r.Map.Tasks), done: int64(r.Map.Done), bytes: r.MapBytes},
		reduces: phaseNow{tasks: int64(r.Reduce.Tasks), done: int64(r.Reduce.Done)},
		done:    r.State == status.Done && !r.Incomplete(), over: r.Over(),
	}
	l := r.Live
	if l == nil {
		n.unknown = "no coordinator answers"
		return n
	}
	phase := func(p *phaseNow, l status.LivePhase, bytes *status.Reading) {
		p.running, p.retried, p.speculative, p.failed, p.lost = l.Running, l.Retried, l.Speculative, l.Failed, l.Lost
		if bytes != nil {
			p.bytes = bytes
		}
		p.done = max(p.done, int64(l.Done))
	}
	phase(&n.maps, l.Map, l.MapBytes)
	phase(&n.reduces, l.Reduce, l.ReduceBytes)
	n.workers = map[string]int{}
	for _, m := range l.Members {
		n.workers[m.State]++
	}
	n.workers[wire.WorkerIdle] += max(0, l.Workers-len(l.Members)) // those that are not listed
	return n
}

// jobScreen makes the views of a job, one after the other.
type jobScreen struct{ maps, reduces pace }

// view is what is shown of the job now. It has at least one task.
func (s *jobScreen) view(now time.Time, j jobNow) view {
	if j.done {
		j.maps.done, j.reduces.done = j.maps.tasks, j.reduces.tasks
	}
	v := view{bars: []bar{j.maps.bar("map", now, &s.maps, j)}, done: j.maps.done, total: j.maps.tasks}
	tasks := []string{tasksDone(j.maps) + " map"}
	at := j.maps
	if j.reduces.tasks > 0 { // else the job is map-only
		b := bar{name: "reduce", says: "waits for map"}
		if j.maps.complete() || j.done {
			b = j.reduces.bar("reduce", now, &s.reduces, j)
			v.now, v.done, v.total, at = 1, j.reduces.done, j.reduces.tasks, j.reduces
		}
		v.bars = append(v.bars, b)
		tasks = append(tasks, tasksDone(j.reduces)+" reduce")
	}
	if j.unknown != "" {
		v.more = []parts{{"tasks", tasks}}
		if !j.done && !j.over {
			v.more = append(v.more, parts{"workers", []string{"not known: " + j.unknown}})
		}
		return v
	}
	sum := func(of func(phaseNow) int) int { return of(j.maps) + of(j.reduces) }
	v.job = &jobProgressJSON{
		Running: at.running, Retried: sum(func(p phaseNow) int { return p.retried }), Speculative: sum(func(p phaseNow) int { return p.speculative }),
		Failed: sum(func(p phaseNow) int { return p.failed }), Lost: sum(func(p phaseNow) int { return p.lost }),
	}
	if at.bytes != nil {
		v.job.Bytes, v.job.BytesTotal = at.bytes.Done, at.bytes.Total
	}
	for _, n := range j.workers {
		v.job.Workers += n
	}
	if !j.done && !j.over {
		tasks = append(tasks, count(at.running, "running"))
	}
	tasks = append(tasks, count(v.job.Retried, "retried"), count(v.job.Speculative, "speculative"), count(v.job.Failed, "failed"))
	if v.job.Lost > 0 {
		tasks = append(tasks, count(v.job.Lost, "lost"))
	}
	v.more = []parts{{"tasks", tasks}}
	if j.done || j.over {
		return v
	}
	if b := &v.bars[v.now]; v.job.Workers == 0 && !b.full {
		b.says, b.speed = "waits for workers", speed{}
		*[]*pace{&s.maps, &s.reduces}[v.now] = pace{} // no part of the time that work takes
	}
	v.more = append(v.more, parts{"workers", workersText(v.job.Workers, j.workers)})
	if j.maps.complete() && j.reduces.complete() {
		v.more = append(v.more, parts{"finish", []string{"checking the outputs, writing the summary"}})
	}
	return v
}

// report is what is shown of a report: the job as its coordinator shows it, and what only
// the bucket tells.
func (s *jobScreen) report(now time.Time, r *status.Report) view {
	v := view{}
	if r.Map.Tasks+r.Reduce.Tasks > 0 {
		v = s.view(now, nowOfReport(r))
	}
	v.above = []parts{{"job", jobText(r)}, {"state", strings.Split(stateText(r), ", ")}}
	if c := r.Coordinator; c != nil && !r.Over() {
		v.more = append(v.more, parts{"coord", strings.Split(coordinatorText(c), ", ")})
	}
	for _, n := range r.Notes {
		v.more = append(v.more, parts{"note", strings.SplitAfter(n, ", ")})
	}
	return v
}

func count(n int, what string) string { return humanize.Comma(int64(n)) + " " + what }

func tasksDone(p phaseNow) string { return humanize.Comma(p.done) + "/" + humanize.Comma(p.tasks) }

// workersText is how many workers there are, and which of them get no work or may be gone.
func workersText(all int, by map[string]int) []string {
	text := []string{humanize.Comma(int64(all))}
	for _, state := range wire.WorkerStates() {
		if n := by[state]; n > 0 && !slices.Contains([]string{wire.WorkerBusy, wire.WorkerIdle}, state) {
			text = append(text, count(n, state))
		}
	}
	return text
}

// bar is the bar of a phase that has begun, in bytes where they are known.
func (p phaseNow) bar(name string, now time.Time, pace *pace, j jobNow) bar {
	b := bar{name: name, done: p.done, total: p.tasks, things: true, full: p.complete() || j.done}
	if p.bytes != nil && p.bytes.Total > 0 {
		b.done, b.total, b.things = p.bytes.Done, p.bytes.Total, false
	}
	pace.note(now, b.done)
	if b.speed = pace.tell(b.total); j.over || j.done {
		b.speed = speed{}
	}
	return b
}
