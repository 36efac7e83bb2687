package sched

import (
	"time"

	"github.com/mraws/mraws/mr"
)

// Stats is what the core has counted.
type Stats struct {
	Map, Reduce PhaseStats
	Workers     int // registered
	Parked      int // questions that wait, but for those of workers that run a suspect or are excluded
	Excluded    int // workers that get no new work now
	Exclusions  int // how often a worker was excluded
	Draining    int // workers that get no new work and will leave
}

// PhaseStats counts the tasks and attempts of one phase under this
// coordinator. Every attempt ends in one way:
// Granted + Adopted = Won + Failed + Lost + Released + Superseded + Revoked + Running.
type PhaseStats struct {
	Tasks  int
	Done   int // committed
	Reused int // committed before any worker asked: found at the start

	Granted        int
	Adopted        int // taken over from an earlier coordinator
	Won            int // became the commit of its task
	Failed         int // reported an error
	Lost           int // lease ended, or worker gone
	Released       int // given back, or the grant never arrived
	Superseded     int // ended by the commit of another attempt
	Revoked        int // ended by the failure of the job
	Running        int
	Backups        int // of Granted: beside another attempt of the task
	BackupsWon     int // of Won
	CommittedRerun int // granted although committed; 0 unless the core is wrong
	Conflicts      int // commits told of a task that another attempt had; 0 unless the bucket changed
}

// Stats returns the counts so far.
func (c *Core) Stats() Stats {
	return Stats{
		Map: c.phases[0].stats, Reduce: c.phases[1].stats,
		Workers: len(c.workers), Parked: c.parked.n,
		Excluded: c.exiles.n, Exclusions: c.exclusions, Draining: c.draining,
	}
}

// End is how an attempt ended that did not reach its goal.
type End struct {
	Attempt AttemptID
	Worker  WorkerID
	At      Time
	Cause   string
	Lost    bool // not reported: the lease ended or the worker was gone
	Fatal   bool
}

// History returns the failed and lost attempts of a task, oldest first. The
// caller must not change it.
func (c *Core) History(id TaskID) []End {
	if t := c.task(id); t != nil {
		return t.history
	}
	return nil
}

// Attempt returns the task and the worker of a live attempt.
func (c *Core) Attempt(id AttemptID) (TaskID, WorkerID, bool) {
	a := c.live[id]
	if a == nil {
		return TaskID{}, "", false
	}
	return a.task, a.worker.id, true
}

// Running appends to buf the live attempts of a worker, oldest first: those
// that a [Gone] would lose.
func (c *Core) Running(w WorkerID, buf []Running) []Running {
	if wk := c.workers[w]; wk != nil {
		for nd := wk.live.head; nd != nil; nd = nd.next {
			buf = append(buf, Running{nd.owner.task, nd.owner.id})
		}
	}
	return buf
}

// Active returns how many tasks of a phase run; with a backup a task has two
// attempts.
func (c *Core) Active(p mr.Phase) int { return c.phases[p].active }

// Expired returns how many leases of a phase have ended: a part of
// [PhaseStats.Lost].
func (c *Core) Expired(p mr.Phase) int { return c.phases[p].expired }

// Load returns how many live attempts a worker has, and whether it gets no
// new work.
func (c *Core) Load(w WorkerID) (running int, excluded bool) {
	if wk := c.workers[w]; wk != nil {
		return wk.live.n, wk.excluded
	}
	return 0, false
}

// Live is a live attempt as people want to see it.
type Live struct {
	Attempt  AttemptID
	Task     TaskID
	Worker   WorkerID
	Age      Time    // since it was granted, or taken over from an earlier coordinator
	Progress float64 // 0 to 1, as last told; 0 if that is unknown
	Left     Time    // estimated; 0 if that is unknown
	Lags     bool    // another attempt that began now may well overtake it
	Backup   bool    // began beside another
}

// Live lists the live attempts, those with the oldest sign of life first. It
// looks at all of them.
func (c *Core) Live(now Time) []Live {
	now = max(now, c.now)
	var usual [2]time.Duration
	for i := range c.phases {
		usual[i] = c.usual(&c.phases[i])
	}
	all := make([]Live, 0, len(c.live))
	for nd := c.leases.head; nd != nil; nd = nd.next {
		a := nd.owner
		l := Live{Attempt: a.id, Task: a.task, Worker: a.worker.id, Age: now - a.start, Progress: a.progress, Backup: a.backup}
		if left, known := c.left(a); known {
			l.Left = max(0, left-(now-c.now))
		}
		_, l.Lags = c.lags(&c.phases[a.task.Phase], a, usual[a.task.Phase])
		all = append(all, l)
	}
	return all
}

// Committed returns the attempt that committed the task.
func (c *Core) Committed(id TaskID) (AttemptID, bool) {
	t := c.task(id)
	if t == nil || t.state != done {
		return "", false
	}
	return t.committed, true
}

// Known reports whether the worker is registered.
func (c *Core) Known(w WorkerID) bool { return c.workers[w] != nil }

// Over reports whether JobDone or JobFailed was said.
func (c *Core) Over() bool { return c.over }
