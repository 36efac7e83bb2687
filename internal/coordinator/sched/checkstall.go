package sched

import "fmt"

// deadlines returns what the leases of the attempts that a heartbeat lists
// have to be after it, and notes whether its worker is stuck.
func (k *Checker) deadlines(ev Event) map[*attempt]func(now Time) Time {
	c := k.core
	if g, ok := ev.(Gone); ok {
		delete(k.stuck, g.Worker)
		delete(k.waits, g.Worker)
	}
	hb, ok := ev.(Heartbeat)
	w := c.workers[hb.Worker]
	if !ok || w == nil {
		return nil
	}
	others := 0
	for _, o := range c.workers {
		if o != w && !o.excluded && !o.draining && !k.stuck[o.id] && k.waits[o.id] < c.cfg.Stall/2 {
			others++
		}
	}
	k.waits[w.id] = hb.Stuck
	k.stuck[w.id] = others > 0 && hb.Stuck >= c.cfg.Stall
	want := map[*attempt]func(Time) Time{}
	for i, id := range hb.Running {
		a := c.live[id]
		if a == nil || a.worker != w {
			continue
		}
		if i < len(hb.Stalled) && hb.Stalled[i] >= c.cfg.Stall && others > 0 {
			if was := a.deadline; want[a] == nil {
				want[a] = func(Time) Time { return was }
			}
			continue
		}
		want[a] = func(now Time) Time { return now + Time(c.cfg.Lease) }
	}
	return want
}

// renewed checks the leases after a heartbeat.
func (k *Checker) renewed(want map[*attempt]func(now Time) Time) error {
	for a, deadline := range want {
		if d := deadline(k.core.now); a.alive && a.deadline != d {
			return fmt.Errorf("the heartbeat of %s leaves %s a lease until %v, want %v", a.worker.id, a.id, a.deadline, d)
		}
	}
	return nil
}
