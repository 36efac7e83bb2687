package worker

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/mr"
)

var (
	map0    = &wire.Attempt{Id: "e.m0.1"}
	map1    = &wire.Attempt{Task: 1, Id: "e.m1.1"}
	reduce0 = &wire.Attempt{Phase: wire.Phase_PHASE_REDUCE, Id: "e.r0.1"}
)

// plain is how the coordinators of most tests serve.
var plain = wire.ServerOptions{Insecure: true}

func TestWorkerRunsAJob(t *testing.T) {
	s, b := newUnderTest(t), newFakeCoordinator(t).serve(plain)
	b.announce(s.Store, nil)
	s.o.Traffic = func() object.Traffic {
		return object.Traffic{Requests: map[string]int64{"GetObject": 5}, Received: 9}
	}
	s.start()
	q := await(t, b.joined, "the registration")
	if q.Worker != "w" || q.Slots != 2 || q.App.Name != "wc" || q.Protocol != wire.Protocol {
		t.Errorf("registered with %v", q)
	}
	b.grants <- map0
	b.grants <- map1
	for range 2 {
		if r := await(t, b.reports, "a report"); r.Outcome != wire.Outcome_OUTCOME_COMMITTED {
			t.Errorf("reported %v", r)
		}
	}
	b.grants <- reduce0
	await(t, b.reports, "the reduce's report")
	b.end("")
	if err := s.ends(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if l := await(t, b.left, "the call of Leave"); l.S3Requests["GetObject"] != 5 || l.Spent.GetReceived() != 9 {
		t.Errorf("left with %v", l)
	}
	if out := s.Outputs(t); out[0] != "x 1\ny 2\n" {
		t.Errorf("output %q", out)
	}
	s.Check(t)
}

func TestWorkerHearsOfFailure(t *testing.T) {
	s, b := newUnderTest(t), newFakeCoordinator(t).serve(plain)
	b.announce(s.Store, nil)
	s.start()
	await(t, b.joined, "the registration")
	b.end("map task 3: boom")
	var failed *JobFailedError
	if err := s.ends(); !errors.As(err, &failed) || failed.Cause != "map task 3: boom" {
		t.Errorf("Run: %v", err)
	}
}

// TestCoordinatorGoesAway in the middle of the job: the worker's own job
// must be done, no other will do.
func TestCoordinatorGoesAway(t *testing.T) {
	t.Parallel()
	for job, done := range map[string]bool{"job-1": true, "job-2": false, "": false} {
		t.Run(job, func(t *testing.T) {
			t.Parallel()
			s, b := newUnderTest(t), newFakeCoordinator(t).serve(plain)
			b.announce(s.Store, nil)
			s.start()
			b.grants <- map0
			await(t, b.reports, "the report")
			if job != "" {
				s.Store.PutJSON(t, layout.Layout{}.Success(), summary(layout.Layout{}, job, "wc"))
			}
			b.die()
			var gone *UnreachableError
			if err := s.ends(); done != (err == nil) || !done && !errors.As(err, &gone) {
				t.Errorf("Run: %v", err)
			}
		})
	}
}

// stalled makes the worker's maps wait until it is closed, or the attempt's
// end.
func (s *underTest) stalled() (release chan struct{}, began chan string) {
	release, began = make(chan struct{}), make(chan string, 10)
	inner := s.o.App.NewMapper
	s.o.App.NewMapper = func(t *mr.Task) (mr.Mapper, error) {
		began <- t.Attempt
		select {
		case <-release:
		case <-t.Context.Done():
		}
		return inner(t)
	}
	return release, began
}

// TestCoordinatorRestarts with another address, certificate and token: the
// worker finds it, tells what it runs, goes on with that and reports there.
func TestCoordinatorRestarts(t *testing.T) {
	s := newUnderTest(t)
	s.o.Insecure, s.o.CoordTimeout = false, patience
	release, began := s.stalled()
	var coordinators []*fakeCoordinator
	for range 2 {
		id, err := wire.NewIdentity()
		if err != nil {
			t.Fatal(err)
		}
		b := newFakeCoordinator(t).serve(wire.ServerOptions{Identity: id, Token: id.Token})
		b.announce(s.Store, id)
		coordinators = append(coordinators, b)
		if len(coordinators) == 1 {
			s.start()
			await(t, b.joined, "the registration")
			b.grants <- map0
			await(t, began, "the attempt")
			b.die()
		}
	}
	b := coordinators[1]
	q := await(t, b.joined, "the second registration")
	if q.Job != "job-1" || len(q.Running) != 1 || q.Running[0].Id != map0.Id {
		t.Errorf("registered again with %v", q)
	}
	close(release)
	if r := await(t, b.reports, "the report"); r.Attempt.Id != map0.Id || r.Outcome != wire.Outcome_OUTCOME_COMMITTED {
		t.Errorf("reported %v", r)
	}
	b.end("")
	if err := s.ends(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// TestReportAgain: a coordinator that cannot tell yet, or that no longer
// knows the worker, gets the report again, however long it takes.
func TestReportAgain(t *testing.T) {
	s, b := newUnderTest(t), newFakeCoordinator(t)
	var tries atomic.Int32
	var began time.Time
	b.onReport = func(*wire.ReportRequest) (*wire.ReportReply, error) {
		switch n := tries.Add(1); {
		case n == 1:
			began = time.Now()
			return &wire.ReportReply{Unknown: true}, nil
		case time.Since(began) < 2*s.o.CoordTimeout:
			return nil, wire.Later("preparing")
		}
		return nil, nil
	}
	b.serve(plain).announce(s.Store, nil)
	s.start()
	b.grants <- map0
	await(t, b.reports, "the report")
	b.end("")
	if err := s.ends(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if n := len(b.joined); n != 2 {
		t.Errorf("registered %d times, want 2: once more for the word that it is unknown", n)
	}
}

// TestHostileErrorText: what the application says need not be UTF-8 nor
// short, and reaches the coordinator all the same.
func TestHostileErrorText(t *testing.T) {
	for _, text := range []string{"bad \xff\x00\x1b[2J line", strings.Repeat("é", 5<<20), "x" + strings.Repeat("é", 5<<20)} {
		s, b := newUnderTest(t), newFakeCoordinator(t).serve(plain)
		b.announce(s.Store, nil)
		s.o.App.NewMapper = func(*mr.Task) (mr.Mapper, error) { return nil, errors.New(text) }
		s.start()
		b.grants <- map0
		r := await(t, b.reports, "the report")
		if r.Outcome != wire.Outcome_OUTCOME_FAILED || !utf8.ValidString(r.Error) || len(r.Error) > 2*maxText || strings.ContainsAny(r.Error, "\x00\x1b") {
			t.Errorf("reported %v with %d bytes", r.Outcome, len(r.Error))
		}
		b.end("")
		if err := s.ends(); err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

// TestRevoked: an attempt that the coordinator revokes stops without a
// report, and the slot goes on.
func TestRevoked(t *testing.T) {
	s, b := newUnderTest(t), newFakeCoordinator(t)
	s.o.Slots = 1
	_, began := s.stalled()
	b.onHeartbeat = func(_ context.Context, q *wire.HeartbeatRequest) (*wire.HeartbeatReply, error) {
		r := &wire.HeartbeatReply{}
		for _, p := range q.Running {
			r.Revoked = append(r.Revoked, p.Attempt.Id)
		}
		return r, nil
	}
	b.serve(plain).announce(s.Store, nil)
	s.start()
	b.grants <- map0
	b.grants <- map1
	for _, want := range []string{map0.Id, map1.Id} {
		if got := await(t, began, "an attempt"); got != want {
			t.Errorf("attempt %s, want %s", got, want)
		}
	}
	b.end("")
	if err := s.ends(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if len(b.reports) > 0 {
		t.Errorf("reported %v", <-b.reports)
	}
}

// TestEndsWhileItJoins: a worker that ends before the answer to its
// registration has come says so, since it may have joined.
func TestEndsWhileItJoins(t *testing.T) {
	s, b := newUnderTest(t), newFakeCoordinator(t)
	held := make(chan struct{})
	b.onRegister = func(*wire.RegisterRequest) (*wire.RegisterReply, error) { <-held; return nil, nil }
	b.serve(plain)
	t.Cleanup(func() { close(held) })
	b.announce(s.Store, nil)
	s.start()
	await(t, b.joined, "the registration")
	signal := errors.New("SIGTERM")
	s.cancel(signal)
	if err := s.ends(); !errors.Is(err, signal) {
		t.Errorf("Run: %v", err)
	}
	if l := await(t, b.left, "the word that it ends"); l.Worker != s.o.Name {
		t.Errorf("worker %q left", l.Worker)
	}
}

// TestSignal releases what runs, and says why it ended.
func TestSignal(t *testing.T) {
	s, b := newUnderTest(t), newFakeCoordinator(t).serve(plain)
	b.announce(s.Store, nil)
	_, began := s.stalled()
	s.start()
	b.grants <- map0
	await(t, began, "the attempt")
	signal := errors.New("SIGTERM")
	s.cancel(signal)
	if err := s.ends(); !errors.Is(err, signal) {
		t.Errorf("Run: %v", err)
	}
	await(t, b.left, "the call of Leave")
	if len(b.reports) > 0 {
		t.Errorf("reported %v", <-b.reports)
	}
	s.Check(t)
}

// TestHalfOpenConnection: a heartbeat without an answer is given up in time
// to try another connection within the lease.
func TestHalfOpenConnection(t *testing.T) {
	s, b := newUnderTest(t), newFakeCoordinator(t)
	s.o.CoordTimeout = patience
	b.lease = 3 * time.Second
	var first atomic.Bool
	hung := make(chan time.Duration, 1)
	b.onHeartbeat = func(ctx context.Context, _ *wire.HeartbeatRequest) (*wire.HeartbeatReply, error) {
		if first.CompareAndSwap(false, true) {
			until, _ := ctx.Deadline()
			hung <- time.Until(until)
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return nil, nil
	}
	b.serve(plain).announce(s.Store, nil)
	s.start()
	await(t, b.joined, "the registration")
	if left := await(t, hung, "the heartbeat that hangs"); left > b.lease/2 {
		t.Errorf("it is given up after %v of the lease of %v", left, b.lease)
	}
	await(t, b.joined, "another registration")
	b.end("")
	if err := s.ends(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// TestSessionDroppedByAnother: one slot finds the connection broken and
// closes it while another is about to use it.
func TestSessionDroppedByAnother(t *testing.T) {
	s, b := newUnderTest(t), newFakeCoordinator(t).serve(plain)
	b.announce(s.Store, nil)
	l := newLink(s.o, func() ([]*wire.Attempt, string, *wire.Drain) { return nil, "", nil }, func(context.Context) bool { return false })
	defer l.close()
	tries := 0
	err := l.call(t.Context(), func(ctx context.Context, c wire.CoordinatorClient) error {
		if tries++; tries == 1 {
			l.drop(l.session)
		}
		_, err := c.Heartbeat(ctx, &wire.HeartbeatRequest{Worker: "w"})
		return err
	})
	if err != nil || tries != 2 {
		t.Errorf("%d tries: %v", tries, err)
	}
}

// TestLoadSurvivesAnothersEnd: of two slots that need the job spec, one is
// stopped while it reads it.
func TestLoadSurvivesAnothersEnd(t *testing.T) {
	s := newUnderTest(t)
	w := newWorker(s.o)
	reading, release := make(chan struct{}, 100), make(chan struct{})
	s.Store.Hook = func(string, string) { reading <- struct{}{}; <-release }
	ctx, cancel := context.WithCancel(t.Context())
	const others = 50
	stopped, other := make(chan error, 1), make(chan error, others)
	go func() { _, err := w.load(ctx, "job-1", ""); stopped <- err }()
	await(t, reading, "the read")
	for range others {
		go func() { _, err := w.load(t.Context(), "job-1", ""); other <- err }()
	}
	for range 1000 {
		runtime.Gosched() // so that most of them wait for the first
	}
	cancel()
	close(release)
	if err := await(t, stopped, "the stopped slot"); !errors.Is(err, context.Canceled) {
		t.Errorf("the stopped slot: %v", err)
	}
	for range others {
		if err := await(t, other, "another slot"); err != nil {
			t.Errorf("another slot: %v", err)
		}
	}
}
