package worker

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"reflect"
	"sort"

	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/mr"
)

// tally is the buffer of an application that adds up numbers (mr.SumInt64),
// the most common of all: a hash table like that of table, with the number
// and a short key in the cell itself. So a pair of a known key, which nearly
// all pairs are, costs one look at one cache line.
type tally struct {
	cells []count // power of two, at most 5/8 in use
	n     int
	most  int // number of cells
	long  []byte
	share int64 // what newTally was given
	limit int   // bytes of long
	seed  [2]uint64
	hash  maphash.Seed // of long keys

	seen    [sights]sight
	order   []countRef // after sort
	value   [8]byte    // what at returned
	touched byte       // of no use, but the compiler must not know
}

// count is a cell.
type count struct {
	// key is the key, or of a longer one the first 8 bytes and where in
	// tally.long it lies.
	key  [inlineKey]byte
	n    uint64
	klen uint32
	part uint32 // partition plus one; 0 is a free cell
}

// sights is how many keys are looked for together: more than there are lines
// of memory on the way at a time, as many of the keys are in a cache.
const sights = 64

// sight is a key that was looked for: what load makes of it and the number
// that slot does. A length of 0 stands for a key that has no place in a cell.
type sight struct {
	lo, hi, at uint64
	klen       uint32
}

const (
	cellSize   = 32      // bytes of a count
	tallyCells = 1 << 12 // at first, where the budget has room for them
)

// countRef is an entry of the sorted order.
type countRef struct {
	rank
	cell uint64
}

// inlineKey is the longest key in bytes that fits into a cell.
const inlineKey = 16

// sums tells whether a combiner is mr.SumInt64.
func sums(combine mr.Combiner) bool {
	return combine != nil && reflect.ValueOf(combine).Pointer() == reflect.ValueOf(mr.SumInt64).Pointer()
}

// newTally shares limit bytes: three quarters for cells, which take half as
// much again while they grow and as long as they are sorted, an eighth for
// long keys, whose block may have grown to twice that.
func newTally(limit int64) *tally {
	t := &tally{share: limit, limit: int(limit / 8), hash: maphash.MakeSeed(), most: firstCells}
	for i := range t.seed {
		t.seed[i] = maphash.Comparable(t.hash, i)
	}
	for int64(t.most)*2*(cellSize*3/2) <= limit/4*3 {
		t.most *= 2
	}
	t.cells = make([]count, min(t.most, tallyCells))
	return t
}

func (t *tally) len() int { return t.n }

func (t *tally) reset() {
	clear(t.cells)
	t.n, t.long = 0, t.long[:0]
	if cap(t.long) > 2*t.limit { // for a key that an empty buffer had to take
		t.long = nil
	}
}

// load returns the first 16 bytes of a key as two numbers, zeros behind it.
func load(key []byte) (lo, hi uint64) {
	n := len(key)
	var b []byte
	if cap(key) >= inlineKey {
		b = key[:inlineKey] // what lies behind the key is masked
	} else {
		var short [inlineKey]byte
		copy(short[:], key)
		b = short[:]
	}
	lo = binary.LittleEndian.Uint64(b) & (1<<(8*uint(n)) - 1) // 1<<64 is 0
	if n > 8 {
		hi = binary.LittleEndian.Uint64(b[8:]) & (1<<(8*uint(n-8)) - 1)
	}
	return lo, hi
}

// slot returns where the search for a short key begins.
func (t *tally) slot(lo, hi uint64, n int) uint64 {
	h, l := bits.Mul64(lo^t.seed[0], hi^t.seed[1]^uint64(n))
	return h ^ l
}

// bump adds value to a key that is known; otherwise it returns false.
func (t *tally) bump(key, value []byte) bool {
	if len(value) != 8 {
		return false
	}
	c := t.find(key)
	if c == nil || c.part == 0 {
		return false
	}
	c.n += binary.BigEndian.Uint64(value)
	return true
}

// look gets ready to bump the first keys between pairs of offsets in text, as
// many as it returns. Their cells are touched in a loop of their own, short
// enough that a core has as many lines of memory on the way as it can.
func (t *tally) look(text []byte, spans []uint32) int {
	n := min(len(spans)/2, len(t.seen))
	seen := t.seen[:n]
	for i := range seen {
		key := text[spans[2*i]:spans[2*i+1]]
		s := &seen[i]
		if s.klen = 0; len(key) <= inlineKey {
			s.lo, s.hi = load(key)
			s.at, s.klen = t.slot(s.lo, s.hi, len(key)), uint32(len(key))
		}
	}
	var sum byte
	cells := t.cells
	for i := range seen {
		sum += cells[seen[i].at&uint64(len(cells)-1)].key[0]
	}
	t.touched += sum
	return n
}

// bumpSeen adds a number to the keys of look from i to n, up to the first one
// that is not known. It returns how many there were.
func (t *tally) bumpSeen(i, n int, add uint64) int {
	mask := uint64(len(t.cells) - 1)
next:
	for k, s := range t.seen[i:n] {
		if s.klen == 0 {
			return k
		}
		for at := s.at & mask; ; at = (at + 1) & mask {
			c := &t.cells[at]
			if c.part == 0 {
				return k
			}
			if c.klen == s.klen && binary.LittleEndian.Uint64(c.key[:]) == s.lo && binary.LittleEndian.Uint64(c.key[8:]) == s.hi {
				c.n += add
				continue next
			}
		}
	}
	return n - i
}

// find returns the cell of a key, or the free one where it belongs.
func (t *tally) find(key []byte) *count {
	if len(key) > inlineKey {
		return t.findLong(key)
	}
	lo, hi := load(key)
	mask := uint64(len(t.cells) - 1)
	for i := t.slot(lo, hi, len(key)) & mask; ; i = (i + 1) & mask {
		c := &t.cells[i]
		if c.part == 0 || binary.LittleEndian.Uint64(c.key[:]) == lo && binary.LittleEndian.Uint64(c.key[8:]) == hi && int(c.klen) == len(key) {
			return c
		}
	}
}

func (t *tally) findLong(key []byte) *count {
	mask := uint64(len(t.cells) - 1)
	for i := maphash.Bytes(t.hash, key) & mask; ; i = (i + 1) & mask {
		c := &t.cells[i]
		if c.part == 0 || int(c.klen) == len(key) && bytes.Equal(c.key[:8], key[:8]) && bytes.Equal(t.keyOf(c), key) {
			return c
		}
	}
}

func (t *tally) keyOf(c *count) []byte {
	if c.klen <= inlineKey {
		return c.key[:c.klen]
	}
	at := binary.LittleEndian.Uint64(c.key[8:])
	return t.long[at : at+uint64(c.klen)]
}

func (t *tally) add(part int, key, value []byte) bool {
	n := mr.ParseInt64(value)
	c := t.find(key)
	if c.part == 0 {
		if 8*(t.n+1) > 5*len(t.cells) {
			if !t.grow() {
				return false
			}
			c = t.find(key)
		}
		if len(key) <= inlineKey {
			copy(c.key[:], key)
		} else {
			if len(t.long)+len(key) > t.limit && t.n > 0 {
				return false
			}
			copy(c.key[:8], key)
			binary.LittleEndian.PutUint64(c.key[8:], uint64(len(t.long)))
			t.long = append(t.long, key...)
		}
		c.klen, c.part = uint32(len(key)), uint32(part)+1
		t.n++
	}
	c.n += uint64(n)
	return true
}

// grow doubles the number of cells; false if that is too much memory.
func (t *tally) grow() bool {
	if 2*len(t.cells) > t.most {
		return false
	}
	old := t.cells
	t.cells = make([]count, 2*len(old))
	clear(t.cells) // a page that is read first is mapped twice
	for i := range old {
		if c := &old[i]; c.part != 0 {
			*t.find(t.keyOf(c)) = *c
		}
	}
	return true
}

func (t *tally) sort(parts int) {
	if cap(t.order) < t.n {
		t.order = make([]countRef, 0, t.n)
	}
	t.order = t.order[:0]
	for i := range t.cells {
		if c := &t.cells[i]; c.part != 0 {
			t.order = append(t.order, countRef{rank{recordio.Prefix(t.keyOf(c)), c.part - 1, c.klen}, uint64(i)})
		}
	}
	sortEntries(t.order, parts, func(a, b countRef) int {
		if a.klen > 8 || b.klen > 8 {
			return bytes.Compare(t.keyOf(&t.cells[a.cell]), t.keyOf(&t.cells[b.cell]))
		}
		return cmp.Compare(a.klen, b.klen)
	})
}

func (t *tally) at(i int) (key, value []byte) {
	c := &t.cells[t.order[i].cell]
	binary.BigEndian.PutUint64(t.value[:], c.n)
	return t.keyOf(c), t.value[:]
}

func (t *tally) touch(lo, hi int) {
	var sum byte
	for _, r := range t.order[lo:hi] {
		sum += t.cells[r.cell].key[0]
	}
	t.touched += sum
}

func (t *tally) span(part int) (lo, hi int) {
	lo = sort.Search(t.n, func(i int) bool { return int(t.order[i].part) >= part })
	hi = lo + sort.Search(t.n-lo, func(i int) bool { return int(t.order[lo+i].part) > part })
	return lo, hi
}
