package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/task"
	"github.com/mraws/mraws/internal/trace"
	"github.com/mraws/mraws/mr"
)

// TestStats: a worker's attempts are counted by phase and by how they ended,
// with what they read, also while they run.
func TestStats(t *testing.T) {
	s, b := newUnderTest(t), newFakeCoordinator(t).serve(plain)
	s.o.Stats = new(Stats)
	var mu sync.Mutex
	told := map[string]string{}
	s.o.Events = func(e trace.Event) {
		mu.Lock()
		defer mu.Unlock()
		told[fmt.Sprintf("%s %s-%d", e.Kind, e.Phase, e.Task)] = e.Outcome + " " + e.Object
	}
	release, began := s.stalled()
	b.announce(s.Store, nil)
	s.start()
	b.grants <- map0
	await(t, began, "the attempt")
	got := s.o.Stats.Snapshot()
	if got.Map.Running != 1 || got.Slots != 2 || got.Memory != 64<<20 {
		t.Errorf("while it runs: %+v", got)
	}
	close(release)
	await(t, b.reports, "a report")
	b.grants <- map1
	await(t, b.reports, "a report")
	b.grants <- reduce0
	await(t, b.reports, "the reduce's report")
	b.end("")
	if err := s.ends(); err != nil {
		t.Fatal(err)
	}
	want := StatsSnapshot{
		Map:    PhaseStats{Committed: 2, Records: 2, Bytes: 4}, // "x y" and "y", without line ends
		Reduce: PhaseStats{Committed: 1, Records: 3, Bytes: 6},
	}
	got = s.o.Stats.Snapshot()
	got.Reduce.Bytes = want.Reduce.Bytes // as the pairs are encoded
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	heard := map[string]string{
		"attempt_ran map-0":    "committed " + s.o.Layout.MapCommit(0),
		"attempt_ran map-1":    "committed " + s.o.Layout.MapCommit(1),
		"attempt_ran reduce-0": "committed " + s.o.Layout.Output(0),
	}
	if diff := cmp.Diff(heard, told); diff != "" {
		t.Error(diff)
	}
}

// TestStatsEnds: every way to end has a number of its own, and what was read
// is never counted twice or forgotten.
func TestStatsEnds(t *testing.T) {
	s := new(Stats)
	end := func(cause error, res task.Result, err error) {
		ctx, cancel := context.WithCancelCause(t.Context())
		p := new(task.Progress)
		ended := s.begin(ctx, mr.MapPhase, p)
		p.Records.Add(10)
		p.Bytes.Add(100)
		p.Spills.Add(1)
		p.Spilled.Add(50)
		before := s.Snapshot().Map
		if cause != nil {
			cancel(cause)
		}
		ended(res, err)
		cancel(nil)
		after := s.Snapshot().Map
		if before.Running != 1 || after.Running != 0 || before.Records != after.Records || before.Spilled != after.Spilled {
			t.Errorf("%+v, then %+v", before, after)
		}
	}
	failure := errors.New("failure")
	end(nil, task.Result{}, nil)
	end(nil, task.Result{Superseded: true}, nil)
	end(nil, task.Result{}, failure)
	end(errRevoked, task.Result{}, failure)
	end(errRevoked, task.Result{}, nil) // too late
	end(context.Canceled, task.Result{}, failure)
	want := StatsSnapshot{Map: PhaseStats{
		Committed: 2, Superseded: 1, Failed: 1, Revoked: 1, Released: 1,
		Records: 60, Bytes: 600, Spills: 6, Spilled: 300,
	}}
	if diff := cmp.Diff(want, s.Snapshot()); diff != "" {
		t.Error(diff)
	}
	var none *Stats
	none.begin(t.Context(), mr.MapPhase, new(task.Progress))(task.Result{}, nil)
	none.join(1, 1)()
}
