package sched

import "time"

// attempt is one live attempt.
type attempt struct {
	id          AttemptID
	task        TaskID
	worker      *worker
	deadline    Time
	seen        bool          // the worker has shown that the grant reached it
	stalled     time.Duration // told by the heartbeats that did not extend the lease; 0 after one that did
	adopted     bool
	reported    bool // its worker says that it has ended
	alive       bool
	speculative bool          // began beside another
	start       Time          // of the attempt, or of what is known of it
	before      float64       // progress at start
	progress    float64       // 0..1, the last that was told; 0: unknown
	told        Time          // when
	lease       node[attempt] // in attempts.leases
	mine        node[attempt] // in worker.live
	peer        node[attempt] // in task.live
}

// attempts are the live attempts, with their leases.
type attempts struct {
	*turn
	byID   map[AttemptID]*attempt
	leases list[attempt] // by deadline: all leases are equally long
	grace  Time          // while not 0, no lease ends before
	// adopted has the ids of adopted attempts that are over, so that a late
	// copy of a Register does not adopt them again. Our own need no such
	// list: their epoch says that they were live once.
	adopted map[AttemptID]struct{}
}

// of returns the live attempt that a worker speaks of, and nil for one that is
// stale (I4).
func (as *attempts) of(w *worker, id AttemptID) *attempt {
	a := as.byID[id]
	if a == nil || a.worker != w {
		return nil
	}
	a.seen = true
	return a
}

func (as *attempts) add(a *attempt) {
	a.alive, a.start = true, as.now
	as.byID[a.id] = a
	a.worker.live.push(&a.mine, a)
	as.renew(a)
}

func (as *attempts) remove(a *attempt) {
	a.alive = false
	delete(as.byID, a.id)
	a.peer.leave()
	a.mine.leave()
	a.lease.leave()
	if a.adopted {
		as.adopted[a.id] = struct{}{}
	}
}

// renew gives an attempt a new lease.
func (as *attempts) renew(a *attempt) {
	a.lease.leave()
	a.stalled, a.deadline = 0, as.now+Time(as.cfg.Lease)
	as.leases.push(&a.lease, a)
}

// due returns the time at which the oldest lease ends.
func (as *attempts) due() (Time, bool) {
	a := as.leases.front()
	if a == nil {
		return 0, false
	}
	return max(a.deadline, as.grace), true
}

// silent says whether a worker has left out two heartbeats that should have
// listed the attempt.
func (as *attempts) silent(a *attempt) bool {
	return as.grace == 0 && a.deadline-as.now < Time(as.cfg.Lease/4)
}

// expiring appends to buf the attempts that a Tick at now would lose.
func (as *attempts) expiring(now Time, buf []Running) []Running {
	if now < as.grace {
		return buf
	}
	for nd := as.leases.head; nd != nil && nd.owner.deadline <= now; nd = nd.next {
		buf = append(buf, Running{nd.owner.task, nd.owner.id})
	}
	return buf
}

// left estimates how much longer an attempt takes. If its progress has not been
// told for half a lease it is taken to stand still.
func (as *attempts) left(a *attempt) (left Time, known bool) {
	progress := min(a.progress, readShare)
	if progress <= a.before {
		return as.now - a.start, false
	}
	until := max(a.told, as.now-Time(as.cfg.Lease/2))
	whole := float64(until-a.start) * (1 - progress) / (progress - a.before)
	return max(0, Time(whole)-(as.now-until)), true
}

// tell notes the progress of an attempt.
func (as *attempts) tell(a *attempt, progress float64) {
	if !(progress > a.progress) || progress > 1 { // also not a number
		return
	}
	if a.adopted && a.progress == 0 {
		a.before, a.start = progress, as.now // who knows when it began
	}
	a.progress, a.told = progress, as.now
}
