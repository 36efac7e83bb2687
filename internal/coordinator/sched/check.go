package sched

import (
	"fmt"
	"slices"
	"time"

	"github.com/mraws/mraws/mr"
)

// Checker steps a Core and holds it to the invariants of the project:
//
//	I1  at most one committed attempt per task
//	I2  reduce reads a map's output only once that map is committed
//	I3  a committed object never changes: here, the attempt that the core
//	    names for a task
//	I4  a stale attempt's report changes nothing
//	I5  the committed set never shrinks, but for an output that is gone from
//	    the bucket ([OutputGone])
//
// and to the core's own order: every task is done, runs or can be granted,
// and no poll waits while there is work for it; a task has two attempts
// only on two workers and with no other task waiting, and the one that loses
// is revoked and has not failed; an excluded or a stalled worker gets nothing,
// and the last that gets work is not excluded; a worker that drains gets
// nothing and keeps what it runs; a heartbeat extends the lease of what it
// lists unless that is stalled and another worker could have it; one worker's
// word does not end the job while there is another to ask; a worker that is
// silent and runs nothing is forgotten; what the effects tell of attempts and
// workers is all that happens to them. (I6, that output depends on nothing but
// the job, is the simulator's to show.) Each Step looks at every task and
// attempt, so it is for tests.
type Checker struct {
	core      *Core
	step      func(Time, Event) []Effect // core.Step, or a mutant of it
	committed map[TaskID]AttemptID
	bySource  map[TaskID]AttemptID // as the bucket said first
	said      map[Effect]int
	granted   map[AttemptID]bool
	waits     map[WorkerID]time.Duration
	stalled   map[WorkerID]bool
	address   map[WorkerID]string
	over      bool
	undone    int // reduce tasks whose output was gone after its commit

	// As the effects tell.
	live   map[AttemptID]bool
	counts Counts
	states map[WorkerID]Availability
}

// Counts are what the effects have told so far.
func (k *Checker) Counts() Counts { return k.counts }

// NewChecker returns a checker of c, to which nothing has happened yet.
func NewChecker(c *Core) *Checker {
	return &Checker{
		core:      c,
		step:      c.Step,
		committed: map[TaskID]AttemptID{},
		bySource:  map[TaskID]AttemptID{},
		said:      map[Effect]int{},
		granted:   map[AttemptID]bool{},
		waits:     map[WorkerID]time.Duration{},
		stalled:   map[WorkerID]bool{},
		address:   map[WorkerID]string{},
		live:      map[AttemptID]bool{},
		states:    map[WorkerID]Availability{},
	}
}

// Step is [Core.Step], with an error that names the first broken invariant.
func (k *Checker) Step(now Time, ev Event) ([]Effect, error) {
	c := k.core
	stale := k.stale(ev)
	before, counted := c.Stats(), k.counts
	switch ev := ev.(type) {
	case Planned:
		for _, done := range ev.Done {
			k.source(done)
		}
	case Committed:
		if c.task(ev.Task) != nil {
			k.source(ev)
		}
	case OutputGone:
		k.outputGone(ev)
	}
	rivals := k.rivals(ev)
	deadlines := k.deadlines(ev)
	kept := k.kept(ev)
	alone, unseconded := k.hasty(ev)
	if ev, ok := ev.(Register); ok {
		k.address[ev.Worker] = ev.Address
	}
	out := k.step(now, ev)
	if err := k.renewed(deadlines); err != nil {
		return out, err
	}
	after := c.Stats()
	for _, e := range out {
		k.counts.Note(e)
	}
	for id, seen := range kept {
		if a := c.attempts.byID[id]; seen != (a != nil && a.alive) {
			return out, fmt.Errorf("%v: %s is known to run: %t, is live: %t", ev, id, seen, a != nil)
		}
	}
	if stale && (after != before || k.counts != counted) {
		return out, fmt.Errorf("I4: the stale %T %v changed %+v %+v to %+v %+v", ev, ev, before, counted, after, k.counts)
	}
	if _, ok := ev.(Failed); !ok && (k.counts.Map.Failed != counted.Map.Failed || k.counts.Reduce.Failed != counted.Reduce.Failed) {
		return out, fmt.Errorf("%T %v counted as a failure: %+v, then %+v", ev, ev, counted, k.counts)
	}
	for _, r := range rivals {
		if !slices.Contains(out, Effect(r)) {
			return out, fmt.Errorf("%s lost against %v and was not revoked", r.Attempt, ev)
		}
	}
	for _, e := range out {
		if err := k.effect(e); err != nil {
			return out, err
		}
		if e, ok := e.(JobFailed); ok && (alone || e.Fatal && unseconded) {
			return out, fmt.Errorf("the job failed on the report of %s alone: %+v", e.Worker, e)
		}
	}
	for i := range c.phases {
		if err := k.phase(&c.phases[i]); err != nil {
			return out, err
		}
	}
	if err := k.told(ev); err != nil {
		return out, err
	}
	return out, k.lists()
}

// source notes what the bucket says of a task first.
func (k *Checker) source(ev Committed) {
	if _, known := k.bySource[ev.Task]; !known {
		k.bySource[ev.Task] = ev.Attempt
	}
}

// outputGone forgets that a reduce task was committed, and that all were.
func (k *Checker) outputGone(ev OutputGone) {
	r := &k.core.phases[mr.ReducePhase]
	_, committed := k.committed[ev.Task]
	if !committed || ev.Task.Phase != mr.ReducePhase || k.over && !r.finished { // the job has failed
		return
	}
	delete(k.committed, ev.Task)
	delete(k.bySource, ev.Task)
	if ev.Again != "" {
		k.bySource[ev.Task] = ev.Again
		return
	}
	k.undone++
	k.over = false
	delete(k.said, Effect(PhaseDone{mr.ReducePhase}))
	delete(k.said, Effect(JobDone{}))
}

// stale reports whether ev is a report on an attempt that is not live.
func (k *Checker) stale(ev Event) bool {
	var w WorkerID
	var id AttemptID
	switch ev := ev.(type) {
	case Failed:
		w, id = ev.Worker, ev.Attempt
	case Released:
		w, id = ev.Worker, ev.Attempt
	case Reported:
		w, id = ev.Worker, ev.Attempt
	default:
		return false
	}
	_, on, ok := k.core.Attempt(id)
	return !ok || on != w
}

// hasty says whether it would be too early to end the job with ev, a failure
// that nothing proves: of a task that has failed on no other worker, while
// another gets work that could try it. (What a worker says very often counts
// all the same.) And whether it would be too early for a word that is said to
// be fatal, which no worker at another address has said of the task.
func (k *Checker) hasty(ev Event) (alone, unseconded bool) {
	f, ok := ev.(Failed)
	a := k.core.attempts.byID[f.Attempt]
	if !ok || f.Proven || a == nil {
		return false, false
	}
	history := k.core.task(a.task).history
	elsewhere, seconded, said, others := false, false, 0, 0
	for id := range k.core.workers.byID {
		elsewhere = elsewhere || k.address[id] != k.address[f.Worker]
	}
	for _, e := range history {
		if !e.Lost {
			said++
		}
		if !e.Lost && e.Worker != f.Worker {
			others++
			seconded = seconded || e.Fatal && (!elsewhere || k.address[e.Worker] != k.address[f.Worker])
		}
	}
	for _, w := range k.core.workers.byID {
		if w.id != f.Worker && w.state.Works() {
			alone = alone || others == 0 && said < k.core.cfg.MaxLost
			unseconded = unseconded || !seconded && !failedBefore(history, w.id)
		}
	}
	return alone, unseconded
}

// rivals returns what has to be revoked if ev commits a task.
func (k *Checker) rivals(ev Event) (revokes []Revoke) {
	cm, ok := ev.(Committed)
	t := k.core.task(cm.Task)
	if !ok || t == nil {
		return nil
	}
	for nd := t.live.head; nd != nil; nd = nd.next {
		if a := nd.owner; a.id != cm.Attempt {
			revokes = append(revokes, Revoke{a.worker.id, a.id})
		}
	}
	return revokes
}

// kept tells of each attempt of a worker that begins to drain whether the
// worker has mentioned it, and so goes on with it.
func (k *Checker) kept(ev Event) map[AttemptID]bool {
	d, ok := ev.(Drain)
	w := k.core.workers.byID[d.Worker]
	if !ok || w == nil {
		return nil
	}
	kept := map[AttemptID]bool{}
	for nd := w.live.head; nd != nil; nd = nd.next {
		kept[nd.owner.id] = nd.owner.seen
	}
	return kept
}

// newGrant checks a grant that is not the repetition of one.
func (k *Checker) newGrant(g Grant) error {
	c := k.core
	if w := c.workers.byID[g.Worker]; w != nil && !w.state.Works() {
		return fmt.Errorf("%v was granted to %s, which is %v", g.Task, g.Worker, w.state)
	}
	if k.stalled[g.Worker] {
		return fmt.Errorf("%v was granted to %s, which does not reach the store", g.Task, g.Worker)
	}
	p := &c.phases[g.Task.Phase]
	if g.Speculative && p.waiting() > 0 {
		return fmt.Errorf("%v got a speculative attempt while %d tasks wait", g.Task, p.waiting())
	}
	return nil
}

func (k *Checker) effect(e Effect) error {
	c := k.core
	switch e := e.(type) {
	case Grant:
		if k.granted[e.Attempt] != e.Again {
			return fmt.Errorf("attempt %s was granted before: %t, and is again: %t", e.Attempt, k.granted[e.Attempt], e.Again)
		}
		if !e.Again {
			k.granted[e.Attempt], k.live[e.Attempt] = true, true
			if err := k.newGrant(e); err != nil {
				return err
			}
		}
		if k.over {
			return fmt.Errorf("%v was granted after the job's end", e.Task)
		}
		if e.Task.Phase == mr.ReducePhase && c.phases[mr.MapPhase].stats.Done < c.job.Maps {
			return fmt.Errorf("I2: %v was granted before all maps were committed", e.Task)
		}
		if id, ok := k.committed[e.Task]; ok {
			return fmt.Errorf("%v was granted although %s committed it", e.Task, id)
		}
		if task, w, ok := c.Attempt(e.Attempt); ok && (task != e.Task || w != e.Worker) {
			return fmt.Errorf("I1: attempt %s is granted for %v to %s and for %v to %s", e.Attempt, task, w, e.Task, e.Worker)
		}
	case Adopted:
		k.live[e.Attempt] = true
	case Ended:
		if e.Worker == "" {
			break // it was not ours
		}
		if !k.live[e.Attempt] {
			return fmt.Errorf("attempt %s ended (%v), and did not run", e.Attempt, e.Outcome)
		}
		delete(k.live, e.Attempt)
	case WorkerChanged:
		if was := k.states[e.Worker]; was != e.From && !(was.Works() && e.From.Works()) {
			return fmt.Errorf("%s was %v, and changed from %v to %v", e.Worker, was, e.From, e.To)
		}
		if k.states[e.Worker] = e.To; e.To >= Gone {
			delete(k.states, e.Worker)
			delete(k.stalled, e.Worker)
			delete(k.waits, e.Worker)
		}
	case PhaseDone, JobDone:
		k.said[e]++
		if k.said[e] > 1 {
			return fmt.Errorf("%T %v came twice", e, e)
		}
		if _, ok := e.(JobDone); ok {
			k.over = true
		}
	case JobFailed:
		if k.over {
			return fmt.Errorf("the job ended twice: %+v", e)
		}
		k.over = true
	}
	return nil
}

// phase checks the tasks of one phase and counts their states again.
func (k *Checker) phase(p *phase) error {
	committed, live, active := 0, 0, 0
	for i := range p.tasks {
		t, id := &p.tasks[i], TaskID{p.kind, i}
		live += t.live.n
		if t.live.n > 0 {
			active++
		}
		if err := k.speculative(id, t); err != nil {
			return err
		}
		switch was, ok := k.committed[id]; {
		case t.state == stateDone:
			committed++
			if ok && was != t.committed {
				return fmt.Errorf("I3: the commit of %v changed from %s to %s", id, was, t.committed)
			}
			if first, told := k.bySource[id]; !told || first != t.committed {
				return fmt.Errorf("I1: %v is committed by %s, the bucket said %q", id, t.committed, first)
			}
			k.committed[id] = t.committed
			if t.live.n > 0 {
				return fmt.Errorf("%v is committed and has live attempts", id)
			}
		case ok:
			return fmt.Errorf("I5: %v was committed by %s and is not any more", id, was)
		}
		if (t.state == stateRunning) != (t.live.n > 0) {
			return fmt.Errorf("%v is in state %d with %d live attempts", id, t.state, t.live.n)
		}
		if (t.state == stateHeld) != (t.hold != nil) {
			return fmt.Errorf("%v is in state %d with hold %v", id, t.state, t.hold)
		}
		if t.state == stateFresh && i < p.cursor {
			return fmt.Errorf("%v is before the cursor and would never be granted", id)
		}
	}
	if active != p.stats.Active {
		return fmt.Errorf("%v phase: %d tasks run, counted %d", p.kind, active, p.stats.Active)
	}
	return k.sums(p, committed, live)
}

// speculative checks that a task has one attempt, or one and a speculative attempt elsewhere.
func (k *Checker) speculative(id TaskID, t *task) error {
	most := 1
	if k.core.job.Speculate {
		most = 2
	}
	if t.live.n > most {
		return fmt.Errorf("%v has %d attempts at once, at most %d may be", id, t.live.n, most)
	}
	if t.live.n == 2 && t.live.head.owner.worker == t.live.tail.owner.worker {
		return fmt.Errorf("%v has both attempts on %s", id, t.live.front().worker.id)
	}
	return nil
}

func (k *Checker) sums(p *phase, committed, live int) error {
	s, n := p.stats, *k.counts.of(TaskID{Phase: p.kind})
	if s.Done != committed || s.Running != live {
		return fmt.Errorf("%v phase counts %+v, has %d done and %d running", p.kind, s, committed, live)
	}
	if in, out := n.Granted+n.Adopted, s.Running+n.Committed+n.Failed+n.Lost+n.Released+n.Superseded+n.Canceled; in != out {
		return fmt.Errorf("%v phase: %d attempts began, %d are accounted for: %+v", p.kind, in, out, n)
	}
	undone := 0
	if p.kind == mr.ReducePhase {
		undone = k.undone
	}
	if n.Committed > s.Done+undone {
		return fmt.Errorf("I1: %v phase: %d attempts committed %d tasks", p.kind, n.Committed, s.Done)
	}
	if k.core.over || !p.open {
		return nil
	}
	return k.work(p)
}

// work checks that what can be granted is lined up and that nobody waits
// who could have it.
func (k *Checker) work(p *phase) error {
	lined, alone := map[int]bool{}, map[int]bool{}
	for _, i := range p.retry {
		lined[int(i)] = true
	}
	for _, i := range p.suspects {
		alone[int(i)] = true
	}
	common, suspects := p.cursor < len(p.tasks) && p.tasks[p.cursor].state == stateFresh, false
	for i := range p.tasks {
		t := &p.tasks[i]
		if t.state != stateQueued {
			continue
		}
		common = common || !t.suspect()
		suspects = suspects || t.suspect()
		if t.suspect() && !alone[i] || !t.suspect() && !lined[i] {
			return fmt.Errorf("%v is queued and in no queue", TaskID{p.kind, i})
		}
	}
	for nd := k.core.polls.queue.head; nd != nil; nd = nd.next {
		if w := nd.owner.worker; common || suspects && w.live.n == 0 {
			return fmt.Errorf("a poll of %s waits while there is %v work", w.id, p.kind)
		}
	}
	return nil
}

// told checks that the effects have told all that happened.
func (k *Checker) told(ev Event) error {
	c := k.core
	if len(k.live) != len(c.attempts.byID) || len(k.states) != len(c.workers.byID) {
		return fmt.Errorf("%d attempts and %d workers, the effects told %d and %d", len(c.attempts.byID), len(c.workers.byID), len(k.live), len(k.states))
	}
	for id, w := range c.workers.byID {
		if told := k.states[id]; told != w.state && !(told.Works() && w.state.Works()) {
			return fmt.Errorf("%s is %v, the effects told %v", id, w.state, told)
		}
		if _, ok := ev.(Tick); ok && w.live.n == 0 && c.attempts.grace == 0 && c.now-w.heard >= c.workers.patience() {
			return fmt.Errorf("%s has been silent since %v, runs nothing and is not forgotten", id, w.heard)
		}
	}
	return nil
}

// lists checks that the lists agree with each other.
func (k *Checker) lists() error {
	c := k.core
	n, last := 0, Time(0)
	for nd := c.attempts.leases.head; nd != nil; nd = nd.next {
		a := nd.owner
		if n++; !a.alive || c.attempts.byID[a.id] != a || a.deadline < last || c.workers.byID[a.worker.id] != a.worker {
			return fmt.Errorf("attempt %s has a lease that it should not have", a.id)
		}
		last = a.deadline
	}
	mine := 0
	for _, w := range c.workers.byID {
		mine += w.live.n
	}
	if running := c.phases[0].stats.Running + c.phases[1].stats.Running; n != len(c.attempts.byID) || n != mine || n != running || n != c.attempts.leases.n {
		return fmt.Errorf("%d leases, %d live, %d of workers, %d of tasks", n, len(c.attempts.byID), mine, running)
	}
	for nd := c.polls.queue.head; nd != nil; nd = nd.next {
		if w := nd.owner.worker; c.workers.byID[w.id] != w || w.takesNothing() {
			return fmt.Errorf("a poll of %s waits, which is %v or runs a suspect", w.id, w.state)
		}
	}
	var count [nAvailabilities]int
	for _, w := range c.workers.byID {
		count[w.state]++
		stalled := w.waits >= c.cfg.Stall
		if (w.state == Ready) != (w.until == 0 && w.waits < c.cfg.Stall/2) && w.state != Draining || w.state == Waiting && stalled || w.state == Stalled && !stalled {
			return fmt.Errorf("%s is %v, excluded until %v and waits for %v", w.id, w.state, w.until, w.waits)
		}
		if w.state == Draining && w.parked.n > 0 {
			return fmt.Errorf("%s drains and polls %d times", w.id, w.parked.n)
		}
		if !w.takesNothing() && w.parked.n > 0 || w.alone != nil && (!w.alone.alive || w.alone.worker != w) {
			return fmt.Errorf("%s keeps %d polls back for %+v", w.id, w.parked.n, w.alone)
		}
	}
	for state := Ready; state <= Draining; state++ {
		if count[state] != c.workers.count[state] {
			return fmt.Errorf("%d workers are %v, counted %d", count[state], state, c.workers.count[state])
		}
	}
	if excluded := count[Excluded]; excluded > 0 && excluded+count[Draining] == len(c.workers.byID) {
		return fmt.Errorf("%d of %d workers are excluded and %d drain", excluded, len(c.workers.byID), count[Draining])
	}
	return nil
}

// task returns a task; nil for one that the job does not have.
func (c *Core) task(id TaskID) *task {
	_, t := c.find(id)
	return t
}

// deadlines returns what the leases of the attempts that a heartbeat lists
// have to be after it, and notes whether its worker is stalled.
func (k *Checker) deadlines(ev Event) map[*attempt]func(now Time) Time {
	c := k.core
	hb, ok := ev.(Heartbeat)
	w := c.workers.byID[hb.Worker]
	if !ok || w == nil {
		return nil
	}
	others := 0
	for _, o := range c.workers.byID {
		if o != w && o.state != Excluded && o.state != Draining && !k.stalled[o.id] && k.waits[o.id] < c.cfg.Stall/2 {
			others++
		}
	}
	k.waits[w.id] = hb.WorkerStalled
	k.stalled[w.id] = others > 0 && hb.WorkerStalled >= c.cfg.Stall
	want := map[*attempt]func(Time) Time{}
	for i, id := range hb.Running {
		a := c.attempts.byID[id]
		if a == nil || a.worker != w {
			continue
		}
		if i < len(hb.Stalled) && hb.Stalled[i] >= c.cfg.Stall && others > 0 {
			if was := a.deadline; want[a] == nil {
				want[a] = func(Time) Time { return was }
			}
			continue
		}
		want[a] = func(now Time) Time { return now + Time(c.cfg.Lease) }
	}
	return want
}

// renewed checks the leases after a heartbeat.
func (k *Checker) renewed(want map[*attempt]func(now Time) Time) error {
	for a, deadline := range want {
		if d := deadline(k.core.now); a.alive && a.deadline != d {
			return fmt.Errorf("the heartbeat of %s leaves %s a lease until %v, want %v", a.worker.id, a.id, a.deadline, d)
		}
	}
	return nil
}
