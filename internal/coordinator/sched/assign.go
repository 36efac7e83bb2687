package sched

import (
	"time"

	"github.com/mraws/mraws/mr"
)

// How far a search for a fitting pair of task and worker goes. A hold ends
// by itself, so a search that gives up delays a task but starves none.
const (
	maxHeldScan = 32
	maxPollScan = 64
)

// polls are the polls that wait for work.
type polls struct {
	queue list[slot] // which the next task may go to, oldest first; the others are in worker.parked
	freed []*worker  // may run more than before this event
}

// takesNothing reports whether no poll of the worker may be granted a task: it
// runs a suspect task alone, or is drained or excluded. Its polls are parked, so
// that a search of the queue does not pass them.
func (w *worker) takesNothing() bool { return w.alone != nil || !w.state.Works() }

// add puts the poll of a slot into the queue, or parks it.
func (p *polls) add(s *slot) {
	if s.worker.takesNothing() {
		s.worker.parked.push(&s.poll, s)
		return
	}
	p.queue.push(&s.poll, s)
}

// move parks the waiting polls of a worker, or puts them back into the queue,
// after takesNothing has changed.
func (p *polls) move(w *worker) {
	for _, s := range w.slots {
		if s.poll.in != nil && (s.poll.in == &p.queue) == w.takesNothing() {
			s.poll.leave()
			p.add(s)
		}
	}
}

// assignments are who runs what, and who waits for what.
type assignments struct {
	*turn
	phases   [2]phase // by mr.Phase
	attempts attempts
	polls    polls
	workers  *roster
}

func newAssignments(t *turn) *assignments {
	as := &assignments{turn: t, attempts: attempts{turn: t, byID: map[AttemptID]*attempt{}, adopted: map[AttemptID]struct{}{}}}
	for i := range as.phases {
		as.phases[i].turn, as.phases[i].kind = t, mr.Phase(i)
	}
	as.workers = &roster{turn: t, byID: map[WorkerID]*worker{}, polls: &as.polls}
	return as
}

// find returns a task with its phase; nil for a task that the job does not have.
func (as *assignments) find(id TaskID) (*phase, *task) {
	if id.Phase != mr.MapPhase && id.Phase != mr.ReducePhase {
		return nil, nil
	}
	p := &as.phases[id.Phase]
	if id.Index < 0 || id.Index >= len(p.tasks) {
		return nil, nil
	}
	return p, &p.tasks[id.Index]
}

// start makes a live attempt of a task that may wait in a queue.
func (as *assignments) start(a *attempt) *attempt {
	p, t := as.find(a.task)
	p.unhold(t)
	t.state = stateRunning
	if a.speculative = t.live.n > 0; !a.speculative {
		p.stats.Active++
	}
	p.stats.Running++
	t.live.push(&a.peer, a)
	as.attempts.add(a)
	return a
}

// adopt takes over an attempt of an earlier coordinator.
func (as *assignments) adopt(w *worker, r Running) bool {
	p, t := as.find(r.Task)
	if as.over || as.now >= as.job.AdoptUntil || t == nil || !p.open || t.state == stateDone || t.live.n > 0 {
		return false
	}
	if _, known := as.attempts.adopted[r.Attempt]; known || as.attempts.byID[r.Attempt] != nil {
		return false
	}
	epoch, task, ok := r.Attempt.parse()
	if !ok || task != r.Task || epoch == as.cfg.Epoch {
		return false // I4: ours, and over
	}
	as.start(&attempt{id: r.Attempt, task: r.Task, worker: w, adopted: true, seen: true})
	as.emit(Adopted{w.id, r.Task, r.Attempt})
	return true
}

// grant starts an attempt of the task on the slot.
func (as *assignments) grant(s *slot, id TaskID) {
	_, t := as.find(id)
	t.attempts++
	s.poll.leave()
	if as.room > 0 {
		as.room--
	}
	s.grant = as.start(&attempt{id: attemptID(as.cfg.Epoch, id, int(t.attempts)), task: id, worker: s.worker})
	if t.suspect() { // it gets the worker to itself
		s.worker.alone = s.grant
		as.polls.move(s.worker)
	}
	as.answer(s, false)
}

// answer tells a slot what it was granted.
func (as *assignments) answer(s *slot, again bool) {
	a := s.grant
	as.emit(Grant{Worker: s.worker.id, Slot: s.index, Seq: s.seq, Task: a.task, Attempt: a.id, Speculative: a.speculative, Again: again})
}

// end takes a live attempt out. What becomes of its task is the caller's
// business.
func (as *assignments) end(a *attempt, how Outcome, cause string) {
	p, t := as.find(a.task)
	as.attempts.remove(a)
	p.stats.Running--
	if t.live.n == 0 {
		p.stats.Active--
	}
	if w := a.worker; w.alone == a {
		w.alone = nil
		as.polls.move(w)
	}
	if a.worker.live.n == 0 {
		as.polls.freed = append(as.polls.freed, a.worker)
		as.workers.idles(a.worker)
	}
	as.emit(Ended{
		Worker: a.worker.id, Task: a.task, Attempt: a.id, Outcome: how, Speculative: a.speculative,
		Ran: time.Duration(as.now - a.start), Cause: cause,
	})
}

// release ends an attempt at nobody's fault.
func (as *assignments) release(a *attempt) {
	as.end(a, OutcomeReleased, "")
	as.offer(a.task)
}

// serve grants the slot a task, if there is one for it.
func (as *assignments) serve(s *slot) bool {
	if s.worker.takesNothing() || as.room == 0 {
		return false
	}
	for i := range as.phases {
		p := &as.phases[i]
		if !p.open {
			continue
		}
		if index, ok := p.pick(s.worker); ok {
			as.grant(s, TaskID{p.kind, index})
			return true
		}
	}
	return false
}

// dispatch serves polls while there is work for them. It starts over after
// each, since a suspect takes polls of its worker off the list.
func (as *assignments) dispatch() {
	missed := 0
	for nd := as.polls.queue.head; nd != nil && missed < maxPollScan; {
		if as.serve(nd.owner) {
			nd, missed = as.polls.queue.head, 0
			continue
		}
		nd, missed = nd.next, missed+1
	}
}

// serveFreed serves the polls of workers that could take nothing, or no
// suspect, before.
func (as *assignments) serveFreed() {
	for len(as.polls.freed) > 0 {
		w := as.polls.freed[len(as.polls.freed)-1]
		as.polls.freed = as.polls.freed[:len(as.polls.freed)-1]
		for _, s := range w.slots {
			if !as.over && s.poll.in != nil {
				as.serve(s)
			}
		}
	}
}

// offer hands a task whose attempt ended to a poll that waits or lines it up.
// One that failed waits up to a lease for a worker on which it has not failed,
// if there is one, since the fault may be that of a machine.
func (as *assignments) offer(id TaskID) {
	p, t := as.find(id)
	if t.state == stateDone || t.live.n > 0 {
		return
	}
	t.state = stateQueued
	if as.over {
		return
	}
	anyone := !as.otherWorker(t)
	n := 0
	for nd := as.polls.queue.head; nd != nil && n < maxPollScan && as.room != 0; nd, n = nd.next, n+1 {
		if w := nd.owner.worker; (anyone || !t.failedOn(w.id)) && (!t.suspect() || w.live.n == 0) {
			as.grant(nd.owner, id)
			return
		}
	}
	if anyone || t.failures == 0 {
		p.queue(id.Index)
		return
	}
	p.holdBack(id.Index)
}

// otherWorker reports whether some worker that gets work has not failed the
// task.
func (as *assignments) otherWorker(t *task) bool {
	others := as.workers.usable()
	for i, e := range t.history {
		w := as.workers.byID[e.Worker]
		if !e.Lost && w != nil && w.state.Works() && !failedBefore(t.history[:i], e.Worker) {
			others--
		}
	}
	return others > 0
}

// relax ends what makes no sense with one worker, or none, that gets work: to
// keep the others out, and to hold tasks for another.
func (as *assignments) relax() {
	if as.workers.usable() > 1 {
		return
	}
	if as.workers.usable() == 0 {
		as.workers.endExclusions(true)
	}
	if as.workers.usable() <= 1 {
		as.endHolds(true)
	}
	as.dispatch()
}

// endHolds lines up for anybody the tasks whose hold is due, or all.
func (as *assignments) endHolds(all bool) {
	for i := range as.phases {
		as.phases[i].endHolds(all)
	}
}
