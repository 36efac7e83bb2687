package coordinator

import (
	"context"
	"errors"
	"time"

	"github.com/mraws/mraws/internal/manifest"
)

// awaitEnd waits for the job to end here, or under another coordinator: one
// that was replaced may have finished it before it noticed, with workers that
// then left, and nobody would ever say so here. So while no worker is there
// the summary is looked for once in a lease; it is returned if it is found.
func (c *Coordinator) awaitEnd(ctx context.Context) (over *manifest.Success, err error) {
	tick := time.NewTicker(c.o.Lease)
	defer tick.Stop()
	mapped := c.loop.mapped
	for {
		select {
		case <-mapped:
			mapped = nil
			c.library.noteRanges(ctx)
			continue
		case <-c.loop.ended:
			return nil, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-tick.C:
		}
		alone := false
		c.call(ctx, func() { alone = c.loop.core.Stats().Workers == 0 })
		if !alone {
			continue
		}
		success, err := c.glance(ctx)
		var conflict *ConflictError
		if err == nil || errors.As(err, &conflict) {
			return success, err
		}
		// It is not there, or the store is in trouble: look again.
	}
}

// glance reads the summary, without the patience with the store that would
// keep an end here back.
func (c *Coordinator) glance(ctx context.Context) (*manifest.Success, error) {
	ctx, cancel := context.WithTimeout(ctx, max(c.o.Lease/2, time.Second))
	defer cancel()
	return c.bucket.readSuccess(ctx, c.loop.job.ID) // the job is fixed by now
}
