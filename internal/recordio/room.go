package recordio

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// largeBuffer is the size from which on a buffer waits for garbage to be
// collected. A smaller one is part of what a budget leaves to the collector.
const largeBuffer = 4 << 20

// MakeRoom has the garbage collected before a buffer of n bytes is made, if
// the process would exceed the limit of [debug.SetMemoryLimit] with it. Who
// lets go of one large buffer to make the next would else hold both, and those
// before, until a collection that runs beside it has ended: on a busy machine
// that can take as long as several records do.
func MakeRoom(n int) {
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

// Copy copies from to the memory of to if it is large enough, else to memory of
// the right size. Unlike append it asks for no more than that, and lets go of
// the one before it takes the other.
func Copy(to *[]byte, from []byte) {
	if len(from) >= largeBuffer && cap(*to) < len(from) {
		*to = nil
		MakeRoom(len(from))
		*to = make([]byte, 0, len(from))
	}
	*to = append((*to)[:0], from...)
}
