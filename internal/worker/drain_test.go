package worker

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/mraws/mraws/internal/wire"
)

var errTerm = errors.New("SIGTERM")

// directClient is a coordinator that is called without a network, so that the clock of a
// test can be the test's own.
type directClient struct {
	wire.CoordinatorClient
	coordinator *fakeCoordinator
	beats       chan *wire.HeartbeatRequest
	onPoll      func(context.Context) *wire.Attempt // nil leaves it to the coordinator
	gone        chan struct{}                       // closed: no call gets through
}

func (n *directClient) away(ctx context.Context) error {
	select {
	case <-n.gone:
		return status.Error(codes.Unavailable, "gone")
	default:
		return ctx.Err()
	}
}

func (n *directClient) Poll(ctx context.Context, q *wire.PollRequest, _ ...grpc.CallOption) (*wire.PollReply, error) {
	if n.onPoll != nil {
		if a := n.onPoll(ctx); a != nil {
			return &wire.PollReply{Job: "job-1", Answer: &wire.PollReply_Grant{Grant: a}}, nil
		}
	}
	r, err := n.coordinator.Poll(ctx, q)
	return r, errors.Join(err, n.away(ctx))
}

func (n *directClient) Heartbeat(ctx context.Context, q *wire.HeartbeatRequest, _ ...grpc.CallOption) (*wire.HeartbeatReply, error) {
	if err := n.away(ctx); err != nil {
		return nil, err
	}
	n.beats <- q
	return n.coordinator.Heartbeat(ctx, q)
}

func (n *directClient) Report(ctx context.Context, q *wire.ReportRequest, _ ...grpc.CallOption) (*wire.ReportReply, error) {
	if err := n.away(ctx); err != nil {
		return nil, err
	}
	return n.coordinator.Report(ctx, q)
}

func (n *directClient) Leave(ctx context.Context, q *wire.LeaveRequest, _ ...grpc.CallOption) (*wire.LeaveReply, error) {
	if err := n.away(ctx); err != nil {
		return nil, err
	}
	return n.coordinator.Leave(ctx, q)
}

// timedWorker is a worker of two slots that runs map 0, in a bubble of time.
type timedWorker struct {
	*underTest
	*fakeCoordinator
	near    *directClient
	orders  chan Order
	release chan struct{}
	began   chan string
	start   time.Time
}

func newTimedWorker(t *testing.T) *timedWorker {
	s, b := newUnderTest(t), newFakeCoordinator(t)
	b.lease = 10 * time.Second
	n := &directClient{coordinator: b, beats: make(chan *wire.HeartbeatRequest, 1000), gone: make(chan struct{})}
	u := &timedWorker{underTest: s, fakeCoordinator: b, near: n, orders: make(chan Order), start: time.Now()}
	u.release, u.began = s.stalled()
	s.o.Drain, s.o.CoordTimeout = u.orders, 10*time.Second
	return u
}

// run starts the worker as one that has joined.
func (u *timedWorker) run() {
	conn, err := grpc.NewClient("passthrough:///nowhere", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		u.underTest.t.Fatal(err)
	}
	w := newWorker(u.o)
	w.link.session, w.link.leaseIs = &session{conn: conn, client: u.near, where: "near"}, u.lease
	w.link.joined = true
	ctx, cancel := context.WithCancelCause(u.underTest.t.Context())
	u.cancel = cancel
	go func() { u.done <- w.run(ctx) }()
}

// runs starts the worker and waits until it runs map 0.
func (u *timedWorker) runs() {
	u.underTest.t.Helper()
	u.run()
	u.grants <- map0
	await(u.underTest.t, u.began, "the attempt")
}

// beat waits for the next heartbeat that tells of draining.
func (u *timedWorker) beat() *wire.HeartbeatRequest {
	u.underTest.t.Helper()
	for {
		if q := await(u.underTest.t, u.near.beats, "a heartbeat"); q.Drain != nil {
			return q
		}
	}
}

// ended wants Run to return want after took, and to have called Leave.
func (u *timedWorker) ended(want error, took time.Duration) {
	u.underTest.t.Helper()
	err := <-u.done
	if err != want { //nolint:errorlint // the very one
		u.underTest.t.Errorf("Run: %v, want %v", err, want)
	}
	if since := time.Since(u.start); since != took {
		u.underTest.t.Errorf("it took %v, want %v", since, took)
	}
	u.Check(u.underTest.t)
}

func order(d time.Duration) Order { return Order{Cause: errTerm, Until: time.Now().Add(d)} }

func TestDrain(t *testing.T) {
	tests := map[string]func(t *testing.T, u *timedWorker){
		"finishes in time": func(t *testing.T, u *timedWorker) {
			u.runs()
			u.orders <- order(25 * time.Second)
			q := u.beat() // at once
			if q.Drain.LeftMs != 25_000 || len(q.Running) != 1 || q.Running[0].Attempt.Id != map0.Id || time.Since(u.start) != 0 {
				t.Errorf("told %v after %v", q, time.Since(u.start))
			}
			synctest.Wait()
			u.grants <- map1 // nobody asks for it
			time.Sleep(11 * time.Second)
			close(u.release)
			if r := await(t, u.reports, "the report"); r.Outcome != wire.Outcome_OUTCOME_COMMITTED {
				t.Errorf("reported %v", r)
			}
			u.ended(errTerm, 11*time.Second)
			await(t, u.left, "the call of Leave")
			if len(u.grants) != 1 {
				t.Error("took a new attempt")
			}
			if n := len(u.near.beats); n != 3 {
				t.Errorf("%d heartbeats in 11s after the first, want 3", n)
			}
		},
		"releases at the end": func(t *testing.T, u *timedWorker) {
			u.runs()
			u.orders <- order(25 * time.Second)
			u.ended(errTerm, 25*time.Second)
			await(t, u.left, "the call of Leave")
			if len(u.reports) > 0 {
				t.Errorf("reported %v", <-u.reports)
			}
		},
		"no time at all": func(t *testing.T, u *timedWorker) {
			u.runs()
			u.orders <- order(-time.Minute)
			u.ended(errTerm, 0)
			await(t, u.left, "the call of Leave")
		},
		"second signal": func(t *testing.T, u *timedWorker) {
			u.runs()
			u.orders <- order(25 * time.Second)
			time.Sleep(5 * time.Second)
			again := errors.New("SIGINT")
			u.cancel(again)
			u.ended(again, 5*time.Second)
			await(t, u.left, "the call of Leave")
		},
		"the earliest order counts": func(t *testing.T, u *timedWorker) {
			u.runs()
			u.orders <- order(25 * time.Second)
			u.orders <- Order{Cause: errors.New("spot"), Until: u.start.Add(8 * time.Second)}
			u.orders <- order(time.Hour)
			u.ended(errTerm, 8*time.Second)
		},
		"coordinator gone meanwhile": func(t *testing.T, u *timedWorker) {
			u.runs()
			u.orders <- order(time.Hour)
			u.beat()
			synctest.Wait() // until that call is answered
			close(u.near.gone)
			err := <-u.done
			if err != errTerm { //nolint:errorlint // the very one
				t.Errorf("Run: %v", err)
			}
			// The next heartbeat finds out.
			if took := time.Since(u.start); took < 10*time.Second || took > 20*time.Second {
				t.Errorf("it took %v", took)
			}
		},
		"lease ends meanwhile": func(t *testing.T, u *timedWorker) {
			u.onHeartbeat = func(context.Context, *wire.HeartbeatRequest) (*wire.HeartbeatReply, error) {
				if time.Since(u.start) < 5*time.Second {
					return nil, nil
				}
				return &wire.HeartbeatReply{Revoked: []string{map0.Id}}, nil
			}
			u.runs()
			u.orders <- order(25 * time.Second)
			u.ended(errTerm, 2*(u.lease/3))
			await(t, u.left, "the call of Leave")
			if len(u.reports) > 0 {
				t.Errorf("reported %v", <-u.reports)
			}
		},
		"job done meanwhile": func(t *testing.T, u *timedWorker) {
			u.runs()
			u.orders <- order(25 * time.Second)
			u.beat()
			synctest.Wait() // until that call is answered
			u.end("")
			u.ended(nil, u.lease/3)
		},
		"idle": func(t *testing.T, u *timedWorker) {
			u.run()
			synctest.Wait()
			u.orders <- order(25 * time.Second)
			u.ended(errTerm, 0)
			await(t, u.left, "the call of Leave")
		},
		"a grant comes too late": func(t *testing.T, u *timedWorker) {
			u.near.onPoll = func(ctx context.Context) *wire.Attempt {
				select {
				case a := <-u.grants:
					return a
				case <-ctx.Done():
					return map1
				}
			}
			u.runs()
			u.orders <- order(25 * time.Second)
			if q := u.beat(); len(q.Running) != 1 || q.Running[0].Attempt.Id != map0.Id {
				t.Errorf("told %v", q)
			}
			close(u.release)
			u.ended(errTerm, 0)
			if len(u.began) > 0 {
				t.Errorf("began %s", <-u.began)
			}
		},
	}
	for name, f := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newTimedWorker(t)
				f(t, u)
				u.cancel(errors.New("the test is over"))
			})
		})
	}
}

// TestDrainBeforeJoining: who waits for a coordinator has nothing to finish.
func TestDrainBeforeJoining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newTimedWorker(t)
		u.o.CoordTimeout = time.Hour
		go func() { u.done <- Run(t.Context(), u.o) }()
		time.Sleep(time.Minute)
		u.orders <- order(25 * time.Second)
		u.ended(errTerm, time.Minute)
	})
}

// TestDrainOverARestart: the next coordinator is told in the registration, so
// that it grants nothing, and gets the report.
func TestDrainOverARestart(t *testing.T) {
	s, b := newUnderTest(t), newFakeCoordinator(t).serve(plain)
	orders := make(chan Order)
	s.o.Drain, s.o.CoordTimeout = orders, patience
	release, began := s.stalled()
	b.announce(s.Store, nil)
	s.start()
	if q := await(t, b.joined, "the registration"); q.Drain != nil {
		t.Errorf("registered with %v", q)
	}
	b.grants <- map0
	await(t, began, "the attempt")
	orders <- order(patience)
	b.die()
	next := newFakeCoordinator(t).serve(plain)
	next.announce(s.Store, nil)
	q := await(t, next.joined, "the second registration")
	running := slices.Collect(func(yield func(string) bool) {
		for _, a := range q.Running {
			yield(a.Id)
		}
	})
	if q.Drain == nil || q.Drain.LeftMs <= 0 || !slices.Equal(running, []string{map0.Id}) {
		t.Errorf("registered again with %v", q)
	}
	close(release)
	if r := await(t, next.reports, "the report"); r.Outcome != wire.Outcome_OUTCOME_COMMITTED {
		t.Errorf("reported %v", r)
	}
	if err := s.ends(); !errors.Is(err, errTerm) {
		t.Errorf("Run: %v", err)
	}
	await(t, next.left, "the call of Leave")
}
