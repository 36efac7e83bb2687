package sortbuf

import "unsafe"

// slab is one block of memory that fills from both ends: bytes from the front,
// entries of type T from the back. So neither needs memory of its own set aside.
// T holds no pointers, so the garbage collector does not scan the block.
type slab[T any] struct {
	all  []T    // the block as entries
	mem  []byte // the same block as bytes
	used int    // bytes taken at the front
	n    int    // entries taken at the back
}

func sizeOf[T any]() int {
	var t T
	return int(unsafe.Sizeof(t))
}

func newSlab[T any](size int) slab[T] {
	all := make([]T, max(size/sizeOf[T](), 1))
	// Any bit pattern is a valid T, and the block lives as long as all does.
	mem := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(all))), len(all)*sizeOf[T]())
	return slab[T]{all: all, mem: mem}
}

// room returns the bytes between the two ends.
func (s *slab[T]) room() int { return (len(s.all)-s.n)*sizeOf[T]() - s.used }

// fits tells whether there is room for n bytes and one entry.
func (s *slab[T]) fits(n int) bool { return n <= s.room()-sizeOf[T]() }

// alloc takes n bytes at the front; there must be room.
func (s *slab[T]) alloc(n int) (off int, b []byte) {
	off = s.used
	s.used += n
	return off, s.mem[off:s.used:s.used]
}

// push takes an entry at the back; there must be room.
func (s *slab[T]) push(e T) (index int) {
	s.n++
	s.all[len(s.all)-s.n] = e
	return s.n - 1
}

// entry returns the entry that push numbered i.
func (s *slab[T]) entry(i int) *T { return &s.all[len(s.all)-1-i] }

// entries returns all entries, the last one first.
func (s *slab[T]) entries() []T { return s.all[len(s.all)-s.n:] }

// reserve makes room for n bytes and one entry by moving to a larger block, if
// both blocks together stay within limit bytes. That has twice the size, or want
// bytes where these are more and fit. An empty slab gets a block as
// large as limit allows or n needs. It returns false if only a reset can make
// room.
func (s *slab[T]) reserve(n, want, limit int) bool {
	if s.fits(n) {
		return true
	}
	need := s.used + n + (s.n+2)*sizeOf[T]()
	if s.n == 0 && s.used == 0 {
		s.all, s.mem = nil, nil // before the new one is made, so that never both are held
		*s = newSlab[T](max(min(limit, max(need, firstSlab)), need))
		return true
	}
	grown := max(need, 2*len(s.mem), min(want, limit-len(s.mem)))
	if len(s.mem)+grown > limit {
		return false
	}
	to := newSlab[T](grown)
	to.used = copy(to.mem, s.mem[:s.used])
	to.n = copy(to.all[len(to.all)-s.n:], s.entries())
	*s = to
	return true
}

// firstSlab is the size of the first block in bytes. It holds a small file.
const firstSlab = 256 << 10

// reset empties the slab. A block that cannot grow within limit, or is larger, is
// replaced by one of limit bytes.
func (s *slab[T]) reset(limit int) {
	s.used, s.n = 0, 0
	if size := len(s.mem); size > limit || size+sizeOf[T]() <= limit {
		s.all, s.mem = nil, nil
		*s = newSlab[T](limit)
	}
}
