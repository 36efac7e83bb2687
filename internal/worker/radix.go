package worker

import (
	"slices"
	"unsafe"
)

// rank is how an entry starts: what most of its order hangs on.
type rank struct {
	prefix uint64 // of the key
	part   uint32
	klen   uint32 // bytes of the key, of no account here
}

// A ranked is an entry whose memory starts with a rank.
type ranked interface{ group | pair | countRef }

func rankOf[T ranked](e *T) *rank { return (*rank)(unsafe.Pointer(e)) }

// fewEntries is the size of a bucket that insertion sorts faster.
const fewEntries = 24

// sortEntries sorts by partition, then prefix, then by compare, which orders
// entries of the same rank. It is a radix sort from the highest byte on, in
// place (McIlroy, Bostic and McIlroy, "Engineering Radix Sort", Computing
// Systems 6(1), 1993, "American flag sort"): it touches each entry a few
// times, where comparing does so for every doubling of their number.
func sortEntries[T ranked](e []T, parts int, compare func(a, b T) int) {
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
	if parts == 1 {
		sortBytes(e, 56, compare)
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
		sortBytes(e[start:ends[p]], 56, compare)
		start = ends[p]
	}
}

// sortBytes sorts entries of one partition whose prefixes are the same above
// the byte at shift.
func sortBytes[T ranked](e []T, shift int, compare func(a, b T) int) {
	switch {
	case len(e) <= fewEntries:
		insert(e, compare)
		return
	case shift < 0:
		slices.SortFunc(e, compare)
		return
	}
	var ends [256]int
	for i := range e {
		ends[byte(rankOf(&e[i]).prefix>>shift)]++
	}
	if first := byte(rankOf(&e[0]).prefix >> shift); ends[first] == len(e) {
		sortBytes(e, shift-8, compare)
		return
	}
	var next [256]int
	for b, sum := 0, 0; b < 256; b++ {
		next[b] = sum
		sum += ends[b]
		ends[b] = sum
	}
	for b := range 256 {
		for next[b] < ends[b] {
			for x := e[next[b]]; ; {
				q := byte(rankOf(&x).prefix >> shift)
				to := next[q]
				next[q]++
				if int(q) == b {
					e[to] = x
					break
				}
				e[to], x = x, e[to]
			}
		}
	}
	for b, start := 0, 0; b < 256; b++ {
		if n := ends[b] - start; n > 1 {
			sortBytes(e[start:ends[b]], shift-8, compare)
		}
		start = ends[b]
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
