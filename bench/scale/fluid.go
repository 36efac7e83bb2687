package main

import (
	"fmt"
	"slices"
)

// flow is a running attempt.
type flow struct {
	attempt
	stages []stage
	pace   float64 // factor on its CPU time
	done   float64 // of the first stage, 0 to 1
	credit float64 // seconds left over from the last step
	rate   float64 // of done, a second
	limit  limit   // what sets the rate
	whole  float64 // seconds of all stages on an idle machine
}

// limit says what a flow waits for.
type limit int

const (
	byCPU limit = iota
	byNetwork
	byDisk
	byConnections
	byPut                             // of a prefix: byPut + prefix
	byGet   = byPut + limit(prefixes) // the same
	byNone  = byGet + limit(prefixes) // no work
	limitsN = byNone + 1
)

func (l limit) String() string {
	switch {
	case l == byCPU:
		return "CPU"
	case l == byNetwork:
		return "network"
	case l == byDisk:
		return "disk"
	case l == byConnections:
		return "connections"
	case l == byNone:
		return "idle"
	case l >= byGet:
		return fmt.Sprintf("GET rate of %s", prefix(l-byGet))
	}
	return fmt.Sprintf("PUT rate of %s", prefix(l-byPut))
}

// unhindered is the rate of a flow on a machine of its own.
func (f *flow) unhindered() {
	st := &f.stages[0]
	f.limit = byCPU
	least := st.cpu * f.pace
	if st.leastConn && st.least > least {
		f.limit, least = byConnections, st.least
	} else if !st.leastConn {
		least += st.least - st.cpu
	}
	f.rate = 1 / max(least, 1e-6)
}

// share slows flows down until all that they take of a resource together is
// no more than there is: each gets an equal share, and what one does not
// need is left to others (max-min fairness). demand is what a flow takes for
// all of its stage.
func share(flows []*flow, capacity float64, why limit, demand func(*stage, *flow) float64, buf []float64) []float64 {
	all := 0.0
	buf = buf[:0]
	for _, f := range flows {
		d := demand(&f.stages[0], f) * f.rate
		all += d
		buf = append(buf, d)
	}
	if all <= capacity {
		return buf
	}
	slices.Sort(buf)
	left, level := capacity, 0.0
	for i, d := range buf {
		level = left / float64(len(buf)-i)
		if d >= level {
			break
		}
		left -= d
	}
	for _, f := range flows {
		if d := demand(&f.stages[0], f); d*f.rate > level {
			f.rate, f.limit = level/d, why
		}
	}
	return buf
}

// rates sets the rates of all flows: first each machine shares out what it
// has, then S3 the requests to each prefix.
func (s *Sim) rates() {
	m := s.Machine
	for _, flows := range s.byMachine {
		for _, f := range flows {
			f.unhindered()
		}
		s.buf = share(flows, float64(m.VCPUs), byCPU, func(st *stage, f *flow) float64 { return st.cpu * f.pace }, s.buf)
		s.buf = share(flows, m.Net, byNetwork, func(st *stage, _ *flow) float64 { return st.in }, s.buf)
		s.buf = share(flows, m.Net, byNetwork, func(st *stage, _ *flow) float64 { return st.out }, s.buf)
		s.buf = share(flows, m.Disk, byDisk, func(st *stage, _ *flow) float64 { return st.disk }, s.buf)
	}
	s.all = s.all[:0]
	for _, flows := range s.byMachine {
		s.all = append(s.all, flows...)
	}
	for p := range prefixes {
		n := 1.0
		if p == intermediate {
			n = float64(max(s.Job.Shards, 1))
		}
		s.buf = share(s.all, n*s.S3.PutRate, byPut+limit(p), func(st *stage, _ *flow) float64 { return st.put[p] }, s.buf)
		s.buf = share(s.all, n*s.S3.GetRate, byGet+limit(p), func(st *stage, _ *flow) float64 { return st.get[p] }, s.buf)
	}
}

// advance lets a flow run for dt seconds and reports whether it has ended.
// What a stage leaves of the time is for the next, in the next step.
func (s *Sim) advance(f *flow, dt float64) bool {
	s.waited[f.limit] += dt
	dt += f.credit
	f.credit = 0
	st := &f.stages[0]
	need := (1 - f.done) / f.rate
	if need > dt {
		f.done += dt * f.rate
		return false
	}
	for p := range prefixes {
		s.gets += st.get[p]
		s.puts += st.put[p]
	}
	f.credit, f.done = dt-need, 0
	f.stages = f.stages[1:]
	return len(f.stages) == 0
}
