package cmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/manifest"
)

// errOver stops workers that still run after the job.
var errOver = errors.New("the job is over")

// together is a coordinator and the workers that are started with it.
type together struct {
	workers int
	lead    func(context.Context) (*manifest.Success, error) // the coordinator
	// ended is closed when the result of the job is known. lead may then still
	// wait for workers that do not know it.
	ended <-chan struct{}
	// work runs one worker. It returns soon after the end of ctx.
	work func(ctx context.Context, ended <-chan struct{}, index int) error
	// grace is the time after the end of the job in which workers learn of it
	// from the coordinator. Workers of this process need none: one that has not
	// joined would search for a coordinator that is gone.
	grace time.Duration
}

// run runs them until the job is over. If all workers end before, the job ends with
// the first error of a worker.
func (t together) run(ctx context.Context) (*manifest.Success, error) {
	leading, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	working, dismiss := context.WithCancelCause(leading)
	defer dismiss(nil)
	var workers errgroup.Group
	for i := range t.workers {
		workers.Go(func() error { return t.work(working, t.ended, i) })
	}
	var rest errgroup.Group
	rest.Go(func() error {
		err := workers.Wait()
		select {
		case <-t.ended: // how the job ended is the coordinator's to say
		default:
			if err != nil { // nil: told that the job is done, a moment before the coordinator knows
				stop(fmt.Errorf("all workers ended: %w", err))
			}
		}
		return nil
	})
	rest.Go(func() error {
		select {
		case <-t.ended:
		case <-working.Done():
			return nil
		}
		select {
		case <-time.After(t.grace):
			dismiss(errOver)
		case <-working.Done():
		}
		return nil
	})
	success, err := t.lead(leading)
	if err != nil {
		stop(err)
	}
	_ = workers.Wait() // why they end matters only before the job has ended
	dismiss(nil)
	_ = rest.Wait()
	return success, err
}
