package sortbuf

import "runtime"

// Spare is the memory of a buffer that is closed, for the next one: that then
// need not be cleared and mapped again. Its zero value is empty, and nil keeps
// nothing.
type Spare struct {
	pairs slab[pair] // of a List
	sums  *SumTable
}

// largeSpare is how much memory, in bytes, Drop has the garbage collector free
// at once. Otherwise it would come only after the attempts of the next phase
// have taken as much from the system, page by page.
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

// SumTable returns a sum table of limit bytes for input bytes of input. To empty
// a table that is far larger than the input costs more than to make one.
func (s *Spare) SumTable(limit, input int64) *SumTable {
	if s == nil {
		return NewSumTable(limit)
	}
	t := s.sums
	s.sums = nil // first, so that two are never held
	if t == nil || t.share != limit || len(t.cells) > sumCells && int64(len(t.cells))*cellSize > 8*input {
		return NewSumTable(limit)
	}
	t.Reset()
	return t
}

// List returns a list of limit bytes. If expect bytes of pairs fit into limit,
// the list takes them without growing. bounds are those of the partitions, as of
// [manifest.Ranges], where keys are range-partitioned: all pairs are then to be
// added to partition 0, and Sort finds where each partition begins. Else nil.
func (s *Spare) List(limit, expect int64, bounds [][]byte) *List {
	l := &List{limit: int(limit), bounds: bounds}
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
