package sched

import "time"

// Availability is what a worker may be given. It is one state, which one
// function sets ([roster.set]), by what is known of the worker.
type Availability uint8

// The states. A worker that is ready or waits gets work.
const (
	Absent   Availability = iota // not registered yet
	Ready                        // its requests to the store move
	Waiting                      // they have stood still for half of Config.Stall, or nobody's move
	Stalled                      // they have stood still for Config.Stall while others' move (stall.go)
	Excluded                     // one task after the other failed on it (exclude.go)
	Draining                     // it has been asked to end
	Gone                         // it has left
	Lost                         // nothing was heard of it any more
	nAvailabilities
)

// String is the word for people.
func (a Availability) String() string {
	return [...]string{"absent", "ready", "ready", "stalled", "excluded", "draining", "gone", "lost"}[a]
}

// Works says whether a worker in that state gets new work.
func (a Availability) Works() bool { return a == Ready || a == Waiting }

// worker is one registered worker.
type worker struct {
	id                     WorkerID
	host, version, address string
	state                  Availability
	heard                  Time     // its last sign of life
	joined                 Register // while there is no job
	slots                  []*slot
	live                   list[attempt]
	place                  node[worker] // in roster.all

	pace   float64 // its times over the usual ones; 0: unknown
	lagged Time    // when an attempt on it was last seen to lag

	blamed         []TaskID // failed here and nowhere else, since its last commit
	until          Time     // of its exclusion; 0 for none
	excludedBefore int
	waits          time.Duration // for the store; below Config.Stall where nobody's requests moved
	leaves         Time          // at the latest, while draining

	// alone is the attempt of a suspect that has the worker to itself; the
	// polls of its other slots are then parked.
	alone  *attempt
	parked list[slot]
}

// slot is one place of a worker that runs one attempt at a time.
type slot struct {
	worker *worker
	index  int
	seq    uint64     // of the last poll
	grant  *attempt   // the answer to it, if it had one
	poll   node[slot] // in polls.queue or worker.parked, while it waits
}

// roster is the one table of workers.
type roster struct {
	*turn
	byID  map[WorkerID]*worker
	all   list[worker]         // in the order in which they joined
	count [nAvailabilities]int // by state; of those that are not in all it means nothing
	polls *polls

	readmitAt Time // the end of the first exclusion; 0 for none
	silentAt  Time // before it no worker that runs nothing has been silent for too long; 0 where there is none
}

// join adds a worker, or returns the one that has joined before.
func (r *roster) join(ev Register) *worker {
	w := r.byID[ev.Worker]
	if w == nil {
		w = &worker{id: ev.Worker}
		r.byID[w.id] = w
		r.all.push(&w.place, w)
		r.set(w, Ready)
	}
	w.host, w.version, w.address, w.heard = ev.Host, ev.Version, ev.Address, r.now
	r.idles(w)
	for len(w.slots) < min(ev.Slots, MaxSlots) {
		w.slots = append(w.slots, &slot{worker: w, index: len(w.slots)})
	}
	return w
}

// remove forgets a worker whose attempts have ended.
func (r *roster) remove(w *worker, to Availability) {
	r.set(w, to)
	w.place.leave()
	delete(r.byID, w.id)
}

// update sets the availability of a worker to what follows from what is known
// of it. From Draining there is no way back.
func (r *roster) update(w *worker) {
	switch {
	case w.state == Draining:
	case w.until > 0:
		r.set(w, Excluded)
	case w.waits >= r.cfg.Stall:
		r.set(w, Stalled)
	case w.waits >= r.cfg.Stall/2:
		r.set(w, Waiting)
	default:
		r.set(w, Ready)
	}
}

// set is the only function that changes the availability of a worker.
func (r *roster) set(w *worker, to Availability) {
	from := w.state
	if from == to {
		return
	}
	r.count[from]--
	r.count[to]++
	w.state = to
	if to >= Draining { // what it polled for it will not get
		for _, s := range w.slots {
			s.poll.leave()
		}
	}
	r.polls.move(w)
	if from.Works() && to.Works() {
		return
	}
	e := WorkerChanged{Worker: w.id, From: from, To: to, Until: w.until}
	if to == Lost {
		e.Silent = time.Duration(r.now - w.heard)
	}
	r.emit(e)
}

// usable is the number of workers that may get work.
func (r *roster) usable() int { return r.count[Ready] + r.count[Waiting] }

// patience is how long a worker that runs nothing may be silent before it is
// forgotten, so that no task waits for it. It may register again.
func (r *roster) patience() Time { return Time(3 * r.cfg.Lease) }

// idles notes that a worker runs nothing, and so may be forgotten.
func (r *roster) idles(w *worker) {
	if at := max(r.now, w.heard+r.patience()); r.silentAt == 0 || at < r.silentAt {
		r.silentAt = at
	}
}

// endSilence forgets the workers that run nothing and have been silent for too
// long, and says whether there were any.
func (r *roster) endSilence() (any bool) {
	if r.silentAt == 0 || r.silentAt > r.now {
		return false
	}
	next := Time(0)
	for nd := r.all.head; nd != nil; {
		w := nd.owner
		nd = nd.next
		switch at := w.heard + r.patience(); {
		case w.live.n > 0:
		case at <= r.now:
			r.remove(w, Lost)
			any = true
		case next == 0 || at < next:
			next = at
		}
	}
	r.silentAt = next
	return any
}
