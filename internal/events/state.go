package events

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// State is what the events of a job come to. Its zero value is that before the first
// one.
type State struct {
	Job, App     string
	Planned      bool
	PlannedAt    Time   // for the first time
	Map, Reduce  []Task // by number; of a map-only job there is no Reduce
	Coordinators []Coordinator
	Workers      map[string]*Worker
	Slots        []Slots // how many there were, in order
	Phases       []Phase
	// Done has what job.done said, in order: each coordinator that came so far has said
	// it. The job is over unless an output was found to be gone after that.
	Done    []Done
	Over    bool
	Failure string // what job.failed said; "" for nothing
	Dropped int64  // events
	Cut     bool   // some counters are not in the log
	First   Time   // of the first event, and of the last
	Last    Time

	slots  int                 // the last of Slots
	live   map[string]*Attempt // that run, by id
	counts map[string]*counts  // by epoch
}

// counts are the attempts of one coordinator.
type counts struct{ Map, Reduce manifest.Attempts }

// Done is what a coordinator has said when all tasks were committed.
type Done struct {
	Coordinator string
	Other       bool // the totals are those of another coordinator, which wrote the summary
	Totals
}

// Task is a task with its attempts, in the order in which they started.
type Task struct {
	Attempts  []*Attempt
	Committed *Attempt // nil for none
}

// Attempt is one attempt. Times are those of the coordinator.
type Attempt struct {
	ID, Worker  string
	Coordinator string // the epoch of the one that granted it, as far as it is known
	Task        string
	Slot        int  // -1 if it is not known
	Start       Time // 0 if it is not known
	End         Time // 0 while it runs
	Outcome     string
	Cause       string
	Speculative bool
	Work        *Work // of the one that committed the task
}

// Left is the outcome of an attempt whose coordinator has ended, of which the next one
// knows nothing: its end is not known.
const Left = "left"

// Ready is the state of a worker that may get tasks.
const Ready = "ready"

// Running says whether the attempt runs, as far as the log tells.
func (a *Attempt) Running() bool { return a.Outcome == "" }

// Coordinator is one that has led the job.
type Coordinator struct {
	Epoch, From, Cause string
	Before             Time // of the last event of the one before; 0 for none
	Start              Time
	End                Time   // 0 while it leads, or if nothing says so
	Ended              string // why it has ended; "" if nothing says so
}

// Worker is a worker of the job.
type Worker struct {
	Name, Host string
	Slots      int
	State      string // of the words of worker.changed
	Joined     Time   // for the first time
	// Sample is the last that it has told, at SampledAt; nil for none.
	Sample    *object.Sample
	SampledAt Time
}

// Slots is how many slots of workers that may get tasks there are from a time on.
type Slots struct {
	At Time
	N  int
}

// Phase is the end of a phase.
type Phase struct {
	Name string
	End  Time
	// Largest is the reduce task that has the most to read, of so many bytes. Both are
	// known at the end of the map phase.
	Largest string
	Bytes   int64
}

// Apply applies the next event.
func (s *State) Apply(e Entry) {
	if s.First == 0 {
		s.First, s.Workers = e.At, map[string]*Worker{}
		s.live, s.counts = map[string]*Attempt{}, map[string]*counts{}
	}
	s.Job = e.Job
	before := s.Last
	// The clock of another machine may be behind that of the one before.
	s.Last = max(s.Last, e.At)
	s.Cut = s.Cut || e.Cut
	switch e.Type {
	case CoordinatorStarted:
		s.takeover(e, before)
	case CoordinatorEnded:
		if n := len(s.Coordinators); n > 0 && s.Coordinators[n-1].Epoch == e.Coordinator {
			s.Coordinators[n-1].End, s.Coordinators[n-1].Ended = s.Last, cmp.Or(e.Cause, "ended")
		}
	case JobPlanned:
		s.plan(e)
	case JobDone:
		if e.Totals != nil {
			s.Done, s.Over = append(s.Done, Done{e.Coordinator, e.Cause != "", *e.Totals}), true
		}
	case JobFailed:
		s.Failure = cmp.Or(e.Cause, "failed")
	case PhaseDone:
		s.Phases = append(s.Phases, Phase{e.Phase, s.Last, e.Task, e.Event.Bytes})
	case TaskRestored, TaskReplaced, AttemptStarted, AttemptAdopted, AttemptEnded, AttemptRerun, OutputGone:
		s.count(e)
		s.attempt(e)
	case WorkerJoined:
		w := s.worker(e.Worker)
		w.Host = e.Host
		s.set(w, e.Slots, Ready)
	case WorkerChanged:
		w := s.worker(e.Worker)
		s.set(w, w.Slots, e.To)
	case WorkerSampled:
		w := s.worker(e.Worker)
		w.Sample, w.SampledAt = e.Sample, s.Last
	case EventsDropped:
		s.Dropped += e.Dropped
	}
}

// set changes the slots and the state of a worker, and notes how many slots there are.
func (s *State) set(w *Worker, slots int, state string) {
	is := s.slots
	if w.State == Ready {
		is -= w.Slots
	}
	if w.Slots, w.State = slots, state; state == Ready {
		is += slots
	}
	s.noteSlots(is)
}

func (s *State) noteSlots(n int) {
	if n != s.slots {
		s.slots = n
		s.Slots = append(s.Slots, Slots{s.Last, n})
	}
}

func (s *State) worker(name string) *Worker {
	w := s.Workers[name]
	if w == nil {
		w = &Worker{Name: name, Joined: s.Last}
		s.Workers[name] = w
	}
	return w
}

// takeover begins the time of another coordinator. What runs then goes on for as long
// as it is not adopted without a word.
func (s *State) takeover(e Entry, before Time) {
	if n := len(s.Coordinators); n > 0 && s.Coordinators[n-1].End == 0 {
		s.Coordinators[n-1].End = s.Last
	}
	s.Coordinators = append(s.Coordinators, Coordinator{Epoch: e.Coordinator, From: e.From, Cause: e.Cause, Before: before, Start: s.Last})
	s.Failure = ""
	for _, a := range s.live {
		a.end(Left, s.Last)
	}
	clear(s.live)
	for _, w := range s.Workers {
		w.State = Left
	}
	s.noteSlots(0)
}

func (s *State) plan(e Entry) {
	s.Planned, s.PlannedAt, s.App = true, cmp.Or(s.PlannedAt, s.Last), cmp.Or(e.App, s.App)
	grow := func(tasks []Task, n int) []Task { return append(tasks, make([]Task, max(0, n-len(tasks)))...) }
	s.Map, s.Reduce = grow(s.Map, e.Maps), grow(s.Reduce, e.Reduces)
}

// MapOnly says whether the job has no reduce tasks.
func (s *State) MapOnly() bool { return s.Planned && len(s.Reduce) == 0 }

// Task returns the task with a name such as map-3, nil if the job has none.
func (s *State) Task(name string) *Task {
	phase, number, _ := strings.Cut(name, "-")
	n, err := strconv.Atoi(number)
	var tasks []Task
	switch phase {
	case "map":
		tasks = s.Map
	case "reduce":
		tasks = s.Reduce
	}
	if err != nil || n < 0 || n >= len(tasks) {
		return nil
	}
	return &tasks[n]
}

// count counts what a coordinator says of attempts, as [manifest.Attempts] does.
func (s *State) count(e Entry) {
	of := s.counts[e.Coordinator]
	if of == nil {
		of = new(counts)
		s.counts[e.Coordinator] = of
	}
	n := &of.Map
	if strings.HasPrefix(e.Task, "reduce-") {
		n = &of.Reduce
	}
	one := func(is bool, n *int) {
		if is {
			*n++
		}
	}
	one(e.Type == TaskRestored, &n.Reused)
	one(e.Type == AttemptRerun, &n.CommittedRerun)
	started := e.Type == AttemptStarted
	one(started, &n.Granted)
	one(started && e.Speculative, &n.Speculative)
	one(e.Type == AttemptAdopted, &n.Adopted)
	if e.Type != AttemptEnded || s.live[e.Event.Attempt] == nil {
		return
	}
	one(e.Outcome == "failed", &n.Failed)
	one(e.Outcome == "lost", &n.Lost)
	one(e.Outcome == "released", &n.Released)
	one(e.Outcome == "superseded", &n.Superseded)
	one(e.Outcome == committed && e.Speculative, &n.SpeculativeCommitted)
}

// attempt applies an event of an attempt.
func (s *State) attempt(e Entry) {
	t := s.Task(e.Task)
	if t == nil || e.Type == AttemptRerun {
		return
	}
	if e.Type == OutputGone {
		s.Over, t.Committed = false, nil
		if e.Attempt == "" {
			return
		}
	}
	var a *Attempt
	if i := slices.IndexFunc(t.Attempts, func(a *Attempt) bool { return a.ID == e.Event.Attempt }); i >= 0 {
		a = t.Attempts[i]
	} else {
		a = &Attempt{ID: e.Event.Attempt, Worker: e.Worker, Task: e.Task, Slot: -1, Coordinator: e.Coordinator}
		t.Attempts = append(t.Attempts, a)
	}
	switch e.Type {
	case AttemptStarted:
		a.Start, a.Slot, a.Speculative = s.Last, e.Slot, e.Speculative
		s.live[a.ID] = a
	case AttemptAdopted:
		a.Start, a.End, a.Outcome = cmp.Or(a.Start, s.Last), 0, ""
		s.live[a.ID] = a
	case AttemptEnded:
		delete(s.live, a.ID)
		if a == t.Committed { // a coordinator says so that was replaced
			return
		}
		a.Outcome = ""
		a.end(e.Outcome, s.Last)
		a.Cause = e.Cause
		if e.Outcome == committed {
			s.commit(t, a, e)
		}
	case TaskRestored, TaskReplaced, OutputGone:
		s.commit(t, a, e)
	}
}

// committed is the outcome of an attempt that has committed its task.
const committed = "committed"

// commit makes an attempt the one that counts. When it ran the coordinator may not know.
func (s *State) commit(t *Task, a *Attempt, e Entry) {
	work := e.Work
	work.S3 = nil // the receipt in job.done has the sum
	a.Work, t.Committed = &work, a
	a.Worker = cmp.Or(a.Worker, e.Worker)
	if a.Outcome == committed && e.Type != AttemptEnded {
		return
	}
	took := Time(work.Seconds * 1000)
	if a.Start == 0 {
		a.Start = cmp.Or(e.Started, s.Last-took)
		a.End = a.Start + took
	}
	if a.Outcome == Left || a.Outcome == "" { // it ended some time before it was found
		a.End = min(a.Start+took, s.Last)
	}
	a.End, a.Outcome, a.Cause = cmp.Or(a.End, s.Last), committed, ""
}

// end ends an attempt that runs.
func (a *Attempt) end(outcome string, at Time) {
	if a.Outcome == "" {
		a.Outcome, a.End = outcome, at
	}
}

// Progress counts the tasks of a phase that are committed, and attempts by their
// outcome, where "running" is one that runs.
func Progress(tasks []Task) (done int, attempts map[string]int) {
	attempts = map[string]int{}
	for i := range tasks {
		if tasks[i].Committed != nil {
			done++
		}
		for _, a := range tasks[i].Attempts {
			attempts[cmp.Or(a.Outcome, "running")]++
		}
	}
	return done, attempts
}

// Totals adds up what the committed attempts did, and the attempts of a coordinator, ""
// for the one that came last.
func (s *State) Totals(coordinator string) Totals {
	t := Totals{Counters: map[string]int64{}}
	if n := len(s.Coordinators); coordinator == "" && n > 0 {
		coordinator = s.Coordinators[n-1].Epoch
	}
	if n := s.counts[coordinator]; n != nil {
		t.Map, t.Reduce = n.Map, n.Reduce
	}
	t.Map.Tasks, t.Reduce.Tasks = len(s.Map), len(s.Reduce)
	count := func(w *Work) {
		for name, n := range w.Counters {
			t.Counters[name] += n
		}
	}
	for i := range s.Map {
		a := s.Map[i].Committed
		if a == nil {
			continue
		}
		count(a.Work)
		t.Input.add(a.Work.Records, a.Work.Bytes)
		t.Emitted += a.Work.Emitted
		t.Skipped += a.Work.Skipped
		if a.Work.TakenOver != "" {
			t.TakenOver++
		}
		if s.MapOnly() {
			t.Output.add(a.Work.WroteRecords, a.Work.WroteBytes)
		} else {
			t.Shuffled.add(a.Work.WroteRecords, a.Work.WroteBytes)
		}
	}
	for i := range s.Reduce {
		if a := s.Reduce[i].Committed; a != nil {
			count(a.Work)
			t.Read.add(a.Work.Records, a.Work.Bytes)
			t.Keys += a.Work.Keys
			t.Output.add(a.Work.WroteRecords, a.Work.WroteBytes)
		}
	}
	if n := len(s.Done); n > 0 && s.Cut {
		t.Counters = s.Done[n-1].Counters
	}
	return t
}

// Missing says what the log does not have of a job that is done, a line each. Without
// any it is complete.
func (s *State) Missing() (lines []string) {
	if s.Dropped > 0 {
		lines = append(lines, fmt.Sprintf("%d events were dropped", s.Dropped))
	}
	for phase, tasks := range map[string][]Task{"map": s.Map, "reduce": s.Reduce} {
		if done, _ := Progress(tasks); done < len(tasks) {
			lines = append(lines, fmt.Sprintf("%d of %d %s tasks have no commit", len(tasks)-done, len(tasks), phase))
		}
	}
	slices.Sort(lines)
	if !s.Over {
		lines = append(lines, "there is no job.done")
	}
	return lines
}

// Differences compares the state with the summary of the job, and returns a line for
// each difference. Of a log that is not complete there may be many.
func (s *State) Differences(success *manifest.Success) (lines []string) {
	differ := func(what string, log, summary any) {
		if !reflect.DeepEqual(log, summary) {
			lines = append(lines, fmt.Sprintf("%s: %v in the event log, %v in _SUCCESS", what, log, summary))
		}
	}
	differ("job", s.Job, success.Job)
	summary := TotalsOf(success)
	// A coordinator that was replaced may finish the job before it knows.
	log := s.Totals("")
	if i := slices.IndexFunc(s.Done, func(d Done) bool { return d.Map == summary.Map && d.Reduce == summary.Reduce }); i >= 0 {
		by := s.Done[i]
		if log = s.Totals(by.Coordinator); by.Other {
			log.Map, log.Reduce = by.Map, by.Reduce
		}
	}
	if len(log.Counters) == 0 {
		log.Counters = nil
	}
	if len(summary.Counters) == 0 {
		summary.Counters = nil
	}
	of, other := reflect.ValueOf(log), reflect.ValueOf(summary)
	for i := range of.NumField() {
		differ(strings.ToLower(of.Type().Field(i).Name), of.Field(i).Interface(), other.Field(i).Interface())
	}
	outputs := s.Reduce
	if s.MapOnly() {
		outputs = s.Map
	}
	sizes := success.TaskBytes()
	for r, o := range success.Outputs {
		if r < len(outputs) && outputs[r].Committed != nil {
			a := outputs[r].Committed
			differ(fmt.Sprintf("output %d", r), []any{a.ID, a.Work.WroteRecords, a.Work.WroteBytes}, []any{o.Attempt, o.Lines, sizes[r]})
		}
	}
	return lines
}

// Names returns the names of the workers, in order.
func (s *State) Names() []string { return slices.Sorted(maps.Keys(s.Workers)) }
