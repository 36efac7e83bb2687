package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/mraws/mraws/internal/runner/gorunner"
	"github.com/mraws/mraws/internal/task"
	"github.com/mraws/mraws/internal/wire"
)

// The code of an application may never return, and nothing ends a goroutine
// from outside. So each attempt runs in a goroutine of its own, and its slot
// waits for it only while there is reason to: an attempt without progress for
// the task time-out has failed, and one that has been stopped, for whatever
// reason, gets a short time to return. Then the slot abandons it and goes on.
// What an abandoned attempt still does is that of a zombie: it can commit, once,
// or nothing (docs/protocol.md).
const (
	// revokedGrace is how long an attempt that was revoked has to return.
	revokedGrace = 10 * time.Second
	// endGrace is the same of one that was idle, or whose worker ends.
	endGrace = 2 * time.Second
	// leastAbandoned is how many abandoned attempts a worker of few slots
	// goes on beside.
	leastAbandoned = 4
)

// IdleError says that an attempt made no progress for the task time-out.
type IdleError struct {
	For time.Duration
	At  string // the application's function that has not returned; "" if it did, or is not known
}

// Error says for how long, and where.
func (e *IdleError) Error() string {
	text := fmt.Sprintf("no progress for %v, the task time-out", e.For)
	if e.At != "" {
		text += ": the application has not returned from " + e.At
	}
	return text
}

// StuckError says that a worker cannot go on: it has abandoned so many
// attempts whose code has not returned that there is no room for another.
type StuckError struct{ Attempts int }

// Error says how many.
func (e *StuckError) Error() string {
	return fmt.Sprintf("the application has not returned from %d attempts; no slot is free", e.Attempts)
}

// outcome is how an attempt ended.
type outcome struct {
	result task.Result
	err    error
}

// supervise runs an attempt until it has ended, or is abandoned. ctx is the
// worker's, run the attempt's.
func (w *worker) supervise(ctx, run context.Context, r *running) (task.Result, error) {
	exec, cancel := context.WithCancelCause(run)
	defer cancel(nil)
	end := w.o.Stats.begin(exec, phase(r.attempt.Phase), r.progress)
	ended := make(chan outcome, 1)
	go func() {
		defer w.returned(r)
		result, err := w.execute(exec, r)
		ended <- outcome{result, err}
	}()
	idle := w.watchIdle(exec, r)
	var o outcome
	select {
	case o = <-ended:
	case d := <-idle:
		cancel(&IdleError{For: d})
		o = w.lastWord(ctx, r, ended, endGrace, context.Cause(exec))
	case <-exec.Done():
		o = w.lastWord(ctx, r, ended, revokedGrace, context.Cause(exec))
	}
	end(o.result, o.err)
	return o.result, o.err
}

// lastWord waits for an attempt that has been stopped for cause, and abandons
// it if it does not return in time.
func (w *worker) lastWord(ctx context.Context, r *running, ended <-chan outcome, grace time.Duration, cause error) outcome {
	patience := time.NewTimer(grace)
	defer patience.Stop()
	select {
	case o := <-ended:
		return o
	case <-patience.C:
	case <-ctx.Done():
		select {
		case o := <-ended:
			return o
		case <-time.After(endGrace):
		}
	}
	w.mu.Lock()
	select {
	case o := <-ended:
		w.mu.Unlock()
		return o
	default:
	}
	r.abandoned = true
	w.abandoned++
	w.mu.Unlock()
	w.o.Shared.renew(r.job) // others must not wait for what it was about to read
	stack, at := gorunner.Where(r.attempt.Id)
	if idle, ok := cause.(*IdleError); ok { //nolint:errorlint // made in supervise
		cause = &IdleError{For: idle.For, At: at}
	}
	w.o.Log.Error().AnErr("cause", cause).Str("attempt", r.attempt.Id).Str("task", taskName(r.attempt)).Str("in", at).Str("stack", wire.Text(stack, maxText)).
		Msg("attempt abandoned: the application has not returned")
	return outcome{err: cause}
}

// timeout is the task time-out: the worker's own, or else the job's. 0 is none.
func (w *worker) timeout() time.Duration {
	if w.o.TaskTimeout != nil {
		return *w.o.TaskTimeout
	}
	return w.link.taskTimeout()
}

// watchIdle returns a channel that gets the task time-out once an attempt has
// made no progress for that long. It watches until ctx ends.
func (w *worker) watchIdle(ctx context.Context, r *running) <-chan time.Duration {
	over := make(chan time.Duration, 1)
	go func() {
		seen, since := r.life(), time.Now()
		for {
			limit := w.timeout() // another coordinator may say otherwise
			pause := time.Second
			if limit > 0 {
				pause = min(max(limit/20, time.Millisecond), pause)
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
			now := r.life()
			if now != seen || r.pulse.Waiting() {
				seen, since = now, time.Now()
				continue
			}
			if limit > 0 && time.Since(since) >= limit {
				over <- limit
				return
			}
		}
	}()
	return over
}

// life is what changes while an attempt makes progress. That a request to the
// store is on its way counts too: who waits for the store has its own limits.
type life struct{ task, store int64 }

func (r *running) life() life {
	return life{r.progress.Moves(), r.pulse.Moves()}
}
