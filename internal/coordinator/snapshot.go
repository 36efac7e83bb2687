package coordinator

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync/atomic"
	"time"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/wire"
)

// Snapshot is the state of a coordinator for those who watch it.
type Snapshot struct {
	Leading bool // else it is a standby
	Stats   sched.Stats
	Members []Member
	Looks   Looks
	Lease   time.Duration
}

// Member is a worker as its coordinator sees it.
type Member struct {
	Name, Host     string
	Slots, Running int
	Excluded       bool          // gets no new work
	Draining       bool          // the same, and leaves
	Silent         time.Duration // since its last call
}

// Looks counts the looks into the bucket for the commit of a task: before a
// report is believed and before a lease ends.
type Looks struct{ Found, Absent, Failed int64 }

// looks counts them.
type looks struct{ found, absent, failed atomic.Int64 }

// note counts a look by what came of it.
func (l *looks) note(err error) {
	switch {
	case err == nil:
		l.found.Add(1)
	case errors.Is(err, fs.ErrNotExist):
		l.absent.Add(1)
	default:
		l.failed.Add(1)
	}
}

// Snapshot tells where the coordinator stands; nil once it has stopped.
func (c *Coordinator) Snapshot(ctx context.Context) *Snapshot {
	var s *Snapshot
	c.call(ctx, func() { s = c.loop.snapshot(c.now()) })
	if s != nil {
		s.Leading = c.leading()
		s.Looks = Looks{Found: c.looks.found.Load(), Absent: c.looks.absent.Load(), Failed: c.looks.failed.Load()}
	}
	return s
}

func (l *loop) snapshot(now sched.Time) *Snapshot {
	s := &Snapshot{Lease: l.o.Lease}
	for m := range l.core.Members() {
		s.Members = append(s.Members, Member{
			Name: string(m.Worker), Host: m.Host, Slots: m.Slots, Running: m.Running, Silent: time.Duration(now - m.Heard),
			Excluded: m.State == sched.Excluded, Draining: m.State == sched.Draining,
		})
	}
	slices.SortFunc(s.Members, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	s.Stats = l.core.Stats()
	return s
}

// detail adds to a status what only people who ask for it want to know.
func (c *Coordinator) detail(s *wire.StatusReply) {
	l := &c.loop
	s.Epoch, s.Version = c.epoch, c.o.Version
	s.UptimeMs, s.LeaseMs = time.Since(c.start).Milliseconds(), c.o.Lease.Milliseconds()
	snap := l.snapshot(c.now())
	for _, m := range snap.Members[:min(len(snap.Members), wire.MostListed)] {
		s.Members = append(s.Members, &wire.WorkerStatus{
			Name: m.Name, Host: m.Host, Slots: int32(m.Slots), Running: int32(m.Running),
			Excluded: m.Excluded, Draining: m.Draining, SilentMs: m.Silent.Milliseconds(),
		})
	}
	if l.job == nil {
		return
	}
	s.Map, s.Reduce = phaseStatus(snap.Stats.Map), phaseStatus(snap.Stats.Reduce)
	live := l.core.Live(c.now())
	slices.SortStableFunc(live, func(a, b sched.Live) int { return cmp.Compare(b.Age, a.Age) })
	for _, a := range live[:min(len(live), wire.MostListed)] {
		s.Attempts = append(s.Attempts, &wire.AttemptStatus{
			Attempt: &wire.Attempt{Phase: wirePhase(a.Task.Phase), Task: int32(a.Task.Index), Id: string(a.Attempt)},
			Worker:  string(a.Worker), AgeMs: time.Duration(a.Age).Milliseconds(), LeftMs: time.Duration(a.Left).Milliseconds(),
			Progress: a.Progress, Lags: a.Lags, Speculative: a.Speculative,
		})
	}
}

func phaseStatus(p sched.PhaseStats) *wire.PhaseStatus {
	return &wire.PhaseStatus{
		Tasks: int32(p.Tasks), Done: int32(p.Done), Active: int32(p.Active), Reused: int32(p.Reused),
		Granted: int32(p.Granted), Adopted: int32(p.Adopted), Running: int32(p.Running),
		Committed: int32(p.Committed), Failed: int32(p.Failed), Lost: int32(p.Lost),
		Released: int32(p.Released), Superseded: int32(p.Superseded), Canceled: int32(p.Canceled),
		Speculative: int32(p.Speculative), SpeculativeCommitted: int32(p.SpeculativeCommitted),
	}
}
