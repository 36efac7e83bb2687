package sched

// What workers tell and poll.

func (c *Core) register(ev Register) {
	w := c.workers.join(ev)
	if !c.planned() {
		w.joined = ev
		return
	}
	c.resume(w, ev)
}

// resume goes on with what a worker runs of this job.
func (c *Core) resume(w *worker, ev Register) {
	if ev.Job != c.job.Job {
		return
	}
	for _, r := range ev.Running {
		if a := c.attempts.of(w, r.Attempt); a != nil {
			c.attempts.renew(a)
		} else if !c.adopt(w, r) {
			c.revoke(w.id, r.Attempt)
		}
	}
}

// revoke tells a worker to stop an attempt, unless that is the one that
// committed and whose worker is about to say so.
func (c *Core) revoke(w WorkerID, id AttemptID) {
	if task, ok := id.Task(); ok {
		if _, t := c.find(task); t != nil && t.state == stateDone && t.committed == id {
			return
		}
	}
	c.emit(Revoke{w, id})
}

func (c *Core) poll(w *worker, ev Poll) {
	if ev.Slot < 0 || ev.Slot >= len(w.slots) {
		c.emit(Unknown{w.id}) // not with that many slots
		return
	}
	s := w.slots[ev.Slot]
	if c.over || w.state == Draining || ev.Seq < s.seq {
		return
	}
	if g := s.grant; g != nil {
		switch {
		case ev.Seq == s.seq && g.alive:
			if !g.seen {
				c.attempts.renew(g)
			}
			c.answer(s, true)
			return
		case ev.Seq == s.seq && g.seen:
			return // a late copy: the worker had its answer and used it
		case g.alive && !g.seen:
			s.grant = nil
			c.release(g)
		}
	}
	s.seq, s.grant = ev.Seq, nil
	if s.poll.in == nil && !c.serve(s) { // else it takes the place of the old one
		c.polls.add(s)
	}
}

func (c *Core) withdraw(ev Withdraw) {
	w := c.workers.byID[ev.Worker]
	if w == nil || ev.Slot < 0 || ev.Slot >= len(w.slots) {
		return
	}
	if s := w.slots[ev.Slot]; s.seq == ev.Seq {
		s.poll.leave()
	}
}

func (c *Core) heartbeat(w *worker, ev Heartbeat) {
	if !c.planned() { // what it runs may be adopted
		ev.Running = nil
	}
	for i, id := range ev.Running {
		a := c.attempts.of(w, id)
		switch {
		case a == nil:
			c.revoke(w.id, id)
			continue
		case i < len(ev.Stalled) && c.workers.stalls(w, ev.Stalled[i]):
			a.stalled = ev.Stalled[i]
		default:
			c.attempts.renew(a)
		}
		if i < len(ev.Progress) {
			c.attempts.tell(a, ev.Progress[i])
		}
	}
	was := w.state
	c.workers.tellStall(w, ev.WorkerStalled)
	switch {
	case c.over || w.state.Works() == was.Works():
	case w.state.Works():
		c.dispatch()
	default:
		c.relax()
	}
}

// drain begins the end of a worker that was asked to end, by its service
// manager or by the notice of a machine that will be taken away. It gets no new
// work, no speculative attempt and no work that is kept for another worker, and counts for
// nobody as one who might take it. What it runs goes on under its lease as ever
// and ends as it ends: committed, or released when the worker leaves.
func (c *Core) drain(w *worker, ev Drain) {
	w.leaves = c.now + Time(max(ev.Left, 0))
	if w.state == Draining {
		return
	}
	c.workers.set(w, Draining)
	for nd := w.live.head; nd != nil; {
		a := nd.owner
		if nd = nd.next; !a.seen {
			c.release(a)
		}
	}
	c.relax()
}

// leave forgets a worker. It gets no work any more when its attempts are
// offered to others.
func (c *Core) leave(w *worker) {
	c.workers.remove(w, Gone)
	for a := w.live.front(); a != nil; a = w.live.front() {
		c.release(a)
	}
	c.relax()
}
