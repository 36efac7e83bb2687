package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/mr"
)

// maxWait bounds a long poll, so that a worker behind a half-open connection
// finds out soon.
const maxWait = 20 * time.Second

// handlers turns requests into events on the loop. A handler does its own
// I/O and none of the scheduling.
type handlers struct {
	wire.UnimplementedCoordinatorServer
	c *Coordinator
}

// The scheduler numbers all the slots that a worker may have.
var _ = [1]struct{}{}[sched.MaxSlots-wire.MostSlots]

// errStopping is the answer while the coordinator goes away.
var errStopping = status.Error(codes.Unavailable, "the coordinator is stopping")

// Discover implements wire.CoordinatorServer.
func (h *handlers) Discover(context.Context, *wire.DiscoverRequest) (*wire.DiscoverReply, error) {
	return &wire.DiscoverReply{
		Bucket: h.c.o.Store.Bucket(), Prefix: h.c.o.Layout.Prefix(),
		Protocol: wire.Protocol, Version: h.c.o.Version, Epoch: h.c.epoch, Standby: !h.c.leading(), Chain: h.c.o.More != nil, Last: h.c.o.Last,
	}, nil
}

// Register implements wire.CoordinatorServer.
func (h *handlers) Register(ctx context.Context, q *wire.RegisterRequest) (*wire.RegisterReply, error) {
	if q.Protocol != wire.Protocol {
		return nil, &wire.Refusal{
			Reason: wire.ReasonVersion,
			What: fmt.Sprintf("coordinator %s speaks protocol %d, worker %s speaks protocol %d",
				h.c.o.Version, wire.Protocol, q.Version, q.Protocol),
		}
	}
	var reply *wire.RegisterReply
	err := errStopping
	h.c.call(ctx, func() {
		// A worker that has given up says that it leaves, and may have done
		// so before this comes to run.
		if err = ctx.Err(); err == nil {
			reply, err = h.c.loop.register(h.c.now(), q, wire.From(ctx))
		}
	})
	return reply, err
}

func (l *loop) register(now sched.Time, q *wire.RegisterRequest, from string) (*wire.RegisterReply, error) {
	if err := l.learn(q.App, "worker "+q.Worker); err != nil {
		return nil, err
	}
	w := sched.WorkerID(q.Worker)
	if err := l.full(w); err != nil {
		return nil, err
	}
	ev := sched.Register{Worker: w, Host: wire.Text(q.Host, 255), Version: wire.Text(q.Version, 64), Address: from, Slots: int(q.Slots), Job: q.Job}
	for _, a := range q.Running {
		ev.Running = append(ev.Running, sched.Running{Task: taskOf(a), Attempt: sched.AttemptID(a.GetId())})
	}
	l.log.Info().Str("worker", q.Worker).Str("host", ev.Host).Int("slots", ev.Slots).Int("running", len(ev.Running)).Msg("worker joined")
	l.counts.join(w, q.Told.Object(), l.claimsSince())
	l.step(now, ev)
	l.drain(now, w, q.Drain)
	return &wire.RegisterReply{
		Epoch: l.epoch, Bucket: l.o.Store.Bucket(), Prefix: l.o.Layout.Prefix(),
		LeaseMs: l.o.Lease.Milliseconds(), App: wire.NewApp(&l.app.Spec), Nreduce: int32(l.o.NReduce),
		TaskTimeoutMs: l.o.TaskTimeout.Milliseconds(),
	}, nil
}

// full is the answer to a worker for which there is no more room, nil if
// there is. It comes again, since others may leave, and ends after its
// coord-timeout with these words.
func (l *loop) full(w sched.WorkerID) error {
	if _, here := l.core.Member(w); here || l.core.Stats().Workers < maxWorkers {
		return nil
	}
	return status.Errorf(codes.Unavailable, "the coordinator has %d workers and takes no more", maxWorkers)
}

// maxDrain bounds what is believed of how long a worker will still be there.
const maxDrain = 24 * time.Hour

// drain takes note of a worker's word that it has been asked to end; nil is
// none. What the worker runs has been told by the message that says so.
func (l *loop) drain(now sched.Time, w sched.WorkerID, d *wire.Drain) {
	if d != nil {
		left := min(max(d.LeftMs, 0), maxDrain.Milliseconds())
		l.step(now, sched.Drain{Worker: w, Left: time.Duration(left) * time.Millisecond})
	}
}

// Poll implements wire.CoordinatorServer.
func (h *handlers) Poll(ctx context.Context, q *wire.PollRequest) (*wire.PollReply, error) {
	answer := make(chan *wire.PollReply, 1)
	if !h.c.call(ctx, func() { h.c.loop.poll(h.c.now(), q, answer) }) {
		return nil, errStopping
	}
	timer := time.NewTimer(min(time.Duration(q.MaxWaitMs)*time.Millisecond, maxWait))
	defer timer.Stop()
	select {
	case r := <-answer:
		return r, nil
	case <-timer.C:
	case <-ctx.Done():
	case <-h.c.stopped:
	}
	withdrawn := h.c.call(context.WithoutCancel(ctx), func() { h.c.loop.withdraw(h.c.now(), q, answer) })
	select {
	case r := <-answer: // it came while the poll was being withdrawn
		return r, nil
	default:
	}
	if !withdrawn {
		return nil, errStopping
	}
	return waitReply(), nil
}

func waitReply() *wire.PollReply {
	return &wire.PollReply{Answer: &wire.PollReply_Wait{Wait: &wire.Wait{}}}
}

func unknownReply() *wire.PollReply {
	return &wire.PollReply{Answer: &wire.PollReply_Unknown{Unknown: &wire.Unknown{}}}
}

// poll answers a poll, at once or when there is an answer.
func (l *loop) poll(now sched.Time, q *wire.PollRequest, answer chan *wire.PollReply) {
	w := sched.WorkerID(q.Worker)
	m, known := l.core.Member(w)
	switch {
	case !known:
		answer <- unknownReply()
		return
	case l.final != nil:
		answer <- l.doneReply(w)
		return
	case m.State == sched.Draining: // a late copy, for which nobody waits
		answer <- waitReply()
		return
	}
	key := slot{w, int(q.Slot)}
	if old, ok := l.waiting[key]; ok {
		if old.seq > q.Seq { // a late copy, for which nobody waits
			answer <- waitReply()
			return
		}
		old.answer <- waitReply() // its connection broke, or the slot polls anew
	}
	l.waiting[key] = poll{q.Seq, answer}
	if !l.step(now, sched.Poll{Worker: w, Slot: int(q.Slot), Seq: q.Seq}) {
		delete(l.waiting, key)
		answer <- unknownReply()
	}
}

// withdraw withdraws the poll that waits on answer, and no copy of it that came
// by another connection.
func (l *loop) withdraw(now sched.Time, q *wire.PollRequest, answer chan *wire.PollReply) {
	key := slot{sched.WorkerID(q.Worker), int(q.Slot)}
	if l.waiting[key].answer == answer {
		delete(l.waiting, key)
		l.step(now, sched.Withdraw{Worker: key.worker, Slot: key.index, Seq: q.Seq})
	}
}

// Heartbeat implements wire.CoordinatorServer.
func (h *handlers) Heartbeat(ctx context.Context, q *wire.HeartbeatRequest) (*wire.HeartbeatReply, error) {
	var reply *wire.HeartbeatReply
	h.c.call(ctx, func() { reply = h.c.loop.heartbeat(h.c.now(), q) })
	if reply == nil {
		return nil, errStopping
	}
	reply.Overdue = h.c.lease.Overdue()
	return reply, nil
}

func (l *loop) heartbeat(now sched.Time, q *wire.HeartbeatRequest) *wire.HeartbeatReply {
	w := sched.WorkerID(q.Worker)
	if _, known := l.core.Member(w); !known {
		return &wire.HeartbeatReply{Unknown: true}
	}
	l.noteRequests(w, q.S3Requests, q.Spent)
	l.noteSample(now, w, q.Sample)
	if l.final != nil {
		l.told[w] = true
		return &wire.HeartbeatReply{Done: l.final}
	}
	ev := sched.Heartbeat{
		Worker: w, Running: make([]sched.AttemptID, len(q.Running)), Progress: make([]float64, len(q.Running)),
		Stalled: make([]time.Duration, len(q.Running)), WorkerStalled: time.Duration(q.StalledMs) * time.Millisecond,
	}
	for i, p := range q.Running {
		ev.Running[i] = sched.AttemptID(p.GetAttempt().GetId())
		ev.Progress[i] = l.weights.progress(p)
		ev.Stalled[i] = time.Duration(p.StalledMs) * time.Millisecond
	}
	l.step(now, ev)
	l.drain(now, w, q.Drain)
	reply := &wire.HeartbeatReply{Revoked: l.revokes[w]}
	delete(l.revokes, w)
	return reply
}

// Report implements wire.CoordinatorServer. A commit is believed only after
// a look into the bucket (I1), and a report on an attempt that is not live
// can do no more than cause that look (I4).
func (h *handlers) Report(ctx context.Context, q *wire.ReportRequest) (*wire.ReportReply, error) {
	l := &h.c.loop
	task := taskOf(q.Attempt)
	var known, prepared, exists bool
	ok := h.c.call(ctx, func() {
		w := sched.WorkerID(q.Worker)
		known = l.step(h.c.now(), sched.Reported{Worker: w, Attempt: sched.AttemptID(q.Attempt.Id)})
		l.noteRequests(w, q.S3Requests, q.Spent)
		prepared, exists = l.job != nil, l.exists(task)
	})
	switch {
	case !ok:
		return nil, errStopping
	case !known:
		return &wire.ReportReply{Unknown: true}, nil
	case !prepared:
		return nil, wire.Later("the job is still being prepared")
	case !exists: // an attempt of another job
		return &wire.ReportReply{}, nil
	}
	if q.Outcome == wire.Outcome_OUTCOME_RELEASED {
		h.c.call(ctx, func() { l.reported(h.c.now(), q, false) })
		return &wire.ReportReply{}, nil
	}
	// Failed attempts too: an error may have followed a commit.
	reading, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	err := h.c.look(ctx, reading, task, q.Attempt.Id)
	if err != nil {
		err = h.unproven(ctx, reading, q, err)
	}
	if q.Restored > 0 && err == nil {
		h.c.o.Log.Warn().Str("worker", q.Worker).Str("attempt", q.Attempt.Id).Int32("objects", q.Restored).
			Msg("committed intermediate objects were lost or damaged; the attempt wrote them again")
	}
	return &wire.ReportReply{}, err
}

// lookTime bounds the look into the bucket for a report. A worker whose
// report cannot be judged by then goes on with other work, and says it again.
const lookTime = 3 * time.Second

// exists says whether the job has such a task.
func (l *loop) exists(t sched.TaskID) bool {
	n := len(l.maps)
	if t.Phase == mr.ReducePhase {
		n = len(l.reduces)
	}
	return t.Index >= 0 && t.Index < n
}

// maxText bounds the texts that workers are told and tell, in bytes.
const maxText = 8 << 10

// reported takes note of an attempt that did not commit. proven is what the
// bucket said about it.
func (l *loop) reported(now sched.Time, q *wire.ReportRequest, proven bool) {
	w, a := sched.WorkerID(q.Worker), sched.AttemptID(q.Attempt.Id)
	l.ending.attempt, l.ending.s3 = a, q.S3.Object()
	defer func() { l.ending.attempt = "" }()
	if q.Outcome == wire.Outcome_OUTCOME_RELEASED {
		l.step(now, sched.Released{Worker: w, Attempt: a})
		return
	}
	_, on, live := l.core.Attempt(a)
	if !live || on != w { // of an earlier job, or given to another since (I4)
		l.log.Debug().Str("worker", q.Worker).Str("attempt", q.Attempt.Id).Str("err", q.Error).Msg("report on an attempt that has ended")
		return
	}
	text := wire.Text(q.Error, maxText)
	l.log.Warn().Str("worker", q.Worker).Str("attempt", q.Attempt.Id).Bool("fatal", q.Fatal).Bool("proven", proven).Str("err", text).Msg("attempt failed")
	if q.Conflict {
		l.conflicts[a] = text
	}
	if proven {
		_, l.otherInput[a] = planned(l.job, l.o.Layout, q.Object)
	}
	l.step(now, sched.Failed{
		Worker: w, Attempt: a, Fatal: q.Fatal || q.Conflict, Proven: proven,
		Cause: fmt.Sprintf("on worker %s: %s", q.Worker, text),
	})
}

// unproven handles a report whose commit the bucket does not show.
func (h *handlers) unproven(ctx, reading context.Context, q *wire.ReportRequest, err error) error {
	var conflict *ConflictError
	switch {
	case errors.As(err, &conflict):
		h.c.call(ctx, func() { h.c.loop.finishWith(conflict) })
		return nil
	case !errors.Is(err, fs.ErrNotExist): // also for a failure: its task may be committed
		return wire.Later("look for the commit of %s: %v", q.Attempt.Id, err)
	}
	if q.Outcome == wire.Outcome_OUTCOME_COMMITTED {
		q.Error, q.Fatal, q.Conflict = "the worker reported a commit that is not in the bucket", false, false
	}
	if q.Outcome == wire.Outcome_OUTCOME_FAILED && !q.Fatal && q.Object != "" && h.c.restorer.restoreReported(reading, q.Object) {
		q.Outcome = wire.Outcome_OUTCOME_RELEASED // at no fault of the task or the worker
		h.c.call(ctx, func() { h.c.loop.reported(h.c.now(), q, false) })
		return nil
	}
	proven := h.c.proven(reading, taskOf(q.Attempt), q)
	h.c.call(ctx, func() { h.c.loop.reported(h.c.now(), q, proven) })
	return nil
}

// Leave implements wire.CoordinatorServer. The worker may have committed
// what it was stopped at, so the bucket is asked before that is run again.
func (h *handlers) Leave(ctx context.Context, q *wire.LeaveRequest) (*wire.LeaveReply, error) {
	var running []sched.Running
	h.c.call(ctx, func() { running = h.c.loop.core.Running(sched.WorkerID(q.Worker), nil) })
	h.c.lookFor(ctx, running)
	// Whoever leaves does not wait for long, and has left all the same.
	h.c.call(context.WithoutCancel(ctx), func() { h.c.loop.leave(h.c.now(), q) })
	return &wire.LeaveReply{}, nil
}

func (l *loop) leave(now sched.Time, q *wire.LeaveRequest) {
	w := sched.WorkerID(q.Worker)
	l.noteRequests(w, q.S3Requests, q.Spent)
	l.step(now, sched.Leave{Worker: w})
}
