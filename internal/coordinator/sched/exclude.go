package sched

import "slices"

// A worker on which one task after the other fails gets no new work for a
// while: its disk may be full, its clock or its credentials wrong. Hadoop
// does so after mapreduce.job.maxtaskfailures.per.tracker tasks (3). Here:
//
//   - a task that fails is held against the worker, unless it failed on
//     another worker too: then it is the task's fault, and none of theirs;
//   - a commit on the worker wipes the slate;
//   - at blameAfter tasks the worker is excluded for exileLeases leases, and
//     each time for twice as long. What it runs goes on;
//   - the last worker that is not excluded never is, and when the last such
//     worker leaves all others are back at once.
const (
	blameAfter  = 3
	exileLeases = 6
	maxExiles   = 6 // doublings
)

// usable is the number of workers that may get work.
func (c *Core) usable() int { return len(c.workers) - c.exiles.n - c.stuck - c.draining }

// apart reports whether the worker's questions wait apart from the others'.
func (w *worker) apart() bool { return w.alone != nil || w.excluded || w.stuck }

// blame holds the failure of a task, which is in its history already,
// against the worker.
func (c *Core) blame(w *worker, id TaskID) {
	elsewhere := false
	for _, e := range c.task(id).history {
		if e.Lost || e.Worker == w.id {
			continue
		}
		elsewhere = true
		if o := c.workers[e.Worker]; o != nil {
			o.forgive(id)
		}
	}
	if elsewhere {
		w.forgive(id)
		return
	}
	if !slices.Contains(w.blamed, id) {
		w.blamed = append(w.blamed, id)
	}
	if len(w.blamed) >= blameAfter && !w.excluded && !w.draining && c.usableBeside(w) > 0 {
		c.exclude(w)
	}
}

func (w *worker) forgive(id TaskID) {
	if i := slices.Index(w.blamed, id); i >= 0 {
		w.blamed = slices.Delete(w.blamed, i, i+1)
	}
}

func (c *Core) exclude(w *worker) {
	c.setApart(w)
	if w.stuck {
		c.countStuck(false)
	}
	w.excluded, w.blamed = true, nil
	c.noteMoving(w)
	w.until = c.now + Time(c.cfg.Lease*exileLeases)<<min(w.excludedBefore, maxExiles)
	w.excludedBefore++
	c.exiles.push(&w.exile, w)
	c.exclusions++
	if c.exiles.n == 1 || w.until < c.readmitAt {
		c.readmitAt = w.until
	}
	c.emit(Excluded{w.id, w.until})
	c.loneliness()
}

func (c *Core) readmit(w *worker) {
	c.exiles.remove(&w.exile)
	w.excluded = false
	c.noteMoving(w)
	if w.stuck {
		c.countStuck(true)
	}
	c.rejoin(w)
	if !c.over {
		c.emit(Readmitted{w.id})
	}
}

// endExiles readmits the workers whose time is over, or all.
func (c *Core) endExiles(all bool) {
	if !all && (c.exiles.n == 0 || c.readmitAt > c.now) {
		return
	}
	next := Time(0)
	for nd := c.exiles.head; nd != nil; {
		w := nd.owner
		nd = nd.next
		if all || w.until <= c.now {
			c.readmit(w)
		} else if next == 0 || w.until < next {
			next = w.until
		}
	}
	c.readmitAt = next
}

// setApart takes the worker's questions off the list of all.
func (c *Core) setApart(w *worker) {
	if w.apart() {
		return
	}
	for _, s := range w.slots {
		if s.park.linked {
			c.parked.remove(&s.park)
			w.waiting.push(&s.park, s)
		}
	}
}

// rejoin puts the worker's questions back, if nothing keeps them apart.
func (c *Core) rejoin(w *worker) {
	if w.apart() {
		return
	}
	for s := w.waiting.front(); s != nil; s = w.waiting.front() {
		w.waiting.remove(&s.park)
		c.parked.push(&s.park, s)
	}
}
