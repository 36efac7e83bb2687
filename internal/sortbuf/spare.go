package sortbuf

import "runtime"

// Spare keeps the memory of a closed buffer for the next buffer, so that it is not
// mapped and cleared again. Its zero value is empty. A nil Spare keeps nothing.
type Spare struct {
	pairs slab[pair] // of a List
	sums  *SumTable
}

// largeSpare is the minimum memory in bytes for which Drop runs a garbage
// collection. Otherwise the memory is freed only after the attempts of the next
// phase have taken as much from the system.
const largeSpare = 32 << 20

// Drop frees the memory.
func (s *Spare) Drop() {
	if s == nil {
		return
	}
	large := len(s.pairs.mem) >= largeSpare
	*s = Spare{}
	if large {
		runtime.GC()
	}
}

// SumTable returns a sum table of limit bytes for input bytes of input. It makes a
// new one if the spare table is far larger than the input, since clearing it
// would cost more.
func (s *Spare) SumTable(limit, input int64) *SumTable {
	if s == nil {
		return NewSumTable(limit)
	}
	t := s.sums
	s.sums = nil // before a new one is made, so that never two are held
	if t == nil || t.share != limit || len(t.cells) > sumCells && int64(len(t.cells))*cellSize > 8*input {
		return NewSumTable(limit)
	}
	t.Reset()
	return t
}

// List returns a list of limit bytes. It holds expect bytes of pairs without
// growing, if these fit into limit. If keys are range-partitioned, bounds are the
// bounds of the partitions, as in [manifest.Ranges]: the caller adds all pairs to
// partition 0, and the list derives the partitions after sorting. Else bounds is
// nil.
func (s *Spare) List(limit, expect int64, bounds [][]byte) *List {
	l := &List{limit: int(limit), bounds: bounds}
	if s == nil {
		return l
	}
	l.slab, s.pairs = s.pairs, slab[pair]{}
	if want := min(limit, expect); int64(len(l.mem)) < want || int64(len(l.mem)) > limit {
		l.slab = slab[pair]{} // before the new one is made, so that never both are held
		if want > 0 {
			l.slab = newSlab[pair](int(want))
		}
	}
	l.used, l.n = 0, 0
	return l
}

// Keep takes the memory of a buffer, which is not to be used any more.
func (s *Spare) Keep(b Buffer) {
	if s == nil {
		return
	}
	switch b := b.(type) {
	case *List:
		s.pairs, b.slab = b.slab, slab[pair]{}
	case *SumTable:
		s.sums = b
	}
}
