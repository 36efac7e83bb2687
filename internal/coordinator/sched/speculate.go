package sched

import (
	"cmp"
	"slices"
	"time"
)

// A task whose attempt lags may get one backup attempt on another worker, and
// whichever commits first wins: the conditional PUT decides, as it does
// between any two attempts. The idea is that of backup tasks in Dean and
// Ghemawat, "MapReduce", OSDI 2004, section 3.6; the rule for who gets one
// follows LATE: Zaharia and others, "Improving MapReduce Performance in
// Heterogeneous Environments", OSDI 2008, section 4. So
//
//   - only in the tail of a phase, when none of its tasks waits to be granted,
//     and only for a slot that asks and would else be idle;
//   - the attempt with the longest estimated time left goes first; the
//     estimate is the progress that its heartbeats told, over the time it took;
//   - not on the worker that lags, on one that lags itself or was slow before
//     (LATE's SlowNodeThreshold), or on one where the task failed;
//   - one at a time for a task, and none for a task that may be what kills
//     its workers.
//
// LATE's cap on backups in all is left out: a slot without work has nothing
// better to do, and a phase that is open ends before the next one needs it.
// To lose is no failure: the loser is revoked and counted as superseded.

const (
	// slowBy is how much more time than a new attempt would need must be
	// left of one that lags, since estimates are not sure.
	slowBy = 1.5
	// readShare caps the progress that counts: an attempt that has read all
	// its input still has to merge, upload and commit.
	readShare = 0.75
	// slowPace is how many times longer than usual a worker takes that is
	// given no backups.
	slowPace = 2.0
	// minProjected is the least progress from which a whole time is projected.
	minProjected = 0.05
)

// lookEvery is how often lagging attempts are looked for in the tail of a
// phase, least how much time a backup must be able to save.
func (c *Core) lookEvery() Time { return Time(c.cfg.Lease / 20) }
func (c *Core) leastLeft() Time { return Time(c.cfg.Lease / 10) }
func (c *Core) silent(a *attempt) bool {
	return c.grace == 0 && a.deadline-c.now < Time(c.cfg.Lease/4)
}

// tail returns the phase in whose tail the job is: all of its tasks are
// committed or run, some of them on one worker only, and somebody asks for
// work. Else nil.
func (c *Core) tail() *phase {
	if !c.cfg.Speculate || c.over || c.parked.n == 0 {
		return nil
	}
	for i := range c.phases {
		p := &c.phases[i]
		if !p.open || p.finished {
			continue
		}
		single := 2*p.active - p.stats.Running // an active task has one or two attempts
		if p.stats.Done+p.active == len(p.tasks) && single > 0 {
			return p
		}
		return nil
	}
	return nil
}

// nextLook returns when to look for lagging attempts again.
func (c *Core) nextLook() (Time, bool) { return c.looked + c.lookEvery(), c.tail() != nil }

// lagging is an attempt that a backup may overtake.
type lagging struct {
	a    *attempt
	left Time // estimated
}

// speculate grants backups to those who wait, if there are attempts that lag.
func (c *Core) speculate() {
	at, ok := c.nextLook()
	if !ok || c.now < at {
		return
	}
	c.looked = c.now
	p := c.tail()
	usual := c.usual(p)
	var found []lagging
	for nd := c.leases.head; nd != nil; nd = nd.next {
		a := nd.owner
		if a.task.Phase != p.kind {
			continue
		}
		left, ok := c.lags(p, a, usual)
		if !ok {
			continue
		}
		a.worker.lagged = c.now
		if t := &p.tasks[a.task.Index]; t.live.n == 1 && !t.suspect() {
			found = append(found, lagging{a, left})
		}
	}
	slices.SortStableFunc(found, func(x, y lagging) int { return cmp.Compare(y.left, x.left) })
	for _, l := range found {
		if s := c.backupSlot(p, l.a); s != nil {
			c.grant(s, l.a.task)
		}
	}
}

// backupSlot chooses who runs a backup of a.
func (c *Core) backupSlot(p *phase, a *attempt) *slot {
	t := &p.tasks[a.task.Index]
	n := 0
	for nd := c.parked.head; nd != nil && n < maxParkedScan; nd, n = nd.next, n+1 {
		w := nd.owner.worker
		if w != a.worker && w.lagged != c.now && w.pace <= slowPace && !t.failedOn(w.id) {
			return nd.owner
		}
	}
	return nil
}

// usual returns what an attempt of a task of median size of the phase takes: the
// median over those that committed and those that run, the latter projected
// from their progress. 0 means that nobody knows.
func (c *Core) usual(p *phase) time.Duration {
	times := slices.Clone(p.took.sorted)
	for nd := c.leases.head; nd != nil; nd = nd.next {
		a := nd.owner
		if a.task.Phase != p.kind || a.adopted || a.ended || a.progress < minProjected || c.silent(a) {
			continue
		}
		whole := float64(a.told-a.start) / a.progress
		times = append(times, time.Duration(whole/c.share(p, a.task.Index)))
	}
	slices.Sort(times)
	return median(times)
}

// lags reports whether a backup that starts now may well finish before a,
// and how much longer a is expected to take.
//
// An attempt without known progress is expected to take as long again as it
// has taken, and has to be a lease old, since its task may just be longer
// than others. One whose worker has left out two heartbeats probably died, and
// one whose worker will not stay for as long as it needs will be handed back.
func (c *Core) lags(p *phase, a *attempt, usual time.Duration) (left Time, ok bool) {
	if a.ended {
		return 0, false
	}
	age := c.now - a.start
	left, known := c.left(a)
	if c.silent(a) {
		return max(left, age, Time(c.cfg.Lease)), true
	}
	if w := a.worker; w.draining && known && c.now+left > w.leaves {
		return left, true
	}
	if usual == 0 {
		return left, false
	}
	whole := float64(usual) * c.share(p, a.task.Index)
	switch {
	case float64(left) <= slowBy*whole || left < c.leastLeft():
		return left, false
	case !known:
		return left, age >= Time(c.cfg.Lease)
	}
	return left, float64(age) >= whole/2
}

// left estimates how much longer a takes. If its progress has not been told
// for half a lease it is taken to stand still.
func (c *Core) left(a *attempt) (left Time, known bool) {
	progress := min(a.progress, readShare)
	if progress <= a.before {
		return c.now - a.start, false
	}
	until := max(a.told, c.now-Time(c.cfg.Lease/2))
	whole := float64(until-a.start) * (1 - progress) / (progress - a.before)
	return max(0, Time(whole)-(c.now-until)), true
}

// tell notes the progress of an attempt.
func (c *Core) tell(a *attempt, progress float64) {
	if !(progress > a.progress) || progress > 1 { // also not a number
		return
	}
	if a.adopted && a.progress == 0 {
		a.before, a.start = progress, c.now // who knows when it began
	}
	a.progress, a.told = progress, c.now
}

// share is the size of a task over the median size of its phase, and 1 for
// smaller ones, whose time is not spent on their data.
func (c *Core) share(p *phase, index int) float64 {
	if c.cfg.Work == nil || !p.open {
		return 1
	}
	if !p.weighed {
		p.weighed = true
		var sizes []int64
		for i := 0; i < len(p.tasks); i += 1 + len(p.tasks)/maxWeighed {
			sizes = append(sizes, c.cfg.Work(TaskID{p.kind, i}))
		}
		slices.Sort(sizes)
		p.size = sizes[len(sizes)/2]
	}
	if p.size <= 0 {
		return 1
	}
	return max(1, float64(c.cfg.Work(TaskID{p.kind, index}))/float64(p.size))
}

// maxWeighed is of how many tasks of a phase the median size is taken.
const maxWeighed = 1024

// noteTime notes how long an attempt took that committed, or that lost to
// another: then it is a bound from below, and says something on its worker
// alone.
func (c *Core) noteTime(p *phase, a *attempt, won bool) {
	if a.adopted {
		return
	}
	took := time.Duration(float64(c.now-a.start) / c.share(p, a.task.Index))
	if usual := p.took.median(); usual > 0 {
		a.worker.note(float64(took)/float64(usual), won)
	}
	if won {
		p.took.add(took)
	}
}

// note averages the pace of a worker over its last few attempts.
func (w *worker) note(pace float64, won bool) {
	switch {
	case w.pace == 0:
		w.pace = pace
	case won || pace > w.pace:
		w.pace = (w.pace + pace) / 2
	}
}
