package s3fs

import "sync"

// bufferPool keeps the buffers of chunks and parts, which are all of one
// size and too large to be left to the collector: it would have the system
// map and clear the same memory anew after every cycle. It holds no more than
// were in use at one time, which the callers' budgets bound.
type bufferPool struct {
	size int64

	mu   sync.Mutex
	free [][]byte
}

// get returns a buffer of n bytes, with capacity for exactly n unless n is
// close to the pool's size: a small object must not hold a large buffer.
func (p *bufferPool) get(n int64) []byte {
	if n > p.size || n <= p.size/2 {
		return make([]byte, n)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.free) - 1
	if last < 0 {
		return make([]byte, n, p.size)
	}
	b := p.free[last] // the one that a cache may still have
	p.free[last], p.free = nil, p.free[:last]
	return b[:n]
}

// put takes back what get returned.
func (p *bufferPool) put(b []byte) {
	if int64(cap(b)) != p.size {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, b[:cap(b)])
}
