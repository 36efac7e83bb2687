package cmd

import (
	"context"
	"sync"
	"time"

	"github.com/mraws/mraws/internal/spot"
	"github.com/mraws/mraws/internal/worker"
)

// runWorker is [worker.Run] of a worker that the first SIGTERM drains, and so does
// EC2's interruption notice.
func runWorker(ctx context.Context, s *session, o worker.Options) error {
	orders := make(chan worker.Order)
	o.Drain = orders
	watch, cancel := context.WithCancel(ctx)
	signals, notices := terminated(ctx), make(chan *spot.Notice, 1)
	var watching sync.WaitGroup
	watching.Go(func() { giveOrders(watch, s.conf.DrainTimeout, signals, notices, orders) })
	if s.conf.Spot == "auto" {
		watching.Go(func() {
			if n := spot.Watch(watch, s.log); n != nil {
				notices <- n
			}
		})
	}
	err := worker.Run(ctx, o)
	cancel()
	watching.Wait()
	return err
}

// giveOrders turns signals and notices into orders of the worker until ctx ends. A
// signal leaves it the time drain.
func giveOrders(ctx context.Context, drain time.Duration, signals <-chan Signal, notices <-chan *spot.Notice, orders chan<- worker.Order) {
	for {
		var o worker.Order
		select {
		case sig := <-signals:
			o = worker.Order{Cause: sig, Until: time.Now().Add(drain)}
		case n := <-notices:
			o = worker.Order{Cause: n, Until: n.Leave(time.Now())}
		case <-ctx.Done():
			return
		}
		select {
		case orders <- o:
		case <-ctx.Done():
			return
		}
	}
}
