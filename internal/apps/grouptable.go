package apps

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
	"slices"
)

// groupTable is a hash table of groups with open addressing and linear probing. What is
// touched for each row lies together: a record of each group with its number of rows,
// its sums, and its signature.
type groupTable struct {
	seed   maphash.Seed
	mix    [2]uint64 // of hashes
	slots  int
	sign   int         // words of a signature
	large  int         // groups of a table that pays
	most   int         // groups at the moment: large or fewGroups
	cells  []groupCell // a power of two; see crowded
	n      int         // groups
	stride int         // words of a record
	words  []uint64    // the records, of each: rows; the whole of each slot; the signature
	others []otherSum  // of each group as many as slots, once a number is not whole, or compared
	keys   []byte      // of each group its long texts, then its key
	places []groupPlace

	touched uint64 // keeps touch from being optimised away
}

// groupCell refers to group index-1; index 0 is a free cell.
type groupCell struct{ hash, index uint32 }

// groupPlace is where the bytes of a group lie in keys.
type groupPlace struct{ long, key, end uint32 }

// What a table holds at most. Where most rows are of new groups it is small, so that it
// lies in the processor's cache: nothing is gained by it.
const (
	mostGroups  = 1 << 16
	mostRecords = 8 << 20 // bytes; mostGroups/2 groups may take more
	fewGroups   = 1 << 9
	mostKeys    = 4 << 20 // bytes
)

// manyCells is the number of cells from which on they grow later, and by two: they would
// not lie in the processor's cache.
const manyCells = 1 << 16

// wholeSum is the number of numbers, and the sum of those that are whole in 128 bits:
// it holds the sum of 2^64 rows.
type wholeSum []uint64

const wholeWords = 3

// add adds a number.
func (s wholeSum) add(n int64) {
	_ = s[2]
	s[0]++
	var carry uint64
	s[1], carry = bits.Add64(s[1], uint64(n), 0)
	s[2] += uint64(n>>63) + carry
}

// decimal is the sum.
func (s wholeSum) decimal() decimal {
	low, high, negative := s[1], s[2], int64(s[2]) < 0
	if negative {
		var borrow uint64
		low, borrow = bits.Sub64(0, low, 0)
		high, _ = bits.Sub64(0, high, borrow)
	}
	above := times(high, 0)
	d, _ := times(low, 0).add(decimal{0, above[0], above[1], above[2]}) // less than 2^127 * 10^38
	return d.sign(negative)
}

// otherSum is the sum of other numbers, or the least or largest of all.
type otherSum struct {
	d     decimal
	some  bool // there is a number
	large byte
}

// add adds a number, or compares it.
func (s *otherSum) add(op byte, d decimal) {
	switch {
	case op <= opAvg:
		var ok bool
		if s.d, ok = s.d.add(d); !ok {
			s.large = tooLarge
		}
	case !s.some, op == opMin && d.less(s.d), op == opMax && s.d.less(d):
		s.d = d
	}
	s.some = true
}

func newGroupTable(by, slots int) groupTable {
	sign := (by+7)/8 + 2*by
	stride := 1 + wholeWords*slots + sign
	large := max(mostGroups/2, min(mostGroups, mostRecords/(8*stride)))
	return groupTable{
		seed: maphash.MakeSeed(), mix: [2]uint64{rand.Uint64(), rand.Uint64()}, slots: slots, sign: sign,
		large: large, most: large, cells: make([]groupCell, 1024), stride: stride,
	}
}

// rows is where the number of rows of a group is.
func (t *groupTable) rows(g int) []uint64 { return t.words[g*t.stride:] }

// sum is that of a slot of a group.
func (t *groupTable) sum(g, slot int) wholeSum {
	return t.words[g*t.stride+1+wholeWords*slot:][:wholeWords]
}

// other is that of a slot of a group.
func (t *groupTable) other(g, slot int) *otherSum {
	if need := (g + 1) * t.slots; need > len(t.others) {
		t.others = append(t.others, make([]otherSum, need-len(t.others))...)
	}
	return &t.others[g*t.slots+slot]
}

// key is that with which the group is emitted.
func (t *groupTable) key(g int) []byte { return t.keys[t.places[g].key:t.places[g].end] }

// long are the long texts by which the group is found, see [signLong].
func (t *groupTable) long(g int) []byte { return t.keys[t.places[g].long:t.places[g].key] }

// touch loads the cells and records of some groups into the caches.
func (t *groupTable) touch(hashes []uint64) {
	if t.n < fewGroups {
		return
	}
	mask := uint32(len(t.cells) - 1)
	var at [together]uint32
	for i, hash := range hashes {
		at[i] = t.cells[uint32(hash)&mask].index
	}
	seen := uint64(0)
	for _, index := range at[:len(hashes)] {
		if index > 0 {
			record := t.words[int(index-1)*t.stride:][:t.stride]
			seen |= record[0] | record[len(record)-1] // which lie in two lines of the cache
		}
	}
	t.touched = seen
}

// find returns the next group of a signature and a hash, or -1. The first is looked for
// at the hash, each further one at next. Long texts are not compared.
func (t *groupTable) find(at, hash uint32, sign []uint64) (g int, next uint32) {
	mask := uint32(len(t.cells) - 1)
search:
	for ; ; at++ {
		c := t.cells[at&mask]
		if c.index == 0 {
			return -1, at
		}
		if c.hash != hash {
			continue
		}
		g := int(c.index - 1)
		w := t.words[(g+1)*t.stride-len(sign):][:len(sign)]
		for i, x := range sign {
			if w[i] != x {
				continue search
			}
		}
		return g, at + 1
	}
}

// full says that the table takes no group more, of so many bytes. An empty one takes any.
func (t *groupTable) full(size int) bool {
	return t.n >= t.most || t.n > 0 && len(t.keys)+size > mostKeys
}

// add adds a group that is not in the table.
func (t *groupTable) add(hash uint32, sign []uint64, long, key []byte) int {
	g := t.n
	t.n++
	if len(t.words)+t.stride > cap(t.words) {
		t.words = slices.Grow(t.words, max(len(t.words), 256*t.stride)) // append alone grows by less
	}
	t.words = t.words[:t.n*t.stride]
	w := t.words[g*t.stride:]
	clear(w)
	copy(w[t.stride-t.sign:], sign)
	at := groupPlace{long: uint32(len(t.keys))}
	t.keys = append(t.keys, long...)
	at.key = uint32(len(t.keys))
	t.keys = append(t.keys, key...)
	at.end = uint32(len(t.keys))
	t.places = append(t.places, at)
	if old := t.cells; t.crowded() {
		factor := 4
		if len(old) >= manyCells {
			factor = 2
		}
		t.cells = make([]groupCell, factor*len(old))
		for _, c := range old {
			if c.index != 0 {
				t.place(c)
			}
		}
	}
	t.place(groupCell{hash, uint32(t.n)})
	return g
}

// crowded says that too many cells are in use: half of a few, three quarters of many.
func (t *groupTable) crowded() bool {
	if len(t.cells) < manyCells {
		return 2*t.n > len(t.cells)
	}
	return 4*t.n > 3*len(t.cells)
}

// place gives a group a cell.
func (t *groupTable) place(c groupCell) {
	mask := uint32(len(t.cells) - 1)
	i := c.hash & mask
	for t.cells[i].index != 0 {
		i = (i + 1) & mask
	}
	t.cells[i] = c
}

// put writes the aggregate of a slot as it stands in a value.
func (t *groupTable) put(b []byte, g, slot int, op byte) {
	clear(b)
	b[0] = op
	whole := t.sum(g, slot)
	if whole[0] == 0 {
		return
	}
	var s otherSum
	if (g+1)*t.slots <= len(t.others) {
		s = *t.other(g, slot)
	}
	if op <= opAvg {
		s.add(op, whole.decimal())
	}
	b[0] |= s.large
	binary.BigEndian.PutUint64(b[1:], whole[0])
	s.d.put(b[1+countSize:])
}

// reset empties the table, which has had so many rows.
func (t *groupTable) reset(rows uint64) {
	if t.most = t.large; rows < 2*uint64(t.n) {
		t.most = fewGroups
	}
	clear(t.cells)
	t.n, t.words, t.others, t.keys, t.places = 0, t.words[:0], t.others[:0], t.keys[:0], t.places[:0]
}
