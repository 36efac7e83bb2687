package coordinator

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/mr"
)

// expire lets leases end. An attempt whose lease is about to end may have
// committed and died before it could report, so the bucket is asked first,
// beside the loop: its task is not run again then. Other leases may run out
// meanwhile, so that goes on until all that a Tick would end is in looked.
func (c *Coordinator) expire(ctx context.Context, lookups *sync.WaitGroup, looked map[sched.AttemptID]bool) {
	now := c.now()
	var due []sched.Running
	for _, r := range c.loop.core.Expiring(now, nil) {
		if !looked[r.Attempt] {
			due = append(due, r)
			looked[r.Attempt] = true
		}
	}
	if len(due) == 0 {
		c.loop.step(now, sched.Tick{})
		return
	}
	c.loop.looking = true
	lookups.Go(func() {
		c.lookFor(ctx, due)
		c.call(ctx, func() {
			c.loop.looking = false
			c.expire(ctx, lookups, looked)
		})
	})
}

// lookFor looks for the commits of attempts that are about to be given up.
// While it does, no lease ends, so a store that does not answer gets some time
// and no more: a task whose commit was not seen by then is run again, and that
// attempt finds it. It is less than half a lease, from which on the scheduler
// thinks that the coordinator has slept.
func (c *Coordinator) lookFor(ctx context.Context, attempts []sched.Running) {
	ctx, cancel := context.WithTimeout(ctx, max(c.o.Lease/3, time.Second))
	defer cancel()
	var g errgroup.Group
	g.SetLimit(readers)
	for _, r := range attempts {
		g.Go(func() error {
			err := c.look(ctx, ctx, r.Task, string(r.Attempt))
			var conflict *ConflictError
			switch {
			case err == nil, errors.Is(err, fs.ErrNotExist), errors.Is(ctx.Err(), context.Canceled):
			case errors.As(err, &conflict):
				c.call(context.WithoutCancel(ctx), func() { c.loop.finishWith(conflict) })
			default:
				c.o.Log.Warn().Err(err).Str("attempt", string(r.Attempt)).Msg("commit not looked for")
			}
			return nil
		})
	}
	_ = g.Wait() // each has told
}

// look reads from the bucket the commit of a task that attempt was to
// commit, while reading lasts, and tells the loop of what it has found even
// if ctx has ended by then.
func (c *Coordinator) look(ctx, reading context.Context, task sched.TaskID, attempt string) (err error) {
	defer func() { c.tapLookup(ctx, task, attempt, err) }()
	job := c.loop.job // fixed before anything is granted
	if task.Phase == mr.ReducePhase {
		rec, err := c.bucket.readReduce(reading, job, task.Index)
		if err != nil {
			return err
		}
		rerun := c.rerun(ctx, c.o.Layout.Output(task.Index), rec.Attempt, attempt)
		c.call(context.WithoutCancel(ctx), func() {
			c.loop.committedReduce(c.now(), task.Index, rec)
			c.loop.tapRerun(rerun, task, attempt)
		})
		return nil
	}
	rec, err := c.bucket.readMap(reading, job, task.Index)
	if err != nil {
		return err
	}
	rerun := c.rerun(ctx, c.o.Layout.MapCommit(task.Index), rec.Attempt, attempt)
	c.call(context.WithoutCancel(ctx), func() {
		c.loop.committedMap(c.now(), task.Index, rec)
		c.loop.tapRerun(rerun, task, attempt)
	})
	if err := c.bucket.promote(ctx, rec.Map); err != nil && !errors.Is(ctx.Err(), context.Canceled) {
		// It is committed all the same; finish tries again.
		c.o.Log.Warn().Err(err).Int("task", task.Index).Msg("partitions not copied")
	}
	return nil
}

// rerun says whether attempt should never have been granted: this coordinator
// granted it, and the commit that is there was made for another one before
// this one announced itself, so that its list of commits missed it. Both
// times are the store's, so no clocks are compared. It costs a request only
// where an attempt met the commit of another coordinator's.
func (c *Coordinator) rerun(ctx context.Context, key, committed, attempt string) bool {
	ours := func(id string) bool { return strings.HasPrefix(id, c.epoch+".") }
	if !ours(attempt) || ours(committed) {
		return false
	}
	info, err := c.o.Store.Stat(ctx, key)
	return err == nil && info.Modified.Before(c.term.Load().Stored)
}
