// Package sched decides which worker runs which task. It is a pure state
// machine: [Core.Step] takes the time and one event and answers effects. It
// has no goroutine, lock, clock, log or I/O, so the same events at the same
// times give the same effects, and a simulator replays any history from a
// seed. The coordinator's shell turns calls and timers into events and
// effects into replies; whatever S3 knows reaches the core as [Committed].
//
// The core is never what makes a commit safe: that is the bucket's conditional
// PUT. A wrong grant costs double work, no more. What the core promises are
// the invariants of check.go and that a job ends: every task that is not
// committed is waiting to be granted, or runs under a lease that ends.
//
// Costs: an event is O(log n) in the tasks waiting for a retry, O(1) in all
// else, but for the attempts that it names; in the tail of a phase all live
// attempts are looked at twenty times in a lease. A task takes about 100
// bytes, a live attempt about 350.
package sched

import (
	"time"

	"github.com/mraws/mraws/mr"
)

// Time is monotonic time since the coordinator started.
type Time time.Duration

// String formats t as a duration.
func (t Time) String() string { return time.Duration(t).String() }

// Config is what a Core needs to know; it never changes.
type Config struct {
	// Maps and Reduces are the numbers of tasks, M and R.
	Maps, Reduces int
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
	// Speculate lets tasks that lag have a backup attempt (speculate.go).
	Speculate bool
	// Work returns the size of a task in bytes, or whatever its time grows
	// with; 0 or less is unknown, and nil means that all are alike. It is
	// first asked of a phase that is open, and always says the same of it.
	Work func(TaskID) int64
}

// Core is the state of one job under one coordinator. It is not safe for
// concurrent use: one goroutine owns it.
type Core struct {
	cfg     Config
	now     Time
	phases  [2]phase // by mr.Phase
	workers map[WorkerID]*worker
	live    map[AttemptID]*attempt
	// ended has the ids of adopted attempts that are over, so that a late
	// copy of a Register does not adopt them again. Our own need no such
	// list: their epoch says that they were live once.
	ended  map[AttemptID]struct{}
	leases list[attempt] // by deadline: all leases are equally long
	parked list[slot]    // questions without an answer, oldest first
	freed  []*worker     // may run more than before this event
	grace  Time          // while not 0, no lease ends before
	looked Time          // when lagging attempts were last looked for
	asked  bool          // a worker has asked: what is found now is not reused
	over   bool          // JobDone or JobFailed was said
	out    []Effect

	exiles     list[worker] // that are excluded
	readmitAt  Time         // the first of them
	exclusions int          // in all
	stuck      int          // workers that are stuck and not excluded
	draining   int          // workers that drain
	moving     int          // workers that get work and do not wait for the store
}

// phase is the tasks of one phase.
type phase struct {
	kind     mr.Phase
	tasks    []task
	open     bool // may be granted
	finished bool // PhaseDone was said
	cursor   int  // no task before it is fresh
	retry    indexHeap
	suspects indexHeap  // retries that run alone
	held     list[hold] // by end of the hold
	active   int        // tasks that run
	expired  int        // leases that ended
	took     window     // times of committed attempts, each over its task's share
	weighed  bool       // size is known
	size     int64      // median of Config.Work
	stats    PhaseStats
}

type state uint8

const (
	fresh   state = iota // never granted
	queued               // in the retry heap
	held                 // waits for a worker on which it did not fail
	running              // has live attempts
	done                 // committed
)

// suspectAfter is the number of lost attempts that makes a task a suspect: it
// may be what kills its workers. From then on it runs alone on a worker that
// has nothing else to do, so that it takes no other task with it and the job
// fails, if it must, with the name of the right task.
const suspectAfter = 3

// task is kept small: there may be a million.
type task struct {
	committed AttemptID     // I1, I3: set once
	live      list[attempt] // two with a backup
	history   []End
	hold      *hold
	attempts  int32 // ids given out
	failures  int16 // that count to MaxFailures
	repeats   int16 // other failures
	lost      int16
	state     state
}

// hold is a task's wait for another worker.
type hold struct {
	index int
	until Time
	node  node[hold]
}

// attempt is one live attempt.
type attempt struct {
	id       AttemptID
	task     TaskID
	worker   *worker
	deadline Time
	seen     bool          // the worker has shown that the grant reached it
	stalled  time.Duration // told by the heartbeats that did not extend the lease; 0 after one that did
	adopted  bool
	ended    bool // by the word of its worker
	alive    bool
	backup   bool          // began beside another
	start    Time          // of the attempt, or of what is known of it
	before   float64       // progress at start
	progress float64       // 0..1, the last that was told; 0: unknown
	told     Time          // when
	lease    node[attempt] // in Core.leases
	mine     node[attempt] // in worker.live
	peer     node[attempt] // in task.live
}

// worker is one registered worker.
type worker struct {
	id    WorkerID
	slots []*slot
	live  list[attempt]

	pace   float64 // its times over the usual ones; 0: unknown
	lagged Time    // when an attempt on it was last seen to lag

	blamed         []TaskID // failed here and nowhere else, since its last commit
	excluded       bool
	excludedBefore int
	until          Time // while excluded
	exile          node[worker]
	waits          time.Duration // for the store, as it told last
	stuck          bool          // for so long that it gets no work
	moves          bool          // counted in Core.moving

	draining bool // gets no new work for good
	leaves   Time // at the latest, while draining

	// alone is the attempt of a suspect that has the worker to itself; its
	// other slots' questions then wait here and not in Core.parked.
	alone   *attempt
	waiting list[slot]
}

// slot is one place of a worker that runs one attempt at a time.
type slot struct {
	worker *worker
	index  int
	seq    uint64   // of the last question
	grant  *attempt // the answer to it, if it had one
	park   node[slot]
}

// New returns the core of a job in which nothing has happened yet. The shell
// feeds it a [Committed] for each task that the bucket holds, then serves.
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
	c := &Core{
		cfg:     cfg,
		workers: map[WorkerID]*worker{},
		live:    map[AttemptID]*attempt{},
		ended:   map[AttemptID]struct{}{},
	}
	for i, n := range [2]int{cfg.Maps, cfg.Reduces} {
		c.phases[i].kind = mr.Phase(i)
		c.phases[i].tasks = make([]task, n)
		c.phases[i].stats.Tasks = n
	}
	c.phases[mr.MapPhase].open = true
	c.looked = -c.lookEvery()
	return c
}

// Step applies one event and returns its effects, in order. The slice is
// valid until the next Step. Times never run backwards: an earlier now counts
// as the latest one. Leases end in [Tick] only.
func (c *Core) Step(now Time, ev Event) []Effect {
	c.out = c.out[:0]
	before := c.now
	c.now = max(c.now, now)
	c.noticeSleep(c.now - before)
	look := false
	switch ev := ev.(type) {
	case Register:
		c.register(ev)
	case Ask:
		c.ask(ev)
		look = true
	case CancelAsk:
		c.cancelAsk(ev)
	case Heartbeat:
		c.heartbeat(ev)
	case Committed:
		c.commit(ev)
	case Failed:
		c.failed(ev)
	case Released:
		c.released(ev)
	case Reported:
		if a := c.reported(ev.Worker, ev.Attempt); a != nil {
			a.ended = true
			c.extend(a.worker, a.id)
		}
	case Gone:
		c.gone(ev)
	case Drain:
		c.drain(ev)
	case Lost:
		c.lost(ev)
	case Tick:
		c.tick()
		look = true
	}
	c.advance()
	if look { // and not for a stale report (I4)
		c.speculate()
	}
	return c.out
}

func (c *Core) emit(e Effect) { c.out = append(c.out, e) }

// advance says what is finished and opens what comes next.
func (c *Core) advance() {
	c.serveFreed()
	if c.over {
		return
	}
	m, r := &c.phases[mr.MapPhase], &c.phases[mr.ReducePhase]
	if !m.finished && m.stats.Done == len(m.tasks) {
		m.finished = true
		c.emit(PhaseDone{mr.MapPhase})
		r.open = true // I2
		c.dispatch()
	}
	if m.finished && !r.finished && r.stats.Done == len(r.tasks) {
		r.finished = true
		c.emit(PhaseDone{mr.ReducePhase})
		c.over = true
		c.emit(JobDone{})
	}
}

// task returns the task, or nil if the job has no such one.
func (c *Core) task(id TaskID) *task {
	if id.Phase != mr.MapPhase && id.Phase != mr.ReducePhase {
		return nil
	}
	ts := c.phases[id.Phase].tasks
	if id.Index < 0 || id.Index >= len(ts) {
		return nil
	}
	return &ts[id.Index]
}
