package coordinator

import (
	"context"
	"errors"
	"io/fs"
	"reflect"
	"strconv"
	"time"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/events"
	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/trace"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/mr"
)

// This file is what the tap tells the event log (package events).

const (
	// settleTime is how long the end of a job waits for the end of its event log,
	// which is written beside the last checks.
	settleTime = 3 * time.Second
	// closeTime is the same where the job has not ended well.
	closeTime = time.Second
)

// newHistory returns the event log, nil for none.
func (c *Coordinator) newHistory() *events.Log {
	if !c.o.EventLog {
		return nil
	}
	return events.New(events.Options{Store: c.o.Store, Layout: c.o.Layout, Log: c.o.Log, Coordinator: c.epoch, Leads: c.announced})
}

// Hurry has the event log written within a second for some time, for somebody who reads it.
// It costs a request a second at the most while something happens.
func (c *Coordinator) Hurry() { c.loop.history.Hurry() }

// announced says whether this coordinator is the one that the bucket announces.
func (c *Coordinator) announced(ctx context.Context) (bool, error) {
	a, _, err := jobstate.ReadAnnouncement(ctx, c.o.Store, c.o.Layout)
	switch {
	case err == nil:
		return a.Epoch == c.epoch, nil
	case jobstate.Invalid(err), errors.Is(err, fs.ErrNotExist): // it is written again
		return true, nil
	}
	return false, err
}

// recordEvent tells the event log of an event of the scheduler.
func (l *loop) recordEvent(ev sched.Event) {
	if l.history == nil {
		return
	}
	switch ev := ev.(type) {
	case sched.Planned:
		l.recordPlan(ev)
	case sched.Register:
		l.history.Append(events.Event{Type: events.WorkerJoined, Worker: string(ev.Worker), Host: ev.Host, Slots: ev.Slots})
	case sched.OutputGone:
		e := events.Event{Type: events.OutputGone, Task: l.taskName(ev.Task), Attempt: string(ev.Again)}
		if ev.Again != "" {
			l.describe(&e, ev.Task)
		}
		l.history.Append(e)
	}
}

// recordPlan tells of the job, and of all that the bucket shows to be committed.
func (l *loop) recordPlan(ev sched.Planned) {
	e := events.Event{Type: events.JobPlanned, App: l.job.App.Name, Maps: len(l.job.Tasks), Reduces: l.job.NReduce, Objects: len(l.job.Objects)}
	for _, o := range l.job.Objects {
		e.Bytes += o.Size
	}
	l.history.Append(e)
	// The records do not change, but what the loop has of them may.
	of := *l
	of.maps, of.reduces = append([]*mapCommit(nil), l.maps...), append([]*reduceCommit(nil), l.reduces...)
	l.history.AppendAll(events.TaskRestored, len(ev.Done), func(i int) events.Event {
		e := events.Event{Task: of.taskName(ev.Done[i].Task), Attempt: string(ev.Done[i].Attempt)}
		of.describe(&e, ev.Done[i].Task)
		return e
	})
}

// recordEffect tells the event log of an effect of the scheduler.
func (l *loop) recordEffect(e sched.Effect) {
	if l.history == nil {
		return
	}
	switch e := e.(type) {
	case sched.Grant:
		if !e.Again {
			l.history.Append(events.Event{
				Type: events.AttemptStarted, Task: l.taskName(e.Task), Attempt: string(e.Attempt), Worker: string(e.Worker),
				Slot: e.Slot, Speculative: e.Speculative,
			})
		}
	case sched.Adopted:
		l.history.Append(events.Event{Type: events.AttemptAdopted, Task: l.taskName(e.Task), Attempt: string(e.Attempt), Worker: string(e.Worker)})
	case sched.Ended:
		ev := events.Event{
			Type: events.AttemptEnded, Task: l.taskName(e.Task), Attempt: string(e.Attempt), Worker: string(e.Worker),
			Outcome: e.Outcome.String(), Speculative: e.Speculative, Cause: e.Cause,
		}
		if e.Outcome == sched.OutcomeCommitted {
			l.describe(&ev, e.Task)
		} else if e.Attempt == l.ending.attempt {
			ev.S3 = events.TrafficOf(l.ending.s3)
		}
		l.history.Append(ev)
	case sched.WorkerChanged:
		if e.From != sched.Absent { // else it has joined
			l.history.Append(events.Event{Type: events.WorkerChanged, Worker: string(e.Worker), From: e.From.String(), To: e.To.String()})
		}
	case sched.PhaseDone:
		if !l.job.MapOnly() || e.Phase == mr.ReducePhase { // a map-only job has one
			l.history.Append(l.phaseDone(e.Phase))
		}
	case sched.JobFailed:
		l.history.Append(events.Event{
			Type: events.JobFailed, Task: l.taskName(e.Task), Attempt: string(e.Attempt), Worker: string(e.Worker), Cause: e.Cause,
		})
	}
}

// phaseDone tells of the end of a phase, and at that of the map phase which reduce task
// has the most to read.
func (l *loop) phaseDone(p mr.Phase) events.Event {
	e := events.Event{Type: events.PhaseDone, Phase: l.peoplePhase(p).String()}
	if p == mr.MapPhase {
		for r, bytes := range l.weights.reduces {
			if bytes > e.Bytes {
				e.Task, e.Bytes = l.taskName(sched.TaskID{Phase: mr.ReducePhase, Index: r}), bytes
			}
		}
	}
	return e
}

// record tells the event log of what is no event or effect of the scheduler.
func (l *loop) record(e trace.Event) {
	switch e.Kind {
	case trace.LeaseAcquired:
		l.history.Append(events.Event{Type: events.CoordinatorStarted, From: e.From, Cause: e.Cause})
	case trace.RerunFound:
		task, _ := sched.AttemptID(e.Attempt).Task()
		l.history.Append(events.Event{Type: events.AttemptRerun, Task: l.taskName(task), Attempt: e.Attempt})
	}
}

// recordReplaced tells of the commit record of a map task that lies in the place of one
// that was deleted.
func (l *loop) recordReplaced(task sched.TaskID, attempt string) {
	e := events.Event{Type: events.TaskReplaced, Task: l.taskName(task), Attempt: attempt}
	l.describe(&e, task)
	l.history.Append(e)
}

// recordDone tells of the totals of the job, and has them written beside what is left
// to do.
func (c *Coordinator) recordDone(ctx context.Context) (told events.Totals) {
	if c.loop.history == nil {
		return told
	}
	c.call(ctx, func() { told = c.loop.recordTotals(c.loop.tally()) })
	c.loop.history.Urge()
	return told
}

func (l *loop) recordTotals(s *manifest.Success) events.Totals {
	e := doneEvent(s)
	l.history.Append(e)
	return *e.Totals
}

// doneEvent tells what the summary of the job says.
func doneEvent(s *manifest.Success) events.Event {
	t := events.TotalsOf(s)
	e := events.Event{Type: events.JobDone, Totals: &t}
	if r := s.Receipt; r != nil {
		e.USD = r.USD
		e.S3 = events.TrafficOf(object.Traffic{Requests: s.Requests, Sent: r.Sent, Received: r.Received})
	}
	return e
}

// recordAgain tells of the totals once more if they are others now.
func (l *loop) recordAgain(told events.Totals, s *manifest.Success) {
	if l.history != nil && !reflect.DeepEqual(told, events.TotalsOf(s)) {
		l.recordTotals(s)
	}
}

// recordOther tells of the summary that another coordinator has written.
func (c *Coordinator) recordOther(ctx context.Context, stored *manifest.Success) {
	e := doneEvent(stored)
	e.Cause = "another coordinator wrote the summary"
	c.loop.history.Append(e)
	c.loop.history.Settle(ctx, settleTime)
}

// describe adds to an event what the record of a committed task says.
func (l *loop) describe(e *events.Event, task sched.TaskID) {
	worker, started := "", time.Time{}
	switch {
	case task.Phase == mr.MapPhase && l.maps[task.Index] != nil:
		rec := l.maps[task.Index]
		e.Work, worker, started = events.WorkOfMap(rec.Map), rec.Worker, rec.Started
	case task.Phase == mr.ReducePhase && l.reduces[task.Index] != nil:
		rec := l.reduces[task.Index]
		e.Work, worker, started = events.WorkOfReduce(rec.Reduce), rec.Worker, rec.Started
	}
	if e.Worker == "" { // this coordinator did not see it run
		e.Worker, e.Started = worker, events.TimeOf(started)
	}
}

// peoplePhase is what people call a phase: the tasks of a map-only job are map tasks.
func (l *loop) peoplePhase(p mr.Phase) mr.Phase {
	if l.job.MapOnly() {
		return mr.MapPhase
	}
	return p
}

// taskName is the name of a task that commands take, such as map-3.
func (l *loop) taskName(t sched.TaskID) string {
	return l.peoplePhase(t.Phase).String() + "-" + strconv.Itoa(t.Index)
}

// closeHistory ends the event log behind the end of the loop. Of a job that is done it
// is complete by then. Nothing is written where the job was reset.
func (c *Coordinator) closeHistory(ctx context.Context, err error) {
	var reset *ResetError
	var conflict *ConflictError
	switch {
	case errors.As(err, &reset), errors.As(err, &conflict) && conflict.Kind == WasReset:
		c.loop.history.Discard()
	case err != nil:
		c.loop.history.Append(events.Event{Type: events.CoordinatorEnded, Cause: wire.Text(err.Error(), maxText)})
	}
	c.loop.history.Close(ctx, closeTime)
}
