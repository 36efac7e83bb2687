package sched

// A worker that was asked to end, by its service manager or by the notice of
// a machine that will be taken away, drains: it gets no new work, no backup
// and no work that is kept for another worker, and counts for nobody as one
// who might take it. What it runs goes on under its lease as ever and ends as
// it ends: committed, or released when the worker leaves politely.
func (c *Core) drain(ev Drain) {
	w := c.workers[ev.Worker]
	if w == nil {
		c.emit(Unknown{ev.Worker})
		return
	}
	w.leaves = c.now + Time(max(ev.Left, 0))
	if w.draining {
		return
	}
	for _, s := range w.slots {
		c.unpark(s)
	}
	w.draining = true
	c.draining++
	if w.excluded { // no longer of those who come back
		c.exiles.remove(&w.exile)
	} else if w.stuck {
		c.countStuck(false)
	}
	w.excluded, w.stuck = false, false
	c.noteMoving(w)
	for nd := w.live.head; nd != nil; {
		a := nd.owner
		if nd = nd.next; !a.seen {
			c.release(a)
		}
	}
	c.loneliness()
}
