package sched

// How far a search for a fitting pair of task and worker goes. A hold ends
// by itself, so a search that gives up delays a task but starves none.
const (
	maxHeldScan   = 32
	maxParkedScan = 64
)

func (c *Core) register(ev Register) {
	w := c.workers[ev.Worker]
	if w == nil {
		w = &worker{id: ev.Worker}
		c.workers[ev.Worker] = w
		c.noteMoving(w)
	}
	for len(w.slots) < min(ev.Slots, MaxSlots) {
		w.slots = append(w.slots, &slot{worker: w, index: len(w.slots)})
	}
	for _, r := range ev.Running {
		if !c.extend(w, r.Attempt) && !c.adopt(w, r) {
			c.revoke(w.id, r.Attempt)
		}
	}
}

// extend renews the lease of an attempt that is live on w.
func (c *Core) extend(w *worker, id AttemptID) bool {
	a := c.live[id]
	if a == nil || a.worker != w {
		return false
	}
	a.seen, a.stalled = true, 0
	c.renew(a)
	return true
}

func (c *Core) renew(a *attempt) {
	c.leases.remove(&a.lease)
	a.deadline = c.now + Time(c.cfg.Lease)
	c.leases.push(&a.lease, a)
}

// adopt takes over an attempt of an earlier coordinator.
func (c *Core) adopt(w *worker, r Running) bool {
	t := c.task(r.Task)
	if c.over || t == nil || !c.phases[r.Task.Phase].open || t.state == done || t.live.n > 0 {
		return false
	}
	if _, known := c.ended[r.Attempt]; known || c.live[r.Attempt] != nil {
		return false
	}
	epoch, task, ok := r.Attempt.parse()
	if !ok || task != r.Task || epoch == c.cfg.Epoch {
		return false // I4: ours, and over
	}
	p := &c.phases[r.Task.Phase]
	p.stats.Adopted++
	a := c.start(w, r.Task, r.Attempt)
	a.adopted, a.seen = true, true
	return true
}

// revoke tells w to stop an attempt, unless that is the one that committed
// and whose worker is about to say so.
func (c *Core) revoke(w WorkerID, id AttemptID) {
	if task, ok := id.Task(); ok {
		if t := c.task(task); t != nil && t.state == done && t.committed == id {
			return
		}
	}
	c.emit(Revoke{w, id})
}

func (c *Core) slot(w WorkerID, index int) *slot {
	wk := c.workers[w]
	if wk == nil {
		c.emit(Unknown{w})
		return nil
	}
	if index < 0 || index >= len(wk.slots) {
		return nil
	}
	return wk.slots[index]
}

func (c *Core) ask(ev Ask) {
	c.asked = true
	s := c.slot(ev.Worker, ev.Slot)
	if s == nil || c.over || s.worker.draining || ev.Seq < s.seq {
		return
	}
	if g := s.grant; g != nil {
		switch {
		case ev.Seq == s.seq && g.alive:
			if !g.seen {
				c.renew(g)
			}
			c.emitGrant(s)
			return
		case ev.Seq == s.seq && g.seen:
			return // a late copy: the worker had its answer and used it
		case g.alive && !g.seen:
			s.grant = nil
			c.release(g)
		}
	}
	s.seq, s.grant = ev.Seq, nil
	if s.park.linked {
		return // the new question takes the place of the old one
	}
	if !c.serve(s) {
		c.park(s)
	}
}

func (c *Core) cancelAsk(ev CancelAsk) {
	w := c.workers[ev.Worker]
	if w == nil || ev.Slot < 0 || ev.Slot >= len(w.slots) {
		return
	}
	if s := w.slots[ev.Slot]; s.seq == ev.Seq {
		c.unpark(s)
	}
}

// park lines the question up. Those of a worker that runs a suspect, or is
// excluded, wait apart, so that they stand in nobody's way.
func (c *Core) park(s *slot) {
	if s.worker.apart() {
		s.worker.waiting.push(&s.park, s)
		return
	}
	c.parked.push(&s.park, s)
}

func (c *Core) unpark(s *slot) {
	if s.worker.apart() {
		s.worker.waiting.remove(&s.park)
		return
	}
	c.parked.remove(&s.park)
}

func (c *Core) heartbeat(ev Heartbeat) {
	w := c.workers[ev.Worker]
	if w == nil {
		c.emit(Unknown{ev.Worker})
		return
	}
	for i, id := range ev.Running {
		a := c.live[id]
		switch {
		case a == nil || a.worker != w:
			c.revoke(w.id, id)
			continue
		case i < len(ev.Stalled) && c.stalls(w, ev.Stalled[i]):
			a.seen, a.stalled = true, ev.Stalled[i]
		default:
			c.extend(w, id)
		}
		if i < len(ev.Progress) {
			c.tell(a, ev.Progress[i])
		}
	}
	c.stick(w, ev.Stuck)
}

// Granted tells whether this core gave out the attempt.
func (c *Core) Granted(id AttemptID) bool {
	epoch, _, ok := id.parse()
	return ok && epoch == c.cfg.Epoch
}

// serve grants the slot a task, if there is one for it.
func (c *Core) serve(s *slot) bool {
	if s.worker.apart() {
		return false
	}
	for i := range c.phases {
		p := &c.phases[i]
		if !p.open {
			continue
		}
		if index, ok := p.pick(s.worker); ok {
			c.grant(s, TaskID{p.kind, index})
			return true
		}
	}
	return false
}

// dispatch serves parked questions while there is work for them. It starts
// over after each, since a suspect takes questions of its worker off the list.
func (c *Core) dispatch() {
	missed := 0
	for nd := c.parked.head; nd != nil && missed < maxParkedScan; {
		if c.serve(nd.owner) {
			nd, missed = c.parked.head, 0
			continue
		}
		nd, missed = nd.next, missed+1
	}
}

// serveFreed serves the questions of workers that could take nothing, or no
// suspect, before.
func (c *Core) serveFreed() {
	for len(c.freed) > 0 {
		w := c.freed[len(c.freed)-1]
		c.freed = c.freed[:len(c.freed)-1]
		for _, s := range w.slots {
			if !c.over && s.park.linked {
				c.serve(s)
			}
		}
	}
}

// isolate gives the worker of a to a alone.
func (c *Core) isolate(a *attempt) {
	c.setApart(a.worker)
	a.worker.alone = a
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
		if p.tasks[p.cursor].state == fresh {
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
		if !ok || p.tasks[i].state == queued {
			return i, ok
		}
	}
}

// grant starts an attempt of the task on the slot.
func (c *Core) grant(s *slot, id TaskID) {
	p := &c.phases[id.Phase]
	t := &p.tasks[id.Index]
	if t.state == done {
		p.stats.CommittedRerun++
	}
	t.attempts++
	p.stats.Granted++
	if t.live.n > 0 {
		p.stats.Backups++
	}
	c.unpark(s)
	s.grant = c.start(s.worker, id, c.attemptID(id, int(t.attempts)))
	if t.suspect() {
		c.isolate(s.grant)
	}
	c.emitGrant(s)
}

func (c *Core) emitGrant(s *slot) {
	a := s.grant
	c.emit(Grant{s.worker.id, s.index, s.seq, a.task, a.id, a.backup})
}

// start makes a live attempt of a task that may wait in a queue.
func (c *Core) start(w *worker, id TaskID, name AttemptID) *attempt {
	p := &c.phases[id.Phase]
	t := &p.tasks[id.Index]
	p.unhold(t)
	t.state = running
	a := &attempt{id: name, task: id, worker: w, alive: true, backup: t.live.n > 0, start: c.now}
	if t.live.n == 0 {
		p.active++
	}
	c.live[name] = a
	t.live.push(&a.peer, a)
	w.live.push(&a.mine, a)
	p.stats.Running++
	c.renew(a)
	return a
}
