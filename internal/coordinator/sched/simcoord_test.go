package sched

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/mraws/mraws/mr"
)

// coord is one coordinator process: the loop around a core, as the real one
// is meant to be, without its plumbing.
type coord struct {
	s       *sim
	start   Time
	wall    Time // how far the wall clock is off; nobody reads it
	core    *Core
	checker *Checker
	up      bool
	asleep  bool
	unknown bool // the last event's worker is
	backlog []func()
	waiting map[slotKey]*poll
	revokes map[WorkerID][]AttemptID
	found   map[TaskID]bool // committed when this coordinator started
	done    bool
	failed  bool
	tickAt  Time

	heard map[AttemptID]Time // when the lease of an attempt may have been extended last
	seen  map[WorkerID]Time  // when a worker was heard last
	woke  Time

	cutStore bool
}

type slotKey struct {
	worker WorkerID
	slot   int
}

type poll struct {
	seq   uint64
	reply func(any)
}

// The answers to a worker.
type (
	waitAnswer    struct{}
	unknownAnswer struct{}
	doneAnswer    struct{}
	laterAnswer   struct{}
	okAnswer      struct{}
	beatAnswer    struct {
		revoked []AttemptID
		done    bool
	}
)

// startCoord starts a coordinator after a delay. Until then calls go to the
// one before, which may be dead.
func (s *sim) startCoord(d time.Duration) {
	if d == 0 {
		s.coord = s.newCoord()
		return
	}
	s.after(d, func() {
		if !s.ended {
			s.coord = s.newCoord()
		}
	})
}

func (s *sim) newCoord() *coord {
	s.ncoord++
	epoch := "e" + strconv.Itoa(s.ncoord)
	if s.mutant == mutantReuseEpoch {
		epoch = "e"
	}
	cfg := Config{Lease: simLease, MaxFailures: 1000, MaxLost: 1000, Epoch: epoch}
	if s.poison >= 0 && s.killer {
		cfg.MaxLost = 5
	} else if s.poison >= 0 {
		cfg.MaxFailures = 4
	}
	c := &coord{
		s: s, start: s.now, core: New(cfg), up: true,
		waiting: map[slotKey]*poll{}, revokes: map[WorkerID][]AttemptID{}, seen: map[WorkerID]Time{},
		found: map[TaskID]bool{}, heard: map[AttemptID]Time{},
	}
	c.checker = NewChecker(c.core)
	s.mutant.bend(c)
	s.coords = append(s.coords, c)
	s.logf("coordinator %s starts", epoch)
	c.gather()
	c.after(5*time.Second, c.leasesEnd)
	return c
}

// gather may wait for the workers of the coordinator before.
func (c *coord) gather() {
	if c.s.ncoord > 1 && c.s.rng.IntN(2) == 0 {
		c.after(c.s.between(time.Millisecond, 3*time.Second), c.list)
		return
	}
	c.list()
}

// list gives the core the job and what the bucket holds of it.
func (c *coord) list() {
	if c.cutStore {
		c.after(time.Second, c.list)
		return
	}
	s := c.s
	job := Planned{Maps: s.maps, Reduces: s.reduces, Speculate: s.speculate, AdoptUntil: forever}
	for id := range s.tasks() {
		by, ok := s.store.committed(id, s.reduces)
		if c.found[id] = ok; ok && s.mutant != mutantForget {
			job.Done = append(job.Done, Committed{Task: id, Attempt: by})
		}
	}
	c.step(job)
	c.step(Tick{})
}

// deliver runs f in the process, now or when it wakes up.
func (c *coord) deliver(f func()) {
	switch {
	case !c.up:
	case c.asleep:
		c.backlog = append(c.backlog, f)
	default:
		f()
	}
}

func (c *coord) after(d time.Duration, f func()) { c.s.after(d, func() { c.deliver(f) }) }

// step feeds the core and does what it says.
func (c *coord) step(ev Event) {
	if c.s.err != nil {
		return
	}
	c.unknown = false
	effects, err := c.checker.Step(c.time(), ev)
	if c.s.trace != nil {
		c.s.logf("%s: %T%+v", c.core.cfg.Epoch, ev, ev)
		for _, e := range effects {
			c.s.logf("   -> %s", show(e))
		}
	}
	if err == nil {
		err = c.agrees(ev)
	}
	if err != nil {
		c.s.broken(fmt.Errorf("coordinator %s: %T%+v: %w", c.core.cfg.Epoch, ev, ev, err))
		return
	}
	for _, e := range slices.Clone(effects) {
		c.s.note(e)
		c.do(e)
	}
	c.timer()
}

// agrees holds the core to the store: what it calls committed is committed,
// by that attempt.
func (c *coord) agrees(ev Event) error {
	cm, ok := ev.(Committed)
	if !ok {
		return nil
	}
	in, ok := c.s.store.committed(cm.Task, c.s.reduces)
	if id, _ := c.core.Committed(cm.Task); !ok || id != in {
		return fmt.Errorf("I1: the core says that %s committed %v, the store says %q", id, cm.Task, in)
	}
	return nil
}

func (c *coord) do(e Effect) {
	switch e := e.(type) {
	case Grant:
		c.s.grants(e)
		c.heard[e.Attempt] = c.s.now
		if c.found[e.Task] {
			c.s.broken(fmt.Errorf("I5: %v was committed before %s started, and is granted again", e.Task, c.core.cfg.Epoch))
		}
		k := slotKey{e.Worker, e.Slot}
		if q := c.waiting[k]; q != nil && q.seq == e.Seq {
			delete(c.waiting, k)
			q.reply(e)
		}
	case Revoke:
		c.revokes[e.Worker] = append(c.revokes[e.Worker], e.Attempt)
	case Unknown:
		c.unknown = true
	case WorkerChanged:
		switch e.To {
		case Stalled:
			c.s.stalls++
		case Lost:
			c.s.silent++
		}
		if e.To == Lost || e.To == Gone {
			c.tellWorker(e.Worker, unknownAnswer{})
			delete(c.revokes, e.Worker)
		}
	case JobDone:
		c.finish()
	case JobFailed:
		c.done, c.failed = true, true
		if n := len(c.core.task(e.Task).history); c.s.poison >= 0 && n < 4 && !e.Fatal {
			c.s.broken(fmt.Errorf("%v failed the job after %d attempts", e.Task, n))
		}
		if c.s.failure == nil {
			c.s.failure = &e
		}
		c.s.ended = true
	}
	if c.done {
		c.tell()
	}
}

// tell answers all polls with the end of the job.
func (c *coord) tell() {
	for m := range c.core.Members() {
		c.tellWorker(m.Worker, doneAnswer{})
	}
}

// tellWorker answers all polls of a worker.
func (c *coord) tellWorker(w WorkerID, answer any) {
	for i := range c.s.slots {
		if q := c.waiting[slotKey{w, i}]; q != nil {
			delete(c.waiting, slotKey{w, i})
			q.reply(answer)
		}
	}
}

// finish looks whether all outputs are there and writes _SUCCESS. What is gone
// is made again.
func (c *coord) finish() {
	c.after(100*time.Millisecond, func() {
		switch {
		case c.cutStore:
			c.finish()
		case !c.reopen():
			c.s.store.putIfAbsent(objectKey{kind: successObject}, &object{attempt: AttemptID(c.core.cfg.Epoch)})
			c.s.ended, c.done = true, true
			c.tell()
		}
	})
}

// reopen goes on with the job if outputs are gone.
func (c *coord) reopen() (gone bool) {
	if c.s.mutant == mutantBlindEnd || c.s.store.objects[objectKey{kind: successObject}] != nil {
		return false // it is done, by another coordinator
	}
	for r := range c.s.reduces {
		id := TaskID{mr.ReducePhase, r}
		if !c.look(id) {
			gone = true
			delete(c.found, id)
			c.step(OutputGone{Task: id})
		}
	}
	for m := range c.core.Members() {
		for i := range c.s.slots {
			if q := c.waiting[slotKey{m.Worker, i}]; q != nil && gone {
				c.step(Poll{m.Worker, i, q.seq})
			}
		}
	}
	return gone
}

// timer wakes the loop when the core wants a Tick.
func (c *coord) timer() {
	at, ok := c.core.Next()
	if !ok || c.s.mutant == mutantNoTick {
		return
	}
	if at += c.s.now - c.time(); at == c.tickAt {
		return
	}
	c.tickAt = at
	c.s.at(at, func() {
		c.deliver(func() {
			if c.tickAt == at {
				c.tickAt = 0
				c.tick()
			}
		})
	})
}

// tick looks into the bucket before it lets leases end.
func (c *coord) tick() {
	for _, r := range c.core.Expiring(c.time(), nil) {
		c.look(r.Task)
	}
	c.step(Tick{})
}

// look tells the core what the bucket has of a task. A bucket out of reach
// has nothing to tell; the price may be double work.
func (c *coord) look(id TaskID) bool {
	if c.cutStore {
		return false
	}
	by, ok := c.s.store.committed(id, c.s.reduces)
	if !ok {
		return false
	}
	if was, known := c.core.Committed(id); known && was != by && id.Phase == mr.ReducePhase {
		c.step(OutputGone{Task: id, Again: by})
	}
	c.step(Committed{Task: id, Attempt: by})
	return true
}

// hear notes that a worker was heard.
func (c *coord) hear(w WorkerID) {
	c.seen[w] = c.s.now
	if !c.core.planned() {
		c.s.early++
	}
}

func (c *coord) register(p *proc, running []Running, drain *time.Duration, reply func(any)) {
	w := p.id
	c.hear(w)
	for _, r := range running {
		c.heard[r.Attempt] = c.s.now
	}
	c.step(Register{Worker: w, Address: p.address, Slots: len(p.slots), Running: running})
	c.drain(w, drain)
	reply(okAnswer{})
}

func (c *coord) poll(w WorkerID, slot int, seq uint64, reply func(any)) {
	c.hear(w)
	if c.done {
		reply(doneAnswer{})
		return
	}
	k := slotKey{w, slot}
	q := &poll{seq, reply}
	c.waiting[k] = q
	c.step(Poll{w, slot, seq})
	if c.unknown {
		delete(c.waiting, k)
		reply(unknownAnswer{})
		return
	}
	c.after(simPoll, func() {
		if c.waiting[k] == q {
			delete(c.waiting, k)
			c.step(Withdraw{w, slot, seq})
			reply(waitAnswer{})
		}
	})
}

// drain takes note of a worker that says that it drains.
func (c *coord) drain(w WorkerID, left *time.Duration) {
	if left != nil {
		c.step(Drain{w, *left})
	}
}

func (c *coord) heartbeat(ev Heartbeat, drain *time.Duration, reply func(any)) {
	w := ev.Worker
	c.hear(w)
	for _, id := range ev.Running {
		c.heard[id] = c.s.now
	}
	c.step(ev)
	if !c.unknown {
		c.drain(w, drain)
	}
	if c.unknown {
		reply(unknownAnswer{})
		return
	}
	reply(beatAnswer{c.revokes[w], c.done})
	delete(c.revokes, w)
}

// report believes the bucket, not the worker.
func (c *coord) report(w WorkerID, r Running, committed bool, cause string, reply func(any)) {
	c.hear(w)
	c.heard[r.Attempt] = c.s.now
	switch {
	case !c.core.planned():
		reply(laterAnswer{})
		return
	case c.s.mutant == mutantTrustDone && committed:
		c.step(Committed{Task: r.Task, Attempt: r.Attempt})
	case c.cutStore:
		c.step(Reported{w, r.Attempt})
		if !c.unknown {
			reply(laterAnswer{}) // the worker says it again
			return
		}
	case c.look(r.Task):
	case committed:
		c.step(Failed{Worker: w, Attempt: r.Attempt, Cause: "said done, but the bucket has no commit"})
	case cause == "":
		c.step(Released{w, r.Attempt})
	default:
		c.step(Failed{Worker: w, Attempt: r.Attempt, Cause: cause, Fatal: cause == hopeless})
		if cause == hopeless && !c.failed {
			c.s.claims++
		}
	}
	if c.unknown {
		reply(unknownAnswer{})
		return
	}
	reply(okAnswer{})
}

func (c *coord) leave(w WorkerID) {
	for _, r := range c.core.Running(w, nil) {
		c.look(r.Task)
	}
	c.step(Leave{w})
}
