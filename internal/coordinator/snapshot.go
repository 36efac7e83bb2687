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
	"github.com/mraws/mraws/mr"
)

// Snapshot is the state of a coordinator for those who watch it.
type Snapshot struct {
	Leading bool // else it is a standby
	Stats   sched.Stats
	Active  [2]int // tasks that run, by phase
	Expired [2]int // leases that ended, by phase
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
	c.call(ctx, func() { s = c.loop.snapshot() })
	if s != nil {
		s.Leading = c.leading()
		s.Looks = Looks{Found: c.looks.found.Load(), Absent: c.looks.absent.Load(), Failed: c.looks.failed.Load()}
	}
	return s
}

func (l *loop) snapshot() *Snapshot {
	s := &Snapshot{Lease: l.o.Lease}
	for w, m := range l.members {
		v := Member{Name: string(w), Host: m.host, Slots: m.slots, Silent: time.Since(m.lastSeen), Draining: m.drain != nil}
		if l.core != nil {
			v.Running, v.Excluded = l.core.Load(w)
		}
		s.Members = append(s.Members, v)
	}
	slices.SortFunc(s.Members, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	if l.core == nil {
		return s
	}
	s.Stats = l.core.Stats()
	for _, p := range []mr.Phase{mr.MapPhase, mr.ReducePhase} {
		s.Active[p], s.Expired[p] = l.core.Active(p), l.core.Expired(p)
	}
	return s
}

// detail adds to a status what only people who ask for it want to know.
func (c *Coordinator) detail(s *wire.StatusReply) {
	l := &c.loop
	s.Epoch, s.Version = c.epoch, c.o.Version
	s.UptimeMs, s.LeaseMs = time.Since(c.start).Milliseconds(), c.o.Lease.Milliseconds()
	snap := l.snapshot()
	for _, m := range snap.Members[:min(len(snap.Members), wire.MostListed)] {
		s.Members = append(s.Members, &wire.WorkerStatus{
			Name: m.Name, Host: m.Host, Slots: int32(m.Slots), Running: int32(m.Running),
			Excluded: m.Excluded, Draining: m.Draining, SilentMs: m.Silent.Milliseconds(),
		})
	}
	if l.core == nil {
		return
	}
	s.Map = phaseStatus(snap.Stats.Map, snap.Active[mr.MapPhase], snap.Expired[mr.MapPhase])
	s.Reduce = phaseStatus(snap.Stats.Reduce, snap.Active[mr.ReducePhase], snap.Expired[mr.ReducePhase])
	live := l.core.Live(c.now())
	slices.SortStableFunc(live, func(a, b sched.Live) int { return cmp.Compare(b.Age, a.Age) })
	for _, a := range live[:min(len(live), wire.MostListed)] {
		s.Attempts = append(s.Attempts, &wire.AttemptStatus{
			Attempt: &wire.Attempt{Phase: wirePhase(a.Task.Phase), Task: int32(a.Task.Index), Id: string(a.Attempt)},
			Worker:  string(a.Worker), AgeMs: time.Duration(a.Age).Milliseconds(), LeftMs: time.Duration(a.Left).Milliseconds(),
			Progress: a.Progress, Lags: a.Lags, Backup: a.Backup,
		})
	}
}

func phaseStatus(p sched.PhaseStats, active, expired int) *wire.PhaseStatus {
	return &wire.PhaseStatus{
		Tasks: int32(p.Tasks), Done: int32(p.Done), Active: int32(active), Reused: int32(p.Reused),
		Granted: int32(p.Granted), Adopted: int32(p.Adopted), Running: int32(p.Running),
		Won: int32(p.Won), Failed: int32(p.Failed), Lost: int32(p.Lost), Expired: int32(expired),
		Released: int32(p.Released), Superseded: int32(p.Superseded), Revoked: int32(p.Revoked),
		Backups: int32(p.Backups), BackupsWon: int32(p.BackupsWon),
	}
}
