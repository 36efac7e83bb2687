package worker

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/mraws/mraws/mr"
)

// TestSpare: memory goes from attempt to attempt of a phase, and never beside
// what an attempt of the other phase takes.
func TestSpare(t *testing.T) {
	s := new(Spare)
	s.enter(mr.MapPhase, false)
	l := s.list(1<<20, 1<<10)
	if n := len(l.mem); n > 2<<10 {
		t.Errorf("%d bytes for an input of a kilobyte", n)
	}
	for range 2000 { // grows
		if !l.add(0, []byte("some key"), []byte("some value")) {
			t.Fatal("the buffer is full")
		}
	}
	grown := len(l.mem)
	s.keep(l)
	again := s.list(1<<20, 1<<10)
	if len(again.mem) != grown || again.len() != 0 || again.used != 0 {
		t.Errorf("got %d bytes with %d pairs, want the %d of before, empty", len(again.mem), again.len(), grown)
	}
	if large := s.list(1<<20, 1<<30); len(large.mem) > 1<<20 {
		t.Errorf("%d bytes are more than the limit", len(large.mem))
	}
	s.keep(again)
	if less := s.list(int64(grown)/2, 1<<30); len(less.mem) > grown/2 {
		t.Errorf("%d bytes are more than the limit of another budget", len(less.mem))
	}
	s.keep(again)
	sums := s.sums(1<<20, 1<<20)
	for i := range 3000 { // grows
		sums.add(0, fmt.Append(nil, i, "and a key that has no place in a cell"), mr.AppendInt64(nil, 1))
	}
	cells := len(sums.cells)
	s.keep(sums)
	if next := s.sums(1<<20, 1<<20); next != sums || next.len() != 0 || len(next.cells) != cells || next.bump([]byte("1and a key that has no place in a cell"), mr.AppendInt64(nil, 1)) {
		t.Errorf("got %d cells with %d keys, want the %d of before, empty", len(next.cells), next.len(), cells)
	}
	s.keep(sums)
	if s.sums(1<<19, 1<<20) == sums || s.tally != nil {
		t.Error("a buffer of another budget was handed on, or kept beside the new one")
	}
	s.keep(sums)
	if s.sums(1<<20, 100) == sums {
		t.Error("a large buffer was handed on for a small input")
	}
	s.keep(sums)
	first, second := s.chunk(), s.chunk()
	s.keepChunks([][]byte{first, second})
	if c := s.chunk(); len(c) != spoolChunk || &c[0] != &second[0] || len(s.chunks) != 1 {
		t.Error("the chunk was not handed on")
	}
	s.enter(mr.MapPhase, false)
	if len(s.chunks) != 1 {
		t.Error("the chunk was not kept")
	}
	if s.enter(mr.MapPhase, true); s.chunks != nil {
		t.Error("an attempt that may skip records holds what they emitted beside chunks")
	}
	s.keepChunks([][]byte{first})
	s.enter(mr.ReducePhase, false)
	if s.pairs.all != nil || s.tally != nil || s.chunks != nil {
		t.Error("a reduce attempt runs beside the buffer of a map attempt")
	}
	b := s.bytes(100)
	s.block = b
	if c := s.bytes(60); len(c) != 60 || &c[0] != &b[0] {
		t.Error("the block was not handed on")
	}
	s.block = b
	s.enter(mr.MapPhase, false)
	if s.block != nil {
		t.Error("a map attempt runs beside the block of a reduce attempt")
	}
	var none *Spare
	none.enter(mr.MapPhase, false)
	none.keep(none.list(100, 100))
	none.keep(none.sums(100, 100))
	none.keepChunks([][]byte{none.chunk()})
	if len(none.bytes(5)) != 5 {
		t.Error("without a spare there is no block")
	}
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
	s.enter(mr.ReducePhase, false)
	if freed := before - held(); freed < largeSpare {
		t.Errorf("%d bytes are free, want %d", freed, 2*largeSpare)
	}
}
