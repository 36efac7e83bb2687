package object

import (
	"context"
	"maps"
	"sync"
)

// Traffic is what a store was asked.
type Traffic struct {
	// Requests are HTTP requests by the name of the operation ("PutObject"); a retry
	// counts again.
	Requests map[string]int64 `json:"requests,omitempty"`
	Sent     int64            `json:"sent,omitempty"`     // bytes of request bodies
	Received int64            `json:"received,omitempty"` // bytes of reply bodies
}

// IsZero reports whether there was none.
func (t Traffic) IsZero() bool { return len(t.Requests) == 0 && t.Sent == 0 && t.Received == 0 }

// Add adds u.
func (t *Traffic) Add(u Traffic) { t.add(u, 1) }

// Sub takes u away.
func (t *Traffic) Sub(u Traffic) { t.add(u, -1) }

func (t *Traffic) add(u Traffic, sign int64) {
	if t.Requests == nil && len(u.Requests) > 0 {
		t.Requests = make(map[string]int64, len(u.Requests))
	}
	for name, n := range u.Requests {
		if t.Requests[name] += sign * n; t.Requests[name] == 0 {
			delete(t.Requests, name)
		}
	}
	t.Sent += sign * u.Sent
	t.Received += sign * u.Received
}

// Clone returns a copy that shares nothing with t.
func (t Traffic) Clone() Traffic {
	t.Requests = maps.Clone(t.Requests)
	return t
}

// Count is the number of requests.
func (t Traffic) Count() (n int64) {
	for _, m := range t.Requests {
		n += m
	}
	return n
}

// Tally counts the traffic of one piece of work. Whoever does the work hands it to the
// store in a context ([WithTally]). Its zero value is ready for use.
type Tally struct {
	mu  sync.Mutex
	sum Traffic
}

// Tallies are the tallies of a context: of a piece of work, of what that is a part of,
// and so on. The zero value counts nothing.
type Tallies struct {
	own   *Tally
	outer *Tallies
}

type tallyKey struct{}

// WithTally returns a context whose traffic is counted by t, and by the tallies that ctx
// has already.
func WithTally(ctx context.Context, t *Tally) context.Context {
	return context.WithValue(ctx, tallyKey{}, &Tallies{t, TalliesOf(ctx)})
}

// TalliesOf returns the tallies of a context, or nil.
func TalliesOf(ctx context.Context) *Tallies {
	t, _ := ctx.Value(tallyKey{}).(*Tallies)
	return t
}

// TrafficOf returns what the innermost tally of a context has counted so far.
func TrafficOf(ctx context.Context) Traffic {
	if t := TalliesOf(ctx); t != nil {
		return t.own.Traffic()
	}
	return Traffic{}
}

// Request counts a request.
func (t *Tallies) Request(operation string) { t.add(operation, 0, 0) }

// Sent counts n bytes of the body of a request.
func (t *Tallies) Sent(n int) { t.add("", n, 0) }

// Received counts n bytes of the body of a reply.
func (t *Tallies) Received(n int) { t.add("", 0, n) }

func (t *Tallies) add(operation string, sent, received int) {
	for ; t != nil; t = t.outer {
		t.own.add(operation, sent, received)
	}
}

func (t *Tally) add(operation string, sent, received int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if operation != "" {
		if t.sum.Requests == nil {
			t.sum.Requests = make(map[string]int64)
		}
		t.sum.Requests[operation]++
	}
	t.sum.Sent += int64(sent)
	t.sum.Received += int64(received)
}

// Traffic returns what was counted so far.
func (t *Tally) Traffic() Traffic {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sum.Clone()
}
