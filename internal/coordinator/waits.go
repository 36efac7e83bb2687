package coordinator

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A coordinator may wait for workers, without end or for a lease. Whoever
// looks at its log is to know that it does, and for what.
const (
	waitLook  = 500 * time.Millisecond // between two looks whether it waits
	waitSay   = time.Second            // a wait that is shorter is not worth a line
	waitAgain = time.Minute            // between two lines of the same wait
)

// wait is what a coordinator waits for.
type wait struct {
	text string        // "" for nothing
	upTo time.Duration // 0 is without end
}

// waits says when a wait is to be told of.
type waits struct {
	now   wait
	since time.Time
	told  time.Time // zero if not yet
}

// due takes note of what is waited for at a time, and says whether that is to
// be told.
func (w *waits) due(at time.Time, now wait) bool {
	if now.text != w.now.text {
		*w = waits{now: now, since: at}
	}
	if now.text == "" || at.Sub(w.since) < waitSay || !w.told.IsZero() && at.Sub(w.told) < waitAgain {
		return false
	}
	w.told = at
	return true
}

// tellWaits logs what the coordinator waits for, until ctx ends.
func (c *Coordinator) tellWaits(ctx context.Context) {
	tick := time.NewTicker(waitLook)
	defer tick.Stop()
	var w waits
	for {
		select {
		case <-ctx.Done():
			return
		case at := <-tick.C:
			var now wait
			if c.leading() {
				c.call(ctx, func() { now = c.loop.wait() })
			}
			if !w.due(at, now) {
				continue
			}
			line, upTo := c.o.Log.Info().Strs("addresses", c.o.Addresses), "no limit"
			if now.upTo > 0 {
				upTo = now.upTo.String()
			}
			line.Str("up_to", upTo).Msg(now.text)
		}
	}
}

// wait says what the job waits for now.
func (l *loop) wait() wait {
	switch {
	case l.final != nil:
		return l.waitForTold()
	case l.failure != nil:
		return wait{}
	case l.app == nil:
		return wait{text: "waiting for a worker that names the app: the coordinator was started without one"}
	case l.core.Stats().Workers > 0:
		return wait{}
	case l.job == nil:
		return wait{} // it plans
	case l.job != nil && l.done():
		return wait{} // it finishes
	}
	return wait{text: "waiting for workers: none has joined"}
}

// done says whether every task is committed.
func (l *loop) done() bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

// waitForTold names the workers that have not heard of the end.
func (l *loop) waitForTold() wait {
	var names []string
	for m := range l.core.Members() {
		if !l.told[m.Worker] {
			names = append(names, string(m.Worker))
		}
	}
	if len(names) == 0 {
		return wait{}
	}
	slices.Sort(names)
	n := len(names)
	if n > 3 {
		names = append(names[:3], fmt.Sprintf("and %d more", n-3))
	}
	return wait{text: "the job has ended; waiting for workers to learn it: " + strings.Join(names, ", "), upTo: l.o.Lease}
}
