package coordinator

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/price"
	"github.com/mraws/mraws/internal/wire"
)

// gets is n GETs of 10 bytes each.
func gets(n int64) object.Traffic {
	return object.Traffic{Requests: map[string]int64{"GetObject": n}, Received: 10 * n}
}

// TestCountsOverTakeover: a coordinator that takes over goes on with what the one before
// announced, with the commit records, and with what workers do from there on; nothing
// counts twice.
func TestCountsOverTakeover(t *testing.T) {
	w := sched.Member{Worker: "w", Slots: 1}
	first := newRequestCounts()
	first.recorded.Add(gets(5)) // an attempt of w
	first.note(w, gets(20), gets(5), time.Now())
	all := first.sum(gets(10))
	if d := cmp.Diff(gets(30), all); d != "" {
		t.Fatalf("the first (-want +got):\n%s", d)
	}
	all.Sub(first.recorded) // as it announces it
	for name, tt := range map[string]struct {
		announced, told object.Traffic
		want            int64
	}{
		// 10 by the first coordinator, 3 by the second, 24 by the worker.
		"all announced": {all, gets(15), 37},
		// The first one died between what it was told and its next renewal.
		"told later than announced": {gets(12), gets(15), 12 + 3 + 24 - 12},
		"a liar":                    {all, gets(20_000), 25 + 3 + 24 - 25},
		"a worker that was new":     {all, object.Traffic{}, 25 + 3 + 24},
	} {
		second := newRequestCounts()
		second.earlier = tt.announced
		second.recorded.Add(gets(5)) // is in the bucket
		second.join("w", tt.told, time.Now())
		second.recorded.Add(gets(4)) // another attempt of w commits
		second.note(w, gets(24), gets(9), time.Now())
		if d := cmp.Diff(gets(tt.want), second.sum(gets(3))); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

// TestRecordedBeforeReported: until the coordinator has seen a commit record, what it says
// counts as the worker tells it, and then once.
func TestRecordedBeforeReported(t *testing.T) {
	rc := newRequestCounts()
	rc.note(sched.Member{Worker: "w", Slots: 1}, gets(20), gets(8), time.Now())
	for range 2 {
		if d := cmp.Diff(gets(20), rc.sum(object.Traffic{})); d != "" {
			t.Errorf("-want +got:\n%s", d)
		}
		rc.recorded = gets(8)
	}
}

// TestReceipt: the summary, the status and the announcement say what was spent, and what
// S3 charges for it.
func TestReceipt(t *testing.T) {
	table, err := price.Parse([]byte(`{"schema": "mraws/prices/v1", "date": "2026-11-01", "regions": {"x": {"get_per_1000": 2, "put_per_1000": 500}}}`))
	if err != nil {
		t.Fatal(err)
	}
	b := newFixture(t, 1)
	s := b.start(func(o *Options) { o.Rates = table.Of("x") })
	w := s.join("w", 1)
	a := w.granted()
	if _, err := s.conn.Heartbeat(t.Context(), &wire.HeartbeatRequest{
		Worker: "w", Running: []*wire.Progress{{Attempt: a}}, S3Requests: gets(7).Requests, Spent: &wire.Spent{Sent: 3, Received: 70},
	}); err != nil {
		t.Fatal(err)
	}
	status, err := s.conn.Status(t.Context(), &wire.StatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	// The fake store counts a PUT of its own.
	want := object.Traffic{Requests: map[string]int64{"PutObject": 1, "GetObject": 7}, Sent: 3, Received: 70}
	const usd = 0.5 + 7*0.002
	if d := cmp.Diff(want, status.S3.Object()); d != "" || status.Usd != usd || status.Region != "x" || status.Prices != "2026-11-01" {
		t.Errorf("status: $%v in %s, %s (-want +got):\n%s", status.Usd, status.Region, status.Prices, d)
	}
	w.report(a, func(q *wire.ReportRequest) {
		q.Outcome, q.Error, q.S3 = wire.Outcome_OUTCOME_FAILED, "oops", wire.NewTraffic(gets(7))
	})
	w.work(3)
	got := s.succeeds()
	receipt := &manifest.Receipt{Sent: 3, Received: 70, USD: usd, Region: "x", Prices: "2026-11-01"}
	if d := cmp.Diff(receipt, got.Receipt); d != "" {
		t.Errorf("_SUCCESS (-want +got):\n%s", d)
	}
	if d := cmp.Diff(want.Requests, got.Requests); d != "" {
		t.Errorf("requests in _SUCCESS (-want +got):\n%s", d)
	}
	an := readAnnouncement(b)
	if d := cmp.Diff(receipt, an.Receipt); d != "" || !cmp.Equal(want, an.S3) {
		t.Errorf("announced is %+v (-want +got):\n%s", an.S3, d)
	}
	failed, done := 0, 0
	for _, e := range b.entries() {
		switch {
		case e.Outcome == "failed" && e.S3 != nil && cmp.Equal(*e.S3, gets(7)):
			failed++
		case e.Totals != nil && e.USD == usd && e.S3 != nil && cmp.Equal(*e.S3, want):
			done++
		}
	}
	if failed != 1 || done != 1 {
		t.Errorf("the event log has the traffic of %d failed attempts and of %d ends", failed, done)
	}
}
