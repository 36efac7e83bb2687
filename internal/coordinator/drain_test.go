package coordinator

import (
	"math"
	"testing"
	"time"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/wire"
)

// drains sends a heartbeat that says that the worker drains.
func (h *fakeWorker) drains(leftMs int64, running ...*wire.Attempt) {
	h.t.Helper()
	q := &wire.HeartbeatRequest{Worker: h.name, Drain: &wire.Drain{LeftMs: leftMs}}
	for _, a := range running {
		q.Running = append(q.Running, &wire.Progress{Attempt: a})
	}
	if _, err := h.conn.Heartbeat(h.t.Context(), q); err != nil {
		h.t.Fatal(err)
	}
}

// TestDrain: a worker that drains gets nothing more, not even what it was
// granted and does not know of, keeps what it runs, and leaves without a loss.
func TestDrain(t *testing.T) {
	b := newFixture(t, 3)
	s := b.start(nil)
	w, other := s.join("w", 3), s.join("other", 1)
	mine := w.granted()
	lost := w.poll(&wire.PollRequest{Worker: "w", Slot: 1, Seq: 1, MaxWaitMs: patience.Milliseconds()}).GetGrant()
	third := other.granted()
	parked := w.answers(t.Context(), &wire.PollRequest{Worker: "w", Slot: 2, Seq: 1, MaxWaitMs: patience.Milliseconds()})
	s.until("the poll waits", func(l *loop) bool { return len(l.waiting) == 1 })

	w.drains(60_000, mine)
	if r := <-parked; r.GetWait() == nil {
		t.Errorf("the parked poll was answered %v", r)
	}
	for range 2 { // said again, and asked in spite of it
		w.drains(0, mine)
		if r := w.poll(&wire.PollRequest{Worker: "w", Slot: 1, Seq: 2, MaxWaitMs: patience.Milliseconds()}); r.GetWait() == nil {
			t.Errorf("a worker that drains was answered %v", r)
		}
	}
	b.commit(third)
	other.report(third, nil)
	if a := other.granted(); a.Task != lost.Task || a.Id == lost.Id {
		t.Errorf("granted %v, want another attempt of %v", a, lost)
	} else {
		b.commit(a)
		other.report(a, nil)
	}
	if _, err := w.register(wc(), 3, b.job(), mine); err != nil { // a late copy
		t.Fatal(err)
	}
	b.commit(mine)
	w.report(mine, nil)
	if r := w.poll(&wire.PollRequest{Worker: "w", Seq: 7, MaxWaitMs: patience.Milliseconds()}); r.GetWait() == nil {
		t.Errorf("a worker that drains was answered %v", r)
	}
	if _, err := w.conn.Leave(t.Context(), &wire.LeaveRequest{Worker: "w"}); err != nil {
		t.Fatal(err)
	}
	other.work(2)
	if got := s.succeeds(); got.Map.Granted != 4 || got.Map.Lost+got.Map.Failed != 0 || got.Map.Released != 1 {
		t.Errorf("%+v", got.Map)
	}
}

// TestDrainTheNextCoordinator: what a worker that drains tells at its
// registration holds before the job is prepared and after.
func TestDrainTheNextCoordinator(t *testing.T) {
	b := newFixture(t, 2)
	s := b.start(nil)
	w := s.join("w", 1)
	mine := w.granted()
	s.kill()

	s = b.start(nil)
	w = &fakeWorker{service: s, name: "w"}
	q := &wire.RegisterRequest{
		Protocol: wire.Protocol, Worker: "w", Slots: 1, App: wc(), Job: b.job(),
		Running: []*wire.Attempt{mine}, Drain: &wire.Drain{LeftMs: math.MaxInt64 / int64(time.Millisecond)},
	}
	if _, err := s.conn.Register(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	s.until("it is known to drain", func(l *loop) bool { return l.job != nil && stateOf(l, "w") == sched.Draining })
	if _, err := s.conn.Register(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	if r := w.poll(w.next()); r.GetWait() == nil {
		t.Errorf("a worker that drains was answered %v", r)
	}
	s.until("its attempt is adopted", func(l *loop) bool {
		return len(l.core.Running(sched.WorkerID("w"), nil)) == 1
	})
	b.commit(mine)
	w.report(mine, nil)
	if _, err := s.conn.Leave(t.Context(), &wire.LeaveRequest{Worker: "w"}); err != nil {
		t.Fatal(err)
	}
	s.join("other", 1).work(3)
	if got := s.succeeds(); got.Map.Granted != 1 || got.Map.Lost != 0 {
		t.Errorf("%+v", got.Map)
	}
}

// stateOf is the availability of a worker.
func stateOf(l *loop, w sched.WorkerID) sched.Availability {
	m, _ := l.core.Member(w)
	return m.State
}
