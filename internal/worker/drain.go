package worker

import (
	"context"
	"errors"
	"time"

	"github.com/mraws/mraws/internal/wire"
)

// Order asks a worker to end in its own time: it takes no new attempts,
// finishes what it runs, and releases what still runs at Until.
type Order struct {
	// Cause is what Run returns then; it is shown to people too.
	Cause error
	Until time.Time
}

// word tells the coordinator of an order; nil is none.
func (o *Order) word() *wire.Drain {
	if o == nil {
		return nil
	}
	return &wire.Drain{LeftMs: max(time.Until(o.Until).Milliseconds(), 0)}
}

// errNoMore ends what polls for new attempts.
var errNoMore = errors.New("the worker is draining")

// watchDrain takes orders until ctx ends. With the first noMore ends all polling for
// attempts, and at the time of the earliest cancel releases what runs. Once
// the first is taken no attempt begins, so a heartbeat or registration that
// tells of it lists all that will still be finished.
func (w *worker) watchDrain(ctx context.Context, noMore, cancel context.CancelCauseFunc) {
	var over <-chan time.Time
	for {
		select {
		case o := <-w.o.Drain:
			if left, earlier := w.noteOrder(o); earlier {
				over = time.After(left)
			}
			noMore(errNoMore)
		case <-over:
			order := w.draining()
			w.o.Log.Warn().AnErr("cause", order.Cause).Msg("drain timeout over: running attempts are released")
			cancel(order.Cause)
			return
		case <-ctx.Done():
			return
		}
	}
}
