package worker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mraws/mraws/internal/task"
	"github.com/mraws/mraws/internal/wire"
)

// lists says whether a heartbeat lists an attempt.
func lists(q *wire.HeartbeatRequest, id string) bool {
	return slices.ContainsFunc(q.Running, func(p *wire.Progress) bool { return p.Attempt.Id == id })
}

// TestReportBesideWork: a coordinator that cannot look into the bucket yet
// does not keep the slot from other work. Until it can, the attempt is listed
// and the report is repeated.
func TestReportBesideWork(t *testing.T) {
	s, b := newUnderTest(t), newFakeCoordinator(t)
	s.o.Slots = 1
	var blind atomic.Bool
	blind.Store(true)
	listed, gone := make(chan struct{}, 1), make(chan struct{}, 1)
	b.onHeartbeat = func(_ context.Context, q *wire.HeartbeatRequest) (*wire.HeartbeatReply, error) {
		ch := gone
		if lists(q, map0.Id) {
			ch = listed
		}
		select {
		case ch <- struct{}{}:
		default:
		}
		return nil, nil
	}
	b.onReport = func(q *wire.ReportRequest) (*wire.ReportReply, error) {
		if q.Attempt.Id == map0.Id && blind.Load() {
			return nil, wire.Later("the bucket does not answer")
		}
		return nil, nil
	}
	b.serve(plain).announce(s.Store, nil)
	s.start()
	b.grants <- map0
	b.grants <- map1
	if r := await(t, b.reports, "the second report"); r.Attempt.Id != map1.Id {
		t.Errorf("reported %v", r)
	}
	await(t, listed, "a heartbeat with the first attempt")
	blind.Store(false)
	if r := await(t, b.reports, "the first report"); r.Attempt.Id != map0.Id || r.Outcome != wire.Outcome_OUTCOME_COMMITTED {
		t.Errorf("reported %v", r)
	}
	for len(gone) > 0 {
		<-gone
	}
	await(t, gone, "a heartbeat without the first attempt")
	b.end("")
	if err := s.ends(); err != nil {
		t.Errorf("Run: %v", err)
	}
	s.Check(t)
}

// TestUnheardIsRevoked: what the coordinator takes away meanwhile is reported
// no more; and a worker that is stopped does not wait for an answer.
func TestUnheardIsRevoked(t *testing.T) {
	s, b := newUnderTest(t), newFakeCoordinator(t)
	s.o.Slots = 1
	var said [2]atomic.Int32 // by task
	b.onReport = func(q *wire.ReportRequest) (*wire.ReportReply, error) {
		said[q.Attempt.Task].Add(1)
		return nil, wire.Later("the bucket does not answer")
	}
	b.onHeartbeat = func(_ context.Context, q *wire.HeartbeatRequest) (*wire.HeartbeatReply, error) {
		if lists(q, map0.Id) && said[0].Load() > 2 {
			return &wire.HeartbeatReply{Revoked: []string{map0.Id}}, nil
		}
		return nil, nil
	}
	b.serve(plain).announce(s.Store, nil)
	s.start()
	b.grants <- map0
	b.grants <- map1
	for deadline := time.Now().Add(patience); said[1].Load() < 10; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the reports were repeated %d and %d times", said[0].Load(), said[1].Load())
		}
	}
	if n, m := said[0].Load(), said[1].Load(); n >= m {
		t.Errorf("the revoked attempt was reported %d times, the other %d", n, m)
	}
	s.cancel(context.Canceled)
	if err := s.ends(); err == nil {
		t.Error("stopped without saying why")
	}
	s.Check(t)
}

// TestUnheardIsBounded: a slot does not begin more than it may have to say
// again.
func TestUnheardIsBounded(t *testing.T) {
	s, b := newUnderTest(t), newFakeCoordinator(t)
	s.o.Slots = 1
	var blind atomic.Bool
	blind.Store(true)
	beats := make(chan struct{})
	b.onHeartbeat = func(context.Context, *wire.HeartbeatRequest) (*wire.HeartbeatReply, error) {
		select {
		case beats <- struct{}{}:
		default:
		}
		return nil, nil
	}
	b.onReport = func(*wire.ReportRequest) (*wire.ReportReply, error) {
		if blind.Load() {
			return nil, wire.Later("the bucket does not answer")
		}
		return nil, nil
	}
	b.serve(plain).announce(s.Store, nil)
	s.start()
	const more = 3
	for i := range maxUnheard + 1 + more {
		b.grants <- &wire.Attempt{Id: "e.m0." + string(rune('a'+i))}
	}
	for deadline := time.Now().Add(patience); len(b.grants) > more; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d attempts were not begun", len(b.grants))
		}
	}
	for range 3 {
		await(t, beats, "a heartbeat")
	}
	if len(b.grants) != more {
		t.Errorf("%d attempts were not begun, want %d", len(b.grants), more)
	}
	blind.Store(false)
	for range maxUnheard + 1 + more {
		await(t, b.reports, "a report")
	}
	b.end("")
	if err := s.ends(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// TestClaim: what a report says of an attempt's error and of its object.
func TestClaim(t *testing.T) {
	err := errors.New("x")
	for name, tt := range map[string]struct {
		err             error
		fatal, conflict bool
		object          string
	}{
		"fatal":              {&task.FatalError{Err: err, Key: "input/b"}, true, false, "input/b"},
		"conflict":           {&task.ConflictError{Key: "output/mr-out-0", Job: "a"}, true, true, "output/mr-out-0"},
		"lost":               {&task.LostError{Key: "intermediate/_commit/map-0", Err: err}, false, false, "intermediate/_commit/map-0"},
		"of the app":         {&task.AppError{Object: "input/b", Err: err}, false, false, ""},
		"of the scratch dir": {&fs.PathError{Op: "open", Path: "scratch", Err: fs.ErrPermission}, false, false, ""},
	} {
		q := new(wire.ReportRequest)
		if claim(q, fmt.Errorf("run attempt: %w", tt.err)); q.Fatal != tt.fatal || q.Conflict != tt.conflict || q.Object != tt.object {
			t.Errorf("%s: reported as %v", name, q)
		}
	}
}
