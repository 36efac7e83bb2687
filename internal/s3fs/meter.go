package s3fs

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mraws/mraws/internal/object"
)

// outcome is how one HTTP try ended.
type outcome uint8

const (
	fine      outcome = iota
	refused           // 4xx: an answer like "not there" or "exists already"
	throttled         // the store asks for fewer requests
	failed            // 5xx, no reply, or a body that broke
	canceled          // the caller cancelled it
)

// good reports whether the store gave a proper answer.
func (v outcome) good() bool { return v == fine || v == refused }

// outcomeOf returns the outcome of a reply with this status.
func outcomeOf(status int) outcome {
	switch {
	case status == http.StatusServiceUnavailable, status == http.StatusTooManyRequests:
		return throttled
	case status >= 500:
		return failed
	case status >= 400:
		return refused
	}
	return fine
}

// Tries counts the HTTP tries of one operation.
type Tries struct {
	Started int64 // includes tries in flight
	Retried int64 // retries, each with a token of the retry budget

	// Tries that have ended, by outcome.
	OK        int64
	Refused   int64 // 4xx: an answer like "not there" or "exists already"
	Throttled int64 // 503 and 429
	Failed    int64 // any other 5xx, no reply, or a body that broke
	Canceled  int64 // by the caller
}

// Activity is the state of a [Store] and the counts of its requests so far.
type Activity struct {
	Tries    map[string]Tries // by operation name ("PutObject")
	Sent     int64            // bytes of request bodies
	Received int64            // bytes of reply bodies
	Bound    int              // requests that may be in flight now, up to Options.Concurrency
	Busy     int              // requests in flight
	Queued   int              // requests that wait for their turn
	Cuts     int64            // how often Bound was halved
	// Budget is the number of tokens of the retry budget: retries that need not
	// wait. BudgetMax is its maximum.
	Budget, BudgetMax float64
	Waiting           int   // retries that wait for the budget
	Waited            int64 // retries that had to wait so far
	// Latency is how long requests waited for their replies.
	Latency Latency
}

// Throttled is the number of replies so far by which the store asked for fewer requests.
func (a Activity) Throttled() (n int64) {
	for _, t := range a.Tries {
		n += t.Throttled
	}
	return n
}

// meter counts tries and bytes.
type meter struct {
	sent, received atomic.Int64
	latency        [latencies]atomic.Int64
	tracer         atomic.Pointer[Tracer]

	mu    sync.Mutex
	tries map[string]*Tries
}

// of returns the counts of an operation, with mu held.
func (m *meter) of(name string) *Tries {
	t := m.tries[name]
	if t == nil {
		if m.tries == nil {
			m.tries = make(map[string]*Tries)
		}
		t = new(Tries)
		m.tries[name] = t
	}
	return t
}

func (m *meter) start(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of(name).Started++
}

func (m *meter) retry(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of(name).Retried++
}

func (m *meter) end(name string, v outcome) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.of(name)
	*[...]*int64{fine: &t.OK, refused: &t.Refused, throttled: &t.Throttled, failed: &t.Failed, canceled: &t.Canceled}[v]++
}

// spend takes a token of the retry budget for a retry, or waits for one.
func (c *client) spend(ctx context.Context, name string, until time.Time) error {
	if err := c.retries.spend(ctx, until); err != nil {
		return err
	}
	c.meter.retry(name)
	return nil
}

// Requests returns the number of HTTP tries so far by operation name
// ("PutObject"); a retry counts again.
func (s *Store) Requests() map[string]int64 {
	m := s.http.meter
	m.mu.Lock()
	defer m.mu.Unlock()
	n := make(map[string]int64, len(m.tries))
	for name, t := range m.tries {
		n[name] = t.Started
	}
	return n
}

// Traffic returns what was asked of the store so far.
func (s *Store) Traffic() object.Traffic {
	m := s.http.meter
	return object.Traffic{Requests: s.Requests(), Sent: m.sent.Load(), Received: m.received.Load()}
}

// Activity returns the current state and counts.
func (s *Store) Activity() Activity {
	c := s.http
	a := Activity{
		Tries: make(map[string]Tries), Sent: c.meter.sent.Load(), Received: c.meter.received.Load(),
		BudgetMax: c.retries.max,
	}
	c.limit.fill(&a)
	a.Budget, a.Waiting, a.Waited = c.retries.left()
	for i := range a.Latency {
		a.Latency[i] = c.meter.latency[i].Load()
	}
	c.meter.mu.Lock()
	defer c.meter.mu.Unlock()
	for name, t := range c.meter.tries {
		a.Tries[name] = *t
	}
	return a
}
