package verify

import (
	"sync/atomic"
)

// Code tells how calls of the application's code go on, for who watches that
// they return.
type Code struct {
	calls atomic.Int32 // on their way
	moves atomic.Int64
}

// State tells whether a call is on its way, and counts signs of life: calls,
// pairs and lines that are emitted, values and lines that are taken.
func (c *Code) State() (calling bool, moves int64) { return c.calls.Load() > 0, c.moves.Load() }

// move notes a sign of life.
func (c *Code) move() {
	if c != nil {
		c.moves.Add(1)
	}
}

// call calls f, code of the application.
func (c *Code) call(f func() error) error {
	c.moves.Add(1)
	c.calls.Add(1)
	defer c.calls.Add(-1)
	return f()
}

// guard is call, and returns a panic as an error.
func (c *Code) guard(what string, f func() error) error {
	return guard(what, func() error { return c.call(f) })
}

// away calls f, code of ours that a call of the application waits for.
func (c *Code) away(f func() error) error {
	if c == nil {
		return f()
	}
	c.calls.Add(-1)
	defer c.calls.Add(1)
	return f()
}
