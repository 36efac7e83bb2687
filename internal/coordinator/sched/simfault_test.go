package sched

import (
	"math/rand/v2"
	"time"
)

// What goes wrong in a simulated job.

// net carries one message: to be lost, doubled, late, out of order.
func (s *sim) net(deliver func()) {
	if s.chance(s.loss) {
		return
	}
	n := 1
	if s.chance(s.dup) {
		n = 2
	}
	for range n {
		d := s.between(time.Millisecond, 20*time.Millisecond)
		if s.chance(s.slow) {
			d = s.between(50*time.Millisecond, 15*time.Second)
		}
		s.after(d, deliver)
	}
}

// incident is one thing that goes wrong.
func (s *sim) incident() {
	p := s.procs[s.rng.IntN(len(s.procs))]
	d := s.between(time.Second, 40*time.Second)
	switch s.rng.IntN(17) {
	case 0, 1:
		p.crash()
		s.startProc(d / 4)
	case 2:
		p.pause(d) // and comes back as a zombie
	case 3:
		p.slow = 1 + 20*s.rng.Float64()
	case 4:
		p.cutStore = true
		s.after(d, func() { p.cutStore = false })
	case 5: // one way or both
		which := 1 + s.rng.IntN(3)
		p.cutOut, p.cutIn = which&1 != 0, which&2 != 0
		s.after(d, func() { p.cutOut, p.cutIn = false, false })
	case 6:
		s.coord.up = false
		s.logf("coordinator %s crashes", s.coord.core.cfg.Epoch)
		s.startCoord(d / 4)
	case 7:
		s.coord.pause(d)
	case 8: // two at once: the old one lives on for those who know it
		old := s.coord
		s.after(d, func() { old.up = false })
		s.startCoord(time.Millisecond)
	case 9:
		p.leave()
		s.startProc(d / 4)
	case 10:
		c := s.coord
		c.cutStore = true
		s.after(d, func() { c.cutStore = false })
	case 11, 12: // for longer, since it takes three failures to be noticed
		p.bad = true
		s.logf("%s has a full disk", p.id)
		s.after(2*d, func() { p.bad = false })
	case 13, 14: // for longer than a lease, as a rule
		p.hung = true
		s.logf("the store answers %s nothing for %v", p.id, 2*d)
		s.after(2*d, func() { p.hung = false })
	case 15:
		p.drain(d / 4)
		s.startProc(d / 4)
	case 16:
		for _, o := range s.procs { // a machine lies
			if o.address == p.address {
				o.liar = true
				s.after(2*d, func() { o.liar = false })
			}
		}
		s.liars++
		s.logf("the workers on %s lie", p.address)
	}
}

// theft returns what hears of each object that is created: sometimes somebody
// deletes an output a while later, unless the job is done by then. It draws from
// numbers of its own, so that a history without outputs is as it was.
func (s *sim) theft() func(objectKey) {
	rng := rand.New(rand.NewPCG(s.seed, 0x746865667473+uint64(s.mode)))
	return func(k objectKey) {
		calm := s.incidents == 0 && s.loss+s.slow+s.dup+s.storeErr+s.fail+s.lie == 0
		if k.kind != outputObject || s.thefts >= 3 || rng.IntN(8) > 0 || calm {
			return
		}
		s.after(time.Duration(rng.Int64N(int64(3*time.Second))), func() {
			if s.store.objects[k] != nil && s.store.objects[objectKey{kind: successObject}] == nil {
				s.logf("somebody deletes output %d", k.r)
				s.thefts++
				s.store.remove(k)
			}
		})
	}
}

// heal ends all faults and makes sure that somebody is there to work.
func (s *sim) heal() {
	s.logf("faults end")
	for _, p := range s.procs {
		p.cutStore, p.cutOut, p.cutIn, p.slow = false, false, false, 1
		p.bad, p.hung, p.liar = false, false, false
		p.wake()
	}
	s.coord.cutStore = false
	s.startProc(0)
}
