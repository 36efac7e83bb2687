package sched

// bendStalls puts the mutants of stalled requests into a core.
func (m mutant) bendStalls(c *coord) {
	core := c.core
	c.checker.step = func(now Time, ev Event) []Effect {
		hb, ok := ev.(Heartbeat)
		w := core.workers.byID[hb.Worker]
		if !ok || w == nil {
			return core.Step(now, ev)
		}
		switch m {
		case mutantStall:
			hb.Stalled = nil
		case mutantServeStall:
			hb.WorkerStalled = 0
		case mutantAllStall:
			before := map[*attempt]Time{}
			for i, id := range hb.Running {
				if a := core.attempts.byID[id]; a != nil && a.worker == w && hb.Stalled[i] >= core.cfg.Stall {
					before[a] = a.deadline
				}
			}
			out := core.Step(now, hb)
			for a, deadline := range before {
				a.deadline = deadline
			}
			return out
		}
		return core.Step(now, hb)
	}
}
