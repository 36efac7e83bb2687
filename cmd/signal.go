package cmd

import (
	"context"
	"os"
	"sync"
	"syscall"
	"time"
)

// Signal is the cause of a context that a signal cancelled.
type Signal struct{ os.Signal }

// Error names the signal.
func (s Signal) Error() string { return "stopped by signal: " + s.String() }

// Code is 128 plus the signal's number, as shells have it.
func (s Signal) Code() int {
	if n, ok := s.Signal.(syscall.Signal); ok {
		return 128 + int(n)
	}
	return ExitInterrupt
}

// terminations is where a command that ends in its own time gets the first
// SIGTERM. It travels in the context, since the process has one and most
// commands have no use for it.
type terminations struct {
	mu sync.Mutex
	to chan<- Signal // nil where SIGTERM ends the command
	// all gets every signal in place of the command; nil where the command
	// runs in this process.
	all chan<- os.Signal
}

type terminationsKey struct{}

// lastResort is how long a command may take to end after a signal. What it
// waits for by then, such as code of an application, may never return.
const lastResort = 10 * time.Second

// signalEcho is within what time a signal that comes again is the same one:
// timeout(1) signals the process and then its group.
const signalEcho = 100 * time.Millisecond

// WithSignals returns a context that the first of signals cancels, with a
// [Signal] as its cause; a further one calls exit with its code, and so does
// the first when the process is still there after [lastResort]. A SIGTERM
// that the command takes as an order to drain counts as none. A signal that
// comes twice within [signalEcho] counts once.
func WithSignals(ctx context.Context, signals <-chan os.Signal, exit func(code int)) context.Context {
	t := &terminations{}
	ctx, cancel := context.WithCancelCause(context.WithValue(ctx, terminationsKey{}, t))
	go func() {
		var late *time.Timer
		defer func() {
			if late != nil {
				late.Stop()
			}
		}()
		var last os.Signal
		var came time.Time
		for s := range signals {
			if s == last && time.Since(came) < signalEcho {
				continue
			}
			last, came = s, time.Now()
			switch sig := (Signal{s}); {
			case t.takeAll(s):
			case ctx.Err() != nil:
				exit(sig.Code())
			case s == syscall.SIGTERM && t.take(sig):
			default:
				cancel(sig)
				late = time.AfterFunc(lastResort, func() { exit(sig.Code()) })
			}
		}
	}()
	return ctx
}

// take hands the first SIGTERM to the command, if there is one that drains.
func (t *terminations) take(s Signal) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.to == nil {
		return false
	}
	t.to <- s
	t.to = nil
	return true
}

// takeAll hands a signal to the command, if it is one that takes them all.
func (t *terminations) takeAll(s os.Signal) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		return false
	}
	select {
	case t.all <- s:
	default: // a dozen are waiting already
	}
	return true
}

// allSignals returns a channel that gets every signal from now on, of which
// none cancels ctx or ends the process any more.
func allSignals(ctx context.Context) <-chan os.Signal {
	c := make(chan os.Signal, 12)
	if t, ok := ctx.Value(terminationsKey{}).(*terminations); ok {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.all = c
	}
	return c
}

// terminated returns a channel that gets the first SIGTERM from now on, which
// then does not cancel ctx. It gets nothing where ctx knows no signals.
func terminated(ctx context.Context) <-chan Signal {
	c := make(chan Signal, 1)
	if t, ok := ctx.Value(terminationsKey{}).(*terminations); ok {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.to = c
	}
	return c
}
