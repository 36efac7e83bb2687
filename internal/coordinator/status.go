package coordinator

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/mr"
)

// Status implements wire.CoordinatorServer.
func (h *handlers) Status(ctx context.Context, _ *wire.StatusRequest) (*wire.StatusReply, error) {
	var s *wire.StatusReply
	h.c.call(ctx, func() {
		s = h.c.status()
		h.c.loop.list(h.c.now(), s)
	})
	if s == nil {
		return nil, errStopping
	}
	return s, nil
}

// Status says how the job is, without its lists of workers and attempts; nil
// once the coordinator has stopped.
func (c *Coordinator) Status(ctx context.Context) *wire.StatusReply {
	var s *wire.StatusReply
	c.call(ctx, func() { s = c.status() })
	return s
}

// status is called on the loop.
func (c *Coordinator) status() *wire.StatusReply {
	l := &c.loop
	st := l.core.Stats()
	s := &wire.StatusReply{
		App: l.appName(), State: l.state(st), Epoch: c.epoch, Version: c.o.Version, Leading: c.leading(),
		UptimeMs: time.Since(c.start).Milliseconds(), LeaseMs: c.o.Lease.Milliseconds(),
		Workers: map[string]int32{}, PollsWaiting: int32(st.Polls), Exclusions: int32(l.counters.Exclusions),
		CommitLookups: maps.Clone(l.counters.lookups),
	}
	switch {
	case !s.Leading && c.stoodBy.Load():
		s.State = "standing by"
	case !s.Leading:
		s.State = "starting"
	}
	for m := range l.core.Members() {
		if !l.told[m.Worker] {
			s.Workers[l.workerState(c.now(), m)]++
			s.Slots += int32(m.Slots)
		}
	}
	if l.job != nil {
		s.Job, s.Map, s.Reduce = l.job.ID, phaseStatus(st.Map, l.counters.Map), phaseStatus(st.Reduce, l.counters.Reduce)
		l.addBytes(s)
		if l.job.MapOnly() { // whose tasks are map tasks for people
			s.Map, s.Reduce, s.MapBytes, s.ReduceBytes = s.Reduce, s.Map, s.ReduceBytes, s.MapBytes
		}
		spent := l.spent()
		s.S3 = wire.NewTraffic(spent)
		if r := l.o.Rates; r != nil {
			s.Usd, s.Region, s.Prices = r.Dollars(spent), r.Region, r.Date
		}
	}
	return s
}

// addBytes adds what the tasks of both phases read, and have read.
func (l *loop) addBytes(s *wire.StatusReply) {
	s.MapBytes, s.ReduceBytes = &wire.Reading{}, &wire.Reading{}
	reading := map[sched.TaskID]float64{}
	for id, progress := range l.core.Reading() {
		reading[id] = max(reading[id], progress)
	}
	for i, rec := range l.maps {
		l.weights.count(s.MapBytes, sched.TaskID{Phase: mr.MapPhase, Index: i}, rec != nil, reading)
	}
	for i, rec := range l.reduces {
		l.weights.count(s.ReduceBytes, sched.TaskID{Phase: mr.ReducePhase, Index: i}, rec != nil, reading)
	}
}

// state says in words how far the job is.
func (l *loop) state(st sched.Stats) string {
	switch {
	case l.app == nil:
		return "waiting for a worker to name the app"
	case l.job == nil:
		return "preparing"
	case l.final != nil && l.final.Failure != "":
		return "failed: " + strings.TrimPrefix(l.final.Failure, "job failed: ")
	case l.final != nil:
		return "done"
	case st.Map.Done < st.Map.Tasks, l.job.MapOnly():
		return "map"
	}
	return "reduce"
}

// workerState is what a worker is, of the states that may hold at the same
// time the first.
func (l *loop) workerState(now sched.Time, m sched.Member) string {
	switch {
	case time.Duration(now-m.Heard) > l.o.Lease:
		return wire.WorkerSilent
	case m.State == sched.Draining:
		return wire.WorkerDraining
	case m.State == sched.Excluded:
		return wire.WorkerExcluded
	case m.State == sched.Stalled:
		return wire.WorkerStalled
	case m.Running > 0:
		return wire.WorkerBusy
	}
	return wire.WorkerIdle
}

// list adds the workers and the attempts that run.
func (l *loop) list(now sched.Time, s *wire.StatusReply) {
	members := slices.SortedFunc(l.core.Members(), func(a, b sched.Member) int { return cmp.Compare(a.Worker, b.Worker) })
	for _, m := range members[:min(len(members), wire.MostListed)] {
		s.Members = append(s.Members, &wire.WorkerStatus{
			Name: string(m.Worker), Host: m.Host, Version: m.Version, Slots: int32(m.Slots), Running: int32(m.Running),
			State: l.workerState(now, m), SilentMs: time.Duration(now - m.Heard).Milliseconds(), Sample: l.sample(m.Worker),
		})
	}
	if l.job == nil {
		return
	}
	live := l.core.Live(now)
	slices.SortStableFunc(live, func(a, b sched.Live) int { return cmp.Compare(b.Age, a.Age) })
	for _, a := range live[:min(len(live), wire.MostListed)] {
		if l.job.MapOnly() {
			a.Task.Phase = mr.MapPhase
		}
		s.Attempts = append(s.Attempts, &wire.AttemptStatus{
			Attempt: &wire.Attempt{Phase: wirePhase(a.Task.Phase), Task: int32(a.Task.Index), Id: string(a.Attempt)},
			Worker:  string(a.Worker), AgeMs: time.Duration(a.Age).Milliseconds(), LeftMs: time.Duration(a.Left).Milliseconds(),
			Progress: a.Progress, Lags: a.Lags, Speculative: a.Speculative,
		})
	}
}

func phaseStatus(p sched.PhaseStats, n sched.AttemptCounts) *wire.PhaseStatus {
	return &wire.PhaseStatus{
		Tasks: int32(p.Tasks), Done: int32(p.Done), Active: int32(p.Active), Reused: int32(p.Reused),
		Granted: int32(n.Granted), Adopted: int32(n.Adopted), Running: int32(p.Running),
		Committed: int32(n.Committed), Failed: int32(n.Failed), Lost: int32(n.Lost),
		Released: int32(n.Released), Superseded: int32(n.Superseded), Canceled: int32(n.Canceled),
		Retried: int32(n.Retried), Speculative: int32(n.Speculative), SpeculativeCommitted: int32(n.SpeculativeCommitted),
	}
}
