package sortbuf

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/mraws/mraws/mr"
)

// TestSpare: a buffer hands its memory on to the next one of the same budget.
func TestSpare(t *testing.T) {
	s := new(Spare)
	l := s.List(1<<20, 1<<10, nil)
	if n := len(l.mem); n > 2<<10 {
		t.Errorf("%d bytes for an input of a kilobyte", n)
	}
	for range 2000 { // grows
		if !l.Add(0, []byte("some key"), []byte("some value")) {
			t.Fatal("the buffer is full")
		}
	}
	grown := len(l.mem)
	s.Keep(l)
	again := s.List(1<<20, 1<<10, nil)
	if len(again.mem) != grown || again.Len() != 0 || again.used != 0 {
		t.Errorf("got %d bytes with %d pairs, want the %d of before, empty", len(again.mem), again.Len(), grown)
	}
	if large := s.List(1<<20, 1<<30, nil); len(large.mem) > 1<<20 {
		t.Errorf("%d bytes are more than the limit", len(large.mem))
	}
	s.Keep(again)
	if less := s.List(int64(grown)/2, 1<<30, nil); len(less.mem) > grown/2 {
		t.Errorf("%d bytes are more than the limit of another budget", len(less.mem))
	}
	s.Keep(again)
	sums := s.SumTable(1<<20, 1<<20)
	for i := range 3000 { // grows
		sums.Add(0, fmt.Append(nil, i, "and a key that has no place in a cell"), mr.AppendInt64(nil, 1))
	}
	cells := len(sums.cells)
	s.Keep(sums)
	if next := s.SumTable(1<<20, 1<<20); next != sums || next.Len() != 0 || len(next.cells) != cells || next.AddKnown([]byte("1and a key that has no place in a cell"), mr.AppendInt64(nil, 1)) {
		t.Errorf("got %d cells with %d keys, want the %d of before, empty", len(next.cells), next.Len(), cells)
	}
	s.Keep(sums)
	if s.SumTable(1<<19, 1<<20) == sums || s.sums != nil {
		t.Error("a buffer of another budget was handed on, or kept beside the new one")
	}
	s.Keep(sums)
	if s.SumTable(1<<20, 100) == sums {
		t.Error("a large buffer was handed on for a small input")
	}
	s.Keep(sums)
	if s.Drop(); s.sums != nil || s.pairs.all != nil {
		t.Error("a buffer was not dropped")
	}
	var none *Spare
	none.Keep(none.List(100, 100, nil))
	none.Keep(none.SumTable(100, 100))
	none.Drop()
}

// TestSpareLarge: what a map attempt leaves is there for reduce attempts, not
// garbage beside what they take.
func TestSpareLarge(t *testing.T) {
	s := &Spare{pairs: newSlab[pair](2 * largeSpare)}
	held := func() int64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := held()
	s.Drop()
	if freed := before - held(); freed < largeSpare {
		t.Errorf("%d bytes are free, want %d", freed, 2*largeSpare)
	}
}
