package s3fs

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// limiter bounds the number of requests in flight. Requests wait in FIFO order.
// The bound grows and shrinks like the congestion window of TCP: a throttled
// reply halves it, at most once in cutEvery, since requests that are in flight
// together are throttled together. A good reply raises it by 1/bound. Other
// failures do not change it.
type limiter struct {
	mu      sync.Mutex
	max     float64
	bound   float64
	busy    int
	cut     time.Time // of the last shrink
	cuts    int64     // how often the bound was halved
	waiters list.List // of chan struct{}
}

const (
	cutEvery = 200 * time.Millisecond
	cutTo    = 0.5
	minBound = 2
)

func newLimiter(n int) *limiter { return &limiter{max: float64(n), bound: float64(n)} }

// acquire waits for a slot.
func (l *limiter) acquire(ctx context.Context) error {
	l.mu.Lock()
	if l.waiters.Len() == 0 && l.busy < int(l.bound) {
		l.busy++
		l.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	e := l.waiters.PushBack(turn)
	l.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-turn: // the slot came together with the cancellation
		l.busy--
		l.wake()
	default:
		l.waiters.Remove(e)
	}
	return context.Cause(ctx)
}

// release gives a slot back and says how the try ended.
func (l *limiter) release(v outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy--
	now := time.Now()
	switch {
	case v.good():
		l.bound = min(l.max, l.bound+1/l.bound)
	case v == throttled && now.Sub(l.cut) >= cutEvery:
		l.cut = now
		l.cuts++
		l.bound = max(min(minBound, l.max), l.bound*cutTo)
	}
	l.wake()
}

// fill sets the fields of a that say what may be in flight and what is.
func (l *limiter) fill(a *Activity) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a.Bound, a.Busy, a.Queued, a.Cuts = int(l.bound), l.busy, l.waiters.Len(), l.cuts
}

// wake hands free slots to the longest waiting.
func (l *limiter) wake() {
	for l.busy < int(l.bound) {
		e := l.waiters.Front()
		if e == nil {
			return
		}
		l.waiters.Remove(e)
		l.busy++
		close(e.Value.(chan struct{}))
	}
}
