package sched

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/mraws/mraws/mr"
)

// A cluster without lies: what a job costs in time, under the real core. A
// worker has slots, a speed, and heartbeats each third of a lease that tell
// the progress of what it runs; calls take no time but the wait for the next
// heartbeat, in which a loser hears that it lost.

// cluster is one job and where it runs.
type cluster struct {
	maps, reduces, workers, slots int
	// The times of tasks are log-normal. taskSigma is the deviation between
	// tasks and runSigma that between attempts of one task, both of the
	// natural logarithm.
	mapMedian, reduceMedian time.Duration
	taskSigma, runSigma     float64
	slow                    float64 // speed of worker 0 over that of others
	speculate, progress     bool
	// killAt is when kill of the workers die; respawn is the time after
	// which a new process stands in for each, 0 for never.
	kill            float64
	killAt, respawn time.Duration
	// hang: they do not die, but the store answers them nothing any more.
	// An attempt fails after patience, and its worker asks for no other.
	hang     bool
	patience time.Duration
}

// outcome is how a job went.
type outcome struct {
	took   time.Duration
	counts Counts
}

type clusterRun struct {
	cluster
	rng    *rand.Rand
	core   *Core
	queue  eventQueue
	now    Time
	counts Counts
	hosts  map[WorkerID]*modelHost
	sizes  [2][]float64
	tick   Time
	end    Time
}

type modelHost struct {
	id      WorkerID
	speed   float64
	seq     []uint64
	running []*modelRun // by slot
	hung    bool
	probes  Time // since when a slot wants to know whether the store answers, or 0
}

type modelRun struct {
	Running
	start, end Time
	waits      Time // for a store that hangs since then, or 0
}

const modelLease = 10 * time.Second

func (c cluster) run(seed uint64) outcome {
	r := &clusterRun{cluster: c, rng: rand.New(rand.NewPCG(seed, 1)), hosts: map[WorkerID]*modelHost{}}
	r.core = planned(Config{Lease: modelLease, Epoch: "e"}, Planned{Maps: c.maps, Reduces: c.reduces, Speculate: c.speculate})
	for i, m := range []int{c.maps, c.reduces} {
		for range m {
			r.sizes[i] = append(r.sizes[i], r.lognormal(c.taskSigma))
		}
	}
	for i := range c.workers {
		h := &modelHost{id: WorkerID("w" + strconv.Itoa(i)), speed: 1}
		if i == 0 && c.slow > 0 {
			h.speed = c.slow
		}
		r.join(h)
	}
	if c.kill > 0 {
		r.queue.push(Time(c.killAt), r.massacre)
	}
	for r.end == 0 {
		e, ok := r.queue.pop()
		if !ok {
			panic("the model stands still")
		}
		r.now = e.at
		e.f()
	}
	return outcome{time.Duration(r.end), r.counts}
}

func (r *clusterRun) lognormal(sigma float64) float64 { return math.Exp(sigma * r.rng.NormFloat64()) }

func (r *clusterRun) join(h *modelHost) {
	h.seq, h.running = make([]uint64, r.slots), make([]*modelRun, r.slots)
	r.hosts[h.id] = h
	r.step(Register{Worker: h.id, Slots: r.slots})
	for i := range r.slots {
		r.poll(h, i)
	}
	r.queue.push(r.now+Time(r.rng.Int64N(int64(modelLease/3))), func() { r.beat(h) })
}

func (r *clusterRun) poll(h *modelHost, slot int) {
	h.seq[slot]++
	r.step(Poll{h.id, slot, h.seq[slot]})
}

func (r *clusterRun) step(ev Event) {
	for _, e := range slices.Clone(r.core.Step(r.now, ev)) {
		r.counts.Note(e)
		switch e := e.(type) {
		case Grant:
			r.start(e)
		case JobDone:
			r.end = r.now
		case JobFailed:
			panic("the job failed: " + e.Cause)
		}
	}
	at, ok := r.core.Next()
	if ok && at != r.tick {
		r.tick = at
		r.queue.push(at, func() {
			if r.tick == at {
				r.tick = 0
				r.step(Tick{})
			}
		})
	}
}

func (r *clusterRun) start(g Grant) {
	h := r.hosts[g.Worker]
	if h == nil {
		return // it never arrives
	}
	median := r.mapMedian
	if g.Task.Phase == mr.ReducePhase {
		median = r.reduceMedian
	}
	takes := float64(median) * r.sizes[g.Task.Phase][g.Task.Index] * r.lognormal(r.runSigma) / h.speed
	run := &modelRun{Running: Running{g.Task, g.Attempt}, start: r.now, end: r.now + Time(takes)}
	h.running[g.Slot] = run
	if h.hung {
		r.wait(h, g.Slot)
		return
	}
	r.queue.push(run.end, func() {
		if r.hosts[h.id] != h || h.running[g.Slot] != run || h.hung {
			return
		}
		h.running[g.Slot] = nil
		if _, done := r.core.Committed(g.Task); !done {
			r.step(Committed{Task: g.Task, Attempt: g.Attempt})
		}
		r.poll(h, g.Slot)
	})
}

func (r *clusterRun) beat(h *modelHost) {
	if r.hosts[h.id] != h || r.end > 0 {
		return
	}
	ev := Heartbeat{Worker: h.id}
	for _, a := range h.running {
		if a != nil {
			ev.Running = append(ev.Running, a.Attempt)
			if r.progress {
				now := r.now
				if h.hung {
					now = a.waits
				}
				ev.Progress = append(ev.Progress, float64(now-a.start)/float64(a.end-a.start))
			}
			if h.hung {
				ev.Stalled = append(ev.Stalled, time.Duration(r.now-a.waits))
				ev.WorkerStalled = max(ev.WorkerStalled, time.Duration(r.now-a.waits))
			}
		}
	}
	if h.probes > 0 {
		ev.WorkerStalled = max(ev.WorkerStalled, time.Duration(r.now-h.probes))
	}
	r.step(ev)
	for slot, a := range h.running {
		if a == nil {
			continue
		}
		if _, _, live := r.core.Attempt(a.Attempt); !live {
			h.running[slot] = nil
			r.next(h, slot)
		}
	}
	r.queue.push(r.now+Time(modelLease/3), func() { r.beat(h) })
}

// massacre kills processes, as in section 5.5 of Dean and Ghemawat.
func (r *clusterRun) massacre() {
	n := int(math.Round(r.kill * float64(r.workers)))
	for _, i := range r.rng.Perm(r.workers)[:n] {
		h := r.hosts[WorkerID("w"+strconv.Itoa(i))]
		if r.hang {
			r.hangs(h)
			continue
		}
		delete(r.hosts, h.id)
		for slot, a := range h.running { // its connections break
			if a == nil {
				r.step(Withdraw{h.id, slot, h.seq[slot]})
			}
		}
		if r.respawn > 0 {
			r.queue.push(r.now+Time(r.respawn), func() {
				r.join(&modelHost{id: h.id + "b", speed: h.speed})
			})
		}
	}
}

// hangs cuts a host off from the store.
func (r *clusterRun) hangs(h *modelHost) {
	h.hung = true
	for slot, a := range h.running {
		if a != nil {
			r.wait(h, slot)
		}
	}
}

// wait lets an attempt wait for a store that does not answer.
func (r *clusterRun) wait(h *modelHost, slot int) {
	a := h.running[slot]
	a.waits = r.now
	r.queue.push(r.now+Time(r.patience), func() {
		if h.running[slot] == a && r.end == 0 {
			h.running[slot] = nil
			r.step(Failed{Worker: h.id, Attempt: a.Attempt, Cause: "the store does not answer"})
			r.next(h, slot)
		}
	})
}

// next asks for an attempt, once the store answers.
func (r *clusterRun) next(h *modelHost, slot int) {
	if !h.hung {
		r.poll(h, slot)
	} else if h.probes == 0 {
		h.probes = r.now
	}
}
