package s3fs

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// limiter bounds the requests in flight, first come first served. The bound
// follows the store: a throttled reply shrinks it by a third (at most once
// in cutEvery), each good one lets it grow again, as TCP does with its
// window.
type limiter struct {
	mu      sync.Mutex
	max     float64
	bound   float64
	busy    int
	cut     time.Time // of the last shrink
	waiters list.List // of chan struct{}
}

const (
	cutEvery = 200 * time.Millisecond
	cutTo    = 2.0 / 3
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

// release gives a slot back and says how the store felt.
func (l *limiter) release(throttled bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy--
	switch now := time.Now(); {
	case !throttled:
		l.bound = min(l.max, l.bound+1/l.bound)
	case now.Sub(l.cut) >= cutEvery:
		l.cut = now
		l.bound = max(min(minBound, l.max), l.bound*cutTo)
	}
	l.wake()
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
