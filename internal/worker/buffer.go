package worker

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"sort"

	"github.com/mraws/mraws/internal/recordio"
)

// buffer holds the pairs of a map attempt that were not spilled yet.
type buffer interface {
	// add takes a copy of a pair. It returns false, having done nothing,
	// when the buffer is full; an empty buffer takes any pair.
	add(part int, key, value []byte) bool
	// len counts the pairs.
	len() int
	// sort orders the pairs by partition (of 0..parts-1), then key, then
	// time of add. After it only len, at, span and reset may be called.
	sort(parts int)
	// at returns pair i of the order.
	at(i int) (key, value []byte)
	// span tells which pairs [lo, hi) of the order are of partition part.
	span(part int) (lo, hi int)
	// touch has the memory of pairs [lo, hi) brought into the caches: pairs
	// in order lie anywhere.
	touch(lo, hi int)
	// reset empties the buffer.
	reset()
}

// touchAhead is how many pairs are touched together. A core waits for many
// lines of memory at a time, but only if it comes across them in so few
// instructions that it looks ahead over all of them.
const touchAhead = 16

// pairs is a recordio source over the pairs [i+1, hi) of a sorted buffer.
type pairs struct {
	buf        buffer
	i, hi      int
	touched    int
	key, value []byte
}

// partition returns the pairs of one partition of a sorted buffer.
func partition(buf buffer, part int) *pairs {
	lo, hi := buf.span(part)
	return &pairs{buf: buf, i: lo, hi: hi, touched: lo}
}

func (p *pairs) Next() bool {
	if p.i >= p.hi {
		return false
	}
	if p.i == p.touched {
		p.touched = min(p.i+touchAhead, p.hi)
		p.buf.touch(p.i, p.touched)
	}
	p.key, p.value = p.buf.at(p.i)
	p.i++
	return true
}
func (p *pairs) Key() []byte   { return p.key }
func (p *pairs) Value() []byte { return p.value }
func (p *pairs) Err() error    { return nil }

// pair is an entry of a list: at off lie the key, the length of the value as
// a uvarint, and the value.
type pair struct {
	rank
	off uint64 // grows with time, so it also keeps equal keys in order
}

// list is the buffer of an application without a combiner.
type list struct {
	slab[pair]
	limit int // bytes
	// bounds of the partitions, as of [manifest.Ranges], where those are
	// ranges of keys: pairs in order are then in that of partitions, so they
	// are all added to partition 0. Else nil.
	bounds  [][]byte
	touched byte // of no use, but the compiler must not know
}

func newList(limit int64) *list { return &list{limit: int(limit)} }

func (l *list) len() int { return l.n }
func (l *list) reset()   { l.slab.reset(l.limit) }

func (l *list) add(part int, key, value []byte) bool {
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

func (l *list) sort(parts int) {
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

func (l *list) key(p *pair) []byte { return l.mem[p.off : p.off+uint64(p.klen)] }

func (l *list) at(i int) (key, value []byte) {
	p := &l.entries()[i]
	n, w := binary.Uvarint(l.mem[p.off+uint64(p.klen):])
	off := p.off + uint64(p.klen) + uint64(w)
	return l.key(p), l.mem[off : off+n : off+n]
}

func (l *list) touch(lo, hi int) {
	const line = 64 // bytes that come together
	var sum byte
	for _, p := range l.entries()[lo:hi] {
		end := p.off + uint64(p.klen) // of a long key the rest follows by itself
		for off := p.off; off < min(end, p.off+4*line); off += line {
			sum += l.mem[off]
		}
		sum += l.mem[end]
	}
	l.touched += sum
}

func (l *list) span(part int) (lo, hi int) {
	if l.bounds != nil {
		return l.before(part), l.before(part + 1)
	}
	e := l.entries()
	lo = sort.Search(len(e), func(i int) bool { return int(e[i].part) >= part })
	hi = lo + sort.Search(len(e)-lo, func(i int) bool { return int(e[lo+i].part) > part })
	return lo, hi
}

// before counts the pairs in partitions before part, of sorted pairs with
// bounds.
func (l *list) before(part int) int {
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
