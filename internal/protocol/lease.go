package protocol

import (
	"fmt"
	"time"

	"github.com/mraws/mraws/internal/trace"
)

// leases is the announcement as a trace tells of it. The model of the commit
// protocol does without, since no commit depends on it; this is its relation.
//
// The lease has one holder. It is acquired when nobody has it, when its holder
// has released it, has not renewed it for as long as it lasts, or is gone, or
// by order; from the holder that is there. Its holder renews and releases it,
// and nobody else.
type leases struct {
	holder   string // "" for none
	heard    bool   // it has told of its lease itself
	released bool
	lasts    time.Duration // the holder's
	renewed  time.Time     // when the holder asked for the renewal that succeeded last
	ended    map[string]end
}

// end is when a holder was followed by another, and why.
type end struct {
	at      time.Time
	cause   string
	lasts   time.Duration
	renewed time.Time // as of the holder
}

// latest is the latest time at which the one that was followed may have asked
// for a renewal that succeeded: each changes the announcement, which has then to
// stay as it is for as long as it lasts.
func (e end) latest() time.Time {
	if e.cause != trace.Expired {
		return e.at
	}
	return e.at.Add(-e.lasts)
}

// checkLeases returns an error unless each event about the lease is one that
// may follow those before. The clocks of all coordinators have to agree.
func checkLeases(events []trace.Event) error {
	l := &leases{ended: map[string]end{}}
	for i, e := range events {
		if err := l.step(e); err != nil {
			return fmt.Errorf("event %d, %s of coordinator %s: %w", i+1, e.Kind, e.Coordinator, err)
		}
	}
	return nil
}

func (l *leases) step(e trace.Event) error {
	switch e.Kind {
	case trace.LeaseAcquired:
		return l.acquire(e)
	case trace.LeaseRenewed:
		was, over := l.ended[e.Coordinator]
		switch {
		case e.Coordinator == l.holder && !l.released:
			l.renewed = e.At
		case !over:
			return fmt.Errorf("it does not hold the lease")
		case e.At.After(was.latest()): // else the reply came late
			return fmt.Errorf("it was asked for at %v, and another has the lease since %v: %s", e.At, was.at, was.cause)
		}
	case trace.LeaseReleased:
		if e.Coordinator != l.holder {
			return fmt.Errorf("%q holds the lease", l.holder)
		}
		l.released = true
	case trace.LeaseTaken:
		_, over := l.ended[e.From]
		switch {
		case e.Coordinator != l.holder:
		case e.From == "" || over || e.From == l.holder:
			return fmt.Errorf("nobody else holds the lease")
		default: // that one is about to tell
			l.follow(e.From, end{at: e.At, cause: trace.Expired, lasts: l.lasts})
		}
	}
	return nil
}

// follow makes another coordinator the holder, of whose lease only others
// have told.
func (l *leases) follow(next string, was end) {
	if l.holder != "" {
		was.renewed = l.renewed
		l.ended[l.holder] = was
	}
	l.holder, l.heard, l.released, l.renewed = next, false, false, time.Time{}
}

func (l *leases) acquire(e trace.Event) error {
	_, late := l.ended[e.Coordinator]
	_, known := l.ended[e.From]
	switch {
	case late:
		return nil
	case e.Coordinator == l.holder && l.heard:
		return fmt.Errorf("it holds the lease")
	case e.Coordinator == l.holder: // its predecessor has told of it
		if was := l.ended[e.From]; e.Cause == trace.Expired && was.renewed.After(e.At.Add(-was.lasts)) {
			return fmt.Errorf("the lease of %v was renewed at %v, and taken at %v: %s", was.lasts, was.renewed, e.At, e.Cause)
		}
		l.heard, l.lasts, l.renewed = true, e.Lasts, e.At
		return nil
	case e.From != l.holder && (e.From == "" || known):
		return fmt.Errorf("it takes the lease of %q, and %q holds it", e.From, l.holder)
	case e.From != l.holder: // that one had the lease, and ended before it could tell
		l.follow(e.From, end{at: e.At})
	case e.Cause == trace.Free && l.holder != "":
		return fmt.Errorf("the lease is not free")
	case e.Cause == trace.Released && !l.released:
		return fmt.Errorf("the lease was not released")
	}
	was := end{at: e.At, cause: e.Cause, lasts: l.lasts}
	if l.holder != "" && l.renewed.After(was.latest()) {
		return fmt.Errorf("the lease of %v was renewed at %v, and taken at %v: %s", l.lasts, l.renewed, e.At, e.Cause)
	}
	l.follow(e.Coordinator, was)
	l.heard, l.lasts, l.renewed = true, e.Lasts, e.At
	return nil
}
