package sched

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"iter"
	"math"
	"math/rand/v2"
	"time"

	"github.com/mraws/mraws/mr"
)

// A simulated job: worker processes, coordinators and a store, joined by a
// network that loses, doubles, delays and reorders, in one goroutine and one
// stream of random numbers. The same seed is the same history. It has two
// modes, since a system may keep every promise by doing nothing, or get
// everything done by breaking them.
type mode int

const (
	// safety: faults of all kinds for as long as the history lasts, often
	// more than anyone could work under. Nothing wrong may ever happen; that
	// the job ends is not asked for.
	safety mode = iota
	// liveness: the faults stop at some time, and the job has to end.
	liveness
)

func (m mode) String() string { return [...]string{"safety", "liveness"}[m] }

const (
	simLease   = 10 * time.Second
	simBeat    = 3 * time.Second
	simPoll    = 8 * time.Second // how long a poll waits
	simTimeout = 3 * time.Second // of every other call
)

// plan is what the seed decides before the job starts.
type plan struct {
	maps, reduces int
	workers       int
	slots         int
	nondet        bool // maps give other bytes each time
	poison        int  // a map that never succeeds, or -1
	killer        bool // it kills its worker instead of failing
	faultsUntil   Time
	// Chances of one message or request, in force until faultsUntil.
	loss, dup, slow, storeErr, fail, lie float64
	incidents                            int // crashes, pauses, cuts, bad hosts
	jumps                                int // of the coordinators' wall clock
	speculate, progress                  bool
}

func randomPlan(rng *rand.Rand, m mode) plan {
	p := plan{
		maps: 1 + rng.IntN(7), reduces: 1 + rng.IntN(4),
		workers: 1 + rng.IntN(4), slots: 1 + rng.IntN(2),
		nondet: rng.IntN(2) == 0, poison: -1,
		faultsUntil: Time(time.Duration(5+rng.IntN(35)) * time.Second),
		incidents:   rng.IntN(8),
		speculate:   rng.IntN(4) > 0, progress: rng.IntN(2) == 0,
	}
	if rng.IntN(3) == 0 {
		p.jumps = 1 + rng.IntN(3)
	}
	some := func(most float64) float64 {
		if rng.IntN(2) == 0 {
			return 0
		}
		return rng.Float64() * most
	}
	p.loss, p.dup, p.slow = some(0.3), some(0.3), some(0.2)
	p.storeErr, p.fail, p.lie = some(0.3), some(0.2), some(0.2)
	if rng.IntN(12) == 0 {
		p.poison, p.killer = rng.IntN(p.maps), rng.IntN(2) == 0
		p.storeErr, p.fail, p.lie = 0, 0, 0
	}
	if rng.IntN(20) == 0 {
		p.loss, p.dup, p.slow, p.storeErr, p.fail, p.lie, p.incidents = 0, 0, 0, 0, 0, 0, 0
	}
	if m == safety {
		p.faultsUntil = Time(2 * time.Minute)
		p.incidents *= 6
		p.loss, p.dup, p.slow, p.storeErr = p.loss*2, p.dup*2, p.slow*2, p.storeErr*2
	}
	return p
}

type sim struct {
	plan
	mode    mode
	seed    uint64
	rng     *rand.Rand
	mutant  mutant
	now     Time
	queue   eventQueue
	store   *store
	docs    [][]string
	procs   []*proc
	nproc   int
	coord   *coord // where _coordinator.json points
	ncoord  int
	granted map[AttemptID]string // attempt -> who runs what
	coords  []*coord
	ended   bool
	jumped  int
	unheard int // reports that a coordinator could not judge at once
	stalls  int // workers whose requests stood still, by a coordinator's word
	silent  int // workers that a coordinator forgot
	early   int // calls to a coordinator that had no job yet
	drained int
	liars   int
	claims  int // fatal failures that did not end the job
	thefts  int // outputs that somebody deleted
	failure *JobFailed
	trace   io.Writer
	digest  uint64
	steps   int
	err     error
}

func newSim(mode mode, seed uint64, m mutant, trace io.Writer) *sim {
	rng := rand.New(rand.NewPCG(seed, 0x6d72617773+uint64(mode)))
	s := &sim{
		mode: mode, seed: seed, rng: rng, mutant: m, plan: randomPlan(rng, mode),
		granted: map[AttemptID]string{}, trace: trace,
	}
	s.store = newStore(m, s.broken)
	s.store.created = s.theft()
	s.docs = randomInput(rng, s.maps)
	return s
}

// run plays the job to its end and on until every zombie has had its say.
func (s *sim) run() error {
	s.logf("plan %+v", s.plan)
	s.startCoord(0)
	for range s.workers {
		s.startProc(s.between(0, 2*time.Second))
	}
	for range s.incidents {
		s.at(Time(s.rng.Float64()*s.rng.Float64()*float64(s.faultsUntil)), s.incident)
	}
	for range s.jumps {
		s.at(Time(s.rng.Float64()*float64(s.faultsUntil)), func() { s.coord.jump() })
	}
	deadline := s.faultsUntil
	if s.mode == liveness {
		s.at(s.faultsUntil, s.heal)
		deadline += Time(5 * time.Minute)
	}
	for !s.ended && s.err == nil {
		if !s.step() || s.now > deadline {
			if s.mode == safety {
				break
			}
			s.broken(fmt.Errorf("the job has not ended %v after the faults", time.Duration(s.now-s.faultsUntil)))
		}
	}
	if s.err == nil {
		s.err = s.result()
	}
	for until := s.now + Time(time.Minute); s.err == nil && s.step() && s.now < until; {
	}
	if s.err == nil {
		s.err = s.result() // again: zombies changed nothing
	}
	if s.err != nil {
		return fmt.Errorf("%v, seed %d at %v: %w", s.mode, s.seed, s.now, s.err)
	}
	return nil
}

// result compares the store with the sequential run.
func (s *sim) result() error {
	if s.mode == safety && !s.ended {
		return s.partial()
	}
	if s.poison >= 0 {
		if s.failure == nil {
			return fmt.Errorf("the job succeeded, but map-%d never did", s.poison)
		}
		if f := s.failure; !f.Fatal && f.Task != mapTask(s.poison) && s.incidents == 0 && s.loss+s.slow == 0 {
			return fmt.Errorf("map-%d is poison, and the job failed for %+v", s.poison, f)
		}
		return nil
	}
	if f := s.failure; f != nil && f.Fatal && s.liars > 0 {
		return nil // nobody else was there to say otherwise, as the checker sees to
	} else if f != nil {
		return fmt.Errorf("the job failed: %+v", *f)
	}
	if err := s.calm(); err != nil {
		return err
	}
	want := sequential(s.docs, s.reduces)
	got := make([]string, s.reduces)
	for r := range got {
		o := s.store.objects[objectKey{kind: outputObject, r: r}]
		if o == nil {
			return fmt.Errorf("output %d is missing", r)
		}
		got[r] = o.text
		if !s.nondet && got[r] != want[r] {
			return fmt.Errorf("I6: output %d is %q, want %q", r, got[r], want[r])
		}
	}
	if g, w := totals(got), totals(want); g != w {
		return fmt.Errorf("I6: the totals are %s, want %s", g, w)
	}
	return nil
}

// partial compares the outputs that exist with the sequential run: a job
// that has not ended has no wrong ones either.
func (s *sim) partial() error {
	want := sequential(s.docs, s.reduces)
	for r := range want {
		o := s.store.objects[objectKey{kind: outputObject, r: r}]
		if o != nil && !s.nondet && o.text != want[r] {
			return fmt.Errorf("I6: output %d is %q, want %q", r, o.text, want[r])
		}
	}
	if s.store.objects[objectKey{kind: successObject}] != nil {
		return errors.New("_SUCCESS exists, and the job has not ended")
	}
	return nil
}

// calm checks that where nothing went wrong nothing was done twice, but for
// speculative attempts, and that a clock that jumps is nothing wrong.
func (s *sim) calm() error {
	if s.incidents > 0 || s.loss+s.slow+s.dup+s.storeErr+s.fail+s.lie > 0 {
		return nil
	}
	st, counts := s.coord.core.Stats(), s.coord.checker.Counts()
	for i, p := range []AttemptCounts{counts.Map, counts.Reduce} {
		n := []int{s.maps, s.reduces}[i]
		want := AttemptCounts{
			Granted: n + p.Speculative, Committed: n,
			Superseded: p.Speculative, Speculative: p.Speculative, SpeculativeCommitted: p.SpeculativeCommitted,
		}
		tasks := []PhaseStats{st.Map, st.Reduce}[i]
		if p != want || tasks != (PhaseStats{Tasks: n, Done: n}) {
			return fmt.Errorf("a calm job counted %+v %+v, want %+v", tasks, p, want)
		}
	}
	return nil
}

func (s *sim) at(t Time, f func())             { s.queue.push(max(t, s.now), f) }
func (s *sim) after(d time.Duration, f func()) { s.queue.push(s.now+Time(d), f) }
func (s *sim) faulty() bool                    { return s.now < s.faultsUntil }
func (s *sim) chance(p float64) bool           { return p > 0 && s.faulty() && s.rng.Float64() < p }
func (s *sim) between(a, b time.Duration) time.Duration {
	return a + time.Duration(s.rng.Int64N(int64(b-a)))
}

func (s *sim) broken(err error) {
	if s.err == nil && err != nil {
		s.err = err
		s.logf("BROKEN %v", err)
	}
}

func (s *sim) logf(format string, args ...any) {
	if s.trace != nil {
		fmt.Fprintf(s.trace, "%9.3fs %s\n", time.Duration(s.now).Seconds(), fmt.Sprintf(format, args...))
	}
}

// note adds to the digest by which two runs of one seed are compared.
func (s *sim) note(e any) {
	h := fnv.New64a()
	fmt.Fprint(h, s.digest, s.now, e)
	s.digest = h.Sum64()
}

// grants watches every grant of every coordinator: an id names one attempt.
func (s *sim) grants(g Grant) {
	who := fmt.Sprint(g.Worker, " ", g.Task)
	if was, ok := s.granted[g.Attempt]; ok && was != who {
		s.broken(fmt.Errorf("attempt %s is granted twice: to %s and to %s", g.Attempt, was, who))
	}
	s.granted[g.Attempt] = who
}

var errStore = errors.New("store error")

// step runs the next event; false if there is none.
func (s *sim) step() bool {
	e, ok := s.queue.pop()
	if ok {
		s.now = e.at
		s.steps++
		e.f()
	}
	return ok
}

func mapTask(i int) TaskID { return TaskID{mr.MapPhase, i} }

// planned returns a core that has a job, and adopts what workers say they run.
func planned(cfg Config, job Planned) *Core {
	job.AdoptUntil = forever
	c := New(cfg)
	c.Step(0, job)
	return c
}

const forever Time = math.MaxInt64

// tasks yields every task of the job.
func (s *sim) tasks() iter.Seq[TaskID] {
	return func(yield func(TaskID) bool) {
		for i := range s.maps + s.reduces {
			id := mapTask(i)
			if i >= s.maps {
				id = TaskID{mr.ReducePhase, i - s.maps}
			}
			if !yield(id) {
				return
			}
		}
	}
}
