// Package sched decides which worker runs which task. It is a pure state
// machine: [Core.Step] takes the time and one event and answers effects. It
// has no goroutine, lock, clock, log or I/O, so the same events at the same
// times give the same effects, and a simulator replays any history from a
// seed. The coordinator's loop turns calls and timers into events and
// effects into replies; whatever S3 knows reaches the core as [Committed].
//
// The core is never what makes a commit safe: that is the bucket's conditional
// PUT. A wrong grant costs double work, no more. What the core promises are
// the invariants of check.go and that a job ends: every task that is not
// committed is waiting to be granted, or runs under a lease that ends.
//
// Its parts own what they change: the roster the workers, the assignments the
// tasks, attempts and polls, speculation when to look for attempts that lag.
// [Core] applies events to them.
//
// Costs: an event is O(log n) in the tasks waiting for a retry, O(1) in all
// else, but for the attempts that it names; in the tail of a phase all live
// attempts are looked at twenty times in a lease, and all workers once in two
// leases. A task takes about 100 bytes, a live attempt about 350.
package sched

import (
	"time"

	"github.com/mraws/mraws/mr"
)

// Time is monotonic time since the coordinator started.
type Time time.Duration

// String formats t as a duration.
func (t Time) String() string { return time.Duration(t).String() }

// Config is what a Core needs to know from the start; it never changes.
type Config struct {
	// Lease is how long an attempt lives without a heartbeat; 0 means 10 s.
	Lease time.Duration
	// MaxFailures is the number of reported failures of one task that fail
	// the job; 0 means 4. A worker on which the task failed before counts
	// again only if there is no other that has not tried (see [Failed]).
	MaxFailures int
	// MaxLost is the number of lost attempts of one task that fail the job,
	// since a task that kills its workers never reports; 0 means 16. So does
	// that number of failures which MaxFailures does not count.
	MaxLost int
	// Stall is for how long nothing may move in a request of an attempt to
	// the store before its lease is no longer extended; 0 means Lease.
	Stall time.Duration
	// Epoch starts every attempt id: new for each coordinator, and made of
	// characters that are safe in a URL and in an object key. It has no '.'.
	Epoch string
}

// turn is what the parts of a core share: what is fixed, and the event that is
// being applied.
type turn struct {
	cfg  Config
	job  Planned // its zero value until there is a job
	now  Time
	over bool // JobDone or JobFailed was said
	out  []Effect
	room int  // grants that are still allowed; negative is without bound
	more bool // room has grown from 0, so that polls may wait in vain
}

func (t *turn) emit(e Effect) { t.out = append(t.out, e) }

// Core is the state of one job under one coordinator. It is not safe for
// concurrent use: one goroutine owns it.
type Core struct {
	*turn
	*assignments
	workers     *roster
	speculation speculation
}

// New returns a core to which nothing has happened yet, not even a job.
func New(cfg Config) *Core {
	if cfg.Lease <= 0 {
		cfg.Lease = 10 * time.Second
	}
	if cfg.MaxFailures <= 0 {
		cfg.MaxFailures = 4
	}
	if cfg.Stall <= 0 {
		cfg.Stall = cfg.Lease
	}
	if cfg.MaxLost <= 0 {
		cfg.MaxLost = 16
	}
	t := &turn{cfg: cfg, room: -1}
	a := newAssignments(t)
	return &Core{turn: t, assignments: a, workers: a.workers, speculation: speculation{assignments: a, from: -lookEvery(t)}}
}

// Step applies one event and returns its effects, in order. The slice is
// valid until the next Step. Times never run backwards: an earlier now counts
// as the latest one. Leases end in [Tick] only.
func (c *Core) Step(now Time, ev Event) []Effect {
	c.out = c.out[:0]
	before := c.now
	c.now = max(c.now, now)
	c.noticeSleep(c.now - before)
	c.apply(ev)
	c.advance()
	switch ev.(type) { // a report, which may be stale, grants no speculative attempt (I4)
	case Poll, Tick:
		c.speculation.grant()
	}
	return c.out
}

func (c *Core) apply(ev Event) {
	w := c.workers.byID[ev.sender()]
	if w != nil {
		w.heard = c.now
	} else if _, joins := ev.(Register); ev.sender() != "" && !joins {
		c.emit(Unknown{ev.sender()})
		return
	}
	switch ev := ev.(type) {
	case Planned:
		c.plan(ev)
	case Register:
		c.register(ev)
	case Poll:
		c.poll(w, ev)
	case Withdraw:
		c.withdraw(ev)
	case Heartbeat:
		c.heartbeat(w, ev)
	case Committed:
		c.commit(ev)
	case Failed:
		if a := c.attempts.of(w, ev.Attempt); a != nil {
			c.failed(a, ev)
		}
	case Released:
		if a := c.attempts.of(w, ev.Attempt); a != nil {
			c.release(a)
		}
	case Reported:
		if a := c.attempts.of(w, ev.Attempt); a != nil {
			a.reported = true
			c.attempts.renew(a)
		}
	case Leave:
		c.leave(w)
	case Drain:
		c.drain(w, ev)
	case OutputGone:
		c.outputGone(ev)
	case Tick:
		c.tick()
	}
}

// planned says whether there is a job.
func (c *Core) planned() bool { return c.phases[mr.MapPhase].open }

// plan takes the job, and what workers said and asked before there was one.
func (c *Core) plan(ev Planned) {
	if c.planned() {
		return
	}
	c.job = ev
	for i, n := range [2]int{ev.Maps, ev.Reduces} {
		c.phases[i].tasks = make([]task, n)
		c.phases[i].stats.Tasks = n
	}
	for _, done := range ev.Done {
		if p, t := c.find(done.Task); t != nil && t.state != stateDone {
			p.finish(t, done.Attempt)
			p.stats.Reused++
		}
	}
	c.phases[mr.MapPhase].open = true
	c.open() // before what runs is adopted, and before anything is granted
	for _, done := range ev.Done {
		c.noteRecord(done)
	}
	for nd := c.workers.all.head; nd != nil; nd = nd.next {
		w := nd.owner
		c.resume(w, w.joined)
		w.joined = Register{}
	}
	c.dispatch()
}

// Allow bounds the attempts that the next steps may grant; negative is without bound.
// Attempts that run, and those of an earlier coordinator, go on.
func (c *Core) Allow(n int) {
	c.more = c.more || c.room == 0 && n != 0
	c.room = n
}

// advance says what is finished and grants what comes next.
func (c *Core) advance() {
	c.serveFreed()
	if c.open() || c.more && c.planned() {
		c.more = false
		c.dispatch()
	}
}

// open says what is finished, and whether it opened a phase.
func (c *Core) open() (opened bool) {
	m, r := &c.phases[mr.MapPhase], &c.phases[mr.ReducePhase]
	if c.over || !m.open {
		return false
	}
	if !m.finished && m.stats.Done == len(m.tasks) {
		m.finished, r.open, opened = true, true, true // I2
		c.emit(PhaseDone{mr.MapPhase})
	}
	if m.finished && !r.finished && r.stats.Done == len(r.tasks) {
		r.finished = true
		c.emit(PhaseDone{mr.ReducePhase})
		c.over = true
		c.emit(JobDone{})
	}
	return opened
}
