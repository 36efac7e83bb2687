package worker

import (
	"runtime"
	"sync"

	"github.com/mraws/mraws/mr"
)

// Spare is memory that attempts of a slot leave to the next, which then need
// not have it cleared and mapped again: at most the share of one attempt.
// Its zero value is empty.
type Spare struct {
	pairs  slab[pair] // of a map attempt without a combiner
	tally  *tally     // of one that adds up numbers
	chunks [][]byte   // of the finished segments of a map attempt, spoolChunk bytes each
	block  []byte     // of a reduce attempt
}

// largeSpare is how much memory, in bytes, the collector frees at once. It
// would come only after the attempts of the next phase have taken as much
// from the system, page by page, as this phase has left.
const largeSpare = 32 << 20

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
		large := len(s.pairs.mem) >= largeSpare
		s.pairs, s.tally, s.chunks = slab[pair]{}, nil, nil
		if large {
			runtime.GC()
		}
	}
}

// sums takes the buffer of a map attempt that adds up numbers. One that many
// times the bytes of its input would not fill costs more to empty than to make.
func (s *Spare) sums(limit, input int64) *tally {
	if s == nil {
		return newTally(limit)
	}
	t := s.tally
	s.tally = nil // first, so that two are never held
	if t == nil || t.share != limit || len(t.cells) > tallyCells && int64(len(t.cells))*cellSize > 8*input {
		return newTally(limit)
	}
	t.reset()
	return t
}

// list takes the buffer of a map attempt. Where expect bytes of pairs fit into
// limit, they do without growing.
func (s *Spare) list(limit, expect int64) *list {
	l := newList(limit)
	if s == nil {
		return l
	}
	l.slab, s.pairs = s.pairs, slab[pair]{}
	if want := min(limit, expect); int64(len(l.mem)) < want || int64(len(l.mem)) > limit {
		l.slab = slab[pair]{} // first, so that both are never held
		if want > 0 {
			l.slab = newSlab[pair](int(want))
		}
	}
	l.used, l.n = 0, 0
	return l
}

// keep leaves the memory of a buffer to the next attempt.
func (s *Spare) keep(b buffer) {
	if s == nil {
		return
	}
	switch b := b.(type) {
	case *list:
		s.pairs, b.slab = b.slab, slab[pair]{}
	case *tally:
		s.tally = b
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

// spares are those of all slots.
type spares struct {
	mu   sync.Mutex
	free []*Spare
}

func (s *spares) take() *Spare {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.free)
	if n == 0 {
		return new(Spare)
	}
	last := s.free[n-1]
	s.free = s.free[:n-1]
	return last
}

func (s *spares) put(one *Spare) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = append(s.free, one)
}
