package coordinator

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/events"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/wire"
)

// TestSamples: the last sample of a worker is in the status, the first is in the event
// log, and a worker that tells none has none.
func TestSamples(t *testing.T) {
	b := newFixture(t, 1)
	s := b.start(nil)
	w := s.join("w", 1)
	s.join("old", 1)
	first := &object.Sample{CPUSeconds: 1.5, CPUPercent: 80, Cores: 2, MemoryBytes: 9, ScratchFreeBytes: new(int64), S3Requests: 7, S3Throttled: 1, S3P50: 0.5, S3P95: 3}
	last := &wire.Sample{CpuMs: 2000, Cores: 2}
	for _, m := range []*wire.Sample{wire.NewSample(first), last} {
		if _, err := s.conn.Heartbeat(t.Context(), &wire.HeartbeatRequest{Worker: "w", Sample: m}); err != nil {
			t.Fatal(err)
		}
	}
	r, err := s.conn.Status(t.Context(), &wire.StatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if m := r.Members; len(m) != 2 || m[0].Sample != nil || !cmp.Equal(m[1].Sample, last, protocmp.Transform()) {
		t.Errorf("%v", m)
	}
	w.work(3)
	s.succeeds()
	var got []events.Entry
	for _, e := range b.entries() {
		if e.Type == events.WorkerSampled {
			got = append(got, e)
		}
	}
	if len(got) != 1 || got[0].Worker != "w" {
		t.Fatalf("%+v", got)
	}
	if d := cmp.Diff(first, got[0].Sample); d != "" {
		t.Error(d)
	}
	types(t, got)
}

// TestSampleGap: a worker has at most one sample in 10 s in the event log, and all workers
// together have few however many there are and however long they work.
func TestSampleGap(t *testing.T) {
	second := sched.Time(time.Second)
	for _, c := range []struct {
		workers int
		lasts   time.Duration
		most    int
	}{
		{1, time.Hour, 361},
		{10, time.Hour, 3610},
		{10, 24 * time.Hour, 16_000},
		{1000, 10 * time.Hour, 32_000},
		{10_000, 7 * 24 * time.Hour, 170_000},
	} {
		n, last := 0, sched.Time(0)
		for at := second; at < sched.Time(c.lasts); at += 3 * second {
			if last == 0 || at-last >= sampleGap(at, c.workers) {
				if last != 0 && at-last < 10*second {
					t.Fatalf("two samples within %v", time.Duration(at-last))
				}
				n, last = n+1, at
			}
		}
		t.Logf("%d workers, %v: %d samples of each, %d in all", c.workers, c.lasts, n, n*c.workers)
		if n*c.workers > c.most || n < 10 {
			t.Errorf("%d workers, %v: %d samples of each, %d in all", c.workers, c.lasts, n, n*c.workers)
		}
	}
}
