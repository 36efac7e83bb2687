package s3fs

import (
	"container/list"
	"context"
	"math"
	"sync"
	"time"
)

// purse is the retry budget that all operations of a [Store] share, beside
// the budget that each has for itself. A retry costs a token; a good reply
// earns one, and so does time, slowly. So retries may be as many as the
// requests that succeed, for a while more than that, and where nothing
// succeeds any more they fall to a trickle: many operations that all fail do
// not multiply the load on a store that is down.
//
// A purse that is empty makes retries wait, first come first served, rather
// than fail. The SDK's own fails them, which under mass throttling fails
// requests that the next second would have served, and without any backoff:
// see https://github.com/aws/aws-sdk-go-v2/issues/3413.
type purse struct {
	mu      sync.Mutex
	max     float64 // tokens
	rate    float64 // tokens that a second earns
	tokens  float64
	at      time.Time   // when tokens was counted
	waiters list.List   // of chan struct{}, the longest waiting first
	timer   *time.Timer // until time has earned the first waiter's token
	waited  int64       // retries that had to wait
}

// trickle is how many seconds it takes to earn, by time alone, a token for
// each request that may be in flight.
const trickle = 8

// newPurse returns a full purse: every request that may be in flight at once
// can use up its tries once.
func newPurse(concurrency, attempts int) *purse {
	n := float64(concurrency)
	return &purse{max: n * float64(attempts), rate: max(1, n/trickle), tokens: n * float64(attempts), at: time.Now()}
}

// earn pays in for a good reply.
func (p *purse) earn() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serve(1)
}

// spend pays for a retry. It waits for its turn until a token is there, at
// most until then; what it returns then is errBudget, or the cause of ctx.
func (p *purse) spend(ctx context.Context, until time.Time) error {
	p.mu.Lock()
	turn := make(chan struct{})
	e := p.waiters.PushBack(turn)
	p.serve(0)
	select {
	case <-turn:
		p.mu.Unlock()
		return nil
	default:
	}
	p.waited++
	p.mu.Unlock()
	late := time.NewTimer(time.Until(until))
	defer late.Stop()
	err := errBudget
	select {
	case <-turn:
		return nil
	case <-late.C:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-turn: // the token came together with the end
		p.serve(1)
	default:
		p.waiters.Remove(e)
		p.serve(0)
	}
	return err
}

// serve adds n tokens, and those that time has earned, hands them to those
// who wait, and sees to it that time goes on doing so.
func (p *purse) serve(n float64) {
	now := time.Now()
	p.tokens = min(p.max, p.tokens+n+now.Sub(p.at).Seconds()*p.rate)
	p.at = now
	for p.tokens >= 1 && p.waiters.Len() > 0 {
		close(p.waiters.Remove(p.waiters.Front()).(chan struct{}))
		p.tokens--
	}
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	if p.waiters.Len() > 0 {
		wait := math.Ceil((1 - p.tokens) / p.rate * float64(time.Second))
		p.timer = time.AfterFunc(time.Duration(wait), func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.serve(0)
		})
	}
}

// left returns the tokens in the purse, and how many retries wait and waited
// for one.
func (p *purse) left() (tokens float64, waiting int, waited int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serve(0)
	return p.tokens, p.waiters.Len(), p.waited
}
