package coordinator

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/wire"
)

// TestSnapshot: who works, at what, and what became of the rest, as told to
// those who watch a coordinator and to those who call it.
func TestSnapshot(t *testing.T) {
	b := newBench(t, 3)
	s := b.start(nil)
	if got := s.c.Snapshot(t.Context()); got == nil || len(got.Members) != 0 {
		t.Errorf("%+v", got)
	}
	w, v := s.join("w2", 2), s.join("w1", 1)
	w.work(1)
	a := w.granted()
	v.report(v.granted(), func(q *wire.ReportRequest) { q.Outcome = wire.Outcome_OUTCOME_FAILED; q.Error = "oops" })
	w.heartbeat(a)
	if _, err := s.conn.Heartbeat(t.Context(), &wire.HeartbeatRequest{Worker: "w1", Drain: &wire.Drain{LeftMs: 60_000}}); err != nil {
		t.Fatal(err)
	}
	got := s.c.Snapshot(t.Context())
	if !got.Leading || got.Stats.Map.Done != 1 || got.Stats.Map.Failed != 1 || got.Stats.Map.Active != 1 || got.Stats.Map.Running != 1 {
		t.Errorf("%+v", got)
	}
	if got.Looks.Found != 1 || got.Looks.Absent != 1 || got.Looks.Failed != 0 {
		t.Errorf("%+v", got.Looks)
	}
	if len(got.Members) != 2 || got.Members[0].Name != "w1" || !got.Members[0].Draining || got.Members[1].Draining || got.Members[1].Running != 1 || got.Members[1].Slots != 2 {
		t.Errorf("%+v", got.Members)
	}
	r, err := s.conn.Status(t.Context(), &wire.StatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	want := &wire.PhaseStatus{Tasks: 3, Done: 1, Active: 1, Granted: 3, Running: 1, Committed: 1, Failed: 1}
	if !proto.Equal(r.Map, want) || r.Reduce.Tasks != 2 {
		t.Errorf("%v\n%v", r.Map, r.Reduce)
	}
	if len(r.Members) != 2 || r.Members[1].Name != "w2" || r.Members[1].Running != 1 {
		t.Errorf("%v", r.Members)
	}
	if len(r.Attempts) != 1 || r.Attempts[0].Attempt.Id != a.Id || r.Attempts[0].Worker != "w2" || r.Attempts[0].Lags || r.LeaseMs != patience.Milliseconds() || r.Epoch == "" {
		t.Errorf("%v", r)
	}
}

// TestStatusIsBounded: however many workers there are, what they amount to
// fits into a message.
func TestStatusIsBounded(t *testing.T) {
	c := New(Options{Lease: time.Minute})
	for i := range 3 * wire.MostListed {
		name := fmt.Sprintf("%0128d", i)
		c.loop.step(0, sched.Register{Worker: sched.WorkerID(name), Host: strings.Repeat("h", 255)})
	}
	s := c.loop.status()
	c.detail(s)
	if n := proto.Size(s); len(s.Members) != wire.MostListed || s.Workers != 3*wire.MostListed || n > 1<<20 {
		t.Errorf("%d of %d workers in %d bytes", len(s.Members), s.Workers, n)
	}
}

// TestObserve: every call is told of, by its code, also one that is turned
// away.
func TestObserve(t *testing.T) {
	var mu sync.Mutex
	calls := map[string]int{}
	s := newBench(t, 1).start(func(o *Options) {
		o.Security.Observe = func(method, code string, took time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			calls[method+" "+code]++
		}
	})
	s.join("w", 1)
	_, _ = s.conn.Register(t.Context(), &wire.RegisterRequest{Protocol: -1}) // refused
	mu.Lock()
	defer mu.Unlock()
	if calls["Register OK"] != 1 || calls["Register FailedPrecondition"] != 1 {
		t.Errorf("%v", calls)
	}
}
