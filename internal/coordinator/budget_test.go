package coordinator

import (
	"errors"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/price"
	"github.com/mraws/mraws/internal/wire"
)

// TestBudget: a coordinator whose job may cost no more ends it once nothing runs, and says
// so to the workers and in the announcement. One that may spend more goes on.
func TestBudget(t *testing.T) {
	table, err := price.Parse([]byte(`{"schema": "mraws/prices/v1", "date": "2026-11-01", "regions": {"x": {"get_per_1000": 1000}}}`))
	if err != nil {
		t.Fatal(err)
	}
	b := newFixture(t, 3)
	limited := func(usd float64) func(*Options) {
		return func(o *Options) { o.Rates, o.MaxUSD = table.Of("x"), usd }
	}
	s := b.start(limited(40))
	w := s.join("w", 1)
	a := w.granted()
	// $36 are spent: nothing more fits, and an attempt runs.
	if _, err := s.conn.Heartbeat(t.Context(), &wire.HeartbeatRequest{
		Worker: "w", Running: []*wire.Progress{{Attempt: a}}, S3Requests: map[string]int64{"GetObject": 36},
	}); err != nil {
		t.Fatal(err)
	}
	b.commit(a)
	w.report(a, nil)
	s.ends()
	var over *BudgetError
	if !errors.As(s.err, &over) || over.Max != 40 || over.Spent != 36 || over.Next <= 4 {
		t.Fatalf("%v", s.err)
	}
	if a := readAnnouncement(b); !a.Released || !strings.Contains(a.Failure, "the job may cost $40") {
		t.Errorf("announced is %+v", a)
	}
	again := b.start(limited(1000))
	again.join("w", 1).work(4)
	if got := again.succeeds(); got.Map.Reused != 1 || got.Map.Granted != 2 || got.Receipt.USD < 36 {
		t.Errorf("%+v, %+v", got.Map, got.Receipt)
	}
}
