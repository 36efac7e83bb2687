package worker

import (
	"context"
	"errors"
	"sync"

	"github.com/mraws/mraws/internal/task"
	"github.com/mraws/mraws/mr"
)

// Stats counts what the workers of a process do, for those who watch them.
// The zero value is ready, several workers may share one, and nil counts
// nothing. What an attempt has read so far is taken from its [task.Progress], so
// that counting costs the data path nothing.
type Stats struct {
	mu     sync.Mutex
	live   map[*task.Progress]mr.Phase
	ended  [2]PhaseStats // by phase
	slots  int
	memory int64
}

// PhaseStats are the attempts at tasks of one phase.
type PhaseStats struct {
	Running int

	Records, Bytes  int64 // read, as in Progress
	Spills, Spilled int64 // runs and bytes written to scratch

	// How those ended that have ended.
	Committed  int64
	Superseded int64 // another attempt had committed
	Failed     int64
	Revoked    int64 // stopped on the coordinator's word
	Released   int64 // given back unfinished, since the worker ends
}

// StatsSnapshot is what [Stats] hold at one time.
type StatsSnapshot struct {
	Map, Reduce PhaseStats
	Slots       int
	Memory      int64 // budget of all slots in bytes
}

// join adds the slots and the memory of a worker, until the returned function
// is called.
func (s *Stats) join(slots int, memory int64) (leave func()) {
	if s == nil {
		return func() {}
	}
	add := func(sign int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.slots += sign * slots
		s.memory += int64(sign) * memory
	}
	add(1)
	return func() { add(-1) }
}

// begin counts an attempt that runs under ctx; end tells how it ended.
func (s *Stats) begin(ctx context.Context, phase mr.Phase, p *task.Progress) (end func(task.Result, error)) {
	if s == nil {
		return func(task.Result, error) {}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live == nil {
		s.live = make(map[*task.Progress]mr.Phase)
	}
	s.live[p] = phase
	return func(res task.Result, err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.live, p)
		n := &s.ended[phase]
		n.read(p)
		switch {
		case err == nil && res.Superseded:
			n.Superseded++
		case err == nil:
			n.Committed++
		case errors.Is(context.Cause(ctx), errRevoked):
			n.Revoked++
		case errors.As(context.Cause(ctx), new(*IdleError)):
			n.Failed++
		case ctx.Err() != nil:
			n.Released++
		default:
			n.Failed++
		}
	}
}

// read adds what an attempt has read and spilled.
func (n *PhaseStats) read(p *task.Progress) {
	n.Records += p.Records.Load()
	n.Bytes += p.Bytes.Load()
	n.Spills += p.Spills.Load()
	n.Spilled += p.Spilled.Load()
}

// Snapshot returns the counts so far, of running attempts too.
func (s *Stats) Snapshot() StatsSnapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	both := s.ended
	for p, phase := range s.live {
		both[phase].Running++
		both[phase].read(p)
	}
	return StatsSnapshot{Map: both[mr.MapPhase], Reduce: both[mr.ReducePhase], Slots: s.slots, Memory: s.memory}
}
