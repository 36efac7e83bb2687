package sortbuf

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"sort"

	"github.com/mraws/mraws/internal/recordio"
)

// pair is an entry of a list. The slab has at off the key, the length of the
// value as a uvarint, and the value.
type pair struct {
	rank
	off uint64 // increases with each Add, so it also orders equal keys
}

// List is the buffer of an application without a combiner. It keeps every pair.
type List struct {
	slab[pair]
	limit   int      // bytes
	bounds  [][]byte // see [Spare.List]
	touched byte     // never read; the compiler would drop the loads of touch without it
}

// Len counts the pairs.
func (l *List) Len() int { return l.n }

// Reset empties the list.
func (l *List) Reset() { l.slab.reset(l.limit) }

// Add copies a pair into the list.
func (l *List) Add(part int, key, value []byte) bool {
	need := len(key) + binary.MaxVarintLen64 + len(value)
	if !l.fits(need) && !l.reserve(need, l.limit) {
		return false
	}
	b := append(l.mem[l.used:l.used], key...)
	b = binary.AppendUvarint(b, uint64(len(value)))
	b = append(b, value...)
	l.push(pair{rank{recordio.Prefix(key), uint32(part), uint32(len(key))}, uint64(l.used)})
	l.used += len(b)
	return true
}

// Sort orders the pairs.
func (l *List) Sort(parts int) {
	if l.bounds != nil {
		parts = 1
	}
	sortEntries(l.entries(), parts, func(a, b pair) int {
		switch {
		case a.klen > 8 || b.klen > 8:
			if c := bytes.Compare(l.key(&a), l.key(&b)); c != 0 {
				return c
			}
		case a.klen != b.klen: // the shorter one is a prefix of the other
			return cmp.Compare(a.klen, b.klen)
		}
		return cmp.Compare(a.off, b.off)
	})
}

func (l *List) key(p *pair) []byte { return l.mem[p.off : p.off+uint64(p.klen)] }

func (l *List) at(i int) (key, value []byte) {
	p := &l.entries()[i]
	n, w := binary.Uvarint(l.mem[p.off+uint64(p.klen):])
	off := p.off + uint64(p.klen) + uint64(w)
	return l.key(p), l.mem[off : off+n : off+n]
}

func (l *List) touch(lo, hi int) {
	const line = 64 // bytes of a cache line
	var sum byte
	for _, p := range l.entries()[lo:hi] {
		end := p.off + uint64(p.klen) // the processor prefetches the rest of a long key
		for off := p.off; off < min(end, p.off+4*line); off += line {
			sum += l.mem[off]
		}
		sum += l.mem[end]
	}
	l.touched += sum
}

func (l *List) span(part int) (lo, hi int) {
	if l.bounds != nil {
		return l.before(part), l.before(part + 1)
	}
	e := l.entries()
	lo = sort.Search(len(e), func(i int) bool { return int(e[i].part) >= part })
	hi = lo + sort.Search(len(e)-lo, func(i int) bool { return int(e[lo+i].part) > part })
	return lo, hi
}

// before returns the number of pairs in the partitions before part. The pairs
// are sorted, and partitions are the key ranges of bounds.
func (l *List) before(part int) int {
	switch {
	case part == 0:
		return 0
	case part > len(l.bounds):
		return l.n
	}
	bound, e := l.bounds[part-1], l.entries()
	prefix := recordio.Prefix(bound)
	return sort.Search(len(e), func(i int) bool {
		if e[i].prefix != prefix {
			return e[i].prefix > prefix
		}
		return bytes.Compare(l.key(&e[i]), bound) >= 0
	})
}
