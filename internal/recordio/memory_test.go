package recordio

import (
	"bytes"
	"io"
	"runtime"
	"testing"
	"testing/iotest"
)

// TestAllocs: the hot paths allocate nothing for a record or a block.
func TestAllocs(t *testing.T) {
	recs, _ := asBytes(pages(10_000, 1))
	files := make([][]byte, 16)
	for i := range files {
		files[i], _ = write(t, Options{}, words(2_000, uint64(i)))
	}
	for _, bo := range benchOptions {
		w := NewWriter(io.Discard, bo.o)
		atMost(t, "write "+bo.name, 2, func() {
			w.Reset(io.Discard)
			for _, r := range recs {
				if err := w.Write(r.k, r.v); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := w.Close(); err != nil {
				t.Fatal(err)
			}
		})
		data, _ := write(t, bo.o, pages(10_000, 1))
		r, src := NewReader(nil), bytes.NewReader(nil)
		atMost(t, "read "+bo.name, 2, func() {
			src.Reset(data)
			r.Reset(src)
			discard(t, r)
		})
	}
	readers, srcs := make([]*Reader, len(files)), make([]Source, len(files))
	inputs := make([]*bytes.Reader, len(files))
	for i := range readers {
		inputs[i] = bytes.NewReader(nil)
		readers[i] = NewReader(nil)
		srcs[i] = readers[i]
	}
	for name, combine := range map[string]func(acc, next []byte) []byte{"merge": nil, "merge and combine": add} {
		atMost(t, name, 12, func() {
			for i := range readers {
				inputs[i].Reset(files[i])
				readers[i].Reset(inputs[i])
			}
			discard(t, Merge(srcs, combine))
		})
	}
	key, value := []byte("key"), make([]byte, 1000)
	atMost(t, "hash", 0, func() { HashRecord(key, value) })
}

// atMost fails t if f allocates more than limit times.
func atMost(t *testing.T, what string, limit float64, f func()) {
	t.Helper()
	if got := testing.AllocsPerRun(3, f); got > limit+slack {
		t.Errorf("%s: %v allocations, want at most %v", what, got, limit)
	}
}

// TestReaderMemory: many readers hold no more than ReaderMemory says.
func TestReaderMemory(t *testing.T) {
	for _, bo := range benchOptions {
		for _, blockSize := range []int{4 << 10, 64 << 10, 1 << 20} {
			bo.o.BlockSize = blockSize
			data, _ := write(t, bo.o, pages(24_000, 1))
			got, limit := heldByReader(t, data), ReaderMemory(bo.o, 0)
			// The runtime's own objects come and go on the same heap: 20 KB
			// of them have been seen. The readers hold the same each time.
			for range 4 {
				if got > limit {
					got = min(got, heldByReader(t, data))
				}
			}
			t.Logf("%s, blocks of %d: %d bytes, bound %d", bo.name, blockSize, got, limit)
			if got > limit || limit > 4*got+(64<<10) {
				t.Errorf("%s, blocks of %d: a reader holds %d bytes, ReaderMemory says %d", bo.name, blockSize, got, limit)
			}
		}
	}
}

// heldByReader is what one of twelve readers in the middle of data holds, in
// bytes.
func heldByReader(t *testing.T, data []byte) int64 {
	t.Helper()
	readers := make([]*Reader, 12)
	before := heap()
	for i := range readers {
		readers[i] = NewReader(bytes.NewReader(data))
		for range 23_000 {
			if !readers[i].Next() {
				t.Fatal(readers[i].Err())
			}
		}
	}
	held := (heap() - before) / int64(len(readers))
	runtime.KeepAlive(readers)
	return held
}

// heap is the live heap in bytes.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestHuge: records around MaxBlockSize, where compression ends.
func TestHuge(t *testing.T) {
	for _, size := range []int{MaxBlockSize - 6, MaxBlockSize - 5, 2 * MaxBlockSize} {
		var b bytes.Buffer
		w := NewWriter(&b, Options{})
		big := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		want := summarize([]rec{{"a", "1"}, {"b", string(big)}, {string(big), ""}, {"c", "2"}})
		for _, kv := range [][2][]byte{{[]byte("a"), []byte("1")}, {[]byte("b"), big}, {big, nil}, {[]byte("c"), []byte("2")}} {
			if err := w.Write(kv[0], kv[1]); err != nil {
				t.Fatal(err)
			}
		}
		s, err := w.Close()
		if err != nil {
			t.Fatal(err)
		}
		if got := w.Largest(); got != int64(size+1) {
			t.Errorf("%d: the largest record has %d bytes, want %d", size, got, size+1)
		}
		if want.Bytes = int64(b.Len()); s != want {
			t.Fatalf("%d: got %+v, want %+v", size, s, want)
		}
		// Several sources give it in one piece, in bytes, in odd pieces.
		r := NewReader(iotest.HalfReader(&b))
		for i, want := range [][2]int{{1, 1}, {1, size}, {size, 0}, {1, 1}} {
			if !r.Next() || len(r.Key()) != want[0] || len(r.Value()) != want[1] {
				t.Fatalf("%d: record %d: %v, key of %d, value of %d bytes", size, i, r.Err(), len(r.Key()), len(r.Value()))
			}
		}
		if got, err := r.Summary(); r.Next() || err == nil || got != (Summary{}) {
			t.Fatalf("summary before the end: %+v, %v", got, err)
		}
		if got, err := r.Summary(); err != nil || got != s {
			t.Fatalf("got %+v, %v, want %+v", got, err, s)
		}
		if n := len(r.buf) + cap(r.dec); n > 2*MaxBlockSize {
			t.Errorf("reader keeps %d bytes", n)
		}
	}
}
