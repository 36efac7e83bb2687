package worker

import (
	"context"
	"errors"

	"github.com/mraws/mraws/internal/wire"
)

// maxUnheard is how many attempts of a slot may have ended without the
// coordinator's knowing how, before the slot waits for it.
const maxUnheard = 8

// report tells how an attempt ended. A coordinator believes the bucket only,
// so one that cannot look into it answers that it cannot tell. The slot then
// goes on with other work, and the report is repeated beside it. Heartbeats go
// on to list the attempt meanwhile, so that its lease does not end.
func (w *worker) report(ctx, run context.Context, r *running, q *wire.ReportRequest) error {
	later := false
	err := w.say(ctx, q, func(err error) bool {
		later = wire.IsLater(err) && w.unheard.TryAcquire(1)
		return later
	})
	if !later {
		w.end(r)
		return err
	}
	w.busy.Add(1)
	w.group.Go(func() error {
		defer w.busy.Done()
		defer w.unheard.Release(1)
		defer w.end(r)
		err := w.say(run, q, func(error) bool { return false })
		if errors.Is(context.Cause(run), errRevoked) && ctx.Err() == nil {
			return nil // it is over for the coordinator too
		}
		return err
	})
	return nil
}

// say makes the call until it is answered, or enough accepts its error.
func (w *worker) say(ctx context.Context, q *wire.ReportRequest, enough func(error) bool) error {
	return w.link.call(ctx, func(ctx context.Context, c wire.CoordinatorClient) error {
		account := w.ledger.now()
		q.S3Requests, q.Spent = account.requests, account.spent
		reply, err := c.Report(ctx, q)
		switch {
		case err == nil && reply.Unknown:
			return errUnknown
		case err == nil:
			w.ledger.answered(account)
		case enough(err):
			return nil
		}
		return err
	})
}
