package recordio

import (
	"bytes"
	"runtime/debug"
	"runtime/metrics"
	"testing"
)

// heapObjects is what lives on the heap and what was not collected yet.
func heapObjects() int64 {
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(heap)
	return int64(heap[0].Value.Uint64())
}

// TestMakeRoom: large buffers that follow each other are not held together,
// even if the collector does not run by itself, once the limit is reached;
// below the limit nothing is collected for them.
func TestMakeRoom(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	const size, most = 20 << 20, 3
	for _, limited := range []bool{true, false} {
		base := heapObjects()
		limit := base + most*size
		if !limited {
			limit = 1 << 50
		}
		was := debug.SetMemoryLimit(limit)
		var buf []byte
		peak := int64(0)
		from := bytes.Repeat([]byte("x"), size)
		for i := range 10 {
			buf = buf[:0:0] // it has to be had anew
			Copy(&buf, from[:size-i])
			peak = max(peak, heapObjects()-base)
		}
		debug.SetMemoryLimit(was)
		if len(buf) != size-9 || !bytes.Equal(buf, from[:len(buf)]) {
			t.Errorf("copied %d bytes, or others", len(buf))
		}
		if (peak <= (most+1)*size) != limited {
			t.Errorf("limited=%v: up to %d MiB of %d MiB each", limited, peak>>20, size>>20)
		}
		buf, from = nil, nil
	}
}
