package sched

import "slices"

// A worker on which one task after the other fails gets no new work for a
// while: its disk may be full, its clock or its credentials wrong. Hadoop
// does so after mapreduce.job.maxtaskfailures.per.tracker tasks (3). Here:
//
//   - a task that fails is held against the worker, unless it failed on
//     another worker too: then it is the task's fault, and none of theirs;
//   - a commit on the worker clears what is held against it;
//   - at blameAfter tasks the worker is excluded for exclusionLeases leases,
//     and each time for twice as long. What it runs goes on;
//   - the last worker that gets work is never excluded, and when the last such
//     worker leaves all others are back at once.
const (
	blameAfter      = 3
	exclusionLeases = 6
	maxDoublings    = 6
)

// blame holds the failure of a task, with that history, against a worker. It
// says whether the worker is excluded for it.
func (r *roster) blame(w *worker, id TaskID, history []End) (excluded bool) {
	elsewhere := false
	for _, e := range history {
		if e.Lost || e.Worker == w.id {
			continue
		}
		elsewhere = true
		if o := r.byID[e.Worker]; o != nil {
			o.clear(id)
		}
	}
	if elsewhere {
		w.clear(id)
		return false
	}
	if !slices.Contains(w.blamed, id) {
		w.blamed = append(w.blamed, id)
	}
	others := r.usable()
	if w.state.Works() {
		others--
	}
	if len(w.blamed) < blameAfter || w.state == Excluded || w.state == Draining || others == 0 {
		return false
	}
	w.blamed = nil
	w.until = r.now + Time(r.cfg.Lease*exclusionLeases)<<min(w.excludedBefore, maxDoublings)
	w.excludedBefore++
	if r.readmitAt == 0 || w.until < r.readmitAt {
		r.readmitAt = w.until
	}
	r.update(w)
	return true
}

// clear takes a failure back that was held against the worker.
func (w *worker) clear(id TaskID) {
	if i := slices.Index(w.blamed, id); i >= 0 {
		w.blamed = slices.Delete(w.blamed, i, i+1)
	}
}

// endExclusions readmits the workers whose time is over, or all.
func (r *roster) endExclusions(all bool) {
	if r.readmitAt == 0 || !all && r.readmitAt > r.now {
		return
	}
	r.readmitAt = 0
	for nd := r.all.head; nd != nil; nd = nd.next {
		w := nd.owner
		switch {
		case w.state != Excluded:
		case all || w.until <= r.now:
			w.until = 0
			r.update(w)
		case r.readmitAt == 0 || w.until < r.readmitAt:
			r.readmitAt = w.until
		}
	}
}
