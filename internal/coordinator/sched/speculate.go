package sched

import (
	"cmp"
	"slices"
	"time"
)

// A task whose attempt lags may get one speculative attempt on another worker, and
// whichever commits first wins: the conditional PUT decides, as it does
// between any two attempts. The idea is that of backup tasks in Dean and
// Ghemawat, "MapReduce", OSDI 2004, section 3.6; the rule for who gets one
// follows LATE: Zaharia and others, "Improving MapReduce Performance in
// Heterogeneous Environments", OSDI 2008, section 4. So
//
//   - only in the tail of a phase, when none of its tasks waits to be granted,
//     and only for a slot that polls and would else be idle;
//   - the attempt with the longest estimated time left goes first; the
//     estimate is the progress that its heartbeats told, over the time it took;
//   - not on the worker that lags, on one that lags itself or was slow before
//     (LATE's SlowNodeThreshold), or on one where the task failed;
//   - one at a time for a task, and none for a task that may be what kills
//     its workers.
//
// LATE's cap on speculative attempts in all is left out: a slot without work has nothing
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
	// given no speculative attempts.
	slowPace = 2.0
	// minProjected is the least progress from which a whole time is projected.
	minProjected = 0.05
)

// lookEvery is how often lagging attempts are looked for in the tail of a
// phase, leastLeft how much time a speculative attempt must be able to save.
func lookEvery(t *turn) Time { return Time(t.cfg.Lease / 20) }
func leastLeft(t *turn) Time { return Time(t.cfg.Lease / 10) }

// speculation finds attempts that lag.
type speculation struct {
	*assignments
	from Time // lagging attempts are looked for again lookEvery after this
}

// tail returns the phase in whose tail the job is: all of its tasks are
// committed or run, some of them on one worker only, and somebody asks for
// work. Else nil.
func (sp *speculation) tail() *phase {
	if !sp.job.Speculate || sp.over || sp.polls.queue.n == 0 {
		return nil
	}
	for i := range sp.phases {
		p := &sp.phases[i]
		if !p.open || p.finished {
			continue
		}
		if p.waiting() == 0 && p.single() > 0 {
			return p
		}
		return nil
	}
	return nil
}

// next returns when to look for lagging attempts again.
func (sp *speculation) next() (Time, bool) { return sp.from + lookEvery(sp.turn), sp.tail() != nil }

// lagging is an attempt that a speculative attempt may overtake.
type lagging struct {
	a    *attempt
	left Time // estimated
}

// grant grants speculative attempts to those who wait, if there are attempts that lag.
func (sp *speculation) grant() {
	at, ok := sp.next()
	if !ok || sp.now < at {
		return
	}
	sp.from = sp.now
	if sp.room == 0 {
		return
	}
	p := sp.tail()
	usual := sp.usual(p)
	var found []lagging
	for nd := sp.attempts.leases.head; nd != nil; nd = nd.next {
		a := nd.owner
		if a.task.Phase != p.kind {
			continue
		}
		left, ok := sp.lags(p, a, usual)
		if !ok {
			continue
		}
		a.worker.lagged = sp.now
		if t := &p.tasks[a.task.Index]; t.live.n == 1 && !t.suspect() {
			found = append(found, lagging{a, left})
		}
	}
	slices.SortStableFunc(found, func(x, y lagging) int { return cmp.Compare(y.left, x.left) })
	for _, l := range found {
		if s := sp.slotFor(p, l.a); s != nil && sp.room != 0 {
			sp.assignments.grant(s, l.a.task)
		}
	}
}

// slotFor chooses who runs a speculative attempt of a.
func (sp *speculation) slotFor(p *phase, a *attempt) *slot {
	t := &p.tasks[a.task.Index]
	n := 0
	// A worker that this pass found to lag has lagged == now.
	for nd := sp.polls.queue.head; nd != nil && n < maxPollScan; nd, n = nd.next, n+1 {
		w := nd.owner.worker
		if w != a.worker && w.lagged != sp.now && w.pace <= slowPace && !t.failedOn(w.id) {
			return nd.owner
		}
	}
	return nil
}

// usual returns what an attempt of a task of median size of the phase takes: the
// median over those that committed and those that run, the latter projected
// from their progress. 0 means that nobody knows.
func (sp *speculation) usual(p *phase) time.Duration {
	times := slices.Clone(p.took.sorted)
	for nd := sp.attempts.leases.head; nd != nil; nd = nd.next {
		a := nd.owner
		if a.task.Phase != p.kind || a.adopted || a.reported || a.progress < minProjected || sp.attempts.silent(a) {
			continue
		}
		whole := float64(a.told-a.start) / a.progress
		times = append(times, time.Duration(whole/p.share(a.task.Index)))
	}
	slices.Sort(times)
	return median(times)
}

// lags reports whether a speculative attempt that starts now may well finish before a,
// and how much longer a is expected to take.
//
// An attempt without known progress is expected to take as long again as it
// has taken, and has to be a lease old, since its task may just be longer
// than others. One whose worker has left out two heartbeats probably died, and
// one whose worker will not stay for as long as it needs will be released.
func (sp *speculation) lags(p *phase, a *attempt, usual time.Duration) (left Time, ok bool) {
	if a.reported {
		return 0, false
	}
	age := sp.now - a.start
	left, known := sp.attempts.left(a)
	if sp.attempts.silent(a) {
		return max(left, age, Time(sp.cfg.Lease)), true
	}
	if w := a.worker; w.state == Draining && known && sp.now+left > w.leaves {
		return left, true
	}
	if usual == 0 {
		return left, false
	}
	whole := float64(usual) * p.share(a.task.Index)
	switch {
	case float64(left) <= slowBy*whole || left < leastLeft(sp.turn):
		return left, false
	case !known:
		return left, age >= Time(sp.cfg.Lease)
	}
	return left, float64(age) >= whole/2
}

// note averages the pace of a worker over its last few attempts.
func (w *worker) note(pace float64, committed bool) {
	switch {
	case w.pace == 0:
		w.pace = pace
	case committed || pace > w.pace:
		w.pace = (w.pace + pace) / 2
	}
}
