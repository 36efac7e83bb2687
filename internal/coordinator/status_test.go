package coordinator

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/wire"
)

// TestStatusCounts: who works, at what, and what became of the rest, as told
// to those who watch a coordinator and to those who call it.
func TestStatusCounts(t *testing.T) {
	b := newFixture(t, 3)
	s := b.start(nil)
	if got := s.c.Status(t.Context()); got == nil || len(got.Workers) != 0 {
		t.Errorf("%v", got)
	}
	w, v := s.join("w2", 2), s.join("w1", 1)
	w.work(1)
	a := w.granted()
	v.report(v.granted(), func(q *wire.ReportRequest) { q.Outcome = wire.Outcome_OUTCOME_FAILED; q.Error = "oops" })
	w.heartbeat(a)
	if _, err := s.conn.Heartbeat(t.Context(), &wire.HeartbeatRequest{Worker: "w1", Drain: &wire.Drain{LeftMs: 60_000}}); err != nil {
		t.Fatal(err)
	}
	called, err := s.conn.Status(t.Context(), &wire.StatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	watched := s.c.Status(t.Context())
	for _, r := range []*wire.StatusReply{called, watched} {
		want := &wire.StatusReply{
			Job: b.job(), App: "wc", State: "map", Epoch: s.c.epoch, Version: s.c.o.Version, Leading: true, UptimeMs: r.UptimeMs, LeaseMs: patience.Milliseconds(),
			Map:      &wire.PhaseStatus{Tasks: 3, Done: 1, Active: 1, Granted: 3, Running: 1, Committed: 1, Failed: 1},
			Reduce:   &wire.PhaseStatus{Tasks: 2},
			MapBytes: &wire.Reading{Total: 3, Done: 1}, ReduceBytes: &wire.Reading{Total: 4},
			Workers: map[string]int32{"busy": 1, "draining": 1}, Slots: 3,
			CommitLookups: map[string]int32{"found": 1, "absent": 1},
			Members:       r.Members, Attempts: r.Attempts,
			S3: &wire.Traffic{Requests: map[string]int64{"PutObject": 1}},
		}
		if d := cmp.Diff(want, r, protocmp.Transform()); d != "" {
			t.Error(d)
		}
	}
	if m := called.Members; len(m) != 2 || m[0].Name != "w1" || m[0].State != "draining" || m[0].Version != "v" || m[1].Name != "w2" || m[1].Running != 1 || m[1].State != "busy" {
		t.Errorf("%v", m)
	}
	if r := called.Attempts; len(r) != 1 || r[0].Attempt.Id != a.Id || r[0].Worker != "w2" || r[0].Lags {
		t.Errorf("%v", r)
	}
	if len(watched.Members)+len(watched.Attempts) > 0 {
		t.Errorf("%v", watched)
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
	s := c.status()
	c.loop.list(c.now(), s)
	if n := proto.Size(s); len(s.Members) != wire.MostListed || s.Workers["idle"] != 3*wire.MostListed || n > 1<<20 {
		t.Errorf("%d of %v workers in %d bytes", len(s.Members), s.Workers, n)
	}
}

// TestObserve: every call is told of, by its code, also one that is turned
// away.
func TestObserve(t *testing.T) {
	var mu sync.Mutex
	calls := map[string]int{}
	s := newFixture(t, 1).start(func(o *Options) {
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
