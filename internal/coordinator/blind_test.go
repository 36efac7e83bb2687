package coordinator

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/wire"
)

// mute is a store that takes reads of commit records and never answers them,
// while it is shut.
type mute struct {
	*fake
	shut atomic.Bool
	left atomic.Int64 // how long the last read that it swallowed may take
}

func (m *mute) Get(ctx context.Context, key string) ([]byte, object.Info, error) {
	if m.shut.Load() && strings.Contains(key, "/_commit/") {
		if until, ok := ctx.Deadline(); ok {
			m.left.Store(int64(time.Until(until)))
		}
		<-ctx.Done()
		return nil, object.Info{}, fmt.Errorf("get %s: %w", key, ctx.Err())
	}
	return m.fake.Get(ctx, key)
}

// TestLeaseEndsBlind: a coordinator whose requests to the bucket are swallowed
// gives the tasks of a worker that is gone to another all the same, though
// later: what it cannot see it does not wait for.
func TestLeaseEndsBlind(t *testing.T) {
	b := newFixture(t, 1)
	m := &mute{fake: b.store}
	var k clock
	s := b.start(func(o *Options) {
		o.Store, o.Lease = m, 3*time.Second // of which the look gets one
		k.set(o)
	})
	first := s.join("dead", 1).granted()
	b.commit(first)
	m.shut.Store(true)
	w := s.join("w", 1)
	k.pass(s.c.o.Lease)
	next := w.granted() // waits for the look to be given up
	if next.Phase != wire.Phase_PHASE_MAP || next.Id == first.Id {
		t.Errorf("granted %v", next)
	}
	m.shut.Store(false)
	w.report(next, nil) // that found the commit
	w.work(2)
	if got := s.succeeds(); got.Map.Lost != 1 || got.Map.Granted != 2 || got.Map.CommittedRerun != 0 {
		t.Errorf("%+v", got.Map)
	}
}

// TestReportToTheBlind: a coordinator whose requests to the bucket are
// swallowed says so before the worker gives the call up. The slot may have
// other work meanwhile, and what it had is neither believed nor run again.
func TestReportToTheBlind(t *testing.T) {
	b := newFixture(t, 2)
	m := &mute{fake: b.store}
	s := b.start(func(o *Options) { o.Store = m })
	w := s.join("w", 1)
	first := w.granted()
	b.commit(first)
	m.shut.Store(true)
	q := &wire.ReportRequest{Worker: w.name, Attempt: first, Outcome: wire.Outcome_OUTCOME_COMMITTED}
	_, err := s.conn.Report(t.Context(), q)
	if left := time.Duration(m.left.Load()); !wire.IsLater(err) || left <= 0 || left > wire.CallTimeout/2 {
		t.Fatalf("the report was answered %v, and the bucket was asked for %v", err, left)
	}
	if second := w.granted(); second.Task == first.Task {
		t.Errorf("the slot got %v again", second)
	} else if st := s.c.Status(t.Context()); st.Map.Done != 0 || st.Map.Running != 2 {
		t.Errorf("nobody has seen a commit, and both attempts live: %+v", st)
	} else {
		m.shut.Store(false)
		w.report(first, nil)
		b.commit(second)
		w.report(second, nil)
	}
	w.work(2)
	if got := s.succeeds(); got.Map.Granted != 2 || got.Map.Lost != 0 {
		t.Errorf("%+v", got.Map)
	}
}
