package sched

import (
	"fmt"
	"slices"
	"time"

	"github.com/mraws/mraws/mr"
)

// commit makes a task done, for good (I1, I3, I5): another attempt's name
// for a task that is done changes nothing.
func (c *Core) commit(ev Committed) {
	p, t := c.find(ev.Task)
	if t == nil {
		return
	}
	if t.state == stateDone {
		return
	}
	p.finish(t, ev.Attempt)
	if c.attempts.byID[ev.Attempt] == nil {
		c.noteRecord(ev)
		c.emit(Ended{Task: ev.Task, Attempt: ev.Attempt, Outcome: OutcomeCommitted, Ran: ev.Took})
	}
	for a := t.live.front(); a != nil; a = t.live.front() {
		won := a.id == ev.Attempt
		p.noteTime(a, won)
		if won {
			a.worker.blamed = nil
			c.end(a, OutcomeCommitted, "")
			continue
		}
		c.end(a, OutcomeSuperseded, "")
		c.emit(Revoke{a.worker.id, a.id})
	}
}

// noteRecord notes how long a committed attempt took that the core did not see
// run.
func (c *Core) noteRecord(ev Committed) {
	if p, t := c.find(ev.Task); t != nil && ev.Took > 0 && p.open {
		p.took.add(time.Duration(float64(ev.Took) / p.share(ev.Task.Index)))
	}
}

// outputGone makes a reduce task whose output is gone one that waits (I5 holds
// but for what others than the job delete).
func (c *Core) outputGone(ev OutputGone) {
	p, t := c.find(ev.Task)
	if t == nil || ev.Task.Phase != mr.ReducePhase || t.state != stateDone || c.over && !p.finished { // it has failed
		return
	}
	if ev.Again != "" {
		t.committed = ev.Again
		return
	}
	p.stats.Done--
	p.finished, c.over = false, false
	t.state, t.committed = stateQueued, ""
	c.offer(ev.Task)
}

func (c *Core) failed(a *attempt, ev Failed) {
	_, t := c.find(a.task)
	c.end(a, OutcomeFailed, ev.Cause)
	w := a.worker
	again := t.failedOn(w.id)
	t.history = append(t.history, End{Attempt: a.id, Worker: w.id, Address: w.address, At: c.now, Cause: ev.Cause, Fatal: ev.Fatal})
	sole := !c.otherWorker(t) // there is nobody else to ask
	if again && !sole {
		t.repeats++
	} else {
		t.failures++
	}
	fatal := ev.Proven || ev.Fatal && (sole || c.workers.seconded(w, t.history))
	if fatal || int(t.failures) >= c.cfg.MaxFailures || int(t.repeats) >= c.cfg.MaxLost {
		c.fail(JobFailed{Task: a.task, Worker: w.id, Attempt: a.id, Cause: ev.Cause, Fatal: fatal})
		return
	}
	if c.workers.blame(w, a.task, t.history) {
		c.relax()
	}
	c.offer(a.task)
}

// seconded says whether another worker than w has called the task of that
// history hopeless. Workers at one address are one voice while there is a
// worker at another.
func (r *roster) seconded(w *worker, history []End) bool {
	elsewhere := false
	for nd := r.all.head; nd != nil && !elsewhere; nd = nd.next {
		elsewhere = nd.owner.address != w.address
	}
	return slices.ContainsFunc(history, func(e End) bool {
		return e.Fatal && e.Worker != w.id && (e.Address != w.address || !elsewhere)
	})
}

// lose ends an attempt of which nothing more will be heard.
func (c *Core) lose(a *attempt) {
	cause := "lease expired without a heartbeat"
	if a.stalled > 0 {
		cause = fmt.Sprintf("worker %s has transferred no data to or from the store for %v", a.worker.id, a.stalled)
	}
	_, t := c.find(a.task)
	c.end(a, OutcomeLost, cause)
	t.lost++
	t.history = append(t.history, End{Attempt: a.id, Worker: a.worker.id, At: c.now, Cause: cause, Lost: true})
	if int(t.lost) >= c.cfg.MaxLost {
		c.fail(JobFailed{Task: a.task, Worker: a.worker.id, Attempt: a.id, Cause: cause, Lost: true})
		return
	}
	c.offer(a.task)
}

// fail ends the job.
func (c *Core) fail(why JobFailed) {
	if c.over {
		return
	}
	c.over = true
	c.phases[why.Task.Phase].tasks[why.Task.Index].state = stateQueued
	c.emit(why)
	for a := c.attempts.leases.front(); a != nil; a = c.attempts.leases.front() {
		c.end(a, OutcomeCanceled, "")
		c.phases[a.task.Phase].tasks[a.task.Index].state = stateQueued
		c.emit(Revoke{a.worker.id, a.id})
	}
	for nd := c.workers.all.head; nd != nil; nd = nd.next {
		for _, s := range nd.owner.slots { // their polls get no answer
			s.poll.leave()
		}
	}
}
