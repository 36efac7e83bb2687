package findings

import (
	"cmp"
	"slices"

	"github.com/mraws/mraws/internal/events"
	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/manifest"
)

// phase is a phase of a job, as far as it is known.
type phase struct {
	name       string
	state      *events.State
	job        *manifest.Job
	tasks      []events.Task
	start, end events.Time // the end is that of the last event if the phase goes on
	runs       []run       // by start
	// What sweep finds.
	busy    float64 // seconds in which an attempt ran
	work    float64 // seconds of attempts, added up over slots
	most    int     // slots
	missing float64 // seconds for which tasks were ready, by the part of the slots that were missing
	empty   float64 // of these with no slot at all
	gaps    float64 // slot seconds that slots had nothing although tasks were ready
	idle    float64 // slot seconds that slots had nothing since no task was ready
	idleFor float64 // seconds in which a slot had nothing since no task was ready
	lost    float64 // the same by the part of the slots that had nothing
}

// run is an attempt within a phase.
type run struct {
	*events.Attempt
	task       int
	start, end events.Time
	bytes      int64 // that the task has to read; 0 if that is not known
	weight     int64 // the same in the measure by which tasks are compared: what is compressed weighs more
}

// took is how long it ran, in seconds.
func (r *run) took() float64 { return seconds(r.end - r.start) }

// net is took without what is known to have held it up.
func (r *run) net() float64 {
	if r.Work == nil {
		return r.took()
	}
	return max(0, r.took()-r.Work.ThrottledSeconds-r.Work.SpillSeconds)
}

// phases returns the phases that have begun.
func phases(s *events.State, job *manifest.Job) (list []*phase) {
	if !s.Planned {
		return nil
	}
	// Each coordinator says that the map phase is done. An output may be made again after
	// the end of the reduce phase.
	var mapEnd, reduceEnd events.Time
	var largest events.Phase
	for _, p := range s.Phases {
		switch {
		case p.Name == "reduce":
			reduceEnd = p.End
		case mapEnd == 0:
			mapEnd = p.End
		}
		if p.Largest != "" {
			largest = p
		}
	}
	if !s.Over {
		reduceEnd = 0
	}
	list = append(list, newPhase("map", s, job, s.PlannedAt, cmp.Or(mapEnd, s.Last), events.Phase{}))
	if mapEnd != 0 && len(s.Reduce) > 0 {
		list = append(list, newPhase("reduce", s, job, mapEnd, max(mapEnd, cmp.Or(reduceEnd, s.Last)), largest))
	}
	return list
}

func newPhase(name string, s *events.State, job *manifest.Job, start, end events.Time, largest events.Phase) *phase {
	p := &phase{name: name, state: s, job: job, tasks: s.Map, start: start, end: end}
	if name == "reduce" {
		p.tasks = s.Reduce
	}
	var format input.Format
	if job != nil {
		format = job.InputFormat()
	}
	for i := range p.tasks {
		t := &p.tasks[i]
		bytes := int64(0)
		switch {
		case t.Committed != nil:
			bytes = t.Committed.Work.Bytes
		case name == "map":
			bytes = p.planned(i)
		case len(t.Attempts) > 0 && largest.Largest == t.Attempts[0].Task:
			bytes = largest.Bytes
		}
		weight := bytes
		if name == "map" && job != nil && i < len(job.Tasks) {
			weight = 0
			for _, piece := range job.Tasks[i] {
				weight += job.Objects[piece.Object].Weight(format, piece.Length)
			}
		}
		for _, a := range t.Attempts {
			r := run{Attempt: a, task: i, start: max(a.Start, start), end: a.End, bytes: bytes, weight: weight}
			if a.Running() {
				r.end = s.Last
			}
			r.end = min(r.end, end)
			if a.Start != 0 && r.end > r.start && a.Outcome != events.Left && (a.Work == nil || a.Work.TakenOver == "") {
				p.runs = append(p.runs, r)
			}
		}
	}
	slices.SortStableFunc(p.runs, func(a, b run) int { return cmp.Compare(a.start, b.start) })
	p.sweep()
	return p
}

// planned is how many bytes of the input a map task is to read.
func (p *phase) planned(task int) (n int64) {
	if p.job == nil || task >= len(p.job.Tasks) {
		return 0
	}
	for _, piece := range p.job.Tasks[task] {
		n += piece.Length
	}
	return n
}

// change is what changes at a time: attempts that run, slots (unless -1), tasks that
// are ready, coordinators that are not known to lead.
type change struct {
	at                            events.Time
	running, slots, ready, unsure int
}

// sweep adds up how many attempts ran, and how many slots there were, at each time.
func (p *phase) sweep() {
	var all []change
	begun := make([]bool, len(p.tasks)) // a task waits until its first attempt starts
	waiting := 0
	for i := range p.runs {
		r := &p.runs[i]
		p.work += r.took()
		all = append(all, change{at: r.start, running: 1, slots: -1}, change{at: r.end, running: -1, slots: -1})
		if !begun[r.task] {
			begun[r.task] = true
			waiting++
			all = append(all, change{at: r.start, ready: -1, slots: -1})
		}
	}
	for i := range p.tasks {
		if !begun[i] && p.tasks[i].Committed == nil {
			waiting++
		}
	}
	for _, c := range p.state.Slots {
		p.most = max(p.most, c.N)
		all = append(all, change{at: c.At, slots: c.N})
	}
	for _, c := range p.state.Coordinators {
		if c.Before != 0 {
			all = append(all, change{at: c.Before, unsure: 1, slots: -1}, change{at: c.Start, unsure: -1, slots: -1})
		}
	}
	slices.SortStableFunc(all, func(a, b change) int { return cmp.Compare(a.at, b.at) })
	all = append(all, change{at: p.end, slots: -1})
	now := change{at: p.start, ready: waiting}
	for _, c := range all {
		if at := min(max(c.at, p.start), p.end); at > now.at {
			p.count(now, seconds(at-now.at))
			now.at = at
		}
		now.running, now.ready, now.unsure = now.running+c.running, now.ready+c.ready, now.unsure+c.unsure
		if c.slots >= 0 {
			now.slots = c.slots
		}
	}
}

// count counts some seconds in which nothing changed.
func (p *phase) count(now change, took float64) {
	if now.running > 0 {
		p.busy += took
	}
	if now.unsure > 0 { // slots may have worked
		return
	}
	slots := max(now.slots, now.running)
	free := float64(slots - now.running)
	switch {
	case now.ready > 0:
		p.gaps += free * took
		if p.most > slots {
			p.missing += took * float64(p.most-slots) / float64(p.most)
		} else if p.most == 0 {
			p.missing += took
		}
		if slots == 0 {
			p.empty += took
		}
	case now.running > 0 && free > 0:
		p.idle += free * took
		p.idleFor += took
		p.lost += free / float64(slots) * took
	}
}

// slots is how many attempts ran at a time, in the mean.
func (p *phase) slots() float64 {
	if p.busy == 0 {
		return 1
	}
	return max(1, p.work/p.busy)
}

// finding returns a finding of the phase.
func (p *phase) finding(c Cause, took float64, f Facts) Finding {
	return Finding{Cause: c, Phases: []string{p.name}, Seconds: took, Facts: f}
}
