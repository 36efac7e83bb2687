package sortbuf

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
	"sort"

	"github.com/mraws/mraws/internal/recordio"
)

// pair is an entry of a list. The slab has at off the key, the length of the
// value as a uvarint, and the value. A small pair, of a word and its count of 1 say,
// is in the entry as a whole, since reading the slab in the order of keys misses the
// caches: prefix is its key, and klen has
//
//	inEntry | value << 8 | length of the value << 4 | length of the key
//
// where value is up to two bytes, the first of them lowest, or the last two of a
// number of eight whose others are zero ([mr.AppendInt64]).
type pair struct {
	rank
	off uint64 // increases with each Add, so it also orders equal keys
}

const (
	inEntry    = 1 << 31 // more than any length
	smallKey   = 8       // bytes at most
	smallValue = 2       // bytes at most, besides a number
	number     = 8       // bytes
)

// size is the length of the key, in bytes.
func (p *pair) size() int {
	if p.klen&inEntry != 0 {
		return int(p.klen & 0xf)
	}
	return int(p.klen)
}

// List is the buffer of an application without a combiner. It keeps every pair.
type List struct {
	slab[pair]
	limit   int                     // bytes
	bounds  [][]byte                // see [Spare.List]
	touched byte                    // never read; the compiler would drop the loads of touch without it
	small   [smallKey + number]byte // key and value of the small pair that at or key returned

	// Share tells how much of its input the attempt has read, 0 to 1, so that a list
	// of unknown size grows to that of the whole in one step; nil is unknown.
	Share func() float64
}

// Len counts the pairs.
func (l *List) Len() int { return l.n }

// Reset empties the list.
func (l *List) Reset() { l.slab.reset(l.limit) }

// Add copies a pair into the list.
func (l *List) Add(part int, key, value []byte) bool {
	if len(key) <= smallKey {
		switch n := len(value); {
		case n <= smallValue:
			return l.addSmall(part, key, value, n)
		case n == number && binary.BigEndian.Uint64(value) < 1<<(8*smallValue):
			return l.addSmall(part, key, value[number-smallValue:], n)
		}
	}
	need := len(key) + binary.MaxVarintLen64 + len(value)
	if !l.fits(need) && !l.reserve(need, l.whole(), l.limit) {
		return false
	}
	b := append(l.mem[l.used:l.used], key...)
	b = binary.AppendUvarint(b, uint64(len(value)))
	b = append(b, value...)
	l.push(pair{rank{recordio.Prefix(key), uint32(part), uint32(len(key))}, uint64(l.used)})
	l.used += len(b)
	return true
}

// addSmall is Add of a small pair, whose value has length bytes; those before value
// are zero.
func (l *List) addSmall(part int, key, value []byte, length int) bool {
	const need = 1 // so that off increases
	if !l.fits(need) && !l.reserve(need, l.whole(), l.limit) {
		return false
	}
	klen := inEntry | uint32(length)<<4 | uint32(len(key))
	for i, c := range value {
		klen |= uint32(c) << (8 + 8*i)
	}
	l.push(pair{rank{recordio.Prefix(key), uint32(part), klen}, uint64(l.used)})
	l.used += need
	return true
}

// whole guesses how many bytes the list has when all of the input is read; 0 is
// unknown. A list that is still small tells little.
func (l *List) whole() int {
	const little = 4 << 20
	if l.Share == nil || len(l.mem) < little {
		return 0
	}
	const more = 1.25 // since the output of an executable comes behind its input
	if share := l.Share(); share > 0 {
		return int(min(float64(len(l.mem))/share*more, float64(l.limit)))
	}
	return 0
}

// Sort orders the pairs.
func (l *List) Sort(parts int) {
	if l.bounds != nil {
		parts = 1
	}
	compare := func(a, b pair) int {
		c := cmp.Compare(a.size(), b.size())
		if a.size() > 8 && b.size() > 8 { // else the shorter one is a prefix of the other
			c = bytes.Compare(l.key(&a), l.key(&b))
		}
		return cmp.Or(c, cmp.Compare(a.off, b.off))
	}
	sortEntries(l.entries(), parts, compare, l.sortTies)
}

// sortTies sorts pairs whose keys have the same bytes up to the end of the prefix.
// Without a combiner most pairs of a text have the key of many others. A radix sort
// by off takes a quarter of the time of a comparison sort.
func (l *List) sortTies(s *sorter[pair], e []pair) {
	const (
		fewTies = 128 // of fewer a comparison sort is the faster one
		deepest = 32  // bytes of a key; each eight of them take a pass over e
	)
	prefix, depth := e[0].prefix, s.depth
	if len(e) < fewTies || depth == deepest || slices.IsSortedFunc(e, s.compare) { // it is fast where they are in order
		slices.SortFunc(e, s.compare)
		return
	}
	short := 0 // pairs whose key ends within the prefix: of them klen and off decide
	for i := range e {
		if e[i].size() <= depth+8 {
			e[i], e[short] = e[short], e[i]
			short++
		}
	}
	for i := range e[:short] {
		e[i].prefix = uint64(e[i].size()-depth)<<topByte | e[i].off
	}
	s.sort(e[:short], topShift(e[:short]))
	for i, p := range e[short:] {
		e[short+i].prefix = recordio.Prefix(l.key(&p)[depth+8:])
	}
	s.depth = depth + 8
	s.sort(e[short:], topShift(e[short:]))
	s.depth = depth
	for i := range e {
		e[i].prefix = prefix
	}
}

// topShift is the shift to the highest byte in which prefixes differ, below 0 if they
// do not.
func topShift(e []pair) int {
	var differ uint64
	for i := range e { // none: 0
		differ |= e[i].prefix ^ e[0].prefix
	}
	return (bits.Len64(differ)+7)/8*8 - 8
}

// key returns the key of p. It is valid until the next call.
func (l *List) key(p *pair) []byte {
	if p.klen&inEntry != 0 {
		binary.BigEndian.PutUint64(l.small[:], p.prefix)
		return l.small[:p.size()]
	}
	return l.mem[p.off : p.off+uint64(p.klen)]
}

func (l *List) at(i int) (key, value []byte) {
	p := &l.entries()[i]
	if p.klen&inEntry != 0 {
		const at = smallKey + number - smallValue // nothing is written between the key and it
		binary.LittleEndian.PutUint16(l.small[at:], uint16(p.klen>>8))
		if n := int(p.klen >> 4 & 0xf); n < number {
			return l.key(p), l.small[at : at+n]
		}
		return l.key(p), l.small[smallKey:]
	}
	n, w := binary.Uvarint(l.mem[p.off+uint64(p.klen):])
	off := p.off + uint64(p.klen) + uint64(w)
	return l.key(p), l.mem[off : off+n : off+n]
}

func (l *List) touch(lo, hi int) {
	const line = 64 // bytes of a cache line
	var sum byte
	for _, p := range l.entries()[lo:hi] {
		if p.klen&inEntry != 0 {
			continue
		}
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
