package sortbuf

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"sort"

	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/mr"
)

// SumTable is the buffer of an application whose combiner adds up numbers
// ([mr.Sum]). It is a hash table like that of [Table], but each cell holds the
// number and a short key. A pair whose key is in the table, as nearly all are,
// therefore costs one cache line.
type SumTable struct {
	cells    []count // power of two, at most 5/8 in use
	n        int
	maxCells int // maximum number of cells
	long     []byte
	share    int64 // what NewSumTable was given
	limit    int   // maximum size of long in bytes
	seed     [2]uint64
	hash     maphash.Seed // of long keys

	probes  [probeBatch]probe
	order   []countRef // after Sort
	value   [8]byte    // what at returned
	touched byte       // never read; the compiler would drop the loads without it
}

// count is a cell.
type count struct {
	// key is a key of at most inlineKey bytes. For a longer key it is the first
	// 8 bytes and the offset in SumTable.long.
	key  [inlineKey]byte
	n    uint64
	klen uint32
	part uint32 // partition plus one; 0 is a free cell
}

// probeBatch is the number of keys that are probed together. It is larger than
// the number of loads that a core has in flight, since many cells are in a cache.
const probeBatch = 64

// probe is a key of a probe batch: the results of load and slot. klen is 0 for a
// key that is too long for a cell.
type probe struct {
	lo, hi, at uint64
	klen       uint32
}

const (
	cellSize = 32      // bytes of a count
	sumCells = 1 << 12 // initial number of cells, if the budget allows
)

// countRef is an entry of the sorted order.
type countRef struct {
	rank
	cell uint64
}

// inlineKey is the maximum length in bytes of a key that fits into a cell.
const inlineKey = 16

// NewSumTable divides limit bytes. Three quarters are for cells, which need half
// of their memory again while they grow and while they are sorted. An eighth is
// for long keys, whose block may grow to twice that.
func NewSumTable(limit int64) *SumTable {
	t := &SumTable{share: limit, limit: int(limit / 8), hash: maphash.MakeSeed(), maxCells: firstCells}
	for i := range t.seed {
		t.seed[i] = maphash.Comparable(t.hash, i)
	}
	for int64(t.maxCells)*2*(cellSize*3/2) <= limit/4*3 {
		t.maxCells *= 2
	}
	t.cells = make([]count, min(t.maxCells, sumCells))
	return t
}

// Len counts the keys.
func (t *SumTable) Len() int { return t.n }

// Reset empties the table.
func (t *SumTable) Reset() {
	clear(t.cells)
	t.n, t.long = 0, t.long[:0]
	if cap(t.long) > 2*t.limit { // an empty buffer took a key above the limit
		t.long = nil
	}
}

// load returns the first 16 bytes of a key, padded with zeros, as two numbers.
func load(key []byte) (lo, hi uint64) {
	n := len(key)
	var b []byte
	if cap(key) >= inlineKey {
		b = key[:inlineKey] // the bytes behind the key are masked
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

// slot returns the hash of a short key, where its search begins.
func (t *SumTable) slot(lo, hi uint64, n int) uint64 {
	h, l := bits.Mul64(lo^t.seed[0], hi^t.seed[1]^uint64(n))
	return h ^ l
}

// AddKnown adds value to a key that is in the table. It returns false if the key
// is not.
func (t *SumTable) AddKnown(key, value []byte) bool {
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

// Probe prepares a batch of keys for AddProbed and returns its size. A key is
// the part of text between a pair of offsets in spans. Probe loads the cells of
// the batch in a loop of its own, which is so short that the loads overlap.
func (t *SumTable) Probe(text []byte, spans []uint32) int {
	n := min(len(spans)/2, len(t.probes))
	probes := t.probes[:n]
	for i := range probes {
		key := text[spans[2*i]:spans[2*i+1]]
		s := &probes[i]
		if s.klen = 0; len(key) <= inlineKey {
			s.lo, s.hi = load(key)
			s.at, s.klen = t.slot(s.lo, s.hi, len(key)), uint32(len(key))
		}
	}
	var sum byte
	cells := t.cells
	for i := range probes {
		sum += cells[probes[i].at&uint64(len(cells)-1)].key[0]
	}
	t.touched += sum
	return n
}

// AddProbed adds a number to keys i to n-1 of the batch, up to the first key that
// is not in the table. It returns the number of keys that it added to.
func (t *SumTable) AddProbed(i, n int, add uint64) int {
	mask := uint64(len(t.cells) - 1)
next:
	for k, s := range t.probes[i:n] {
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

// find returns the cell of a key, or the free cell where it belongs.
func (t *SumTable) find(key []byte) *count {
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

func (t *SumTable) findLong(key []byte) *count {
	mask := uint64(len(t.cells) - 1)
	for i := maphash.Bytes(t.hash, key) & mask; ; i = (i + 1) & mask {
		c := &t.cells[i]
		if c.part == 0 || int(c.klen) == len(key) && bytes.Equal(c.key[:8], key[:8]) && bytes.Equal(t.keyOf(c), key) {
			return c
		}
	}
}

func (t *SumTable) keyOf(c *count) []byte {
	if c.klen <= inlineKey {
		return c.key[:c.klen]
	}
	at := binary.LittleEndian.Uint64(c.key[8:])
	return t.long[at : at+uint64(c.klen)]
}

// Add adds the number of a pair to that of its key.
func (t *SumTable) Add(part int, key, value []byte) bool {
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

// grow doubles the number of cells. It returns false if that takes too much
// memory.
func (t *SumTable) grow() bool {
	if 2*len(t.cells) > t.maxCells {
		return false
	}
	old := t.cells
	t.cells = make([]count, 2*len(old))
	clear(t.cells) // a page that is read before it is written faults twice
	for i := range old {
		if c := &old[i]; c.part != 0 {
			*t.find(t.keyOf(c)) = *c
		}
	}
	return true
}

// Sort orders the keys.
func (t *SumTable) Sort(parts int) {
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
	}, nil)
}

func (t *SumTable) at(i int) (key, value []byte) {
	c := &t.cells[t.order[i].cell]
	binary.BigEndian.PutUint64(t.value[:], c.n)
	return t.keyOf(c), t.value[:]
}

func (t *SumTable) touch(lo, hi int) {
	var sum byte
	for _, r := range t.order[lo:hi] {
		sum += t.cells[r.cell].key[0]
	}
	t.touched += sum
}

func (t *SumTable) span(part int) (lo, hi int) {
	lo = sort.Search(t.n, func(i int) bool { return int(t.order[i].part) >= part })
	hi = lo + sort.Search(t.n-lo, func(i int) bool { return int(t.order[lo+i].part) > part })
	return lo, hi
}
