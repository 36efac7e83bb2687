package cmd

import (
	"context"
	"time"
)

// stopGrace is how long what a command does has to return after a signal.
const stopGrace = 2 * time.Second

// interruptible calls f, which ends with ctx unless it is in code of an
// application that does not return. Then it is left behind.
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
