package s3fs

import "sync"

// bufferPool keeps the buffers of chunks and parts, which are all of one
// size and too large to be left to the collector.
type bufferPool struct {
	size int64
	pool *sync.Pool
}

func newBufferPool(size int64) bufferPool {
	return bufferPool{size: size, pool: &sync.Pool{New: func() any {
		b := make([]byte, size)
		return &b
	}}}
}

// get returns a buffer of n bytes, with capacity for exactly n unless n is
// close to the pool's size: a small object must not hold a large buffer.
func (p bufferPool) get(n int64) []byte {
	if n > p.size || n <= p.size/2 {
		return make([]byte, n)
	}
	return (*p.pool.Get().(*[]byte))[:n]
}

// put takes back what get returned.
func (p bufferPool) put(b []byte) {
	if int64(cap(b)) == p.size {
		b = b[:cap(b)]
		p.pool.Put(&b)
	}
}
