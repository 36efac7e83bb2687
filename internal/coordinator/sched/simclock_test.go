package sched

import (
	"fmt"
	"time"
)

// What time is to a simulated coordinator.

func (c *coord) pause(d time.Duration) {
	if !c.up || c.asleep {
		return
	}
	c.s.logf("coordinator %s sleeps for %v", c.core.cfg.Epoch, d)
	c.asleep = true
	c.s.after(d, func() {
		c.asleep, c.woke = false, c.s.now
		work := c.backlog
		c.backlog = nil
		for _, f := range work {
			c.deliver(f)
		}
	})
}

// jump sets the wall clock of the machine, as an administrator or NTP does.
func (c *coord) jump() {
	d := c.s.between(time.Second, 3*time.Hour)
	if c.s.rng.IntN(2) == 0 {
		d = -d
	}
	c.s.logf("the clock of %s jumps by %v", c.core.cfg.Epoch, d)
	c.wall += Time(d)
	c.s.jumped++
}

// time is what the core is told: monotonic time, which does not jump.
func (c *coord) time() Time {
	if c.s.mutant == mutantWallClock {
		return c.s.now - c.start + c.wall
	}
	return c.s.now - c.start
}

// leasesEnd checks that no attempt lives of which nothing has been heard for
// three leases of true time, and no worker is known for six, whatever a clock
// says.
func (c *coord) leasesEnd() {
	for id, heard := range c.heard {
		if _, _, live := c.core.Attempt(id); !live {
			delete(c.heard, id)
		} else if since := max(heard, c.woke); c.s.now-since > Time(3*simLease) {
			c.s.broken(fmt.Errorf("coordinator %s: nothing was heard of %s for %v, and its lease has not ended",
				c.core.cfg.Epoch, id, time.Duration(c.s.now-since)))
		}
	}
	for m := range c.core.Members() {
		if since := max(c.seen[m.Worker], c.woke); c.s.now-since > Time(6*simLease) {
			c.s.broken(fmt.Errorf("coordinator %s: nothing was heard of %s for %v, and it is not forgotten",
				c.core.cfg.Epoch, m.Worker, time.Duration(c.s.now-since)))
		}
	}
	if !c.done {
		c.after(5*time.Second, c.leasesEnd)
	}
}
