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
//	I5  the committed set never shrinks, but for what the bucket has [Lost]
//
// and to the core's own order: every task is done, runs or can be granted,
// and no question waits while there is work for it; a task has two attempts
// only on two workers and with no other task waiting, and the one that loses
// is revoked and has not failed; an excluded or a stuck worker gets nothing,
// and the last that gets work is not excluded; a worker that drains gets
// nothing and keeps what it runs; a heartbeat extends the lease of what it
// lists unless that is stalled and another worker could have it; one worker's
// word does not end the job while there is another to ask. (I6, that output depends
// on nothing but the job, is the simulator's to show.) Each Step looks at
// every task and attempt, so it is for tests.
type Checker struct {
	core      *Core
	step      func(Time, Event) []Effect // core.Step, or a mutant of it
	committed map[TaskID]AttemptID
	bySource  map[TaskID]AttemptID // as the bucket said first
	said      map[Effect]int
	granted   map[AttemptID]bool
	waits     map[WorkerID]time.Duration
	stuck     map[WorkerID]bool
	over      bool
	undone    int // reduce tasks whose output was lost after its commit
}

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
		stuck:     map[WorkerID]bool{},
	}
}

// Step is [Core.Step], with an error that names the first broken invariant.
func (k *Checker) Step(now Time, ev Event) ([]Effect, error) {
	c := k.core
	stale := k.stale(ev)
	before := c.Stats()
	if ev, ok := ev.(Committed); ok && c.task(ev.Task) != nil {
		if _, known := k.bySource[ev.Task]; !known {
			k.bySource[ev.Task] = ev.Attempt
		}
	}
	if ev, ok := ev.(Lost); ok {
		k.lost(ev)
	}
	rivals := k.rivals(ev)
	deadlines := k.deadlines(ev)
	kept := k.kept(ev)
	hasty := k.hasty(ev)
	out := k.step(now, ev)
	if err := k.renewed(deadlines); err != nil {
		return out, err
	}
	after := c.Stats()
	for id, seen := range kept {
		if a := c.live[id]; seen != (a != nil && a.alive) {
			return out, fmt.Errorf("%v: %s is known to run: %t, is live: %t", ev, id, seen, a != nil)
		}
	}
	if stale && after != before {
		return out, fmt.Errorf("I4: the stale %T %v changed %+v to %+v", ev, ev, before, after)
	}
	if _, ok := ev.(Failed); !ok && (after.Map.Failed != before.Map.Failed || after.Reduce.Failed != before.Reduce.Failed) {
		return out, fmt.Errorf("%T %v counted as a failure: %+v, then %+v", ev, ev, before, after)
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
		if e, ok := e.(JobFailed); ok && hasty {
			return out, fmt.Errorf("the job failed on the report of %s alone: %+v", e.Worker, e)
		}
	}
	for i := range c.phases {
		if err := k.phase(&c.phases[i]); err != nil {
			return out, err
		}
	}
	return out, k.lists()
}

// lost forgets that a reduce task was committed, and that all were.
func (k *Checker) lost(ev Lost) {
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

// hasty reports whether it would be too early to end the job with ev: a
// failure that nothing proves, of a task that has failed on no other worker,
// while another gets work that could try it. Only what a worker says very
// often counts all the same.
func (k *Checker) hasty(ev Event) bool {
	f, ok := ev.(Failed)
	a := k.core.live[f.Attempt]
	if !ok || f.Proven || a == nil {
		return false
	}
	said := 0
	for _, e := range k.core.History(a.task) {
		if !e.Lost && e.Worker != f.Worker {
			return false
		}
		if !e.Lost {
			said++
		}
	}
	for _, w := range k.core.workers {
		if w.id != f.Worker && !w.excluded && !w.stuck && !w.draining {
			return said < k.core.cfg.MaxLost
		}
	}
	return false
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
	w := k.core.workers[d.Worker]
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
	if w := c.workers[g.Worker]; w != nil && w.excluded {
		return fmt.Errorf("%v was granted to %s, which is excluded", g.Task, g.Worker)
	} else if w != nil && w.draining {
		return fmt.Errorf("%v was granted to %s, which drains", g.Task, g.Worker)
	}
	if k.stuck[g.Worker] {
		return fmt.Errorf("%v was granted to %s, which does not reach the store", g.Task, g.Worker)
	}
	p := &c.phases[g.Task.Phase]
	if waiting := len(p.tasks) - p.stats.Done - p.active; g.Backup && waiting > 0 {
		return fmt.Errorf("%v got a backup while %d tasks wait", g.Task, waiting)
	}
	return nil
}

func (k *Checker) effect(e Effect) error {
	c := k.core
	switch e := e.(type) {
	case Grant:
		if !k.granted[e.Attempt] {
			k.granted[e.Attempt] = true
			if err := k.newGrant(e); err != nil {
				return err
			}
		}
		if k.over {
			return fmt.Errorf("%v was granted after the job's end", e.Task)
		}
		if e.Task.Phase == mr.ReducePhase && c.phases[mr.MapPhase].stats.Done < c.cfg.Maps {
			return fmt.Errorf("I2: %v was granted before all maps were committed", e.Task)
		}
		if id, ok := k.committed[e.Task]; ok {
			return fmt.Errorf("%v was granted although %s committed it", e.Task, id)
		}
		if task, w, ok := c.Attempt(e.Attempt); ok && (task != e.Task || w != e.Worker) {
			return fmt.Errorf("I1: attempt %s is granted for %v to %s and for %v to %s", e.Attempt, task, w, e.Task, e.Worker)
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
		if err := k.backup(id, t); err != nil {
			return err
		}
		switch was, ok := k.committed[id]; {
		case t.state == done:
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
		if (t.state == running) != (t.live.n > 0) {
			return fmt.Errorf("%v is in state %d with %d live attempts", id, t.state, t.live.n)
		}
		if (t.state == held) != (t.hold != nil) {
			return fmt.Errorf("%v is in state %d with hold %v", id, t.state, t.hold)
		}
		if t.state == fresh && i < p.cursor {
			return fmt.Errorf("%v is before the cursor and would never be granted", id)
		}
	}
	if active != p.active {
		return fmt.Errorf("%v phase: %d tasks run, counted %d", p.kind, active, p.active)
	}
	return k.counts(p, committed, live)
}

// backup checks that a task has one attempt, or one and a backup elsewhere.
func (k *Checker) backup(id TaskID, t *task) error {
	most := 1
	if k.core.cfg.Speculate {
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

func (k *Checker) counts(p *phase, committed, live int) error {
	s := p.stats
	if s.Done != committed || s.Running != live || s.CommittedRerun != 0 {
		return fmt.Errorf("%v phase counts %+v, has %d done and %d running", p.kind, s, committed, live)
	}
	if in, out := s.Granted+s.Adopted, s.Won+s.Failed+s.Lost+s.Released+s.Superseded+s.Revoked+s.Running; in != out {
		return fmt.Errorf("%v phase: %d attempts began, %d are accounted for: %+v", p.kind, in, out, s)
	}
	undone := 0
	if p.kind == mr.ReducePhase {
		undone = k.undone
	}
	if s.Won > s.Done+undone {
		return fmt.Errorf("I1: %v phase: %d attempts won %d tasks", p.kind, s.Won, s.Done)
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
	common, suspects := p.cursor < len(p.tasks) && p.tasks[p.cursor].state == fresh, false
	for i := range p.tasks {
		t := &p.tasks[i]
		if t.state != queued {
			continue
		}
		common = common || !t.suspect()
		suspects = suspects || t.suspect()
		if t.suspect() && !alone[i] || !t.suspect() && !lined[i] {
			return fmt.Errorf("%v is queued and in no queue", TaskID{p.kind, i})
		}
	}
	for nd := k.core.parked.head; nd != nil; nd = nd.next {
		if w := nd.owner.worker; common || suspects && w.live.n == 0 {
			return fmt.Errorf("a question of %s waits while there is %v work", w.id, p.kind)
		}
	}
	return nil
}

// lists checks that the lists agree with each other.
func (k *Checker) lists() error {
	c := k.core
	n, last := 0, Time(0)
	for nd := c.leases.head; nd != nil; nd = nd.next {
		a := nd.owner
		if n++; !a.alive || c.live[a.id] != a || a.deadline < last || c.workers[a.worker.id] != a.worker {
			return fmt.Errorf("attempt %s has a lease that it should not have", a.id)
		}
		last = a.deadline
	}
	mine := 0
	for _, w := range c.workers {
		mine += w.live.n
	}
	if running := c.phases[0].stats.Running + c.phases[1].stats.Running; n != len(c.live) || n != mine || n != running || n != c.leases.n {
		return fmt.Errorf("%d leases, %d live, %d of workers, %d of tasks", n, len(c.live), mine, running)
	}
	for nd := c.parked.head; nd != nil; nd = nd.next {
		if w := nd.owner.worker; c.workers[w.id] != w || w.apart() || w.draining {
			return fmt.Errorf("a question of %s waits, which is gone, excluded, drains or runs a suspect", w.id)
		}
	}
	excluded, stuck, draining, moving := 0, 0, 0, 0
	for _, w := range c.workers {
		if !w.excluded && !w.stuck && !w.draining && w.waits < c.cfg.Stall/2 {
			moving++
		}
		if w.excluded {
			excluded++
		}
		if w.stuck && !w.excluded {
			stuck++
		}
		if w.draining {
			draining++
		}
		if w.draining && (w.excluded || w.stuck || w.waiting.n > 0) {
			return fmt.Errorf("%s drains, and is excluded: %t, stuck: %t, asks: %d", w.id, w.excluded, w.stuck, w.waiting.n)
		}
		if !w.apart() && w.waiting.n > 0 || w.alone != nil && (!w.alone.alive || w.alone.worker != w) {
			return fmt.Errorf("%s keeps %d questions back for %+v", w.id, w.waiting.n, w.alone)
		}
	}
	if moving != c.moving {
		return fmt.Errorf("%d workers get work and reach the store, counted %d", moving, c.moving)
	}
	if stuck != c.stuck || draining != c.draining {
		return fmt.Errorf("%d workers are stuck, counted %d, and %d drain, counted %d", stuck, c.stuck, draining, c.draining)
	}
	if excluded != c.exiles.n || excluded > 0 && excluded+draining == len(c.workers) {
		return fmt.Errorf("%d of %d workers are excluded, %d in the list, %d drain", excluded, len(c.workers), c.exiles.n, draining)
	}
	return nil
}
