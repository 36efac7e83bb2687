package worker

import (
	"context"
	"time"

	"github.com/mraws/mraws/internal/wire"
)

// heartbeats keeps the leases of the running attempts, and hears of the end
// and of revoked attempts. That the worker drains, which is the end of
// leasing, is told at once.
func (w *worker) heartbeats(ctx, leasing context.Context) error {
	drains := leasing.Done()
	overdue := false
	for {
		pause := w.link.lease() / 3
		if overdue {
			w.link.follow(ctx)
			pause = min(pause, time.Second)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-drains:
			drains = nil
		case <-time.After(pause):
		}
		account := w.ledger.now()
		q := w.heartbeat(account)
		var reply *wire.HeartbeatReply
		err := w.link.call(ctx, func(ctx context.Context, c wire.CoordinatorClient) (err error) {
			// Behind a half-open connection there must be time for another
			// within the lease.
			ctx, cancel := context.WithTimeout(ctx, max(w.link.lease()/3, time.Second))
			defer cancel()
			reply, err = c.Heartbeat(ctx, q)
			switch {
			case err == nil && reply.Unknown:
				return errUnknown
			case err == nil:
				w.ledger.answered(account)
			}
			return err
		})
		if err != nil {
			return err
		}
		if reply.Done != nil {
			return ending(reply.Done)
		}
		overdue = reply.Overdue
		w.mu.Lock()
		for _, id := range reply.Revoked {
			if r := w.running[id]; r != nil {
				r.cancel(errRevoked)
			}
		}
		w.mu.Unlock()
	}
}

// heartbeat is what the next heartbeat says.
func (w *worker) heartbeat(a account) *wire.HeartbeatRequest {
	q := &wire.HeartbeatRequest{Worker: w.o.Name, S3Requests: a.requests, Spent: a.spent}
	if w.o.Sample != nil {
		q.Sample = wire.NewSample(w.o.Sample())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	q.Drain = w.order.word()
	most := w.probes.Stalled()
	if !w.cut.IsZero() {
		most = max(most, time.Since(w.cut))
	}
	for _, r := range w.running {
		stalled := r.pulse.Stalled()
		if r.waits = (time.Time{}); stalled > 0 {
			r.waits = time.Now().Add(-stalled)
		}
		most = max(most, stalled)
		q.Running = append(q.Running, &wire.Progress{
			Attempt: r.attempt, Records: r.progress.Records.Load(), Bytes: r.progress.Weight.Load(),
			StalledMs: stalled.Milliseconds(),
		})
	}
	q.StalledMs = most.Milliseconds()
	return q
}
