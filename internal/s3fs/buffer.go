package s3fs

import "sync"

// bufferPool keeps the buffers of chunks and parts. Most have one size, PartSize.
// Without the pool the garbage collector would free these large buffers, and the
// system would map and clear the memory anew after each cycle. The pool holds at
// most as many as were in use at one time, which the memory budgets of the
// callers bound. It keeps larger buffers in a sync.Pool, which frees them when
// they have not been used for two cycles of the collector.
type bufferPool struct {
	size int64

	mu    sync.Mutex
	free  [][]byte
	large sync.Pool // of *[]byte
}

// get returns a buffer of n bytes. Its capacity is less than 2n, so that a small
// object does not hold a large buffer.
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
	b := p.free[last] // the last one used, which may still be in a cache
	p.free[last], p.free = nil, p.free[:last]
	return b[:n]
}

// put returns a buffer of get to the pool.
func (p *bufferPool) put(b []byte) {
	b = b[:cap(b)]
	switch n := int64(len(b)); {
	case n < p.size:
		return
	case n > p.size:
		large := b // declared here, so that only this branch allocates
		p.large.Put(&large)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, b)
}
