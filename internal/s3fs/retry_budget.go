package s3fs

import (
	"container/list"
	"context"
	"math"
	"sync"
	"time"
)

// retryBudget is a token bucket that all operations of a [Store] share, beside
// the tryBudget of each operation. A retry costs one token. A good reply earns
// one token, and time earns rate tokens per second. The number of retries
// therefore follows the number of successful requests. If no request succeeds,
// retries are limited to rate per second, so that many failing operations do
// not multiply the load on a store that is down.
//
// An empty budget makes retries wait in FIFO order. The SDK's own token bucket
// fails them instead. Under mass throttling that fails requests which the store
// would have served a second later, and without any backoff: see
// https://github.com/aws/aws-sdk-go-v2/issues/3413.
type retryBudget struct {
	mu      sync.Mutex
	max     float64 // tokens
	rate    float64 // tokens that a second earns
	tokens  float64
	at      time.Time   // when tokens was counted
	waiters list.List   // of chan struct{}, the longest waiting first
	timer   *time.Timer // until time has earned the first waiter's token
	waited  int64       // retries that had to wait
}

// refillTime is the time in seconds in which time alone earns one token for
// each request that may be in flight.
const refillTime = 8

// newRetryBudget returns a full budget: each request that may be in flight can
// use all its tries once.
func newRetryBudget(concurrency, attempts int) *retryBudget {
	n := float64(concurrency)
	return &retryBudget{max: n * float64(attempts), rate: max(1, n/refillTime), tokens: n * float64(attempts), at: time.Now()}
}

// earn adds the token of a good reply.
func (b *retryBudget) earn() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.serve(1)
}

// spend takes the token of a retry. It waits for its turn. It returns
// errNoTries at the time until, or the cause of ctx.
func (b *retryBudget) spend(ctx context.Context, until time.Time) error {
	b.mu.Lock()
	turn := make(chan struct{})
	e := b.waiters.PushBack(turn)
	b.serve(0)
	select {
	case <-turn:
		b.mu.Unlock()
		return nil
	default:
	}
	b.waited++
	b.mu.Unlock()
	late := time.NewTimer(time.Until(until))
	defer late.Stop()
	err := errNoTries
	select {
	case <-turn:
		return nil
	case <-late.C:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-turn: // the token came together with the end
		b.serve(1)
	default:
		b.waiters.Remove(e)
		b.serve(0)
	}
	return err
}

// serve adds n tokens and those that time has earned, and gives them to the
// waiters. If waiters are left it starts the timer for the next token.
func (b *retryBudget) serve(n float64) {
	now := time.Now()
	b.tokens = min(b.max, b.tokens+n+now.Sub(b.at).Seconds()*b.rate)
	b.at = now
	for b.tokens >= 1 && b.waiters.Len() > 0 {
		close(b.waiters.Remove(b.waiters.Front()).(chan struct{}))
		b.tokens--
	}
	if b.timer != nil {
		b.timer.Stop()
		b.timer = nil
	}
	if b.waiters.Len() > 0 {
		wait := math.Ceil((1 - b.tokens) / b.rate * float64(time.Second))
		b.timer = time.AfterFunc(time.Duration(wait), func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.serve(0)
		})
	}
}

// left returns the tokens, the number of retries that wait for one, and the
// number that have had to wait.
func (b *retryBudget) left() (tokens float64, waiting int, waited int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.serve(0)
	return b.tokens, b.waiters.Len(), b.waited
}
