package sched

import (
	"slices"
	"time"

	"github.com/mraws/mraws/mr"
)

// phase is the tasks of one phase.
type phase struct {
	*turn
	kind     mr.Phase
	tasks    []task
	open     bool // may be granted
	finished bool // PhaseDone was said
	cursor   int  // no task before it is fresh
	retry    indexHeap
	suspects indexHeap  // retries that run alone
	held     list[hold] // by end of the hold
	took     window     // times of committed attempts, each over its task's share
	weighed  bool       // size is known
	size     int64      // median of Planned.Work
	stats    PhaseStats
}

type state uint8

const (
	stateFresh   state = iota // never granted
	stateQueued               // in the retry heap
	stateHeld                 // waits for a worker on which it did not fail
	stateRunning              // has live attempts
	stateDone                 // committed
)

// suspectAfter is the number of lost attempts that makes a task a suspect: it
// may be what kills its workers. From then on it runs alone on a worker that
// has nothing else to do, so that it takes no other task with it and the job
// fails, if it must, with the name of the right task.
const suspectAfter = 3

// task is kept small: there may be a million.
type task struct {
	committed AttemptID     // I1, I3: set once
	live      list[attempt] // two with a speculative attempt
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

// End is how an attempt ended that failed or was lost.
type End struct {
	Attempt AttemptID
	Worker  WorkerID
	Address string // of the worker
	At      Time
	Cause   string
	Lost    bool // not reported: the lease expired
	Fatal   bool
}

func (t *task) suspect() bool { return t.lost >= suspectAfter }

func (t *task) failedOn(w WorkerID) bool { return t.failures > 0 && failedBefore(t.history, w) }

func failedBefore(ends []End, w WorkerID) bool {
	return slices.ContainsFunc(ends, func(e End) bool { return !e.Lost && e.Worker == w })
}

// pick chooses a task for w: first one that failed elsewhere, then other
// retries by index, then fresh tasks by index, then suspects by index.
func (p *phase) pick(w *worker) (int, bool) {
	n := 0
	for nd := p.held.head; nd != nil && n < maxHeldScan; nd, n = nd.next, n+1 {
		i := nd.owner.index
		if t := &p.tasks[i]; !t.failedOn(w.id) && (!t.suspect() || w.live.n == 0) {
			return i, true
		}
	}
	if i, ok := p.popQueued(&p.retry); ok {
		return i, true
	}
	for ; p.cursor < len(p.tasks); p.cursor++ {
		if p.tasks[p.cursor].state == stateFresh {
			return p.cursor, true
		}
	}
	if w.live.n == 0 {
		return p.popQueued(&p.suspects)
	}
	return 0, false
}

func (p *phase) popQueued(h *indexHeap) (int, bool) {
	for {
		i, ok := h.pop()
		if !ok || p.tasks[i].state == stateQueued {
			return i, ok
		}
	}
}

// queue lines up a task that any worker may take.
func (p *phase) queue(index int) {
	t := &p.tasks[index]
	p.unhold(t)
	t.state = stateQueued
	if t.suspect() {
		p.suspects.push(index)
		return
	}
	p.retry.push(index)
}

// holdBack keeps a task for a lease for a worker on which it has not failed.
func (p *phase) holdBack(index int) {
	t := &p.tasks[index]
	t.state = stateHeld
	t.hold = &hold{index: index, until: p.now + Time(p.cfg.Lease)}
	p.held.push(&t.hold.node, t.hold)
}

func (p *phase) unhold(t *task) {
	if t.hold != nil {
		t.hold.node.leave()
		t.hold = nil
	}
}

// endHolds lines up for anybody the tasks whose hold is due, or all.
func (p *phase) endHolds(all bool) {
	for h := p.held.front(); h != nil && (all || h.until <= p.now); h = p.held.front() {
		p.queue(h.index)
	}
}

// finish makes a task done, for good.
func (p *phase) finish(t *task, by AttemptID) {
	p.unhold(t)
	t.state, t.committed = stateDone, by
	p.stats.Done++
}

// single is the number of tasks that run on one worker only: an active task has
// one or two attempts.
func (p *phase) single() int { return 2*p.stats.Active - p.stats.Running }

// waiting is the number of tasks that are neither committed nor run.
func (p *phase) waiting() int { return len(p.tasks) - p.stats.Done - p.stats.Active }

// maxWeighed is of how many tasks of a phase the median size is taken.
const maxWeighed = 1024

// share is the size of a task over the median size of its phase, and 1 for
// smaller ones, whose time is not spent on their data.
func (p *phase) share(index int) float64 {
	if p.job.Work == nil || !p.open {
		return 1
	}
	if !p.weighed {
		p.weighed = true
		var sizes []int64
		for i := 0; i < len(p.tasks); i += 1 + len(p.tasks)/maxWeighed {
			sizes = append(sizes, p.job.Work(TaskID{p.kind, i}))
		}
		slices.Sort(sizes)
		p.size = sizes[len(sizes)/2]
	}
	if p.size <= 0 {
		return 1
	}
	return max(1, float64(p.job.Work(TaskID{p.kind, index}))/float64(p.size))
}

// noteTime notes how long an attempt took that committed, or that lost to
// another: then it is a bound from below, and says something on its worker
// alone.
func (p *phase) noteTime(a *attempt, committed bool) {
	if a.adopted {
		return
	}
	took := time.Duration(float64(p.now-a.start) / p.share(a.task.Index))
	if usual := p.took.median(); usual > 0 {
		a.worker.note(float64(took)/float64(usual), committed)
	}
	if committed {
		p.took.add(took)
	}
}
