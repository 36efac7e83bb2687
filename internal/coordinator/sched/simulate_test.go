package sched

import (
	"flag"
	"fmt"
	"io"
	"os"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

var (
	simSeeds = flag.Uint64("sim.seeds", 1000, "how many seeds to simulate")
	simFirst = flag.Uint64("sim.first", 0, "the first of them")
	simSeed  = flag.Int64("sim.seed", -1, "simulate this one and tell its history")
)

// TestSimulate plays two histories for each seed against the output of the
// sequential run: in the one faults never end, in the other they do, and so
// does the job.
func TestSimulate(t *testing.T) {
	for _, m := range []mode{safety, liveness} {
		t.Run(m.String(), func(t *testing.T) { simulate(t, m) })
	}
}

func simulate(t *testing.T, mode mode) {
	t.Helper()
	if *simSeed >= 0 {
		if err := newSim(mode, uint64(*simSeed), mutantNone, os.Stderr).run(); err != nil {
			t.Fatal(err)
		}
		return
	}
	var next atomic.Uint64
	var seen sight
	var mu sync.Mutex
	next.Store(*simFirst)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for !t.Failed() {
				seed := next.Add(1) - 1
				if seed >= *simFirst+*simSeeds {
					return
				}
				s := newSim(mode, seed, mutantNone, nil)
				if err := s.run(); err != nil {
					t.Errorf("%v\nreplay: go test ./internal/coordinator/sched -run %s -sim.seed %d", err, t.Name(), seed)
				}
				mu.Lock()
				seen.add(s)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	t.Logf("%v from seed %d: %+v", mode, *simFirst, seen)
	if missing := seen.missing(mode); *simSeeds >= 1000 && missing != "" {
		t.Errorf("%d seeds never saw %s", *simSeeds, missing)
	}
}

// sight is what many seeds have seen between them: without it a simulator
// that simulates nothing would pass.
type sight struct {
	Jobs, Events, Coordinators, Workers, JobsFailed, JobsNondet                int
	Granted, Adopted, Failed, Lost, Released, Superseded, Canceled             int
	Speculative, SpeculativeCommitted, Exclusions, ClockJumps, Stalls, Unheard int
	Drains, Claims, Liars, Thefts, Silent, Early                               int
	Conflicts                                                                  int // partitions that met other bytes
	Unfinished                                                                 int // jobs, in safety mode
}

func (g *sight) add(s *sim) {
	g.Jobs++
	g.Events += s.steps
	g.Coordinators += len(s.coords)
	g.Workers += len(s.procs)
	if s.failure != nil {
		g.JobsFailed++
	}
	if s.nondet {
		g.JobsNondet++
	}
	if !s.ended {
		g.Unfinished++
	}
	g.ClockJumps += s.jumped
	g.Stalls += s.stalls
	g.Unheard += s.unheard
	g.Silent += s.silent
	g.Early += s.early
	g.Drains += s.drained
	g.Liars += s.liars
	g.Claims += s.claims
	g.Thefts += s.thefts
	for _, c := range s.coords {
		counts := c.checker.Counts()
		g.Exclusions += counts.Exclusions
		for _, p := range []AttemptCounts{counts.Map, counts.Reduce} {
			g.Granted += p.Granted
			g.Adopted += p.Adopted
			g.Failed += p.Failed
			g.Lost += p.Lost
			g.Released += p.Released
			g.Superseded += p.Superseded
			g.Canceled += p.Canceled
			g.Speculative += p.Speculative
			g.SpeculativeCommitted += p.SpeculativeCommitted
		}
	}
	for k := range s.store.objects {
		if k.kind == attemptObject {
			g.Conflicts++
		}
	}
}

// missing names a thing that was never seen.
func (g sight) missing(mode mode) string {
	if mode == liveness {
		g.Unfinished = 1
	}
	v := reflect.ValueOf(g)
	for i := range v.NumField() {
		if v.Type().Field(i).IsExported() && v.Field(i).IsZero() {
			return v.Type().Field(i).Name
		}
	}
	return ""
}

// TestReplay shows that a seed is a history: twice the same, step for step.
func TestReplay(t *testing.T) {
	for seed := range uint64(20) {
		var of [2]string
		for i := range of {
			s := newSim(mode(seed%2), seed, mutantNone, io.Discard)
			err := s.run()
			of[i] = fmt.Sprintf("%d steps, digest %x, at %v, %v", s.steps, s.digest, s.now, err)
		}
		if of[0] != of[1] {
			t.Errorf("seed %d: first %s, then %s", seed, of[0], of[1])
		}
	}
}
