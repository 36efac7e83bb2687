package sched

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/mr"
)

// TestLive shows a straggler, its backup and how the straggler's lease ends.
func TestLive(t *testing.T) {
	const s = Time(time.Second)
	c := New(Config{Maps: 2, Reduces: 1, Lease: 10 * time.Second, Epoch: "e", Speculate: true})
	for _, w := range []WorkerID{"fast", "slow"} {
		c.Step(0, Register{Worker: w, Slots: 1})
		c.Step(0, Ask{Worker: w, Seq: 1})
	}
	slow := TaskID{mr.MapPhase, 1}
	c.Step(2*s, Heartbeat{Worker: "slow", Running: []AttemptID{"e.m1.1"}, Progress: []float64{0.02}})
	c.Step(3*s, Committed{Task: TaskID{mr.MapPhase, 0}, Attempt: "e.m0.1"})
	c.Step(4*s, Heartbeat{Worker: "slow", Running: []AttemptID{"e.m1.1"}, Progress: []float64{0.04}})
	want := []Live{{Attempt: "e.m1.1", Task: slow, Worker: "slow", Age: 5 * s, Progress: 0.04, Left: 95 * s, Lags: true}}
	if diff := cmp.Diff(want, c.Live(5*s)); diff != "" {
		t.Error(diff)
	}
	c.Step(5*s, Ask{Worker: "fast", Seq: 2})
	live := c.Live(6 * s)
	if len(live) != 2 || live[0].Backup || !live[1].Backup || live[1].Worker != "fast" || live[1].Lags || live[1].Age != s {
		t.Errorf("%+v", live)
	}
	if n, excluded := c.Load("fast"); n != 1 || excluded || c.Active(mr.MapPhase) != 1 {
		t.Errorf("%d running, excluded %t, %d tasks", n, excluded, c.Active(mr.MapPhase))
	}
	c.Step(6*s, Heartbeat{Worker: "fast", Running: []AttemptID{"e.m1.2"}})
	c.Step(15*s, Tick{})
	if c.Expired(mr.MapPhase) != 1 || c.Stats().Map.Lost != 1 || len(c.Live(15*s)) != 1 {
		t.Errorf("%d leases ended, %+v", c.Expired(mr.MapPhase), c.Stats().Map)
	}
	c.Step(16*s, Gone{Worker: "fast"})
	if c.Expired(mr.MapPhase) != 1 || c.Stats().Map.Lost != 2 {
		t.Errorf("%d leases ended, %+v", c.Expired(mr.MapPhase), c.Stats().Map)
	}
}
