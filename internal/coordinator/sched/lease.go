package sched

import "fmt"

// due returns the time at which the oldest lease ends.
func (c *Core) due() (Time, bool) {
	a := c.leases.front()
	if a == nil {
		return 0, false
	}
	return max(a.deadline, c.grace), true
}

// noticeSleep gives every lease some grace when nobody stepped the core for
// long after a lease was due: it was the coordinator that stood still, and
// the heartbeats of healthy workers are waiting behind this very event. For
// the same reason no attempt is taken for a lagging one then.
func (c *Core) noticeSleep(since Time) {
	half := Time(c.cfg.Lease / 2)
	if at, ok := c.due(); ok && c.grace == 0 && c.now > at+half {
		c.grace = c.now + half
	}
	if _, ok := c.nextLook(); ok && since > c.lookEvery()+half/4 {
		c.looked = c.now + half/2
	}
}

// tick ends leases, holds and exclusions that are due. Questions parked until now wait
// for work that they may take, so all of it is offered again.
func (c *Core) tick() {
	for at, ok := c.due(); ok && at <= c.now; at, ok = c.due() {
		a, cause := c.leases.front(), "lease ended without a heartbeat"
		if a.stalled > 0 {
			cause = fmt.Sprintf("worker %s has transferred no data to or from the store for %v", a.worker.id, a.stalled)
		}
		c.phases[a.task.Phase].expired++
		c.lose(a, cause)
	}
	if c.grace <= c.now {
		c.grace = 0
	}
	c.endHolds(false)
	c.endExiles(false)
	c.dispatch()
}

// Next returns when the shell should send the next [Tick]; ok is false if
// nothing is going to end.
func (c *Core) Next() (at Time, ok bool) {
	at, ok = c.due()
	for i := range c.phases {
		if h := c.phases[i].held.front(); h != nil && (!ok || h.until < at) {
			at, ok = h.until, true
		}
	}
	if c.exiles.n > 0 && !c.over && (!ok || c.readmitAt < at) {
		at, ok = c.readmitAt, true
	}
	if look, wanted := c.nextLook(); wanted && (!ok || look < at) {
		at, ok = look, true
	}
	return at, ok
}

// Expiring appends to buf the attempts that a Tick at now would lose.
func (c *Core) Expiring(now Time, buf []Running) []Running {
	if now < c.grace {
		return buf
	}
	for nd := c.leases.head; nd != nil && nd.owner.deadline <= now; nd = nd.next {
		buf = append(buf, Running{nd.owner.task, nd.owner.id})
	}
	return buf
}
