package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/mr"
)

// askFor is how long the coordinator may keep a question without an answer.
const askFor = 15 * time.Second

// maxText bounds the error in a report, in bytes: what an application says is
// of any length, and a message of the protocol is not.
const maxText = 8 << 10

// slot asks for attempts and runs them, one at a time, until the job is over
// or ctx ends.
func (w *worker) slot(ctx context.Context, index int) error {
	for seq := uint64(1); ; seq++ {
		grant, job, err := w.ask(ctx, index, seq)
		if err != nil {
			return err
		}
		if err := w.attempt(ctx, grant, job); err != nil {
			return err
		}
	}
}

// ask repeats one question until it has a grant. The number stays the same,
// so that a grant whose reply was lost is handed out again.
func (w *worker) ask(ctx context.Context, index int, seq uint64) (*wire.Attempt, string, error) {
	q := &wire.AskRequest{Worker: w.o.Name, Slot: int32(index), Seq: seq, MaxWaitMs: askFor.Milliseconds()}
	for {
		var reply *wire.AskReply
		err := w.link.call(ctx, func(ctx context.Context, c wire.CoordinatorClient) (err error) {
			ctx, cancel := context.WithTimeout(ctx, askFor+wire.CallTimeout)
			defer cancel()
			if reply, err = c.Ask(ctx, q); err == nil && reply.GetUnknown() != nil {
				err = errUnknown
			}
			return err
		})
		if err != nil {
			return nil, "", err
		}
		switch a := reply.Answer.(type) {
		case *wire.AskReply_Grant:
			return a.Grant, reply.Job, nil
		case *wire.AskReply_Done:
			return nil, "", ending(a.Done)
		}
	}
}

// attempt runs one granted attempt and reports how it ended. It returns an
// error only when the worker as a whole has to stop.
func (w *worker) attempt(ctx context.Context, a *wire.Attempt, job string) error {
	runCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &running{attempt: a, job: job, cancel: cancel, progress: new(Progress)}
	w.mu.Lock()
	w.running[a.Id] = r
	w.mu.Unlock()

	start := time.Now()
	result, err := w.execute(runCtx, r)
	log := w.o.Log.With().Str("job", job).Str("attempt", a.Id).
		Str("task", fmt.Sprintf("%s-%d", phase(a.Phase), a.Task)).Dur("dur", time.Since(start)).Logger()

	w.mu.Lock()
	delete(w.running, a.Id)
	w.mu.Unlock()
	switch {
	case errors.Is(context.Cause(runCtx), errRevoked) && err != nil:
		log.Info().Msg("attempt stopped: it was revoked")
		return nil
	case ctx.Err() != nil && err != nil:
		return context.Cause(ctx) // Leave hands the attempt back
	}
	q := &wire.ReportRequest{Worker: w.o.Name, Attempt: a, S3Requests: w.requests()}
	if err != nil {
		var fatal *FatalError
		var conflict *ConflictError
		q.Outcome, q.Error = wire.Outcome_OUTCOME_FAILED, wire.Text(err.Error(), maxText)
		q.Conflict = errors.As(err, &conflict)
		q.Fatal = errors.As(err, &fatal) || q.Conflict
		var panicked *TaskError
		if errors.As(err, &panicked) && panicked.Stack != "" {
			log.Error().Err(err).Str("stack", panicked.Stack).Msg("the application panicked")
		}
		log.Debug().Err(err).Msg("attempt failed")
	} else {
		log.Debug().Bool("superseded", result.Superseded).Msg("attempt committed")
	}
	return w.link.call(ctx, func(ctx context.Context, c wire.CoordinatorClient) error {
		reply, err := c.Report(ctx, q)
		if err == nil && reply.Unknown {
			err = errUnknown
		}
		return err
	})
}

// execute runs the attempt on the data path.
func (w *worker) execute(ctx context.Context, r *running) (Result, error) {
	l, err := w.load(ctx, r.job)
	if err != nil {
		return Result{}, err
	}
	env := &Env{
		Store: w.o.Store, Layout: w.link.layout(), Job: l.job, App: w.o.App, Worker: w.o.Name,
		Scratch: w.o.Scratch, Memory: SlotMemory(w.o.Memory, w.o.Slots), Commits: l.commits,
		Log: w.o.Log, Progress: r.progress,
	}
	return env.Run(ctx, Attempt{Phase: phase(r.attempt.Phase), Index: int(r.attempt.Task), ID: r.attempt.Id})
}

func phase(p wire.Phase) mr.Phase {
	if p == wire.Phase_PHASE_REDUCE {
		return mr.ReducePhase
	}
	return mr.MapPhase
}
