package sched

import (
	"iter"
	"time"

	"github.com/mraws/mraws/mr"
)

// Stats is how many there are of what. docs/operations.md explains the words.
type Stats struct {
	Map, Reduce PhaseStats
	Workers     int // registered
	Usable      int // of Workers: get work
	Polls       int // that wait, without those that are parked
}

// PhaseStats are the tasks of one phase, and its attempts that run.
type PhaseStats struct {
	Tasks   int
	Done    int // committed
	Active  int // tasks that run
	Reused  int // of Done: when the job was planned
	Running int // attempts
}

// Counts are what became of attempts and workers, as the effects of a core
// tell.
type Counts struct {
	Map, Reduce AttemptCounts
	Exclusions  int // how often a worker was excluded
}

// AttemptCounts counts the attempts of one phase under this coordinator. Every
// attempt ends in one way, so with those that run ([PhaseStats])
// Granted + Adopted = Running + Committed + Failed + Lost + Released + Superseded + Canceled.
type AttemptCounts struct {
	Granted    int
	Adopted    int // taken over from an earlier coordinator
	Committed  int // became the commit of its task
	Failed     int // reported an error
	Lost       int // lease expired
	Released   int // given back, or the grant never arrived
	Superseded int // ended by the commit of another attempt
	Canceled   int // ended by the failure of the job

	Retried              int // of Granted: after an attempt of the task that ended without a commit
	Speculative          int // of Granted: beside another attempt of the task
	SpeculativeCommitted int // of Committed
}

// Note counts an effect.
func (c *Counts) Note(e Effect) {
	switch e := e.(type) {
	case Grant:
		if e.Again {
			return
		}
		n := c.of(e.Task)
		n.Granted++
		switch {
		case e.Speculative:
			n.Speculative++
		case e.Attempt.number() > 1:
			n.Retried++
		}
	case Adopted:
		c.of(e.Task).Adopted++
	case Ended:
		if e.Worker == "" { // it was not live
			return
		}
		n := c.of(e.Task)
		*[...]*int{&n.Committed, &n.Failed, &n.Lost, &n.Released, &n.Superseded, &n.Canceled}[e.Outcome]++
		if e.Speculative && e.Outcome == OutcomeCommitted {
			n.SpeculativeCommitted++
		}
	case WorkerChanged:
		if e.To == Excluded {
			c.Exclusions++
		}
	}
}

func (c *Counts) of(t TaskID) *AttemptCounts {
	if t.Phase == mr.ReducePhase {
		return &c.Reduce
	}
	return &c.Map
}

// Stats returns them as they are now.
func (c *Core) Stats() Stats {
	return Stats{
		Map: c.phases[mr.MapPhase].stats, Reduce: c.phases[mr.ReducePhase].stats,
		Workers: len(c.workers.byID), Usable: c.workers.usable(), Polls: c.polls.queue.n,
	}
}

// Member is a registered worker.
type Member struct {
	Worker  WorkerID
	Host    string
	Version string // of its program
	Address string
	Slots   int
	Running int // live attempts
	State   Availability
	Heard   Time // its last sign of life
}

func (w *worker) member() Member {
	return Member{w.id, w.host, w.version, w.address, len(w.slots), w.live.n, w.state, w.heard}
}

// Member returns a worker; ok is false for one that is not registered.
func (c *Core) Member(id WorkerID) (m Member, ok bool) {
	if w := c.workers.byID[id]; w != nil {
		return w.member(), true
	}
	return Member{}, false
}

// Members yields the registered workers in the order in which they joined.
func (c *Core) Members() iter.Seq[Member] {
	return func(yield func(Member) bool) {
		for nd := c.workers.all.head; nd != nil; nd = nd.next {
			if !yield(nd.owner.member()) {
				return
			}
		}
	}
}

// Running appends to buf the live attempts of a worker, oldest first: those
// that a [Leave] would release.
func (c *Core) Running(w WorkerID, buf []Running) []Running {
	if wk := c.workers.byID[w]; wk != nil {
		for nd := wk.live.head; nd != nil; nd = nd.next {
			buf = append(buf, Running{nd.owner.task, nd.owner.id})
		}
	}
	return buf
}

// Attempt returns the task and the worker of a live attempt.
func (c *Core) Attempt(id AttemptID) (TaskID, WorkerID, bool) {
	a := c.attempts.byID[id]
	if a == nil {
		return TaskID{}, "", false
	}
	return a.task, a.worker.id, true
}

// Committed returns the attempt that committed the task.
func (c *Core) Committed(id TaskID) (AttemptID, bool) {
	_, t := c.find(id)
	if t == nil || t.state != stateDone {
		return "", false
	}
	return t.committed, true
}

// Reading yields the tasks of live attempts that have told their progress, and
// that, 0 to 1. A task with two attempts comes twice.
func (c *Core) Reading() iter.Seq2[TaskID, float64] {
	return func(yield func(TaskID, float64) bool) {
		for nd := c.attempts.leases.head; nd != nil; nd = nd.next {
			if a := nd.owner; a.progress > 0 && !yield(a.task, a.progress) {
				return
			}
		}
	}
}

// Live is a live attempt as people want to see it.
type Live struct {
	Attempt     AttemptID
	Task        TaskID
	Worker      WorkerID
	Age         Time    // since it was granted, or taken over from an earlier coordinator
	Progress    float64 // 0 to 1, as last told; 0 if that is unknown
	Left        Time    // estimated; 0 if that is unknown
	Lags        bool    // another attempt that began now may well overtake it
	Speculative bool    // began beside another
}

// Live lists the live attempts, those with the oldest sign of life first. It
// looks at all of them.
func (c *Core) Live(now Time) []Live {
	now = max(now, c.now)
	var usual [2]time.Duration
	for i := range c.phases {
		usual[i] = c.speculation.usual(&c.phases[i])
	}
	all := make([]Live, 0, len(c.attempts.byID))
	for nd := c.attempts.leases.head; nd != nil; nd = nd.next {
		a := nd.owner
		l := Live{Attempt: a.id, Task: a.task, Worker: a.worker.id, Age: now - a.start, Progress: a.progress, Speculative: a.speculative}
		if left, known := c.attempts.left(a); known {
			l.Left = max(0, left-(now-c.now))
		}
		_, l.Lags = c.speculation.lags(&c.phases[a.task.Phase], a, usual[a.task.Phase])
		all = append(all, l)
	}
	return all
}
