package sched

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/mraws/mraws/mr"
)

// coord is one coordinator process: the shell around a core, as the real one
// is meant to be, without its plumbing.
type coord struct {
	s       *sim
	start   Time
	wall    Time // how far the wall clock is off; nobody reads it
	core    *Core
	checker *Checker
	up      bool
	asleep  bool
	listed  bool // the start is over
	unknown bool // the last event's worker is
	backlog []func()
	waiting map[slotKey]*question
	revokes map[WorkerID][]AttemptID
	workers []WorkerID
	seen    map[WorkerID]Time
	found   map[TaskID]bool // committed when this coordinator started
	done    bool
	failed  bool
	tickAt  Time

	heard map[AttemptID]Time // when the lease of an attempt may have been extended last
	woke  Time

	cutStore bool
}

type slotKey struct {
	worker WorkerID
	slot   int
}

type question struct {
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
	cfg := Config{Maps: s.maps, Reduces: s.reduces, Lease: simLease, MaxFailures: 1000, MaxLost: 1000, Epoch: epoch, Speculate: s.speculate}
	if s.poison >= 0 && s.killer {
		cfg.MaxLost = 5
	} else if s.poison >= 0 {
		cfg.MaxFailures = 4
	}
	c := &coord{
		s: s, start: s.now, core: New(cfg), up: true,
		waiting: map[slotKey]*question{}, revokes: map[WorkerID][]AttemptID{}, seen: map[WorkerID]Time{},
		found: map[TaskID]bool{}, heard: map[AttemptID]Time{},
	}
	c.checker = NewChecker(c.core)
	s.mutant.bend(c)
	s.coords = append(s.coords, c)
	s.logf("coordinator %s starts", epoch)
	c.list()
	c.after(5*time.Second, c.sweep)
	c.after(5*time.Second, c.leasesEnd)
	return c
}

// list feeds the core what the bucket holds; nobody is served before.
func (c *coord) list() {
	if c.cutStore {
		c.after(time.Second, c.list)
		return
	}
	for id := range c.s.tasks() {
		_, c.found[id] = c.s.store.committed(id, c.s.reduces)
		if c.s.mutant != mutantForget {
			c.look(id)
		}
	}
	c.step(Tick{})
	c.listed = true
}

// serve runs the handler of a call, unless nobody is there to take it.
func (c *coord) serve(f func()) {
	c.deliver(func() {
		if c.listed {
			f()
		}
	})
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
	case Stuck:
		c.s.stalls++
	case JobDone:
		c.finish()
	case JobFailed:
		c.done, c.failed = true, true
		if n := len(c.core.History(e.Task)); c.s.poison >= 0 && n < 4 && !e.Fatal {
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

// tell answers all questions with the end of the job.
func (c *coord) tell() {
	for _, w := range c.workers {
		for i := range c.s.slots {
			if q := c.waiting[slotKey{w, i}]; q != nil {
				delete(c.waiting, slotKey{w, i})
				q.reply(doneAnswer{})
			}
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
			c.step(Lost{Task: id})
		}
	}
	for _, w := range c.workers {
		for i := range c.s.slots {
			if q := c.waiting[slotKey{w, i}]; q != nil && gone {
				c.step(Ask{w, i, q.seq})
			}
		}
	}
	return gone
}

// timer wakes the shell when the core wants a Tick.
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
		c.step(Lost{Task: id, Again: by})
	}
	c.step(Committed{Task: id, Attempt: by})
	return true
}

// sweep declares silent workers dead.
func (c *coord) sweep() {
	for i := 0; i < len(c.workers); i++ {
		w := c.workers[i]
		if c.s.now-c.seen[w] < Time(simDead) || c.s.mutant == mutantNoTick {
			continue
		}
		for _, r := range c.core.Running(w, nil) {
			c.look(r.Task)
		}
		c.step(Gone{Worker: w})
		c.workers = slices.Delete(c.workers, i, i+1)
		i--
	}
	if !c.done {
		c.after(5*time.Second, c.sweep)
	}
}

func (c *coord) register(w WorkerID, slots int, running []Running, drain *time.Duration, reply func(any)) {
	if !slices.Contains(c.workers, w) {
		c.workers = append(c.workers, w)
	}
	c.seen[w] = c.s.now
	for _, r := range running {
		c.heard[r.Attempt] = c.s.now
	}
	c.step(Register{w, slots, running})
	c.drain(w, drain)
	reply(okAnswer{})
}

func (c *coord) ask(w WorkerID, slot int, seq uint64, reply func(any)) {
	c.seen[w] = c.s.now
	if c.done {
		reply(doneAnswer{})
		return
	}
	k := slotKey{w, slot}
	q := &question{seq, reply}
	c.waiting[k] = q
	c.step(Ask{w, slot, seq})
	if c.unknown {
		delete(c.waiting, k)
		reply(unknownAnswer{})
		return
	}
	c.after(simPoll, func() {
		if c.waiting[k] == q {
			delete(c.waiting, k)
			c.step(CancelAsk{w, slot, seq})
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
	c.seen[w] = c.s.now
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
	c.seen[w], c.heard[r.Attempt] = c.s.now, c.s.now
	switch {
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
	c.step(Gone{w, true})
}
