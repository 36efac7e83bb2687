package s3fs

import "sync"

// bufferPool keeps the buffers of chunks and parts, most of which are of one
// size and too large to be left to the collector: it would have the system
// map and clear the same memory anew after every cycle. It holds no more than
// were in use at one time, which the callers' budgets bound. Larger ones, of
// those who read and write in larger pieces, it keeps only until the collector
// has not seen them used for a while.
type bufferPool struct {
	size int64

	mu    sync.Mutex
	free  [][]byte
	large sync.Pool // of *[]byte
}

// get returns a buffer of n bytes. Its capacity is n, or less than twice that:
// a small object must not hold a large buffer.
func (p *bufferPool) get(n int64) []byte {
	switch {
	case n > p.size:
		if b, ok := p.large.Get().(*[]byte); ok && int64(cap(*b)) >= n && int64(cap(*b)) < 2*n {
			return (*b)[:n]
		}
		return make([]byte, n)
	case n <= p.size/2:
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
	b = b[:cap(b)]
	switch n := int64(len(b)); {
	case n < p.size:
		return
	case n > p.size:
		large := b // only this one costs an allocation
		p.large.Put(&large)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, b)
}
