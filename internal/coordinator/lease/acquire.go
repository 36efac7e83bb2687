package lease

import (
	"context"
	"fmt"
	"time"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/trace"
)

// Standby is what a coordinator does while another one holds the lease. An
// error that is not final is taken for trouble with the store, which a standby
// waits out.
type Standby interface {
	// Wait is called after each look that finds the lease held.
	Wait(ctx context.Context) error
	// Over says whether the job has ended under the coordinator that held the
	// lease, which has released it, as end says, or let it expire.
	Over(ctx context.Context, end Ending) (bool, error)
	// Final says whether an error ends the wait.
	Final(err error) bool
}

// Ending is what the announcement of a coordinator says of the end of its job.
type Ending struct {
	Failure string // why the job failed; "" if that is not known
	// Cancelled says that the job was cancelled while this standby waited; nil if not.
	Cancelled *manifest.Cancel
}

// Acquire returns once the lease is held, or nil once the job is over under
// another coordinator. It returns final errors of the standby, any error of
// the store before it stands by, and the cause of ctx.
func (l *Lease) Acquire(ctx context.Context, s Standby) (*Term, error) {
	a := &acquisition{Lease: l, standby: s, watch: watch{lease: l.lasts}}
	for {
		failed := a.failed
		decided, err := a.step(ctx)
		if a.failed == failed {
			a.failed = 0
		}
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case decided || err != nil:
			return a.term, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(a.watch.pause(time.Now())):
		}
	}
}

// acquisition is the state of one Acquire.
type acquisition struct {
	*Lease
	standby Standby
	watch   watch
	term    *Term

	begun   bool      // the first look was answered
	first   string    // the epoch that it found
	marked  string    // the epoch that was cancelled by then; "" for none
	waiting bool      // behind another coordinator
	behind  string    // the epoch of the one that was logged last
	from    string    // the epoch of the one whose lease it tried last to take
	why     string    // it might
	asked   time.Time // when it tried
	failed  int       // requests since there was last a step without a failure
}

// step takes one look at the announcement, and takes the lease if it may. It
// says whether Acquire is over.
func (a *acquisition) step(ctx context.Context) (decided bool, err error) {
	asked := time.Now()
	short, cancel := a.bound(ctx)
	defer cancel()
	h, err := a.read(short)
	if err != nil {
		a.watch.missed()
		return false, a.tolerate(fmt.Errorf("look for another coordinator: %w", err))
	}
	a.watch.saw(h.etag, a.leaseOf(h), asked, time.Now())
	if !a.begun {
		a.begun, a.first = true, h.Epoch
		if h.Cancelled != nil {
			a.marked = h.Epoch // who begins after that resumes the job
		}
	}
	switch {
	case h.Epoch == a.o.Announce.Epoch: // a write of ours took place after all
		a.etag = h.etag
		a.adopt(h)
		a.begin(ctx, h)
		return true, nil
	case a.free(h) == "":
		return false, a.wait(ctx, h)
	case a.waiting:
		over, err := a.standby.Over(ctx, a.ending(h))
		if err = a.tolerate(err); over || err != nil {
			return over, err
		}
	}
	return a.take(ctx, h)
}

// ending is what h says of the end of the job.
func (a *acquisition) ending(h holder) Ending {
	end := Ending{}
	if h.Released {
		end.Failure = h.Failure
	}
	if h.Epoch != a.marked {
		end.Cancelled = h.Cancelled
	}
	return end
}

// bound ends a request of a standby that gets no answer, so that it asks again.
func (a *acquisition) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if !a.waiting {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, max(a.watch.lease/2, 2*time.Second))
}

// tolerate returns an error that ends Acquire: any error at the start, a final
// one while it stands by. Of the others it logs the first.
func (a *acquisition) tolerate(err error) error {
	if err == nil || !a.waiting || a.standby.Final(err) {
		return err
	}
	if a.failed == 0 {
		a.o.Log.Warn().Err(err).Msg("standby cannot reach the store")
	}
	a.failed++
	return nil
}

// leaseOf is for how long h has to stay unchanged until its lease has expired.
// Where h does not say, that is the own lease.
func (a *acquisition) leaseOf(h holder) time.Duration {
	if h.LeaseMS <= 0 || h.LeaseMS > (1<<62)/int64(time.Millisecond) {
		return a.lasts
	}
	return time.Duration(h.LeaseMS) * time.Millisecond
}

// free says why the lease of h may be taken; "" is that it may not.
func (a *acquisition) free(h holder) (why string) {
	switch {
	case h.Released:
		return trace.Released
	case a.watch.expired():
		return trace.Expired
	case h.etag == "" && !a.waiting:
		return trace.Free
	case h.etag == "", h.Epoch != a.first: // a standby waits: a live coordinator announces itself again
		return ""
	case a.o.TakeOver:
		return trace.Ordered
	case !a.waiting && hasEnded(h.Process, a.o.Announce.Process):
		return trace.Dead
	}
	return ""
}

// take replaces h.
func (a *acquisition) take(ctx context.Context, h holder) (decided bool, err error) {
	short, cancel := a.bound(ctx)
	defer cancel()
	a.says.S3, a.says.Receipt = h.S3, h.Receipt // whatever becomes of this coordinator
	a.etag, a.from, a.why, a.asked = h.etag, h.Epoch, a.free(h), time.Now()
	if err := a.write(short); err != nil {
		now, rerr := a.read(short)
		switch {
		case rerr == nil && now.Epoch == a.o.Announce.Epoch:
			a.etag = now.etag // written, and the reply was lost
			a.adopt(now)
		case object.ConditionFailed(err):
			return false, nil // another was quicker, or h was renewed: look again
		default:
			return false, a.tolerate(fmt.Errorf("announce the coordinator: %w", err))
		}
	}
	if h.etag != "" {
		a.o.Log.Info().Stringer("from", h).Bool("released", h.Released).Str("unchanged", a.watch.unchanged.Round(time.Millisecond).String()).Msg("took over the job")
	}
	a.begin(ctx, h)
	return true, nil
}

// begin begins the term behind h.
func (a *acquisition) begin(ctx context.Context, h holder) {
	now := time.Now()
	a.renewed.Store(&now)
	a.term = &Term{
		Since: now, Workers: h.Workers, S3: h.S3,
		After: h.Epoch != "" && h.Epoch != a.o.Announce.Epoch || h.unreadable != nil,
	}
	if info, err := a.o.Store.Stat(ctx, a.key()); err == nil {
		a.term.Stored = info.Modified
	}
	a.tell(trace.Event{Kind: trace.LeaseAcquired, At: a.asked, From: a.from, Cause: a.why, Lasts: a.lasts})
}

// wait stands by behind h.
func (a *acquisition) wait(ctx context.Context, h holder) error {
	if err := a.tolerate(a.standby.Wait(ctx)); err != nil {
		return err
	}
	if !a.waiting || h.Epoch != a.behind {
		a.o.Log.Info().Stringer("active", h).Str("lease", a.watch.lease.String()).Msg("standing by")
	}
	a.waiting, a.behind = true, h.Epoch
	return nil
}
