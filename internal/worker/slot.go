package worker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/task"
	"github.com/mraws/mraws/internal/trace"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/mr"
)

// pollFor is how long the coordinator may keep a poll without an answer.
const pollFor = 15 * time.Second

// maxText bounds the error in a report, in bytes: what an application says is
// of any length, and a message of the protocol is not.
const maxText = 8 << 10

// slot polls for attempts and runs them, one at a time, until the job is over
// or ctx ends. It returns nil once polling is over since the worker drains.
func (w *worker) slot(ctx, polling context.Context, index int) error {
	for seq := uint64(1); ; seq++ {
		var reply *wire.PollReply
		err := w.room()
		if err == nil {
			reply, err = w.poll(polling, index, seq)
		}
		well := true
		if err == nil {
			well, err = w.attempt(ctx, reply)
		}
		if err == nil && !well {
			err = w.reach(polling)
		}
		if errors.Is(err, errNoMore) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// poll repeats one poll until it has a grant. The number stays the same,
// so that a grant whose reply was lost is handed out again.
func (w *worker) poll(ctx context.Context, index int, seq uint64) (*wire.PollReply, error) {
	q := &wire.PollRequest{Worker: w.o.Name, Slot: int32(index), Seq: seq, MaxWaitMs: pollFor.Milliseconds()}
	early := 0 // answers in a row that there is nothing yet, before their time
	for ctx.Err() == nil {
		began := time.Now()
		var reply *wire.PollReply
		err := w.link.call(ctx, func(ctx context.Context, c wire.CoordinatorClient) (err error) {
			ctx, cancel := context.WithTimeout(ctx, pollFor+wire.CallTimeout)
			defer cancel()
			if reply, err = c.Poll(ctx, q); err == nil && reply.GetUnknown() != nil {
				err = errUnknown
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		switch a := reply.Answer.(type) {
		case *wire.PollReply_Grant:
			return reply, nil
		case *wire.PollReply_Done:
			return nil, ending(a.Done)
		}
		if early++; time.Since(began) >= pollFor/2 {
			early = 0
		}
		select {
		case <-ctx.Done():
		case <-time.After(earlyPause(early)):
		}
	}
	return nil, context.Cause(ctx)
}

// earlyPause is the pause after an answer that there is nothing yet, the n-th
// in a row that came before its time: a coordinator that answers at once is
// not polled without end. It doubles from 10 ms to 1 s.
func earlyPause(n int) time.Duration {
	if n == 0 {
		return 0
	}
	return min(10*time.Millisecond<<min(n-1, 10), time.Second)
}

// attempt runs one granted attempt, reports how it ended and says whether it
// ended well. It returns an error only when the worker as a whole has to stop.
func (w *worker) attempt(ctx context.Context, reply *wire.PollReply) (well bool, err error) {
	a, job := reply.GetGrant(), reply.Job
	r := &running{attempt: a, job: job, spec: reply.Spec, progress: new(task.Progress), pulse: new(object.Pulse)}
	runCtx, cancel := context.WithCancelCause(w.started(object.WithPulse(ctx, r.pulse), r))
	r.cancel = cancel
	if !w.begin(r) {
		cancel(nil)
		return true, errNoMore
	}
	start := time.Now()
	result, err := w.supervise(ctx, runCtx, r)
	w.tell(r, result, err)
	log := w.o.Log.With().Str("job", job).Str("attempt", a.Id).
		Str("task", taskName(a)).Str("dur", time.Since(start).Round(time.Millisecond).String()).Logger()
	if err != nil {
		w.noteWaits(r)
	}
	switch {
	case errors.Is(context.Cause(runCtx), errRevoked) && err != nil:
		w.end(r)
		log.Info().Msg("attempt revoked")
		return false, nil
	case ctx.Err() != nil && err != nil:
		w.end(r)
		return false, context.Cause(ctx) // Leave hands the attempt back
	}
	if err == nil && !result.Superseded {
		w.ledger.record(result.Recorded)
	}
	q := &wire.ReportRequest{Worker: w.o.Name, Attempt: a, Restored: int32(result.Restored), S3: wire.NewTraffic(result.S3)}
	if err != nil {
		q.Outcome, q.Error = wire.Outcome_OUTCOME_FAILED, wire.Text(err.Error(), maxText)
		claim(q, err)
		var panicked *task.AppError
		if errors.As(err, &panicked) && panicked.Stack != "" {
			log.Error().Err(err).Str("stack", panicked.Stack).Msg("the application panicked")
		}
		log.Debug().Err(err).Msg("attempt failed")
	} else {
		log.Debug().Bool("superseded", result.Superseded).Msg("attempt committed")
	}
	return err == nil, w.report(ctx, runCtx, r, q)
}

// started returns the context of an attempt that begins.
func (w *worker) started(ctx context.Context, r *running) context.Context {
	if w.o.Begin == nil {
		return ctx
	}
	a := r.attempt
	return w.o.Begin(ctx, trace.Event{Job: r.job, Phase: phase(a.Phase).String(), Task: int(a.Task), Attempt: a.Id, Worker: w.o.Name})
}

// tell tells the listener how an attempt ended.
func (w *worker) tell(r *running, res task.Result, err error) {
	if w.o.Events == nil {
		return
	}
	p, n := phase(r.attempt.Phase), int(r.attempt.Task)
	e := trace.Event{
		Kind: trace.AttemptRan, Job: r.job, Phase: p.String(), Task: n, Attempt: r.attempt.Id, Worker: w.o.Name,
		Object: w.link.layout().MapCommit(n), Bytes: r.progress.Bytes.Load(), Outcome: trace.Committed,
	}
	if p == mr.ReducePhase {
		e.Object = w.o.Shared.layout(r.job, w.link.layout()).Output(n)
	}
	switch {
	case err != nil:
		e.Outcome, e.Cause = trace.Failed, err.Error()
	case res.Superseded:
		e.Outcome = trace.Superseded
	}
	w.o.Events.Tell(e)
}

// claim fills in what an attempt's error says of other attempts.
func claim(q *wire.ReportRequest, err error) {
	var fatal *task.FatalError
	var conflict *task.ConflictError
	var lost *task.LostError
	switch {
	case errors.As(err, &conflict):
		q.Fatal, q.Conflict, q.Object = true, true, conflict.Key
	case errors.As(err, &fatal):
		q.Fatal, q.Object = true, fatal.Key
	case errors.As(err, &lost):
		q.Object = lost.Key
	}
}

// reach waits until the store answers, whatever it says. A slot whose attempt
// did not end well asks for another only then: one that is cut off from the
// store would spoil one task after the other. Heartbeats tell for how long it
// waits, so that the worker's other slots get nothing new either.
func (w *worker) reach(ctx context.Context) error {
	probe := object.WithPulse(ctx, &w.probes)
	for told := false; ; {
		start := time.Now()
		_, err := w.o.Store.Stat(probe, w.link.layout().Job())
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !errors.Is(err, object.ErrUnreachable) {
			w.cutSince(time.Time{})
			return nil
		}
		w.cutSince(start)
		if !told {
			told = true
			w.o.Log.Warn().Err(err).Msg("the store does not answer; no task starts until it does")
		}
		select {
		case <-time.After(rand.N(2 * time.Second)):
		case <-ctx.Done():
		}
	}
}

// execute runs the attempt on the data path.
func (w *worker) execute(ctx context.Context, r *running) (res task.Result, err error) {
	l, err := w.load(ctx, r.job, r.spec)
	if err != nil {
		return task.Result{}, err
	}
	spare := w.spares.take()
	defer w.spares.put(spare)
	env := &task.Env{
		Store: w.o.Store, Buckets: w.o.Buckets, Outputs: w.o.Outputs, Libraries: w.o.Libraries, Parquet: w.o.Parquet, Layout: l.job.Layout(w.link.layout()), Job: l.job, Runner: l.runner, Worker: w.o.Name,
		Scratch: w.o.Scratch, Memory: w.slotMemory(), Commits: l.commits, Ranges: l.ranges, Earlier: l.earlier, Objects: l.objects, Files: w.o.Shipped, Spare: spare,
		Log: w.o.Log, Progress: r.progress,
	}
	return env.Run(ctx, task.Attempt{Phase: phase(r.attempt.Phase), Index: int(r.attempt.Task), ID: r.attempt.Id})
}

// spares are those of all slots.
type spares struct {
	mu   sync.Mutex
	free []*task.Spare
}

func (s *spares) take() *task.Spare {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.free)
	if n == 0 {
		return new(task.Spare)
	}
	last := s.free[n-1]
	s.free = s.free[:n-1]
	return last
}

func (s *spares) put(one *task.Spare) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = append(s.free, one)
}

func taskName(a *wire.Attempt) string { return fmt.Sprintf("%s-%d", phase(a.Phase), a.Task) }

func phase(p wire.Phase) mr.Phase {
	if p == wire.Phase_PHASE_REDUCE {
		return mr.ReducePhase
	}
	return mr.MapPhase
}
