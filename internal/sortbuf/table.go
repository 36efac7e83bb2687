package sortbuf

import (
	"bytes"
	"cmp"
	"hash/maphash"
	"sort"
	"unsafe"

	"github.com/mraws/mraws/internal/recordio"
)

// group is an entry of a table: a key with the combined value of its pairs.
type group struct {
	rank
	key   uint64 // offset in the slab
	value uint64 // offset in the slab
	vlen  uint32
	vcap  uint32 // bytes that are ours at value
}

// cell is a cell of the hash table. It refers to entry index-1 of the slab; index
// 0 is a free cell.
type cell struct {
	hash  uint32
	index uint32
}

// Table is the buffer of an application with a combiner: a hash table with open
// addressing and linear probing. Add combines each pair with the value of its
// key. The hash has a random seed, so that no input can be crafted to collide.
// The seed does not change the output, since the pairs are sorted.
type Table struct {
	slab[group]
	combine  func(acc, next []byte) []byte
	seed     maphash.Seed
	cells    []cell // power of two, at most 3/4 in use
	limit    int    // bytes of the slab
	maxCells int    // maximum number of cells
	full     bool
	// over is the value of entry overOf, if overOf >= 0. The value grew when
	// the slab had no room for it, and the buffer is full since then.
	over   []byte
	overOf int
}

// NewTable divides limit bytes between slab and cells. An entry takes at least 40
// bytes in the slab and a cell of 8 bytes. At most 3/4 of the cells are in use.
// Growing needs half of the memory of the cells again.
func NewTable(limit int64, combine func(acc, next []byte) []byte) *Table {
	t := &Table{combine: combine, seed: maphash.MakeSeed(), limit: int(limit / 4 * 3), overOf: -1}
	t.maxCells = firstCells
	for int64(t.maxCells)*2*int64(unsafe.Sizeof(cell{}))*3/2 <= limit/4 {
		t.maxCells *= 2
	}
	t.cells = make([]cell, firstCells)
	return t
}

// firstCells is the minimum number of cells.
const firstCells = 64

// Len counts the keys.
func (t *Table) Len() int { return t.n }

// Reset empties the table.
func (t *Table) Reset() {
	t.slab.reset(t.limit)
	clear(t.cells)
	t.full, t.over, t.overOf = false, nil, -1
}

// Add combines the value of a pair with that of its key.
func (t *Table) Add(part int, key, value []byte) bool {
	if t.full {
		return false
	}
	hash := uint32(maphash.Bytes(t.seed, key))
	mask := uint32(len(t.cells) - 1)
	i := hash & mask
	for ; t.cells[i].index != 0; i = (i + 1) & mask {
		if t.cells[i].hash != hash {
			continue
		}
		if g := t.entry(int(t.cells[i].index - 1)); bytes.Equal(t.keyOf(g), key) {
			t.fold(int(t.cells[i].index-1), value)
			return true
		}
	}
	vcap := valueCap(len(value))
	if need := len(key) + vcap; !t.fits(need) && !t.reserve(need, 0, t.limit) {
		return false
	}
	if 4*(t.n+1) > 3*len(t.cells) {
		if !t.grow() {
			return false
		}
		for i = hash & uint32(len(t.cells)-1); t.cells[i].index != 0; i = (i + 1) & uint32(len(t.cells)-1) {
		}
	}
	k, dst := t.alloc(len(key))
	copy(dst, key)
	v, dst := t.alloc(vcap)
	copy(dst, value)
	e := t.push(group{rank{recordio.Prefix(key), uint32(part), uint32(len(key))}, uint64(k), uint64(v), uint32(len(value)), uint32(vcap)})
	t.cells[i] = cell{hash, uint32(e) + 1}
	return true
}

// valueCap is the capacity for a value of n bytes, with room to grow in place.
func valueCap(n int) int { return (n + n/2 + 8) &^ 7 }

// grow doubles the number of cells. It returns false if that takes too much
// memory.
func (t *Table) grow() bool {
	if 2*len(t.cells) > t.maxCells {
		return false
	}
	old := t.cells
	t.cells = make([]cell, 2*len(old))
	mask := uint32(len(t.cells) - 1)
	for _, c := range old {
		if c.index == 0 {
			continue
		}
		i := c.hash & mask
		for ; t.cells[i].index != 0; i = (i + 1) & mask {
		}
		t.cells[i] = c
	}
	return true
}

// fold combines value into entry e.
func (t *Table) fold(e int, value []byte) {
	g := t.entry(e)
	acc := t.mem[g.value : g.value+uint64(g.vlen) : g.value+uint64(g.vcap)]
	sum := t.combine(acc, value)
	if len(sum) <= int(g.vcap) {
		if unsafe.SliceData(sum) != unsafe.SliceData(acc) {
			copy(acc[:g.vcap], sum)
		}
		g.vlen = uint32(len(sum))
		return
	}
	vcap := 2 * valueCap(len(sum))
	if vcap > t.room() && !t.reserve(vcap, 0, t.limit) {
		t.full, t.over, t.overOf = true, bytes.Clone(sum), e
		return
	}
	g = t.entry(e) // reserve may have moved it
	v, dst := t.alloc(vcap)
	copy(dst, sum)
	g.value, g.vlen, g.vcap = uint64(v), uint32(len(sum)), uint32(vcap)
}

func (t *Table) keyOf(g *group) []byte { return t.mem[g.key : g.key+uint64(g.klen)] }

// Sort orders the keys.
func (t *Table) Sort(parts int) {
	if t.overOf >= 0 { // sorting changes the indices of entries
		t.entry(t.overOf).vcap = 0
	}
	sortEntries(t.entries(), parts, func(a, b group) int {
		if a.klen > 8 || b.klen > 8 {
			return bytes.Compare(t.keyOf(&a), t.keyOf(&b))
		}
		return cmp.Compare(a.klen, b.klen)
	}, nil)
}

func (t *Table) at(i int) (key, value []byte) {
	g := &t.entries()[i]
	if g.vcap == 0 {
		return t.keyOf(g), t.over
	}
	return t.keyOf(g), t.mem[g.value : g.value+uint64(g.vlen) : g.value+uint64(g.vlen)]
}

func (t *Table) touch(int, int) {}

func (t *Table) span(part int) (lo, hi int) {
	e := t.entries()
	lo = sort.Search(len(e), func(i int) bool { return int(e[i].part) >= part })
	hi = lo + sort.Search(len(e)-lo, func(i int) bool { return int(e[lo+i].part) > part })
	return lo, hi
}
