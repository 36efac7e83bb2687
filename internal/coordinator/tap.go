package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/trace"
	"github.com/mraws/mraws/internal/wire"
)

// counters are what a coordinator has counted since it started. Only the tap
// changes them.
type counters struct {
	sched.Counts
	lookups map[string]int32 // of tasks' commits in the bucket, by result
	reran   map[string]int   // by phase: attempts granted although a commit was there
}

// tap passes on one thing that happened. Whatever is counted or told of the
// job comes by here: each event and effect of the scheduler, what is done to
// the bucket, and the lease.
func (l *loop) tap(e trace.Event) {
	switch e.Kind {
	case trace.CommitLookedUp:
		l.counters.lookups[e.Outcome]++
	case trace.RerunFound:
		l.counters.reran[e.Phase]++
	}
	e.Coordinator = l.epoch
	if l.job != nil {
		e.Job = l.job.ID
	}
	l.record(e)
	l.o.Events.Tell(e)
}

// tapEvent tells of an event of the scheduler.
func (l *loop) tapEvent(ev sched.Event) {
	l.recordEvent(ev)
	if l.o.Events == nil {
		return
	}
	l.tap(traceOfEvent(ev))
	if plan, ok := ev.(sched.Planned); ok {
		for _, done := range plan.Done {
			l.tap(trace.Event{Kind: trace.TaskReused, Phase: done.Task.Phase.String(), Task: done.Task.Index, Attempt: string(done.Attempt)})
		}
	}
}

// tapEffect tells of an effect of the scheduler.
func (l *loop) tapEffect(e sched.Effect) {
	l.counters.Note(e)
	l.recordEffect(e)
	if l.o.Events != nil {
		l.tap(traceOfEffect(e))
	}
}

// traceOfEvent is an event of the scheduler for a listener.
func traceOfEvent(ev sched.Event) trace.Event {
	switch ev := ev.(type) {
	case sched.Planned:
		return trace.Event{Kind: trace.JobPlanned, Job: ev.Job, Maps: ev.Maps, Reduces: ev.Reduces}
	case sched.Register:
		return trace.Event{Kind: trace.WorkerRegistered, Worker: string(ev.Worker)}
	case sched.Poll:
		return trace.Event{Kind: trace.Polled, Worker: string(ev.Worker)}
	case sched.Withdraw:
		return trace.Event{Kind: trace.PollWithdrawn, Worker: string(ev.Worker)}
	case sched.Heartbeat:
		return trace.Event{Kind: trace.Heartbeat, Worker: string(ev.Worker)}
	case sched.Committed:
		return trace.Event{Kind: trace.CommitFound, Phase: ev.Task.Phase.String(), Task: ev.Task.Index, Attempt: string(ev.Attempt)}
	case sched.Failed:
		return trace.Event{Kind: trace.FailureReported, Worker: string(ev.Worker), Attempt: string(ev.Attempt), Cause: ev.Cause}
	case sched.Released:
		return trace.Event{Kind: trace.ReleaseReported, Worker: string(ev.Worker), Attempt: string(ev.Attempt)}
	case sched.Reported:
		return trace.Event{Kind: trace.EndReported, Worker: string(ev.Worker), Attempt: string(ev.Attempt)}
	case sched.Drain:
		return trace.Event{Kind: trace.DrainReported, Worker: string(ev.Worker)}
	case sched.Leave:
		return trace.Event{Kind: trace.LeaveReported, Worker: string(ev.Worker)}
	case sched.OutputGone:
		return trace.Event{Kind: trace.OutputGone, Phase: ev.Task.Phase.String(), Task: ev.Task.Index, Attempt: string(ev.Again)}
	case sched.Tick:
		return trace.Event{Kind: trace.Ticked}
	}
	panic(fmt.Sprintf("the event %T of the scheduler has no kind", ev))
}

// traceOfEffect is an effect of the scheduler for a listener.
func traceOfEffect(e sched.Effect) trace.Event {
	switch e := e.(type) {
	case sched.Grant:
		return trace.Event{
			Kind: trace.Granted, Phase: e.Task.Phase.String(), Task: e.Task.Index, Attempt: string(e.Attempt), Worker: string(e.Worker),
			Speculative: e.Speculative, Again: e.Again,
		}
	case sched.Adopted:
		return trace.Event{Kind: trace.Adopted, Phase: e.Task.Phase.String(), Task: e.Task.Index, Attempt: string(e.Attempt), Worker: string(e.Worker)}
	case sched.Ended:
		return trace.Event{
			Kind: trace.Ended, Phase: e.Task.Phase.String(), Task: e.Task.Index, Attempt: string(e.Attempt), Worker: string(e.Worker),
			Outcome: e.Outcome.String(), Speculative: e.Speculative, Cause: e.Cause,
		}
	case sched.Revoke:
		return trace.Event{Kind: trace.Revoked, Worker: string(e.Worker), Attempt: string(e.Attempt)}
	case sched.Unknown:
		return trace.Event{Kind: trace.WorkerUnknown, Worker: string(e.Worker)}
	case sched.WorkerChanged:
		return trace.Event{Kind: trace.WorkerChanged, Worker: string(e.Worker), From: e.From.String(), Outcome: e.To.String()}
	case sched.PhaseDone:
		return trace.Event{Kind: trace.PhaseDone, Phase: e.Phase.String()}
	case sched.JobDone:
		return trace.Event{Kind: trace.JobDone}
	case sched.JobFailed:
		return trace.Event{
			Kind: trace.JobFailed, Phase: e.Task.Phase.String(), Task: e.Task.Index, Attempt: string(e.Attempt), Worker: string(e.Worker), Cause: e.Cause,
		}
	}
	panic(fmt.Sprintf("the effect %T of the scheduler has no kind", e))
}

// tapLookup tells of a lookup of a task's commit, by what came of it.
func (c *Coordinator) tapLookup(ctx context.Context, task sched.TaskID, attempt string, err error) {
	e := trace.Event{Kind: trace.CommitLookedUp, Phase: task.Phase.String(), Task: task.Index, Attempt: attempt, Outcome: wire.LookupFound}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.Outcome = wire.LookupAbsent
	case err != nil:
		e.Outcome, e.Cause = wire.LookupError, err.Error()
	}
	c.call(context.WithoutCancel(ctx), func() { c.loop.tap(e) })
}

// tapRerun tells of an attempt that should not have been granted, if it is one.
func (l *loop) tapRerun(rerun bool, task sched.TaskID, attempt string) {
	if rerun {
		l.tap(trace.Event{Kind: trace.RerunFound, Phase: task.Phase.String(), Task: task.Index, Attempt: attempt})
	}
}

// tapLease tells of the lease. It is also released behind the end of the loop.
func (c *Coordinator) tapLease(e trace.Event) {
	if !c.call(context.Background(), func() { c.loop.tap(e) }) {
		c.loop.tap(e)
	}
}
