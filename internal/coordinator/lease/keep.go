package lease

import (
	"context"
	"time"

	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/trace"
)

// Keep renews the lease until ctx ends, three times in its length, and soon
// after each value of changed; describe completes what is announced. It
// returns a *TakenError if another coordinator has the lease: that one has the
// workers then, and this one is of no more use. It logs any other trouble and
// tries again.
func (l *Lease) Keep(ctx context.Context, changed <-chan struct{}, describe func(*manifest.Coordinator)) error {
	every := max(l.lasts/3, 100*time.Millisecond)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-changed: // changes that come together are announced together
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(min(every, 100*time.Millisecond)):
			}
			tick.Reset(every)
		}
		describe(&l.says)
		if err := l.renew(ctx, max(every, time.Second)); err != nil {
			return err
		}
	}
}

// renew is one renewal. It is given up after a time: a request that the store
// has not answered by then may hang where a new one does not.
func (l *Lease) renew(ctx context.Context, within time.Duration) error {
	short, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	asked := time.Now()
	err := l.write(short)
	if object.ConditionFailed(err) {
		var h holder
		if h, err = l.read(short); err == nil {
			if l.others(h) {
				l.tell(trace.Event{Kind: trace.LeaseTaken, From: h.Epoch})
				return l.takenBy(h)
			}
			l.etag = h.etag // written, and the reply was lost; or removed, damaged or marked: write again
			l.adopt(h)
		}
	}
	switch {
	case err == nil:
		l.renewed.Store(&asked)
		l.tell(trace.Event{Kind: trace.LeaseRenewed, At: asked, Lasts: l.lasts})
	case ctx.Err() == nil:
		l.o.Log.Warn().Err(err).Str("key", l.key()).Msg("announcement not renewed")
		l.tell(trace.Event{Kind: trace.LeaseUnrenewed, Cause: err.Error()})
	}
	return nil
}

// others says whether an announcement is that of another coordinator.
func (l *Lease) others(h holder) bool {
	return h.Epoch != l.o.Announce.Epoch && h.etag != "" && !jobstate.Damaged(h.unreadable)
}

func (l *Lease) takenBy(h holder) *TakenError {
	return &TakenError{Own: l.o.Announce.Addresses, By: h.String()}
}

// Confirm returns a *TakenError if another coordinator has the lease, as one that
// stood still for longer than its lease may find only now. It asks the store once,
// for as long as a renewal may take, and returns the store's error otherwise. It
// may be called beside Keep.
func (l *Lease) Confirm(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, max(l.lasts/3, time.Second))
	defer cancel()
	h, err := l.read(ctx)
	if err == nil && l.others(h) {
		return l.takenBy(h)
	}
	return err
}

// Overdue says whether renewals have failed for so long that a standby may be
// about to take the lease, or has.
func (l *Lease) Overdue() bool {
	last := l.renewed.Load()
	return last != nil && time.Since(*last) > max(l.lasts*2/3, 200*time.Millisecond)
}

// tell tells the listener of this lease.
func (l *Lease) tell(e trace.Event) {
	e.Coordinator, e.Object = l.o.Announce.Epoch, l.key()
	l.o.Events.Tell(e)
}

// Describe completes what Release is going to announce, after Keep has returned.
func (l *Lease) Describe(describe func(*manifest.Coordinator)) { describe(&l.says) }

// releaseTime bounds Release.
const releaseTime = 2 * time.Second

// Release gives the lease back, with why the job failed if not "", so that
// nobody waits for it to expire. It tries for two seconds, also if ctx has ended.
func (l *Lease) Release(ctx context.Context, failure string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
	defer cancel()
	l.says.Released, l.says.Token, l.says.Failure = true, "", failure
	err := l.write(ctx)
	for object.ConditionFailed(err) {
		h, rerr := l.read(ctx)
		if rerr != nil || h.Epoch != l.o.Announce.Epoch || h.Released {
			return
		}
		l.etag = h.etag // the reply to the last renewal was lost, or it is marked
		l.adopt(h)
		err = l.write(ctx)
	}
	if err != nil {
		l.o.Log.Debug().Err(err).Msg("announcement not released")
		return
	}
	l.tell(trace.Event{Kind: trace.LeaseReleased, Cause: failure})
}
