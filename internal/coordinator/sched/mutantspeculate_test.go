package sched

import "slices"

// bendSpeculation puts the mutants of speculative attempts and exclusion into a core.
func (m mutant) bendSpeculation(c *coord) {
	core, k := c.core, c.checker
	wrap := func(f func(now Time, ev Event) []Effect) { k.step = f }
	switch m {
	case mutantBothWin:
		wrap(func(now Time, ev Event) []Effect {
			out := slices.Clone(core.Step(now, ev))
			for i, e := range out {
				if e, ok := e.(Ended); ok && e.Outcome == OutcomeSuperseded {
					e.Outcome = OutcomeCommitted
					out[i] = e
				}
			}
			return out
		})
	case mutantLoserFailed:
		wrap(func(now Time, ev Event) []Effect {
			var out []Effect
			for _, r := range k.rivals(ev) {
				out = append(out, r)
				out = append(out, core.Step(now, Failed{Worker: r.Worker, Attempt: r.Attempt, Cause: "too late"})...)
			}
			return append(out, core.Step(now, ev)...)
		})
	case mutantNoRevoke:
		wrap(func(now Time, ev Event) []Effect {
			rivals := k.rivals(ev)
			return slices.DeleteFunc(core.Step(now, ev), func(e Effect) bool {
				r, ok := e.(Revoke)
				return ok && slices.Contains(rivals, r)
			})
		})
	case mutantServeBad:
		wrap(func(now Time, ev Event) []Effect {
			a, ok := ev.(Poll)
			w := core.workers.byID[a.Worker]
			if !ok || w == nil || w.state != Excluded || w.parked.n > 0 {
				return core.Step(now, ev)
			}
			return as(w, Ready, func() []Effect { return core.Step(now, ev) })
		})
	case mutantAllBad:
		wrap(func(now Time, ev Event) []Effect {
			g, _ := ev.(Leave)
			return c.withoutReturn(now, ev, g.Worker)
		})
	default:
		m.bendDrains(c)
	}
}

// as applies an event while a worker seems to be in another state.
func as(w *worker, state Availability, step func() []Effect) []Effect {
	was := w.state
	w.state = state
	out := step()
	for _, s := range w.slots {
		s.poll.leave()
	}
	w.state = was
	return out
}

// withoutReturn keeps one worker excluded when ev takes the last that gets
// work.
func (c *coord) withoutReturn(now Time, ev Event, last WorkerID) []Effect {
	r := c.core.workers
	var bad *worker
	for nd := r.all.head; nd != nil && bad == nil; nd = nd.next {
		if nd.owner.state == Excluded {
			bad = nd.owner
		}
	}
	if w := r.byID[last]; bad == nil || w == nil || !w.state.Works() || r.usable() > 1 {
		return c.core.Step(now, ev)
	}
	until := bad.until
	c.core.Step(now, ev)
	bad.until, r.readmitAt = until, until
	r.update(bad)
	for _, s := range bad.slots {
		s.poll.leave()
	}
	return c.core.out
}

// bendDrains puts the mutants of workers that drain into a core.
func (m mutant) bendDrains(c *coord) {
	core := c.core
	seen := func(to bool) {
		c.checker.step = func(now Time, ev Event) []Effect {
			d, _ := ev.(Drain)
			if w := core.workers.byID[d.Worker]; w != nil {
				for nd := w.live.head; nd != nil; nd = nd.next {
					nd.owner.seen = to
				}
			}
			return core.Step(now, ev)
		}
	}
	switch m {
	case mutantAllDrain:
		c.checker.step = func(now Time, ev Event) []Effect {
			d, _ := ev.(Drain)
			return c.withoutReturn(now, ev, d.Worker)
		}
	case mutantServeDrain:
		c.checker.step = func(now Time, ev Event) []Effect {
			a, _ := ev.(Poll)
			w := core.workers.byID[a.Worker]
			if w == nil || w.state != Draining {
				return core.Step(now, ev)
			}
			return as(w, Ready, func() []Effect { return core.Step(now, ev) })
		}
	case mutantDrainTakes:
		seen(false)
	case mutantDrainKeeps:
		seen(true)
	default:
		m.bendGrants(c)
	}
}

// bendGrants puts the mutants that grant too much into a core.
func (m mutant) bendGrants(c *coord) {
	core := c.core
	switch m {
	case mutantStall, mutantServeStall, mutantAllStall:
		m.bendStalls(c)
	case mutantSameWorker:
		c.grantInstead(func(s *slot, a *attempt) bool { return a.worker == s.worker && core.speculation.tail() != nil })
	case mutantThird:
		c.grantInstead(func(s *slot, a *attempt) bool {
			return core.task(a.task).live.n == 2 && !slices.ContainsFunc(core.Running(s.worker.id, nil),
				func(r Running) bool { return r.Task == a.task })
		})
	case mutantEarlySpeculation:
		c.grantInstead(func(s *slot, a *attempt) bool {
			p := &core.phases[a.task.Phase]
			return a.worker != s.worker && core.task(a.task).live.n == 1 && p.waiting() > 0
		})
	}
}

// grantInstead answers a poll that nothing was granted for, or that is
// about to be answered, with one more attempt of a task that runs.
func (c *coord) grantInstead(fits func(s *slot, a *attempt) bool) {
	core := c.core
	c.checker.step = func(now Time, ev Event) []Effect {
		q, ok := ev.(Poll)
		w := core.workers.byID[q.Worker]
		if !ok || core.over || w == nil || w.takesNothing() || q.Slot >= len(w.slots) || q.Seq <= w.slots[q.Slot].seq {
			return core.Step(now, ev)
		}
		s := w.slots[q.Slot]
		for nd := core.attempts.leases.head; nd != nil; nd = nd.next {
			if a := nd.owner; (s.grant == nil || !s.grant.alive) && fits(s, a) {
				core.now, core.out, s.seq = max(core.now, now), core.out[:0], q.Seq
				core.grant(s, a.task)
				return core.out
			}
		}
		return core.Step(now, ev)
	}
}
