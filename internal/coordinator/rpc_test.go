package coordinator

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/wire"
)

func TestDiscoverAndVersion(t *testing.T) {
	s := newFixture(t, 1).start(nil)
	d, err := s.conn.Discover(t.Context(), &wire.DiscoverRequest{})
	if err != nil || d.Bucket != "bucket" || d.Prefix != "p" || d.Protocol != wire.Protocol {
		t.Errorf("Discover: %v, %v", d, err)
	}
	_, err = s.conn.Register(t.Context(), &wire.RegisterRequest{Protocol: wire.Protocol + 1, Version: "v9", Worker: "w", Slots: 1, App: wc()})
	r, ok := wire.AsRefusal(err)
	if !ok || r.Reason != wire.ReasonVersion || !strings.Contains(r.What, "v9") || !strings.Contains(r.What, fmt.Sprint(wire.Protocol+1)) {
		t.Errorf("another protocol: %v", err)
	}
}

func TestRegisterTellsTheJob(t *testing.T) {
	s := newFixture(t, 1).start(nil)
	h := &fakeWorker{service: s, name: "w"}
	r, err := h.register(wc(), 1, "")
	if err != nil || r.Bucket != "bucket" || r.Prefix != "p" || r.Nreduce != 2 || r.LeaseMs != patience.Milliseconds() || r.App.Params["fold"] != "no" {
		t.Errorf("%v, %v", r, err)
	}
}

// TestHostileRequests: whatever comes over the wire, the coordinator stays,
// and the job comes to its right end.
func TestHostileRequests(t *testing.T) {
	b := newFixture(t, 1)
	s := b.start(nil)
	ctx := t.Context()
	w := s.join("w", 1)
	a := w.granted()

	for _, name := range []string{"", "../x", "a b", "a\nb", "\x1b[2J", strings.Repeat("x", 129), "wörker"} {
		_, err := s.conn.Register(ctx, &wire.RegisterRequest{Protocol: wire.Protocol, Worker: name, Slots: 1, App: wc()})
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("worker %q: %v", name, err)
		}
	}
	for _, slots := range []int32{0, -1, 4097, math.MaxInt32} {
		_, err := s.conn.Register(ctx, &wire.RegisterRequest{Protocol: wire.Protocol, Worker: "x", Slots: slots, App: wc()})
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("%d slots: %v", slots, err)
		}
	}
	refused := func(what any, err error) {
		t.Helper()
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("%v: %v", what, err)
		}
	}
	forged := []*wire.Attempt{nil, {}, {Task: -1, Id: "x.m-1.1"}, {Task: math.MaxInt32, Id: "\n"}, {Phase: 77, Id: "e.r0.1"}, {Phase: wire.Phase_PHASE_REDUCE, Task: -1, Id: a.Id}}
	for _, at := range forged {
		_, err := s.conn.Register(ctx, &wire.RegisterRequest{Protocol: wire.Protocol, Worker: "liar", Slots: 2, App: wc(), Running: []*wire.Attempt{at}})
		refused(at, err)
		_, err = s.conn.Heartbeat(ctx, &wire.HeartbeatRequest{Worker: "liar", Running: []*wire.Progress{{Attempt: at}}})
		refused(at, err)
		_, err = s.conn.Report(ctx, &wire.ReportRequest{Worker: "liar", Attempt: at, Error: "lie", Fatal: true, Conflict: true})
		refused(at, err)
	}
	s.join("liar", 2, &wire.Attempt{Task: math.MaxInt32, Id: "x.m9.1"}, &wire.Attempt{Task: 0, Id: a.Id})
	for _, slot := range []int32{2, wire.MostSlots - 1} {
		if r, err := s.conn.Poll(ctx, &wire.PollRequest{Worker: "liar", Slot: slot, Seq: 1}); err != nil || r.GetUnknown() == nil {
			t.Errorf("slot %d: %v, %v", slot, r, err)
		}
	}
	for _, slot := range []int32{-1, wire.MostSlots, math.MinInt32, math.MaxInt32} {
		_, err := s.conn.Poll(ctx, &wire.PollRequest{Worker: "liar", Slot: slot, Seq: 1})
		refused(slot, err)
	}
	for _, wait := range []int64{math.MinInt64, -1, math.MaxInt64} {
		_, err := s.conn.Poll(ctx, &wire.PollRequest{Worker: "liar", MaxWaitMs: wait})
		refused(wait, err)
	}
	for _, wait := range []int64{0, 1} {
		if r, err := s.conn.Poll(ctx, &wire.PollRequest{Worker: "liar", MaxWaitMs: wait}); err != nil || r.GetWait() == nil {
			t.Errorf("waiting %d ms: %v, %v", wait, r, err)
		}
	}
	for _, at := range []*wire.Attempt{
		{Task: 1, Id: "x"}, {Task: math.MaxInt32, Id: a.Id}, {Phase: wire.Phase_PHASE_REDUCE, Task: 1<<20 - 1, Id: a.Id}, a,
	} {
		for _, outcome := range []wire.Outcome{wire.Outcome_OUTCOME_COMMITTED, wire.Outcome_OUTCOME_FAILED, wire.Outcome_OUTCOME_RELEASED} {
			q := &wire.ReportRequest{Worker: "liar", Attempt: at, Outcome: outcome, Error: "lie", Fatal: true, Conflict: true}
			if _, err := s.conn.Report(ctx, q); err != nil {
				t.Errorf("report %v: %v", q, err)
			}
		}
	}
	if _, err := s.conn.Heartbeat(ctx, &wire.HeartbeatRequest{Worker: "liar", Running: []*wire.Progress{{Attempt: a}}, S3Requests: map[string]int64{"x": -1}}); err != nil {
		t.Error(err)
	}
	for _, call := range []func() error{
		func() error { _, err := s.conn.Heartbeat(ctx, &wire.HeartbeatRequest{Worker: "nobody"}); return err },
		func() error { _, err := s.conn.Leave(ctx, &wire.LeaveRequest{Worker: "nobody"}); return err },
		func() error { _, err := s.conn.Leave(ctx, &wire.LeaveRequest{Worker: "liar"}); return err },
		func() error { _, err := s.conn.Poll(ctx, &wire.PollRequest{Worker: "nobody"}); return err },
		func() error {
			_, err := s.conn.Report(ctx, &wire.ReportRequest{Worker: "nobody", Attempt: a})
			return err
		},
	} {
		if err := call(); err != nil {
			t.Error(err)
		}
	}

	b.commit(a)
	w.report(a, nil)
	w.work(2)
	if got := s.succeeds(); got.Map.Granted != 1 || got.Map.Failed != 0 {
		t.Errorf("%+v", got.Map)
	}
}

// TestPollsAgain: the same poll is the same grant, also by another
// connection, and a late copy of an old one takes nothing from the new one.
func TestPollsAgain(t *testing.T) {
	b := newFixture(t, 3)
	s := b.start(nil)
	w := s.join("w", 1)
	first := w.next()
	a := w.poll(first).GetGrant()
	for range 3 {
		if d := cmp.Diff(a.String(), w.poll(first).GetGrant().String()); d != "" {
			t.Errorf("polled again: %s", d)
		}
	}
	b.commit(a)
	w.report(a, nil)
	second := w.granted()
	if second.Id == a.Id {
		t.Error("a new poll had the old grant")
	}
	if r := w.poll(&wire.PollRequest{Worker: "w", Seq: first.Seq, MaxWaitMs: 1}); r.GetWait() == nil {
		t.Errorf("a late copy was answered %v", r)
	}
	if got := s.c.Status(t.Context()); got.Map.Running != 1 {
		t.Errorf("%d attempts run, want 1", got.Map.Running)
	}
}

// answers asks in the background.
func (h *fakeWorker) answers(ctx context.Context, q *wire.PollRequest) chan *wire.PollReply {
	c := make(chan *wire.PollReply, 1)
	go func() {
		r, err := h.conn.Poll(ctx, q)
		if err != nil {
			r = nil
		}
		c <- r
	}()
	return c
}

// TestParkedPolls: a copy of a poll replaces it, an old copy does
// not, and the end of the connection that the first came by withdraws the
// first only.
func TestParkedPolls(t *testing.T) {
	b := newFixture(t, 1)
	s := b.start(nil)
	busy, idle := s.join("busy", 1), s.join("idle", 1)
	a := busy.granted()
	parked := func(what string, seq uint64, not chan *wire.PollReply) chan *wire.PollReply {
		var ch chan *wire.PollReply
		s.until(what, func(l *loop) bool {
			q, ok := l.waiting[slot{"idle", 0}]
			ch = q.answer
			return ok && q.seq == seq && ch != not
		})
		return ch
	}
	idle.seq = 4
	q := idle.next()
	first, cancel := context.WithCancel(t.Context())
	old := idle.answers(first, q)
	oldAnswer := parked("the poll waits", 5, nil)
	fresh := idle.answers(t.Context(), q)
	answer := parked("its copy is parked in its place", 5, oldAnswer)
	if r := <-old; r.GetWait() == nil {
		t.Errorf("the replaced poll was answered %v", r)
	}
	// What the handler of a broken connection does, however late.
	s.c.call(t.Context(), func() { s.c.loop.withdraw(s.c.now(), q, oldAnswer) })
	cancel()
	if r := idle.poll(&wire.PollRequest{Worker: "idle", Seq: 4, MaxWaitMs: 20_000}); r.GetWait() == nil {
		t.Errorf("a copy of the poll before was answered %v", r)
	}
	if parked("the poll is still parked", 5, nil) != answer {
		t.Error("the poll that somebody waits for was replaced")
	}
	b.commit(a)
	busy.report(a, nil)
	if r := <-fresh; r.GetGrant() == nil || r.GetGrant().Phase != wire.Phase_PHASE_REDUCE {
		t.Errorf("the parked poll was answered %v", r)
	}
}

// TestWithdrawnPoll: a poll whose caller is gone takes no work.
func TestWithdrawnPoll(t *testing.T) {
	b := newFixture(t, 1)
	s := b.start(nil)
	busy, gone := s.join("busy", 1), s.join("gone", 1)
	a := busy.granted()
	ctx, cancel := context.WithCancel(t.Context())
	done := gone.answers(ctx, gone.next())
	s.until("it is parked", func(l *loop) bool { return len(l.waiting) == 1 && l.core.Stats().Polls == 1 })
	cancel()
	<-done
	s.until("it is withdrawn", func(l *loop) bool { return len(l.waiting) == 0 && l.core.Stats().Polls == 0 })
	b.commit(a)
	busy.report(a, nil)
	busy.work(2)
}

// TestReports: what a report does depends on the bucket, and on whether the
// attempt is live.
func TestReports(t *testing.T) {
	committed := func(*wire.ReportRequest) {}
	conflict := func(q *wire.ReportRequest) { failed("p/output/mr-out-0 is another's")(q); q.Conflict = true }
	tests := []struct {
		name   string
		inBkt  bool
		report func(*wire.ReportRequest)
		// What becomes of the map task.
		done, failures int
	}{
		{"a commit", true, committed, 1, 0},
		{"a lie", false, committed, 0, 1},
		{"a failure", false, failed("boom"), 0, 1},
		{"a failure after the commit", true, failed("reply lost"), 1, 0},
		{"a conflict after the commit", true, conflict, 1, 0},
		{"given back", false, func(q *wire.ReportRequest) { q.Outcome = wire.Outcome_OUTCOME_RELEASED }, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newFixture(t, 1)
			s := b.start(nil)
			w := s.join("w", 1)
			a := w.granted()
			if tt.inBkt {
				b.commit(a)
			}
			for range 3 { // the same report again changes nothing
				w.report(a, tt.report)
			}
			s.until("it is noted", func(l *loop) bool {
				st, n := l.core.Stats().Map, l.counters.Map
				if st.Done != tt.done || n.Failed != tt.failures || st.Running != 0 {
					t.Errorf("%+v, %+v", st, n)
				}
				return true
			})
		})
	}
}

// TestStaleConflict: the conflict of an attempt of an earlier job with this
// one's objects must not end this job (I4).
func TestStaleConflict(t *testing.T) {
	b := newFixture(t, 1)
	s := b.start(nil)
	w := s.join("w", 1)
	s.until("the job is prepared", func(l *loop) bool { return l.job != nil })
	w.report(&wire.Attempt{Task: 0, Id: "earlier.m0.1"}, func(q *wire.ReportRequest) {
		failed("p/intermediate/mr-0-0 belongs to another job")(q)
		q.Fatal, q.Conflict = true, true
	})
	w.work(3)
	s.succeeds()
}

// TestLiveConflict ends the job with both sides.
func TestLiveConflict(t *testing.T) {
	b := newFixture(t, 1)
	s := b.start(nil)
	w := s.join("w", 1)
	a := w.granted()
	b.put(b.lay.MapCommit(0), manifest.Map{Schema: manifest.MapSchema, Job: "wc-other"}, nil)
	w.report(a, nil)
	if d := w.told(); !strings.Contains(d.Failure, b.lay.MapCommit(0)) {
		t.Errorf("told %q", d.Failure)
	}
	s.ends()
	var conflict *ConflictError
	if !errors.As(s.err, &conflict) {
		t.Errorf("Run: %v", s.err)
	}
}

// TestReportBeforeTheJobIsPrepared, and while the store is in trouble: the
// worker is to say it again, and nothing is held against the attempt.
func TestReportBeforeTheJobIsPrepared(t *testing.T) {
	b := newFixture(t, 1)
	s := b.start(nil)
	w := s.join("w", 1)
	a := w.granted()
	s.kill()
	b.commit(a)

	release := make(chan struct{})
	b.store.mu.Lock()
	b.store.faults = func(op, key string) fault {
		if op == "list" && key == b.lay.OutputDir() {
			b.store.mu.Unlock()
			<-release
			b.store.mu.Lock()
		}
		return fine
	}
	b.store.mu.Unlock()
	s = b.start(nil)
	w = s.join("w", 1)
	q := &wire.ReportRequest{Worker: "w", Attempt: a}
	if _, err := s.conn.Report(t.Context(), q); !wire.IsLater(err) {
		t.Errorf("before the job is prepared: %v", err)
	}
	close(release)
	s.until("the job is prepared", func(l *loop) bool { return l.job != nil })
	if _, err := s.conn.Report(t.Context(), q); err != nil {
		t.Error(err)
	}
	a = w.granted()
	b.commit(a)
	b.store.inject("stat", b.lay.Output(int(a.Task)), 1, notDone)
	if _, err := s.conn.Report(t.Context(), &wire.ReportRequest{Worker: "w", Attempt: a}); !wire.IsLater(err) {
		t.Errorf("while the store is in trouble: %v", err)
	}
	b.store.inject("stat", b.lay.Output(int(a.Task)), 1, notDone)
	failed := &wire.ReportRequest{Worker: "w", Attempt: a, Outcome: wire.Outcome_OUTCOME_FAILED, Fatal: true, Error: "no"}
	if _, err := s.conn.Report(t.Context(), failed); !wire.IsLater(err) {
		t.Errorf("a failure that may have been a commit, while the store is in trouble: %v", err)
	}
	w.report(a, nil)
	w.work(1)
	if got := s.succeeds(); got.Reduce.Failed != 0 || got.Map.Granted != 0 {
		t.Errorf("%+v %+v", got.Map, got.Reduce)
	}
}

// TestJoinsNoMore: a worker that has given up its registration is no member,
// and nobody waits for it.
func TestJoinsNoMore(t *testing.T) {
	b := newFixture(t, 1)
	s := b.start(nil)
	s.until("the job is prepared", func(l *loop) bool { return l.job != nil })
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range 100 { // whether the loop or the end of the context comes first is chance
		q := &wire.RegisterRequest{Protocol: wire.Protocol, Worker: fmt.Sprint("w", i), Slots: 1, App: wire.DescribeApp(*s.c.o.App, nil)}
		if reply, err := (&handlers{c: s.c}).Register(gone, q); err == nil {
			t.Fatalf("joined: %v", reply)
		}
	}
	s.until("no member is there", func(l *loop) bool { return l.core.Stats().Workers == 0 })
	s.join("w", 1).work(3)
	s.succeeds()
}
