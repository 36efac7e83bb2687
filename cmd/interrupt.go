package cmd

import (
	"context"
	"time"
)

// stopGrace is the time in which a call has to return after a signal.
const stopGrace = 2 * time.Second

// interruptible calls f, which returns when ctx ends. If f is in code of an
// application that does not return, interruptible returns without it.
func interruptible[T any](ctx context.Context, f func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := f()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
	}
	select {
	case r := <-done:
		return r.value, r.err
	case <-time.After(stopGrace):
		var none T
		return none, context.Cause(ctx)
	}
}
