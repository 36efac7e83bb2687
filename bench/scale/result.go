package main

import (
	"fmt"
	"math"
)

// result adds up what it cost.
func (s *Sim) result() *Result {
	j, c := s.Job, s.Costs
	r := &Result{
		Seconds: s.now, Map: s.phaseEnd[0], Puts: s.puts, Gets: s.gets, Waited: s.waited, Calls: s.calls, Events: s.events,
		Speculative: s.counts.Map.Speculative + s.counts.Reduce.Speculative, PerVCPU: j.Bytes / s.now / float64(j.Machines*s.Machine.VCPUs),
	}
	r.Puts += math.Ceil(float64(j.Maps+j.Reduces) / 1000) // LIST
	r.Dollars.Machines = float64(j.Machines+1) * s.Machine.Price * s.now / 3600
	r.Dollars.Requests = r.Puts*s.S3.PutCost + r.Gets*s.S3.GetCost
	r.Dollars.Storage = j.Bytes * (1 + c.Ratio) * s.now * s.S3.Storage
	r.Walls = s.walls()
	return r
}

// walls says what a job needs more of than there is.
func (s *Sim) walls() (all []string) {
	wall := func(what string, need, have float64) {
		if need > have {
			all = append(all, fmt.Sprintf("%s: %.3g GB of %.3g", what, need/1e9, have/1e9))
		}
	}
	if j, c := s.Job, s.Costs; !j.Direct {
		pairs := float64(j.Maps) * float64(j.Reduces)
		wall("records in a worker", pairs*c.Cached, s.Machine.Memory/2)
		wall("records in the coordinator", pairs*c.Kept, s.Machine.Memory)
	}
	return all
}

// Total is in dollars.
func (r *Result) Total() float64 {
	return r.Dollars.Machines + r.Dollars.Requests + r.Dollars.Storage
}

// bound is the least time in seconds that n attempts take for some stages:
// for what they need most of.
func (s *Sim) bound(stages []stage, n float64) (t float64) {
	j, m, k := s.Job, s.Machine, float64(s.Job.Machines)
	var sum stage
	for _, st := range stages {
		sum.cpu += st.cpu
		sum.in += st.in
		sum.out += st.out
		sum.disk += st.disk
		sum.least += st.least
		for p := range prefixes {
			sum.get[p] += st.get[p]
			sum.put[p] += st.put[p]
		}
	}
	cores := k * float64(m.VCPUs)
	t = max(n*sum.cpu/cores, n*sum.in/(k*m.Net), n*sum.out/(k*m.Net), n*sum.disk/(k*m.Disk), math.Ceil(n/cores)*sum.least)
	for p := range prefixes {
		shards := 1.0
		if p == intermediate {
			shards = float64(max(j.Shards, 1))
		}
		t = max(t, n*sum.get[p]/(shards*s.S3.GetRate), n*sum.put[p]/(shards*s.S3.PutRate))
	}
	return t
}

// phases lists what happens one after the other: the attempts of a phase,
// and how many there are.
func (s *Sim) phases(do func(stages []stage, n float64)) {
	j := s.Job
	do(s.mapStages(), float64(j.Maps))
	if !j.Direct {
		do(s.reduceStages(true)[:1], float64(min(j.Reduces, j.Machines*s.Machine.slots())))
	}
	do(s.reduceStages(false), float64(j.Reduces))
}

// estimate is a lower bound of the job's time in seconds.
func (s *Sim) estimate() (t float64) {
	s.phases(func(stages []stage, n float64) { t += s.bound(stages, n) })
	return t
}

// guess is what the job would cost in dollars if all attempts went through
// the same stage at the same time.
func (s *Sim) guess() float64 {
	var puts, gets, t float64
	s.phases(func(stages []stage, n float64) {
		for i, st := range stages {
			t += s.bound(stages[i:i+1], n)
			for p := range prefixes {
				puts += n * st.put[p]
				gets += n * st.get[p]
			}
		}
	})
	return t*float64(s.Job.Machines+1)*s.Machine.Price/3600 + puts*s.S3.PutCost + gets*s.S3.GetCost
}
