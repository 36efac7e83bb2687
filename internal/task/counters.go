package task

import (
	"maps"
	"sync"
	"sync/atomic"
)

// counters is the mr.Counters of one attempt.
type counters struct {
	mu sync.Mutex
	n  map[string]int64
	// beats is told of each change; nil for nobody.
	beats *atomic.Int64
}

// Add adds n to the counter name.
func (c *counters) Add(name string, n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = make(map[string]int64)
	}
	c.n[name] += n
	c.Beat()
}

// Beat implements [runner.Beater].
func (c *counters) Beat() {
	if c.beats != nil {
		c.beats.Add(1)
	}
}

// reset forgets all counters.
func (c *counters) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n = nil
}

// all returns a copy of the counters, nil if there are none.
func (c *counters) all() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.n)
}
