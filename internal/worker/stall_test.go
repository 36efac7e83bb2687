package worker

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/task"
	"github.com/mraws/mraws/internal/testkit"
	"github.com/mraws/mraws/internal/wire"
)

// silentStore is a store that takes requests for input and for what is there, and
// answers none of them while it is shut.
type silentStore struct {
	task.Store
	shut chan struct{} // closed when it answers again
}

// wait is the part of the store layer that a worker sees.
func (m *silentStore) wait(ctx context.Context, key string) error {
	w := object.PulseOf(ctx).Wait()
	w.Begin(0)
	defer w.End()
	select {
	case <-m.shut:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("get %s: %w", key, context.Cause(ctx))
	}
}

func (m *silentStore) Stream(ctx context.Context, key, etag string, off, n int64) (object.Stream, error) {
	return testkit.Stream(m.OpenChunks(ctx, key, etag, off, n, n, 1))
}

func (m *silentStore) OpenChunks(ctx context.Context, key, etag string, off, n, chunk int64, window int) (io.ReadCloser, error) {
	if err := m.wait(ctx, key); err != nil {
		return nil, err
	}
	return m.Store.OpenChunks(ctx, key, etag, off, n, chunk, window)
}

func (m *silentStore) Stat(ctx context.Context, key string) (object.Info, error) {
	if err := m.wait(ctx, key); err != nil {
		return object.Info{}, err
	}
	return m.Store.Stat(ctx, key)
}

// TestSilentStore: heartbeats tell for how long nothing has moved; a
// worker whose attempt was taken away for it asks for another only once the
// store answers, and goes on telling until then.
func TestSilentStore(t *testing.T) {
	s, b := newUnderTest(t), newFakeCoordinator(t)
	s.o.Slots = 1
	m := &silentStore{s.Store, make(chan struct{})}
	s.o.Store = m
	const enough = 700 * time.Millisecond
	var phase atomic.Int32 // 0: the attempt, 1: revoked, 2: it has told of more
	var last atomic.Int64
	told := make(chan struct{})
	b.onHeartbeat = func(_ context.Context, q *wire.HeartbeatRequest) (*wire.HeartbeatReply, error) {
		switch now := q.StalledMs; {
		case phase.Load() == 0 && len(q.Running) == 1 && q.Running[0].StalledMs > enough.Milliseconds():
			if now < q.Running[0].StalledMs {
				t.Errorf("the worker has stalled for %d ms and its attempt for %d ms", now, q.Running[0].StalledMs)
			}
			last.Store(now)
			phase.Store(1)
			return &wire.HeartbeatReply{Revoked: []string{q.Running[0].Attempt.Id}}, nil
		case phase.Load() == 1 && len(q.Running) == 0:
			if now < last.Load() {
				t.Errorf("stalled for %d ms after %d ms, and nothing has moved", now, last.Load())
			}
			if phase.CompareAndSwap(1, 2) {
				close(told)
			}
		case phase.Load() == 2 && len(q.Running) == 0 && now == 0:
			phase.Store(3)
		}
		return nil, nil
	}
	b.serve(plain).announce(s.Store, nil)
	s.start()
	b.grants <- map0
	b.grants <- map1
	await(t, told, "a heartbeat after the revocation")
	if len(b.grants) != 1 {
		t.Error("the worker has asked for work without a store")
	}
	close(m.shut)
	if r := await(t, b.reports, "the report"); r.Attempt.Id != map1.Id || r.Outcome != wire.Outcome_OUTCOME_COMMITTED {
		t.Errorf("reported %v", r)
	}
	for deadline := time.Now().Add(patience); phase.Load() != 3; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the worker does not tell that the store answers")
		}
	}
	b.end("")
	if err := s.ends(); err != nil {
		t.Errorf("Run: %v", err)
	}
	s.Check(t)
}

// absent is a store that cannot be reached, for as many calls.
type absent struct {
	task.Store
	left atomic.Int32
}

func (g *absent) Stat(ctx context.Context, key string) (object.Info, error) {
	if g.left.Add(-1) >= 0 {
		return object.Info{}, fmt.Errorf("stat %s: %w", key, object.ErrUnreachable)
	}
	return g.Store.Stat(ctx, key)
}

// TestStoreThatIsGone: one that refuses connections is waited for too.
func TestStoreThatIsGone(t *testing.T) {
	s := newUnderTest(t)
	g := &absent{Store: s.Store}
	s.o.Store = g
	w := newWorker(s.o)
	g.left.Store(2)
	done := make(chan error, 1)
	go func() { done <- w.reach(t.Context()) }()
	for deadline := time.Now().Add(patience); w.heartbeat(account{}).StalledMs == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("heartbeats tell nothing of it")
		}
	}
	if err := await(t, done, "the store"); err != nil || g.left.Load() != -1 {
		t.Errorf("%v, with %d calls left", err, g.left.Load())
	}
	if ms := w.heartbeat(account{}).StalledMs; ms != 0 {
		t.Errorf("stalled for %d ms although the store answers", ms)
	}
	g.left.Store(1 << 30)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- w.reach(ctx) }()
	cancel()
	if err := await(t, done, "the end"); err == nil {
		t.Error("the end of the worker is no end of its waiting")
	}
}
