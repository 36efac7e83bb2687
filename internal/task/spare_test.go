package task

import (
	"testing"

	"github.com/mraws/mraws/mr"
)

// TestSpare: memory goes from attempt to attempt of a phase, and never beside
// what an attempt of the other phase takes.
func TestSpare(t *testing.T) {
	s := new(Spare)
	s.enter(mr.MapPhase, false)
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
	if s.chunks != nil {
		t.Error("a reduce attempt runs beside the chunks of a map attempt")
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
	none.buffers().Keep(none.buffers().List(100, 100, nil))
	none.keepChunks([][]byte{none.chunk()})
	if len(none.bytes(5)) != 5 {
		t.Error("without a spare there is no block")
	}
}
