package recordio

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// largeBuffer is the minimum size in bytes of a buffer for which makeRoom collects
// garbage. Smaller buffers are within the reserve that memory budgets leave to
// the collector.
const largeBuffer = 4 << 20

// makeRoom runs a garbage collection before a buffer of n bytes is made, if the
// process would exceed the limit of [debug.SetMemoryLimit] with it. Without it a
// caller that drops one large buffer to make the next holds both, and earlier
// ones, until a concurrent collection has ended. On a busy machine that can take
// as long as several records.
func makeRoom(n int) {
	if n < largeBuffer {
		return
	}
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(heap)
	limit := debug.SetMemoryLimit(-1)
	if heap[0].Value.Kind() == metrics.KindUint64 && int64(heap[0].Value.Uint64()) > limit-int64(n) { //nolint:gosec // no process has 2^63 bytes
		runtime.GC()
	}
}

// Copy copies from into *to. If *to is too small it gets new memory of exactly the
// size of from. Unlike append, Copy drops the old memory before it allocates.
func Copy(to *[]byte, from []byte) {
	if len(from) >= largeBuffer && cap(*to) < len(from) {
		*to = nil
		makeRoom(len(from))
		*to = make([]byte, 0, len(from))
	}
	*to = append((*to)[:0], from...)
}
