package sortbuf

import (
	"slices"
	"unsafe"
)

// rank is the start of each entry. It decides most comparisons.
type rank struct {
	prefix uint64 // of the key
	part   uint32
	klen   uint32 // bytes of the key, of a pair see [pair]; the radix sort ignores it
}

// A ranked is an entry whose memory starts with a rank.
type ranked interface{ group | pair | countRef }

func rankOf[T ranked](e *T) *rank { return (*rank)(unsafe.Pointer(e)) }

const (
	// fewEntries is the maximum size of a bucket that is sorted by insertion.
	fewEntries = 24
	// someEntries is the maximum size of a bucket that is sorted through a copy,
	// which fits into the cache of a core.
	someEntries = 8 << 10
)

// sortEntries sorts by partition, then by prefix, then by compare, which orders
// entries of equal prefixes. ties does the same for many entries of one prefix;
// nil is a comparison sort. It is an in-place MSD radix sort (McIlroy, Bostic and
// McIlroy, "Engineering Radix Sort", Computing Systems 6(1), 1993, "American flag
// sort"). It moves each entry a few times. A comparison sort moves it log2 n
// times.
func sortEntries[T ranked](e []T, parts int, compare func(a, b T) int, ties func(s *sorter[T], e []T)) {
	whole := func(a, b T) int {
		x, y := rankOf(&a), rankOf(&b)
		switch {
		case x.part != y.part:
			return int(x.part) - int(y.part)
		case x.prefix < y.prefix:
			return -1
		case x.prefix > y.prefix:
			return 1
		}
		return compare(a, b)
	}
	if len(e) <= fewEntries {
		slices.SortFunc(e, whole)
		return
	}
	s := &sorter[T]{compare: compare, ties: ties}
	if len(e) > someEntries { // a copy of fewer costs more than it saves
		s.room = make([]T, someEntries)
	}
	if parts == 1 {
		s.sort(e, topByte)
		return
	}
	ends := make([]int, parts)
	for i := range e {
		ends[rankOf(&e[i]).part]++
	}
	next := make([]int, parts)
	for p, sum := 0, 0; p < parts; p++ {
		next[p] = sum
		sum += ends[p]
		ends[p] = sum
	}
	for p := range parts {
		for next[p] < ends[p] {
			for x := e[next[p]]; ; {
				q := rankOf(&x).part
				to := next[q]
				next[q]++
				if int(q) == p {
					e[to] = x
					break
				}
				e[to], x = x, e[to]
			}
		}
	}
	for p, start := 0, 0; p < parts; p++ {
		s.sort(e[start:ends[p]], topByte)
		start = ends[p]
	}
}

// topByte is the shift to the highest byte of a prefix.
const topByte = 56

// sorter sorts entries of one partition.
type sorter[T ranked] struct {
	compare func(a, b T) int
	ties    func(s *sorter[T], e []T) // see sortEntries
	room    []T                       // for a copy of a bucket; may be nil
	depth   int                       // bytes of the key that are before the prefix
}

// buckets are the places of entries by one byte of their prefix: entries of byte
// b go to [next[b], ends[b]). All bytes are between first and last.
type buckets struct {
	next, ends  [256]int
	first, last int
	most        int // maximum number of entries of one byte
}

// sort sorts entries whose prefixes are the same above the byte at shift.
func (s *sorter[T]) sort(e []T, shift int) {
	switch {
	case len(e) <= fewEntries:
		insert(e, s.compare)
		return
	case shift < 0 && s.ties != nil:
		s.ties(s, e)
		return
	case shift < 0:
		slices.SortFunc(e, s.compare)
		return
	}
	var b buckets
	countBuckets(&b, e, shift)
	switch {
	case b.first == b.last:
		s.sort(e, shift-8)
		return
	case len(e) > len(s.room):
		inPlace(&b, e, shift)
	default:
		s.scatter(&b, e, shift)
	}
	if b.most <= fewEntries {
		insert(e, s.compare) // each entry is in its bucket, so it moves no further
		return
	}
	start := 0
	for i := b.first; i <= b.last; i++ {
		if b.ends[i]-start > 1 {
			s.sort(e[start:b.ends[i]], shift-8)
		}
		start = b.ends[i]
	}
}

// countBuckets counts the entries of each bucket.
func countBuckets[T ranked](b *buckets, e []T, shift int) {
	for i := range e {
		b.ends[byte(rankOf(&e[i]).prefix>>shift)]++
	}
	for b.last = 255; b.ends[b.last] == 0; {
		b.last--
	}
	for b.ends[b.first] == 0 {
		b.first++
	}
	for i, sum := b.first, 0; i <= b.last; i++ {
		b.next[i] = sum
		b.most = max(b.most, b.ends[i])
		sum += b.ends[i]
		b.ends[i] = sum
	}
}

// scatter moves entries into their buckets through a copy. That takes half the
// time of inPlace.
func (s *sorter[T]) scatter(b *buckets, e []T, shift int) {
	room := s.room[:len(e)]
	for i := range e {
		q := byte(rankOf(&e[i]).prefix >> shift)
		room[b.next[q]] = e[i]
		b.next[q]++
	}
	copy(e, room)
}

// inPlace moves entries into their buckets in place. Each swap moves one entry to
// its bucket. The swaps do not depend on each other, so the processor overlaps
// them, unlike those of a cycle in which each entry takes the place of the next.
func inPlace[T ranked](b *buckets, e []T, shift int) {
	for left := true; left; {
		left = false
		for k := b.first; k <= b.last; k++ {
			end := b.ends[k]
			for i := b.next[k]; i < end; i++ {
				x := e[i]
				q := byte(rankOf(&x).prefix >> shift)
				to := b.next[q]
				b.next[q]++
				e[i], e[to] = e[to], x
			}
			left = left || b.next[k] < end
		}
	}
}

// insert sorts a few entries of one partition.
func insert[T ranked](e []T, compare func(a, b T) int) {
	for i := 1; i < len(e); i++ {
		x := e[i]
		p := rankOf(&x).prefix
		j := i
		for ; j > 0; j-- {
			q := rankOf(&e[j-1]).prefix
			if q < p || q == p && compare(e[j-1], x) <= 0 {
				break
			}
			e[j] = e[j-1]
		}
		e[j] = x
	}
}
