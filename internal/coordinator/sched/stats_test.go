package sched

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/mr"
)

// TestLive shows a straggler, its speculative attempt and how the straggler's lease ends.
func TestLive(t *testing.T) {
	const s = Time(time.Second)
	c := planned(Config{Lease: 10 * time.Second, Epoch: "e"}, Planned{Maps: 2, Reduces: 1, Speculate: true})
	var n Counts
	step := func(now Time, ev Event) {
		for _, e := range c.Step(now, ev) {
			n.Note(e)
		}
	}
	for _, w := range []WorkerID{"fast", "slow"} {
		step(0, Register{Worker: w, Slots: 1})
		step(0, Poll{Worker: w, Seq: 1})
	}
	slow := TaskID{mr.MapPhase, 1}
	step(2*s, Heartbeat{Worker: "slow", Running: []AttemptID{"e.m1.1"}, Progress: []float64{0.02}})
	step(3*s, Committed{Task: TaskID{mr.MapPhase, 0}, Attempt: "e.m0.1"})
	step(4*s, Heartbeat{Worker: "slow", Running: []AttemptID{"e.m1.1"}, Progress: []float64{0.04}})
	want := []Live{{Attempt: "e.m1.1", Task: slow, Worker: "slow", Age: 5 * s, Progress: 0.04, Left: 95 * s, Lags: true}}
	if diff := cmp.Diff(want, c.Live(5*s)); diff != "" {
		t.Error(diff)
	}
	step(5*s, Poll{Worker: "fast", Seq: 2})
	live := c.Live(6 * s)
	if len(live) != 2 || live[0].Speculative || !live[1].Speculative || live[1].Worker != "fast" || live[1].Lags || live[1].Age != s {
		t.Errorf("%+v", live)
	}
	if m, ok := c.Member("fast"); !ok || m.Running != 1 || m.State != Ready || m.Slots != 1 || m.Heard != 5*s || c.Stats().Map.Active != 1 {
		t.Errorf("%+v, %+v", m, c.Stats().Map)
	}
	step(6*s, Heartbeat{Worker: "fast", Running: []AttemptID{"e.m1.2"}})
	step(15*s, Tick{})
	if n.Map.Lost != 1 || len(c.Live(15*s)) != 1 {
		t.Errorf("%+v", n)
	}
	step(16*s, Leave{Worker: "fast"})
	if _, ok := c.Member("fast"); ok || n.Map.Released != 1 || c.Stats().Workers != 1 {
		t.Errorf("%+v, %+v", c.Stats(), n)
	}
}
