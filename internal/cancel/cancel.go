// Package cancel ends a job from outside: it marks the announcement of the
// coordinator, which sees that when it renews its lease.
//
// The mark is a part of the one object that the coordinator must read and replace to
// go on, and it is written on the condition that the announcement is the version that
// was read. So no request is needed to look for a mark, a coordinator cannot miss it,
// and one that has just taken over is not marked by mistake. Whoever may write the
// announcement may cancel the job, and could delete it as well.
package cancel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// Store is what a cancellation needs of the bucket. Errors wrap fs.ErrNotExist where
// that applies; any other error of a write leaves open whether it took place.
type Store interface {
	// Get returns a small object whole.
	Get(ctx context.Context, key string) ([]byte, object.Info, error)
	// Put writes an object atomically. With IfMatch it replaces that version only.
	Put(ctx context.Context, key string, data []byte, o object.PutOptions) (object.Info, error)
}

// Options say which job is cancelled, and by whom.
type Options struct {
	Store  Store
	Layout layout.Layout // of the job, with the place of its output
	Output Store         // of outputs and summary
	By     manifest.Cancel
	// Ended tells whether a process of this machine is known to be gone.
	Ended func(manifest.Process) bool
	// Waits is told of the coordinator that has to see the mark, once it is written.
	Waits func(*manifest.Coordinator)
}

// Outcome says what came of it.
type Outcome string

// The outcomes.
const (
	Ended     Outcome = "ended"     // the coordinator has seen the mark and has ended
	Marked    Outcome = "marked"    // no coordinator runs the job; it is marked as cancelled
	Before    Outcome = "before"    // it was cancelled before
	Done      Outcome = "done"      // the job is done
	Failed    Outcome = "failed"    // the job had failed
	Never     Outcome = "never"     // no coordinator has announced itself
	TakenOver Outcome = "takenover" // another coordinator was started after the mark was written
	Ignored   Outcome = "ignored"   // the coordinator goes on and removes the mark: another version, or a store without conditional writes
)

// Over says that no coordinator runs the job.
func (o Outcome) Over() bool { return o != TakenOver && o != Ignored }

// mostMarks is how often a mark is written again that was removed.
const mostMarks = 3

// Run cancels a job and waits until its coordinator has ended, or is known to be gone.
// It returns an error of the store, or the cause of ctx: the mark may be written by
// then, and the next call goes on.
func Run(ctx context.Context, o Options) (Outcome, error) {
	c := &cancellation{Options: o}
	for {
		outcome, err := c.step(ctx)
		switch {
		case err != nil:
			return "", err
		case outcome != "":
			return c.ended(ctx, outcome)
		}
		select {
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case <-time.After(c.pause):
		}
	}
}

// cancellation is the state of one Run.
type cancellation struct {
	Options
	epoch string // of the coordinator that was marked; "" for none yet
	marks int    // how often it was
	pause time.Duration
}

// step looks at the announcement, and writes the mark where it is missing. It returns
// "" while a coordinator has to see it.
func (c *cancellation) step(ctx context.Context) (Outcome, error) {
	a, info, err := jobstate.ReadAnnouncement(ctx, c.Store, c.Layout)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Never, nil
	case err != nil:
		return "", err
	}
	c.pause = min(max(time.Duration(a.LeaseMS)*time.Millisecond/20, 20*time.Millisecond), 500*time.Millisecond)
	gone := a.Released || jobstate.Silent(a, info, 1) || c.Options.Ended(a.Process)
	switch {
	case c.epoch != "" && a.Epoch != c.epoch:
		return TakenOver, nil
	case a.Released && a.Failure != "":
		return Failed, nil
	case a.Released && a.Cancelled != nil && c.epoch == "":
		return Before, nil
	case a.Released && a.Cancelled != nil:
		return Ended, nil
	case a.Cancelled != nil && !gone:
		c.epoch = a.Epoch // somebody else has marked it, or a reply was lost
		return "", nil
	case c.marks > mostMarks && !gone:
		return Ignored, nil
	}
	if a.Cancelled == nil {
		by := c.By
		a.Cancelled = &by
	}
	epoch := a.Epoch
	if gone {
		a.Released, a.Token = true, ""
	}
	done, err := c.write(ctx, a, info)
	if err != nil || !done {
		return "", err
	}
	if gone {
		return Marked, nil
	}
	if c.marks++; c.marks == 1 && c.Waits != nil {
		c.Waits(a)
	}
	c.epoch = epoch
	return "", nil
}

// write replaces the announcement; done is false if that was another version by then.
func (c *cancellation) write(ctx context.Context, a *manifest.Coordinator, was object.Info) (done bool, err error) {
	data, err := manifest.Encode(a)
	if err != nil {
		return false, fmt.Errorf("encode the announcement: %w", err)
	}
	_, err = c.Store.Put(ctx, c.Layout.Coordinator(), data, object.PutOptions{IfMatch: was.ETag, ContentType: "application/json"})
	if object.ConditionFailed(err) || errors.Is(err, fs.ErrNotExist) {
		return false, nil // renewed meanwhile, or written and the reply was lost: look again
	}
	return err == nil, err
}

// ended looks whether the job is done after all: the coordinator may have written the
// summary before it saw the mark.
func (c *cancellation) ended(ctx context.Context, outcome Outcome) (Outcome, error) {
	_, _, err := jobstate.ReadSuccess(ctx, c.Output, c.Layout, "")
	switch {
	case err == nil:
		return Done, nil
	case errors.Is(err, fs.ErrNotExist), jobstate.Invalid(err):
		return outcome, nil
	}
	return "", err
}
