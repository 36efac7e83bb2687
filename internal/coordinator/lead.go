package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mraws/mraws/internal/manifest"
)

// claim is a coordinator on its way to lead the job. Of several that want to,
// the one whose conditional write replaces the announcement that they all saw
// leads; the others stand by until the new one is released or has lapsed.
// Nothing that is committed depends on it (docs/protocol.md): where one takes
// over that should not have, some work is done twice.
type claim struct {
	*Coordinator
	says  *announcement // what this coordinator will have announced
	open  func()
	ahead func(*manifest.Job) // begins to read ahead
	watch watch
	over  *manifest.Success // how the job ended under another

	begun  bool   // the first look was answered
	first  string // the epoch that it found
	stands bool   // it has met another coordinator and waits
	behind string // the epoch that it last told of
	failed int    // requests, since there was last a step without
}

// errStandby is the answer of a standby to all but Discover: the worker that
// gets it goes on to the next address.
var errStandby = status.Error(codes.Unavailable, "this coordinator is a standby")

// ready is nil once this coordinator leads.
func (c *Coordinator) ready() error {
	if c.leading.Load() {
		return nil
	}
	return errStandby
}

// lead returns once this coordinator is the announced one. If the job ends
// under another meanwhile, it returns that one's summary or a *JobError. What
// is wrong from the beginning is an error; trouble with the store that comes
// once it stands by is waited out. Once it is known which, open is called to
// answer the workers.
func (c *Coordinator) lead(ctx context.Context, open func()) (over *manifest.Success, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var reading sync.WaitGroup
	defer func() { cancel(); reading.Wait() }()
	ahead := func(job *manifest.Job) { reading.Go(func() { c.readAhead(ctx, job) }) }
	l := &claim{Coordinator: c, open: open, ahead: ahead, says: c.newAnnouncement(), watch: watch{lease: c.o.Lease}}
	for {
		before := l.failed
		decided, err := l.step(ctx)
		if l.failed == before {
			l.failed = 0
		}
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case decided || err != nil:
			return l.over, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(l.watch.pause(time.Now())):
		}
	}
}

// step takes one look at the announcement, and takes its place if it may. It
// says whether the claim is decided.
func (l *claim) step(ctx context.Context) (decided bool, err error) {
	asked := time.Now()
	short, cancel := l.bound(ctx)
	defer cancel()
	v, err := l.announced(short)
	if err != nil {
		l.watch.missed()
		return false, l.wrong(fmt.Errorf("look for another coordinator: %w", err))
	}
	l.watch.saw(v.etag, l.leaseOf(v), asked, time.Now())
	if !l.begun {
		l.begun, l.first = true, v.Epoch
	}
	switch {
	case v.Epoch == l.epoch: // a write of ours came to be after all
		l.become(ctx, v)
		return true, nil
	case !l.free(v):
		return false, l.standBy(ctx, v)
	case l.stands:
		if decided, err := l.ended(ctx, v); decided || err != nil {
			return decided, err
		}
	}
	return l.take(ctx, v)
}

// bound keeps a request of a standby from waiting for an answer that may
// never come, instead of asking again.
func (l *claim) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if !l.stands {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, max(l.watch.lease/2, 2*time.Second))
}

// wrong is what becomes of an error: the end of a coordinator that has just
// started, a warning of one that stands by.
func (l *claim) wrong(err error) error {
	if err == nil || !l.stands {
		return err
	}
	if l.failed == 0 {
		l.o.Log.Warn().Err(err).Msg("standby cannot reach the store")
	}
	l.failed++
	return nil
}

// leaseOf is how long v must stay unchanged to have lapsed. Where v does not
// say, it is the own lease.
func (l *claim) leaseOf(v version) time.Duration {
	if v.LeaseMS <= 0 || v.LeaseMS > (1<<62)/int64(time.Millisecond) {
		return l.o.Lease
	}
	return time.Duration(v.LeaseMS) * time.Millisecond
}

// free says whether the place of v may be taken.
func (l *claim) free(v version) bool {
	switch {
	case l.watch.lapsed(), v.Released:
		return true
	case v.etag == "": // who stands by waits: a live coordinator says it again
		return !l.stands
	case v.Epoch != l.first:
		return false
	}
	return l.o.TakeOver || !l.stands && hasEnded(v.Process, l.process)
}

// take replaces v.
func (l *claim) take(ctx context.Context, v version) (decided bool, err error) {
	short, cancel := l.bound(ctx)
	defer cancel()
	l.says.etag = v.etag
	if err := l.write(short, l.says); err != nil {
		now, rerr := l.announced(short)
		switch {
		case rerr == nil && now.Epoch == l.epoch:
			l.says.etag = now.etag // written, and the reply was lost
		case raced(err):
			return false, nil // somebody was quicker, or v was renewed: look again
		default:
			return false, l.wrong(fmt.Errorf("announce the coordinator: %w", err))
		}
	}
	if v.etag != "" {
		l.o.Log.Info().Str("from", v.who()).Bool("released", v.Released).Str("unchanged", l.watch.unchanged.Round(time.Millisecond).String()).Msg("took over the job")
	}
	v.etag = l.says.etag
	l.become(ctx, v)
	return true, nil
}

// become ends the claim: this coordinator is announced in v.etag, in the
// place of the rest of v.
func (l *claim) become(ctx context.Context, v version) {
	l.says.etag = v.etag
	l.own, l.led, l.before = l.says, time.Now(), v.Workers
	l.after = v.Epoch != "" && v.Epoch != l.epoch || v.unreadable != nil
	l.leading.Store(true)
	l.open()
	if info, err := l.o.Store.Stat(ctx, l.o.Layout.Coordinator()); err == nil {
		l.came = info.Modified
	}
}

// standBy waits behind the coordinator of v. A standby whose line does not
// fit the job would be of no use, so it is refused at once.
func (l *claim) standBy(ctx context.Context, v version) error {
	if l.compared == "" {
		_, err := l.compare(ctx)
		var conflict *ConflictError
		if errors.As(err, &conflict) {
			return err
		}
		if err := l.wrong(err); err != nil {
			return err
		}
	}
	if !l.stands || v.Epoch != l.behind {
		l.o.Log.Info().Str("active", v.who()).Str("lease", l.watch.lease.String()).Msg("standing by")
	}
	l.stands, l.behind = true, v.Epoch
	l.open()
	return nil
}

// ended says whether the job is over, rather than its coordinator gone.
func (l *claim) ended(ctx context.Context, v version) (over bool, err error) {
	if v.Released && v.Failure != "" {
		return true, &JobError{Cause: v.Failure}
	}
	var job *manifest.Job
	_, err = l.o.Store.Stat(ctx, l.o.Layout.Success())
	if err == nil {
		job, err = l.compare(ctx)
	}
	if err == nil && job != nil {
		l.over, err = l.readSuccess(ctx, job.ID)
	}
	var conflict *ConflictError
	switch {
	case errors.As(err, &conflict):
		return true, err
	case err == nil || errors.Is(err, fs.ErrNotExist):
		return l.over != nil, nil
	}
	return false, l.wrong(err)
}

// compare is examine of a standby, which reads ahead then.
func (l *claim) compare(ctx context.Context) (*manifest.Job, error) {
	before := l.compared
	stored, err := l.examine(ctx)
	if err == nil && l.compared != before {
		l.ahead(stored)
	}
	return stored, err
}

// examine reads the job's spec, nil if there is none yet, and refuses one
// that this coordinator would refuse to go on with.
func (c *Coordinator) examine(ctx context.Context) (*manifest.Job, error) {
	stored, err := c.readJob(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil || stored.ID == c.compared {
		return stored, err
	}
	objects, err := c.inputs(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.conflict(stored, c.outline(c.expected(stored.App), objects)); err != nil {
		return nil, err
	}
	c.compared = stored.ID
	return stored, nil
}
