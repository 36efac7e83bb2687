package sched

import (
	"slices"
	"strconv"
	"time"

	"github.com/mraws/mraws/mr"
)

// proc is one worker process.
type proc struct {
	s                       *sim
	id                      WorkerID
	address                 string // of its machine, which it shares with another
	coord                   *coord // whom it talks to
	slots                   []*procSlot
	runs                    []*run
	alive, asleep           bool
	backlog                 []func()
	slow                    float64
	cutStore, cutOut, cutIn bool
	bad                     bool // all that it runs fails
	liar                    bool // it says of all that it runs that nobody can do it
	hung                    bool // the store takes its requests and never answers
	draining                bool // takes nothing new
	leaves                  Time // at the latest, while draining
}

type procSlot struct {
	index int
	seq   uint64
	over  bool
	waits Time // since when it wants to know whether the store answers, or 0
}

// run is one attempt in a worker.
type run struct {
	Running
	p       *proc
	slot    *procSlot
	waits   Time // since when a request to the store is on its way, or 0
	started Time
	takes   time.Duration // until it has read its input
	stopped bool          // revoked, or reported
	unheard bool          // reported to one who cannot tell: its slot is at another
	parts   []pairs
	named   []part // what the commit record will say
}

func (s *sim) startProc(d time.Duration) {
	s.nproc++
	p := &proc{s: s, id: WorkerID("w" + strconv.Itoa(s.nproc)), address: "h" + strconv.Itoa(s.nproc/2), alive: true, slow: 1}
	for i := range s.slots {
		p.slots = append(p.slots, &procSlot{index: i})
	}
	s.procs = append(s.procs, p)
	p.after(d, func() {
		p.register(func() {
			for _, sl := range p.slots {
				p.pollNew(sl)
			}
		})
		p.beat()
	})
}

// do runs f in the process, now or when it wakes up.
func (p *proc) do(f func()) {
	switch {
	case !p.alive:
	case p.asleep:
		p.backlog = append(p.backlog, f)
	default:
		f()
	}
}

func (p *proc) after(d time.Duration, f func()) { p.s.after(d, func() { p.do(f) }) }

// leave hands everything back and ends.
func (p *proc) leave() {
	p.s.logf("%s leaves", p.id)
	for _, r := range p.runs {
		r.stopped = true
	}
	p.rpc(simTimeout, func(c *coord, reply func(any)) { c.leave(p.id); reply(okAnswer{}) }, func(any) {})
	p.alive = false
}

// drain takes nothing new from now on, and leaves when all that runs is over,
// or in d.
func (p *proc) drain(d time.Duration) {
	p.do(func() {
		if p.draining {
			return
		}
		p.s.logf("%s drains for %v", p.id, d)
		p.s.drained++
		p.draining, p.leaves = true, p.s.now+Time(d)
		p.after(d, p.leave)
		p.tellBeat()
		p.drained()
	})
}

// drained leaves when there is nothing left to do.
func (p *proc) drained() {
	if p.draining && p.alive && len(p.runs) == 0 {
		p.leave()
	}
}

// left is how long a process that drains stays, else nil.
func (p *proc) left() *time.Duration {
	if !p.draining {
		return nil
	}
	left := time.Duration(max(p.leaves-p.s.now, 0))
	return &left
}

func (p *proc) crash() {
	p.s.logf("%s crashes", p.id)
	p.alive = false
}

func (p *proc) pause(d time.Duration) {
	p.s.logf("%s sleeps for %v", p.id, d)
	p.asleep = true
	p.s.after(d, p.wake)
}

func (p *proc) wake() {
	p.asleep = false
	work := p.backlog
	p.backlog = nil
	for _, f := range work {
		p.do(f)
	}
}

// rpc calls the coordinator; then gets the answer once, or nil in time.
func (p *proc) rpc(timeout time.Duration, call func(c *coord, reply func(any)), then func(answer any)) {
	settled := false
	settle := func(answer any) {
		p.do(func() {
			if !settled {
				settled = true
				then(answer)
			}
		})
	}
	p.s.after(timeout, func() {
		if !settled {
			if p.coord != p.s.coord {
				p.coord = p.s.coord // read _coordinator.json again
			}
			settle(nil)
		}
	})
	if p.coord == nil {
		p.coord = p.s.coord
	}
	c := p.coord
	if p.cutOut {
		return
	}
	p.s.net(func() {
		c.deliver(func() {
			call(c, func(answer any) {
				if !p.cutIn {
					p.s.net(func() { settle(answer) })
				}
			})
		})
	})
}

// register joins, as often as it takes.
func (p *proc) register(then func()) {
	running := make([]Running, len(p.runs))
	for i, r := range p.runs {
		running[i] = r.Running
	}
	left := p.left()
	p.rpc(simTimeout, func(c *coord, reply func(any)) { c.register(p, running, left, reply) }, func(answer any) {
		if answer == nil {
			p.after(time.Second, func() { p.register(then) })
			return
		}
		then()
	})
}

// beat sends heartbeats for ever.
func (p *proc) beat() {
	p.tellBeat()
	if !p.s.ended {
		p.after(simBeat, p.beat)
	}
}

func (p *proc) tellBeat() {
	ids := make([]AttemptID, len(p.runs))
	var progress []float64
	stalled, stuck := make([]time.Duration, len(p.runs)), time.Duration(0)
	since := func(t Time) (d time.Duration) {
		if t > 0 {
			d = time.Duration(p.s.now - t)
		}
		stuck = max(stuck, d)
		return d
	}
	for _, sl := range p.slots {
		since(sl.waits)
	}
	for i, r := range p.runs {
		ids[i], stalled[i] = r.Attempt, since(r.waits)
		if p.s.progress {
			progress = append(progress, min(1, float64(p.s.now-r.started)/float64(r.takes)))
		}
	}
	left := p.left()
	p.rpc(simTimeout, func(c *coord, reply func(any)) {
		c.heartbeat(Heartbeat{p.id, ids, progress, stalled, stuck}, left, reply)
	}, func(answer any) {
		switch a := answer.(type) {
		case unknownAnswer:
			p.register(func() {})
		case beatAnswer:
			for _, id := range a.revoked {
				p.revoke(id)
			}
		}
	})
}

func (p *proc) revoke(id AttemptID) {
	if i := slices.IndexFunc(p.runs, func(r *run) bool { return r.Attempt == id }); i >= 0 {
		p.runs[i].end()
	}
}

// pollNew polls for an attempt, once the store answers.
func (p *proc) pollNew(sl *procSlot) {
	if p.draining {
		return
	}
	if p.hung {
		if sl.waits == 0 {
			sl.waits = p.s.now
		}
		p.after(time.Second, func() { p.pollNew(sl) })
		return
	}
	sl.waits = 0
	sl.seq++
	p.poll(sl, 0)
}

// poll polls once, the same poll up to three times.
func (p *proc) poll(sl *procSlot, tries int) {
	if p.draining {
		return
	}
	seq := sl.seq
	p.rpc(simPoll+simTimeout, func(c *coord, reply func(any)) { c.poll(p.id, sl.index, seq, reply) }, func(answer any) {
		switch a := answer.(type) {
		case nil:
			if tries < 2 {
				p.poll(sl, tries+1)
				return
			}
			p.pollNew(sl)
		case unknownAnswer:
			p.register(func() { p.poll(sl, 0) })
		case waitAnswer:
			p.pollNew(sl)
		case doneAnswer:
			sl.over = true
		case Grant:
			if !p.draining { // else the next heartbeat does not list it
				p.start(sl, a)
			}
		}
	})
}

func (p *proc) start(sl *procSlot, g Grant) {
	s := p.s
	r := &run{Running: Running{g.Task, g.Attempt}, p: p, slot: sl}
	p.runs = append(p.runs, r)
	d := time.Duration(p.slow * float64(s.between(300*time.Millisecond, 4*time.Second)))
	r.started, r.takes = s.now, d
	switch {
	case p.bad && s.faulty():
		r.after(d/4, func() { r.report(false, "no space left") })
	case p.liar && s.faulty():
		r.after(d/4, func() { r.report(false, hopeless) })
	case g.Task == mapTask(s.poison) && p.s.killer:
		p.after(d, func() {
			p.crash()
			s.startProc(time.Second)
		})
	case g.Task == mapTask(s.poison):
		r.after(d, func() { r.report(false, "poison") })
	case s.chance(s.fail):
		r.after(d, func() { r.report(false, []string{"bad luck", ""}[s.rng.IntN(2)]) })
	case s.chance(s.lie):
		r.after(d, func() { r.report(true, "") })
	case g.Task.Phase == mr.MapPhase:
		r.after(d, r.runMap)
	default:
		r.after(d, r.runReduce)
	}
}

func (r *run) after(d time.Duration, f func()) {
	r.p.after(d, func() {
		if !r.stopped {
			f()
		}
	})
}

// end forgets the attempt and polls for the next.
func (r *run) end() {
	if r.stopped {
		return
	}
	r.stopped = true
	r.p.runs = slices.DeleteFunc(r.p.runs, func(o *run) bool { return o == r })
	if !r.unheard {
		r.p.pollNew(r.slot)
	}
	r.p.drained()
}

// hopeless is the cause of a failure that is said to be fatal.
const hopeless = "the input is not what it was"

// report says how the attempt ended until somebody hears it.
func (r *run) report(committed bool, cause string) {
	tries := 0
	var send func()
	send = func() {
		if tries++; tries > 5 {
			r.end()
			return
		}
		r.p.rpc(simTimeout, func(c *coord, reply func(any)) { c.report(r.p.id, r.Running, committed, cause, reply) }, func(answer any) {
			switch {
			case r.stopped:
			case answer == nil:
				send()
			case answer == unknownAnswer{}:
				r.p.register(send)
			case answer == laterAnswer{}:
				tries = 0
				r.p.after(time.Second, send)
				if !r.unheard {
					r.unheard = true
					r.p.s.unheard++
					r.p.pollNew(r.slot)
				}
			default:
				r.end()
			}
		})
	}
	send()
}
