package task

import (
	"github.com/mraws/mraws/internal/sortbuf"
	"github.com/mraws/mraws/mr"
)

// Spare is memory that attempts of a slot leave to the next, which then need
// not have it cleared and mapped again: at most the share of one attempt.
// Its zero value is empty.
type Spare struct {
	pairs  sortbuf.Spare // of a map attempt
	chunks [][]byte      // of its finished segments, spoolChunk bytes each
	block  []byte        // of a reduce attempt
}

// buffers are those of a map attempt.
func (s *Spare) buffers() *sortbuf.Spare {
	if s == nil {
		return nil
	}
	return &s.pairs
}

// enter frees what an attempt of a phase has no use for, before it takes the
// budget for itself. One that may skip records has none to spare for chunks.
func (s *Spare) enter(phase mr.Phase, skips bool) {
	switch {
	case s == nil:
	case phase == mr.MapPhase:
		s.block = nil
		if skips { // what a record has emitted is held in place of the chunks
			s.chunks = nil
		}
	default:
		s.chunks = nil
		s.pairs.Drop()
	}
}

// chunk takes a chunk of a spool.
func (s *Spare) chunk() []byte {
	if s == nil || len(s.chunks) == 0 {
		return make([]byte, spoolChunk)
	}
	last := len(s.chunks) - 1
	c := s.chunks[last] // the one that a cache may still have
	s.chunks[last], s.chunks = nil, s.chunks[:last]
	return c
}

// keepChunks leaves the chunks of a spool to the next one.
func (s *Spare) keepChunks(chunks [][]byte) {
	if s != nil {
		s.chunks = append(s.chunks, chunks...)
	}
}

// bytes takes n bytes for a reduce attempt.
func (s *Spare) bytes(n int64) []byte {
	if s == nil {
		return make([]byte, n)
	}
	b := s.block
	s.block = nil
	if int64(cap(b)) < n {
		b = make([]byte, n)
	}
	return b[:n]
}
