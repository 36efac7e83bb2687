package s3fs

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// verdict is how one HTTP try ended.
type verdict uint8

const (
	fine      verdict = iota
	refused           // 4xx: an answer like "not there" or "exists already"
	throttled         // the store asks for fewer requests
	failed            // 5xx, no reply, or a body that broke
	canceled          // the caller wanted it no more
)

// good says that the store did what a store is there for.
func (v verdict) good() bool { return v == fine || v == refused }

// verdictOf judges a reply by its status.
func verdictOf(status int) verdict {
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
	Started int64 // those that are under way among them
	Retried int64 // paid from the retry budget: the second try and all later ones

	// How those ended that have ended.
	OK        int64
	Refused   int64 // 4xx: an answer like "not there" or "exists already"
	Throttled int64 // 503 and 429
	Failed    int64 // any other 5xx, no reply, or a body that broke
	Canceled  int64 // wanted no more
}

// Activity is what the requests of one [Store] came to so far.
type Activity struct {
	Tries    map[string]Tries // by operation name ("PutObject")
	Sent     int64            // bytes of request bodies
	Received int64            // bytes of reply bodies
	Bound    int              // requests that may be in flight now, up to Options.Concurrency
	Busy     int              // requests in flight
	Queued   int              // requests that wait for their turn
	Cuts     int64            // how often Bound was halved
	// Budget is how many retries all operations together may make now
	// without waiting, of BudgetMax.
	Budget, BudgetMax float64
	Waiting           int   // retries that wait for the budget
	Waited            int64 // retries that had to wait so far
}

// meter counts.
type meter struct {
	sent, received atomic.Int64

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

func (m *meter) end(name string, v verdict) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.of(name)
	*[...]*int64{fine: &t.OK, refused: &t.Refused, throttled: &t.Throttled, failed: &t.Failed, canceled: &t.Canceled}[v]++
}

// spend pays for a retry, or waits until it can.
func (c *client) spend(ctx context.Context, name string, until time.Time) error {
	if err := c.purse.spend(ctx, until); err != nil {
		return err
	}
	c.meter.retry(name)
	return nil
}

// Requests returns the number of HTTP tries so far by operation name
// ("PutObject"); a retry counts again.
func (s *Store) Requests() map[string]int64 {
	m := &s.http.meter
	m.mu.Lock()
	defer m.mu.Unlock()
	n := make(map[string]int64, len(m.tries))
	for name, t := range m.tries {
		n[name] = t.Started
	}
	return n
}

// Activity tells what the store has been asked so far, how that went, and
// what may be asked now.
func (s *Store) Activity() Activity {
	c := s.http
	a := Activity{
		Tries: make(map[string]Tries), Sent: c.meter.sent.Load(), Received: c.meter.received.Load(),
		BudgetMax: c.purse.max,
	}
	c.limit.fill(&a)
	a.Budget, a.Waiting, a.Waited = c.purse.left()
	c.meter.mu.Lock()
	defer c.meter.mu.Unlock()
	for name, t := range c.meter.tries {
		a.Tries[name] = *t
	}
	return a
}
