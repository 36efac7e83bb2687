package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"google.golang.org/grpc"

	"github.com/mraws/mraws/internal/wire"
)

// link is the connection to whichever coordinator there is now. It finds it,
// registers, and does so again when the coordinator is gone or no longer
// knows the worker.
type link struct {
	o        Options
	inFlight func() ([]*wire.Attempt, string, *wire.Drain)
	finished func(context.Context) bool // does the bucket say that the job is done?

	*terms
	finder *finder
	notice waitNotice
	ledger *ledger

	mu      sync.Mutex // held while connecting, so that one caller does it
	session *session
	failed  error     // of the last try to connect
	tried   time.Time // when that was
	latest  *session  // that was made; nil for none
}

// session is one registration.
type session struct {
	conn   *grpc.ClientConn
	client wire.CoordinatorClient
	where  string
	epoch  string // of the coordinator
}

// errUnknown is a coordinator's word that it does not know the worker.
var errUnknown = errors.New("the coordinator does not know this worker")

// callError is what came of a call to an address. It keeps gRPC's status for
// those who ask, and shows people what lies beneath.
type callError struct {
	address string
	err     error
}

func (e *callError) Error() string { return "at " + e.address + ": " + wire.Plain(e.err).Error() }
func (e *callError) Unwrap() error { return e.err }

func newLink(o Options, inFlight func() ([]*wire.Attempt, string, *wire.Drain), finished func(context.Context) bool) *link {
	t := &terms{lay: o.Layout, leaseIs: 10 * time.Second, least: o.CoordTimeout}
	l := &link{o: o, inFlight: inFlight, finished: finished, terms: t, finder: &finder{o: o, terms: t}, ledger: &ledger{}}
	l.notice = waitNotice{log: o.Log, where: l.where, upTo: t.patience}
	return l
}

// call makes one idempotent call, connecting first where needed, and repeats
// it while the coordinator is away: for its patience from the first failure,
// with full jitter, and without end while a coordinator says that it cannot
// answer yet. It returns errDone, or errMore, when the bucket says that the job is
// done, a *wire.Refusal, *UnreachableError, or the cause of ctx.
func (l *link) call(ctx context.Context, f func(context.Context, wire.CoordinatorClient) error) error {
	// The first pauses are short: a coordinator that starts together with its
	// workers is there some milliseconds after them.
	pause := &backoff.ExponentialBackOff{InitialInterval: 5 * time.Millisecond, RandomizationFactor: 0.9, Multiplier: 1.7, MaxInterval: time.Second / 2}
	var since time.Time
	for {
		s, err := l.connected(ctx)
		if err == nil {
			if err = f(ctx, s.client); err == nil {
				return nil
			}
			err = &callError{s.where, err}
			if !wire.IsLater(err) && ctx.Err() == nil { // nothing is wrong with it if ctx ended the call
				l.drop(s)
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if r, ok := wire.AsRefusal(err); ok {
			return r
		}
		patience := l.patience()
		waited := !since.IsZero() && time.Since(since) >= patience
		switch {
		case wire.IsLater(err):
			since, waited = time.Time{}, false // it is there
		case errors.Is(err, errOver):
			return errDone
		case !transient(err):
			return err
		case l.jobIsDone(ctx, err, since, waited):
			l.o.Log.Info().Str("job", "s3://"+l.o.Bucket+"/"+l.layout().Prefix()).Msg("the coordinator is gone and the job is done")
			if l.mayGoOn() {
				return errMore
			}
			return errDone
		case since.IsZero():
			since = time.Now()
			l.o.Log.Debug().Err(err).Msg("coordinator does not answer")
		}
		if waited {
			return &UnreachableError{Where: l.where(), For: patience, Cause: err}
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause.NextBackOff()):
		}
	}
}

// jobIsDone says whether the bucket shows that the job is done, as seen by a
// worker whose call fails with err since that time. A worker that has never
// joined looks only after a while. It may be early for a job whose prefix it
// does not know yet: a summary that may be of another job counts for it only
// when it has waited for all of its patience.
func (l *link) jobIsDone(ctx context.Context, err error, since time.Time, waited bool) bool {
	looks := waited || l.hasJoined() || !since.IsZero() && time.Since(since) > early
	return looks && l.finished(ctx) && (waited || l.finder.ours(ctx, err))
}

// early is for how long a worker that has not joined yet looks for its
// coordinator before it looks whether the job is done: most start together.
const early = 200 * time.Millisecond

// transient says whether finding the coordinator anew may help. A denial is:
// the token in the bucket may be newer than the one that was sent.
func transient(err error) bool {
	var absent *absentError
	return errors.As(err, &absent) || errors.Is(err, errUnknown) || wire.IsUnreachable(err) || wire.IsDenied(err)
}

// where names the place at which a coordinator was looked for.
func (l *link) where() string {
	if len(l.o.Addresses) > 0 {
		return strings.Join(l.o.Addresses, ", ")
	}
	return fmt.Sprintf("s3://%s/%s", l.o.Bucket, l.layout().Coordinator())
}

// spacing is the least time between the tries to connect of all callers.
const spacing = 100 * time.Millisecond

// connected returns the session, making one where there is none.
func (l *link) connected(ctx context.Context) (*session, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session != nil {
		return l.session, nil
	}
	if l.failed != nil && time.Since(l.tried) < spacing {
		return nil, l.failed // another slot has just tried
	}
	l.notice.begin()
	s, err := l.connect(ctx)
	l.session, l.failed, l.tried = s, err, time.Now()
	l.notice.note(err)
	if ctx.Err() != nil {
		l.failed = nil // that was the caller's end, and nobody else's
	}
	return s, err
}

func (l *link) connect(ctx context.Context) (*session, error) {
	found, err := l.finder.find(ctx)
	if err != nil {
		return nil, err
	}
	r, moved, err := l.finder.reach(ctx, found)
	if moved {
		return l.connect(ctx)
	}
	if err != nil {
		return nil, err
	}
	s, err := l.register(ctx, r.conn, r.address)
	if err != nil {
		return nil, &callError{r.address, err}
	}
	return s, nil
}

// registerTimeout bounds a registration with a coordinator that has answered
// a moment before.
const registerTimeout = 3 * time.Second

// register joins. It owns conn.
func (l *link) register(outer context.Context, conn *grpc.ClientConn, address string) (*session, error) {
	client := wire.NewCoordinatorClient(conn)
	attempts, job, drain := l.inFlight()
	var app *wire.App
	if l.o.App != nil {
		app = wire.DescribeApp(*l.o.App, l.o.Params)
	}
	ctx, cancel := context.WithTimeout(outer, registerTimeout)
	defer cancel()
	reply, err := client.Register(ctx, &wire.RegisterRequest{
		Protocol: wire.Protocol, Version: l.o.Version, Worker: l.o.Name, Host: l.o.Host,
		Slots: int32(l.o.Slots), App: app, Running: attempts, Job: job, Drain: drain, Told: l.ledger.handedOn(),
	})
	if err == nil && reply.Bucket != l.o.Bucket {
		err = otherBucket(address, reply.Bucket, l.o.Bucket)
	}
	if err == nil {
		_, err = l.o.resolve(reply.App.Spec(reply.App.Params))
	}
	if err != nil {
		if reply != nil || outer.Err() != nil { // the worker ends, and may have joined all the same
			l.tellEnd(client, account{})
		}
		return nil, errors.Join(err, conn.Close())
	}
	l.join(reply)
	l.o.Log.Info().Str("coordinator", address).Str("app", reply.App.GetName()).Int32("nreduce", reply.Nreduce).Msg("joined")
	l.latest = &session{conn: conn, client: client, where: address, epoch: reply.Epoch}
	return l.latest, nil
}

// drop ends a session that did not work, unless another caller has replaced
// it.
func (l *link) drop(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session == s {
		l.session = nil
		_ = s.conn.Close() // nothing of ours is buffered in it
	}
}

// follow ends the session if another coordinator is announced by now. Trouble
// to find out changes nothing.
func (l *link) follow(ctx context.Context) {
	l.mu.Lock()
	s := l.session
	l.mu.Unlock()
	if s == nil {
		return
	}
	if a, err := l.finder.read(ctx, l.layout()); err == nil && !a.Released && a.Epoch != s.epoch {
		l.o.Log.Info().Str("coordinator", s.where).Msg("another coordinator has taken over")
		l.drop(s)
	}
}

// leave says that the worker ends if there is somebody to say it to.
func (l *link) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session == nil {
		return
	}
	l.tellEnd(l.session.client, l.ledger.now())
}

// tellEnd tells a coordinator that the worker ends: nobody waits for it then.
func (l *link) tellEnd(client wire.CoordinatorClient, a account) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := client.Leave(ctx, &wire.LeaveRequest{Worker: l.o.Name, S3Requests: a.requests, Spent: a.spent}); err != nil {
		l.o.Log.Debug().Err(err).Msg("the coordinator was not told that the worker ends")
	}
}

func (l *link) close() {
	l.notice.note(nil)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session != nil {
		_ = l.session.conn.Close()
		l.session = nil
	}
}
