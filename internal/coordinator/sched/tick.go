package sched

// What ends by itself.

// tick ends what is due. Polls that wait may take what waited for another, so
// all of it is offered again.
func (c *Core) tick() {
	for at, ok := c.attempts.due(); ok && at <= c.now; at, ok = c.attempts.due() {
		c.lose(c.attempts.leases.front())
	}
	if c.attempts.grace <= c.now {
		c.attempts.grace = 0
	}
	c.endHolds(false)
	if c.attempts.grace == 0 && c.workers.endSilence() {
		c.relax()
	}
	c.workers.endExclusions(false)
	c.dispatch()
}

// noticeSleep gives every lease, and every silent worker, some grace when
// nobody stepped the core for long after one was due: it was the coordinator
// that stood still, and the heartbeats of healthy workers are waiting behind
// this very event. For the same reason no attempt is taken for a lagging one
// then.
func (c *Core) noticeSleep(since Time) {
	half := Time(c.cfg.Lease / 2)
	at, ok := c.attempts.due()
	if silent := c.workers.silentAt; silent > 0 && (!ok || silent < at) {
		at, ok = silent, true
	}
	if ok && c.attempts.grace == 0 && c.now > at+half {
		c.attempts.grace = c.now + half
	}
	if _, ok := c.speculation.next(); ok && since > lookEvery(c.turn)+half/4 {
		c.speculation.from = c.now + half/2
	}
}

// Next returns when the loop should send the next [Tick]; ok is false if
// nothing is going to end.
func (c *Core) Next() (at Time, ok bool) {
	at, ok = c.attempts.due()
	also := func(t Time, is bool) {
		if is && (!ok || t < at) {
			at, ok = t, true
		}
	}
	for i := range c.phases {
		if h := c.phases[i].held.front(); h != nil {
			also(h.until, true)
		}
	}
	also(c.workers.readmitAt, c.workers.readmitAt > 0 && !c.over)
	also(max(c.workers.silentAt, c.attempts.grace), c.workers.silentAt > 0)
	also(c.speculation.next())
	return at, ok
}

// Expiring appends to buf the attempts that a Tick at now would lose.
func (c *Core) Expiring(now Time, buf []Running) []Running { return c.attempts.expiring(now, buf) }
