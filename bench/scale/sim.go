package main

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/mr"
)

// Sim plays one job in simulated time. The scheduler is the real one; the
// workers, one on each machine with a slot for each vCPU, and S3 are models.
type Sim struct {
	Job     Job
	Machine Machine
	S3      S3
	Costs   Costs
	Jitter  float64 // deviation of the logarithm of an attempt's CPU time
	Seed    uint64

	core      *sched.Core
	counts    sched.Counts
	rng       *rand.Rand
	now       float64
	byMachine [][]*flow
	all       []*flow
	seqs      [][]uint64
	read      []int // reduce attempts that a machine has begun
	beats     []float64
	commits   []pending
	busy      float64 // until when the coordinator reads records
	phaseEnd  [2]float64
	over      bool
	failed    string

	waited     [limitsN]float64
	puts, gets float64
	calls      int
	events     int
	buf        []float64
}

// attempt says whose a flow is.
type attempt struct {
	sched.Running
	machine, slot int
}

// pending is a commit that the coordinator is looking at.
type pending struct {
	at float64
	attempt
}

// Result is how it went.
type Result struct {
	Seconds     float64
	Map         float64 // seconds until all maps were committed
	Puts, Gets  float64
	Dollars     struct{ Machines, Requests, Storage float64 }
	Waited      [limitsN]float64 // slot-seconds by what they waited for
	PerVCPU     float64          // bytes of input a second
	Calls       int              // RPCs
	Events      int              // of the scheduler
	Speculative int
	Walls       []string // why it would not work however long it took
}

// lease is that of the scheduler, seconds, as by default.
const lease = 10.0

// Run plays the job.
func (s *Sim) Run() (*Result, error) {
	j := s.Job
	if j.Maps < 1 || j.Reduces < 1 || j.Machines < 1 {
		return nil, errors.New("a job has at least one map, one reduce and one machine")
	}
	s.rng = rand.New(rand.NewPCG(s.Seed, 1))
	s.core = sched.New(sched.Config{Lease: time.Duration(lease * float64(time.Second)), Epoch: "e"})
	s.step(sched.Planned{Maps: j.Maps, Reduces: j.Reduces, Speculate: true})
	s.byMachine, s.seqs = make([][]*flow, j.Machines), make([][]uint64, j.Machines)
	s.read, s.beats = make([]int, j.Machines), make([]float64, j.Machines)
	for m := range j.Machines {
		s.seqs[m] = make([]uint64, s.Machine.slots())
		s.beats[m] = s.rng.Float64() * lease / 3
		s.step(sched.Register{Worker: worker(m), Slots: s.Machine.slots()})
	}
	for slot := range s.Machine.slots() {
		for m := range j.Machines {
			s.ask(m, slot, 0)
		}
	}
	dt := min(max(s.estimate()/1000, 0.02), lease/3)
	for !s.over {
		if s.failed != "" {
			return nil, fmt.Errorf("the job failed: %s", s.failed)
		}
		if s.now > 1e9 {
			return nil, errors.New("the job does not end")
		}
		s.turn(dt)
	}
	return s.result(), nil
}

// turn plays dt seconds.
func (s *Sim) turn(dt float64) {
	s.rates()
	s.now += dt
	slots := s.Job.Machines * s.Machine.slots()
	s.waited[byNone] += float64(slots-len(s.all)) * dt
	for m, flows := range s.byMachine {
		var ended []*flow
		s.byMachine[m] = slices.DeleteFunc(flows, func(f *flow) bool {
			if !s.advance(f, dt) {
				return false
			}
			ended = append(ended, f)
			return true
		})
		for _, f := range ended {
			s.report(f)
		}
	}
	for len(s.commits) > 0 && s.commits[0].at <= s.now && !s.over {
		c := s.commits[0]
		s.commits = s.commits[1:]
		if _, done := s.core.Committed(c.Task); !done {
			s.step(sched.Committed{Task: c.Task, Attempt: c.Attempt})
		}
	}
	for m := range s.beats {
		if s.beats[m] <= s.now && !s.over {
			s.beats[m] += lease / 3
			s.beat(m)
		}
	}
	if at, ok := s.core.Next(); ok && at <= s.time() && !s.over {
		s.step(sched.Tick{})
	}
}

// report is the end of an attempt. The coordinator reads the commit record,
// on all its cores, before it believes it; the slot does not wait for that.
func (s *Sim) report(f *flow) {
	s.calls++
	s.step(sched.Reported{Worker: worker(f.machine), Attempt: f.Attempt})
	cost := s.Costs.RPC
	s.gets++
	if f.Task.Phase == mr.MapPhase {
		cost += float64(s.Job.Reduces) * s.Costs.Decode
	}
	s.busy = max(s.busy, s.now) + max(cost/float64(s.Machine.VCPUs), float64(s.Job.Reduces)*s.Costs.Record/s.Machine.Net)
	s.commits = append(s.commits, pending{s.busy, f.attempt})
	s.ask(f.machine, f.slot, f.credit)
}

func (s *Sim) ask(m, slot int, credit float64) {
	s.calls++
	s.seqs[m][slot]++
	s.stepWith(sched.Poll{Worker: worker(m), Slot: slot, Seq: s.seqs[m][slot]}, credit)
}

// beat is a heartbeat of machine m; what it is told to stop, it stops.
func (s *Sim) beat(m int) {
	s.calls++
	ev := sched.Heartbeat{Worker: worker(m)}
	for _, f := range s.byMachine[m] {
		ev.Running = append(ev.Running, f.Attempt)
		ev.Progress = append(ev.Progress, f.progress())
	}
	s.step(ev)
}

// progress is the fraction of the stages that is done, each for as much as
// it takes on an idle machine.
func (f *flow) progress() float64 {
	left := f.stages[0].least * (1 - f.done)
	for _, st := range f.stages[1:] {
		left += st.least
	}
	return max(0, 1-left/f.whole)
}

func (s *Sim) time() sched.Time   { return sched.Time(s.now * float64(time.Second)) }
func worker(m int) sched.WorkerID { return sched.WorkerID("w" + strconv.Itoa(m)) }

func (s *Sim) step(ev sched.Event) { s.stepWith(ev, 0) }

// stepWith steps the scheduler; an attempt that it grants to the slot that
// asks has credit seconds of the past.
func (s *Sim) stepWith(ev sched.Event, credit float64) {
	s.events++
	for _, e := range slices.Clone(s.core.Step(s.time(), ev)) {
		s.counts.Note(e)
		switch e := e.(type) {
		case sched.Grant:
			s.start(e, credit)
		case sched.Revoke:
			s.stop(e)
		case sched.PhaseDone:
			s.phaseEnd[e.Phase] = s.now
		case sched.JobDone:
			s.over = true
		case sched.JobFailed:
			s.failed = e.Cause
		}
	}
}

func index(w sched.WorkerID) int {
	n, err := strconv.Atoi(strings.TrimPrefix(string(w), "w"))
	if err != nil {
		panic(err)
	}
	return n
}

func (s *Sim) start(g sched.Grant, credit float64) {
	m := index(g.Worker)
	f := &flow{attempt: attempt{Running: sched.Running{Task: g.Task, Attempt: g.Attempt}, machine: m, slot: g.Slot}, credit: credit}
	f.pace = math.Exp(s.Jitter * s.rng.NormFloat64())
	if g.Task.Phase == mr.MapPhase {
		f.stages = s.mapStages()
	} else {
		s.read[m]++
		f.stages = s.reduceStages(s.read[m] <= s.Machine.slots())
	}
	for _, st := range f.stages {
		f.whole += st.least
	}
	s.byMachine[m] = append(s.byMachine[m], f)
}

// stop ends an attempt that lost, and lets its slot ask again.
func (s *Sim) stop(e sched.Revoke) {
	m := index(e.Worker)
	for i, f := range s.byMachine[m] {
		if f.Attempt == e.Attempt {
			s.byMachine[m] = slices.Delete(s.byMachine[m], i, i+1)
			s.ask(m, f.slot, 0)
			return
		}
	}
}
