package sched

import (
	"slices"
	"time"

	"github.com/mraws/mraws/mr"
)

// drop takes a live attempt out of every list. The task's state is the
// caller's business.
func (c *Core) drop(a *attempt) {
	p := &c.phases[a.task.Phase]
	a.alive = false
	delete(c.live, a.id)
	p.tasks[a.task.Index].live.remove(&a.peer)
	a.worker.live.remove(&a.mine)
	c.leases.remove(&a.lease)
	c.free(a)
	p.stats.Running--
	if p.tasks[a.task.Index].live.n == 0 {
		p.active--
	}
	if a.adopted {
		c.ended[a.id] = struct{}{}
	}
}

// free notes what the end of a lets its worker do.
func (c *Core) free(a *attempt) {
	w := a.worker
	if w.alone == a {
		w.alone = nil
		c.rejoin(w)
	}
	if w.live.n == 0 && c.workers[w.id] == w {
		c.freed = append(c.freed, w)
	}
}

// commit makes a task done, for good (I1, I3, I5): another attempt's name
// for a task that is done changes nothing.
func (c *Core) commit(ev Committed) {
	t := c.task(ev.Task)
	if t == nil {
		return
	}
	p := &c.phases[ev.Task.Phase]
	if t.state == done {
		if t.committed != ev.Attempt {
			p.stats.Conflicts++
		}
		return
	}
	if !c.asked && c.live[ev.Attempt] == nil {
		p.stats.Reused++
	}
	p.unhold(t)
	t.state, t.committed = done, ev.Attempt
	p.stats.Done++
	if c.live[ev.Attempt] == nil && ev.Took > 0 && p.open {
		p.took.add(time.Duration(float64(ev.Took) / c.share(p, ev.Task.Index)))
	}
	for a := t.live.front(); a != nil; a = t.live.front() {
		c.drop(a)
		c.noteTime(p, a, a.id == ev.Attempt)
		if a.id == ev.Attempt {
			a.seen = true
			a.worker.blamed = nil
			p.stats.Won++
			if a.backup {
				p.stats.BackupsWon++
			}
			continue
		}
		p.stats.Superseded++
		c.emit(Revoke{a.worker.id, a.id})
	}
}

// lost makes a reduce task whose output is gone one that waits (I5 holds but
// for what others than the job delete).
func (c *Core) lost(ev Lost) {
	p := &c.phases[mr.ReducePhase]
	t := c.task(ev.Task)
	failed := c.over && !p.finished
	if t == nil || ev.Task.Phase != mr.ReducePhase || t.state != done || failed {
		return
	}
	if ev.Again != "" {
		t.committed = ev.Again
		return
	}
	p.stats.Done--
	p.finished, c.over = false, false
	t.state, t.committed = queued, ""
	c.offer(ev.Task)
}

// reported finds the live attempt of a worker's report, and nothing for a
// stale one (I4).
func (c *Core) reported(w WorkerID, id AttemptID) *attempt {
	if c.workers[w] == nil {
		c.emit(Unknown{w})
		return nil
	}
	a := c.live[id]
	if a == nil || a.worker.id != w {
		return nil
	}
	a.seen = true
	return a
}

func (c *Core) failed(ev Failed) {
	a := c.reported(ev.Worker, ev.Attempt)
	if a == nil {
		return
	}
	p := &c.phases[a.task.Phase]
	t := &p.tasks[a.task.Index]
	c.drop(a)
	p.stats.Failed++
	again := t.failedOn(a.worker.id)
	t.history = append(t.history, End{Attempt: a.id, Worker: a.worker.id, At: c.now, Cause: ev.Cause, Fatal: ev.Fatal})
	sole := !c.otherWorker(t) // there is nobody else to ask
	if again && !sole {
		t.repeats++
	} else {
		t.failures++
	}
	fatal := ev.Proven || ev.Fatal && (sole || t.fatalBeside(a.worker.id))
	if fatal || int(t.failures) >= c.cfg.MaxFailures || int(t.repeats) >= c.cfg.MaxLost {
		c.fail(JobFailed{Task: a.task, Worker: a.worker.id, Attempt: a.id, Cause: ev.Cause, Fatal: fatal})
		return
	}
	c.blame(a.worker, a.task)
	c.offer(a.task)
}

func (c *Core) released(ev Released) {
	if a := c.reported(ev.Worker, ev.Attempt); a != nil {
		c.release(a)
	}
}

// release ends an attempt at nobody's fault.
func (c *Core) release(a *attempt) {
	c.drop(a)
	c.phases[a.task.Phase].stats.Released++
	c.offer(a.task)
}

// lose ends an attempt of which nothing more will be heard.
func (c *Core) lose(a *attempt, cause string) {
	p := &c.phases[a.task.Phase]
	t := &p.tasks[a.task.Index]
	c.drop(a)
	p.stats.Lost++
	t.lost++
	t.history = append(t.history, End{Attempt: a.id, Worker: a.worker.id, At: c.now, Cause: cause, Lost: true})
	if int(t.lost) >= c.cfg.MaxLost {
		c.fail(JobFailed{Task: a.task, Worker: a.worker.id, Attempt: a.id, Cause: cause, Lost: true})
		return
	}
	c.offer(a.task)
}

// gone forgets a worker. Its questions go first, so that none of them takes
// the work that its attempts leave.
func (c *Core) gone(ev Gone) {
	w := c.workers[ev.Worker]
	if w == nil {
		return
	}
	delete(c.workers, w.id)
	c.noteMoving(w)
	for _, s := range w.slots {
		c.unpark(s)
	}
	for a := w.live.front(); a != nil; a = w.live.front() {
		if ev.Polite {
			c.release(a)
		} else {
			c.lose(a, "worker "+string(w.id)+" is gone")
		}
	}
	if w.excluded {
		c.exiles.remove(&w.exile)
	} else if w.stuck {
		c.countStuck(false)
	}
	if w.draining {
		c.draining--
	}
	c.loneliness()
}

// loneliness ends what makes no sense with one worker, or none, that gets
// work: to keep the others out, and to hold tasks for another.
func (c *Core) loneliness() {
	if c.usable() > 1 {
		return
	}
	if c.usable() == 0 {
		c.endExiles(true)
	}
	if c.usable() <= 1 {
		c.endHolds(true)
	}
	c.dispatch()
}

// fail ends the job.
func (c *Core) fail(why JobFailed) {
	if c.over {
		return
	}
	c.over = true
	c.phases[why.Task.Phase].tasks[why.Task.Index].state = queued
	c.emit(why)
	for a := c.leases.front(); a != nil; a = c.leases.front() {
		c.drop(a)
		p := &c.phases[a.task.Phase]
		p.stats.Revoked++
		p.tasks[a.task.Index].state = queued
		c.emit(Revoke{a.worker.id, a.id})
	}
	c.endExiles(true) // their questions too get no answer
	for s := c.parked.front(); s != nil; s = c.parked.front() {
		c.parked.remove(&s.park)
	}
}

// offer hands a task whose attempt ended to a parked question or lines it
// up. One that failed waits up to a lease for a worker on which it has not
// failed, if there is one, since the fault may be that of a machine.
func (c *Core) offer(id TaskID) {
	p := &c.phases[id.Phase]
	t := &p.tasks[id.Index]
	if t.state == done || t.live.n > 0 {
		return
	}
	t.state = queued
	if c.over {
		return
	}
	anyone := !c.otherWorker(t)
	n := 0
	for nd := c.parked.head; nd != nil && n < maxParkedScan; nd, n = nd.next, n+1 {
		if w := nd.owner.worker; (anyone || !t.failedOn(w.id)) && (!t.suspect() || w.live.n == 0) {
			c.grant(nd.owner, id)
			return
		}
	}
	if anyone || t.failures == 0 {
		p.requeue(id.Index)
		return
	}
	t.state = held
	t.hold = &hold{index: id.Index, until: c.now + Time(c.cfg.Lease)}
	p.held.push(&t.hold.node, t.hold)
}

// otherWorker reports whether some worker that gets work has not failed the
// task.
func (c *Core) otherWorker(t *task) bool {
	others := c.usable()
	for i, e := range t.history {
		w := c.workers[e.Worker]
		if e.Lost || w == nil || w.excluded || w.stuck || w.draining || failedBefore(t.history[:i], e.Worker) {
			continue
		}
		others--
	}
	return others > 0
}

func (t *task) failedOn(w WorkerID) bool {
	return t.failures > 0 && failedBefore(t.history, w)
}

// fatalBeside reports whether another worker than w called the task hopeless.
func (t *task) fatalBeside(w WorkerID) bool {
	return slices.ContainsFunc(t.history, func(e End) bool { return e.Fatal && e.Worker != w })
}

func failedBefore(ends []End, w WorkerID) bool {
	for _, e := range ends {
		if !e.Lost && e.Worker == w {
			return true
		}
	}
	return false
}

func (t *task) suspect() bool { return t.lost >= suspectAfter }

// requeue lines up a task that any worker may take.
func (p *phase) requeue(index int) {
	if p.tasks[index].suspect() {
		p.suspects.push(index)
		return
	}
	p.retry.push(index)
}

func (p *phase) unhold(t *task) {
	if t.hold != nil {
		p.held.remove(&t.hold.node)
		t.hold = nil
	}
}

// endHolds lines up for anybody the tasks whose hold is due, or all.
func (c *Core) endHolds(all bool) {
	for i := range c.phases {
		p := &c.phases[i]
		for h := p.held.front(); h != nil && (all || h.until <= c.now); h = p.held.front() {
			t := &p.tasks[h.index]
			p.unhold(t)
			t.state = queued
			p.requeue(h.index)
		}
	}
}
