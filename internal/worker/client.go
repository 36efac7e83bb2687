package worker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"google.golang.org/grpc"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/wire"
)

// link is the connection to whichever coordinator there is now. It finds it,
// registers, and does so again when the coordinator is gone or no longer
// knows the worker.
type link struct {
	o        Options
	inFlight func() ([]*wire.Attempt, string, *wire.Drain)
	finished func(context.Context) bool // does the bucket say that the job is done?

	mu      sync.Mutex // held while connecting, so that one caller does it
	session *session
	failed  error     // of the last try to connect
	tried   time.Time // when that was

	infoMu    sync.Mutex
	lay       layout.Layout
	leaseIs   time.Duration
	announced time.Duration   // the lease of the last announcement that was read; 0 for none
	joined    bool            // once, at least
	idle      time.Duration   // the job's task time-out
	waiting   *time.Timer     // tells that the worker waits for a coordinator; nil while it has one
	lack      error           // why it waits, as known last
	passed    map[string]bool // prefixes whose announcements the search has passed over
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
	return &link{o: o, inFlight: inFlight, finished: finished, lay: o.Layout, leaseIs: 10 * time.Second}
}

// layout is that of the job, once a coordinator has told.
func (l *link) layout() layout.Layout {
	l.infoMu.Lock()
	defer l.infoMu.Unlock()
	return l.lay
}

func (l *link) hasJoined() bool {
	l.infoMu.Lock()
	defer l.infoMu.Unlock()
	return l.joined
}

func (l *link) lease() time.Duration {
	l.infoMu.Lock()
	defer l.infoMu.Unlock()
	return l.leaseIs
}

func (l *link) taskTimeout() time.Duration {
	l.infoMu.Lock()
	defer l.infoMu.Unlock()
	return l.idle
}

func (l *link) noteLease(d time.Duration) {
	l.infoMu.Lock()
	defer l.infoMu.Unlock()
	l.announced = d
}

// patience is how long an absent coordinator is waited for. Where one is
// announced another may stand by, and takes over when the lease has ended.
func (l *link) patience() time.Duration {
	l.infoMu.Lock()
	defer l.infoMu.Unlock()
	return l.o.CoordTimeout + l.announced
}

// tellAfter is how long a worker waits for a coordinator before it says so, and
// tellAgain how often it says so again.
const (
	tellAfter = time.Second
	tellAgain = time.Minute
)

// noteWait has it told soon that the worker waits for a coordinator.
func (l *link) noteWait() {
	l.infoMu.Lock()
	defer l.infoMu.Unlock()
	if l.waiting == nil {
		l.waiting = time.AfterFunc(tellAfter, l.tellWait)
	}
}

func (l *link) tellWait() {
	where, upTo := l.where(), l.patience()
	l.infoMu.Lock()
	defer l.infoMu.Unlock()
	if l.waiting == nil {
		return // it is there by now
	}
	limit, who := upTo.String(), "a coordinator"
	if wire.IsLater(l.lack) {
		limit, who = "no limit", "the coordinator"
	}
	l.o.Log.Warn().AnErr("cause", l.lack).Str("at", where).Str("up_to", limit).Msg("waiting for " + who)
	l.waiting.Reset(tellAgain)
}

// noteLack notes why there is no coordinator; nil is that there is one, or that
// it is waited for no longer.
func (l *link) noteLack(err error) {
	l.infoMu.Lock()
	defer l.infoMu.Unlock()
	if l.lack = err; err == nil && l.waiting != nil {
		l.waiting.Stop()
		l.waiting = nil
	}
}

// call makes one idempotent call, connecting first where needed, and repeats
// it while the coordinator is away: for its patience from the first failure,
// with full jitter, and without end while a coordinator says that it cannot
// answer yet. It returns errDone when the bucket says that the job is
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
		case !transient(err):
			return err
		// Who never joined may be early for a job whose prefix it does not
		// know yet: a summary that may be of another job counts for it only
		// when nobody has come.
		case (waited || l.hasJoined() || !since.IsZero() && time.Since(since) > early) && l.finished(ctx) && (waited || l.ours(ctx, err)):
			l.o.Log.Info().Str("job", "s3://"+l.o.Bucket+"/"+l.layout().Prefix()).Msg("the coordinator is gone and the job is done")
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

// early is for how long a worker that has not joined yet looks for its
// coordinator before it looks whether the job is done: most start together.
const early = 200 * time.Millisecond

// ours says whether the job that the worker is to join is the one below its
// layout for certain; err is why there is no coordinator.
func (l *link) ours(ctx context.Context, err error) bool {
	var absent *absentError
	switch {
	case l.hasJoined(), l.o.Layout.Prefix() != "", errors.As(err, &absent) && absent.ended:
		return true
	case len(l.o.Addresses) == 0:
		return false
	}
	// An address names the job by its coordinator only.
	a, rerr := l.read(ctx, l.layout())
	return rerr == nil && a.Released && slices.ContainsFunc(l.o.Addresses, func(s string) bool { return among(s, a.Addresses) })
}

// among says whether an address is one of those that were announced. A
// coordinator on this machine may be meant by another name.
func among(address string, announced []string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	own := host == "localhost" || net.ParseIP(host).IsLoopback()
	return slices.ContainsFunc(announced, func(s string) bool {
		_, p, err := net.SplitHostPort(s)
		return s == address || err == nil && own && p == port
	})
}

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
	l.noteWait()
	s, err := l.connect(ctx)
	l.session, l.failed, l.tried = s, err, time.Now()
	l.noteLack(err)
	if ctx.Err() != nil {
		l.failed = nil // that was the caller's end, and nobody else's
	}
	return s, err
}

func (l *link) connect(ctx context.Context) (*session, error) {
	found, err := l.find(ctx)
	if err != nil {
		return nil, err
	}
	r, moved, err := l.reach(ctx, found)
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
		Slots: int32(l.o.Slots), App: app, Running: attempts, Job: job, Drain: drain,
	})
	if err == nil && reply.Bucket != l.o.Bucket {
		err = otherBucket(address, reply.Bucket, l.o.Bucket)
	}
	if err == nil {
		_, err = l.o.resolve(reply.App.Spec(reply.App.Params))
	}
	if err != nil {
		if reply != nil || outer.Err() != nil { // the worker ends, and may have joined all the same
			l.tellEnd(client, nil)
		}
		return nil, errors.Join(err, conn.Close())
	}
	l.infoMu.Lock()
	l.lay, l.joined = layout.New(reply.Prefix), true
	l.leaseIs = max(time.Duration(reply.LeaseMs)*time.Millisecond, 10*time.Millisecond)
	l.idle = max(time.Duration(reply.TaskTimeoutMs)*time.Millisecond, 0)
	l.infoMu.Unlock()
	l.o.Log.Info().Str("coordinator", address).Str("app", reply.App.GetName()).Int32("nreduce", reply.Nreduce).Msg("joined")
	return &session{conn: conn, client: client, where: address, epoch: reply.Epoch}, nil
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
	if a, err := l.read(ctx, l.layout()); err == nil && !a.Released && a.Epoch != s.epoch {
		l.o.Log.Info().Str("coordinator", s.where).Msg("another coordinator has taken over")
		l.drop(s)
	}
}

// leave says that the worker ends if there is somebody to say it to.
func (l *link) leave(requests map[string]int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session == nil {
		return
	}
	l.tellEnd(l.session.client, requests)
}

// tellEnd tells a coordinator that the worker ends: nobody waits for it then.
func (l *link) tellEnd(client wire.CoordinatorClient, requests map[string]int64) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := client.Leave(ctx, &wire.LeaveRequest{Worker: l.o.Name, S3Requests: requests}); err != nil {
		l.o.Log.Debug().Err(err).Msg("the coordinator was not told that the worker ends")
	}
}

func (l *link) close() {
	l.noteLack(nil)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session != nil {
		_ = l.session.conn.Close()
		l.session = nil
	}
}
