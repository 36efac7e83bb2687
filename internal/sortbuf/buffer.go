// Package sortbuf holds the pairs of a map attempt in bounded memory until they
// are spilled or merged, and sorts them by partition and key. There are three
// buffers: a [List] keeps every pair, a [Table] combines the values of a key,
// and a [SumTable] adds up numbers.
package sortbuf

import "github.com/mraws/mraws/internal/recordio"

// Buffer is the interface of the three buffers.
type Buffer interface {
	// Add copies a pair into the buffer. It returns false and changes nothing
	// if the buffer is full. An empty buffer takes a pair of any size.
	Add(part int, key, value []byte) bool
	// Len counts the pairs.
	Len() int
	// Sort orders the pairs by partition (0 to parts-1), then by key, then in
	// the order of Add. After it only Partition, Len and Reset may be called.
	Sort(parts int)
	// Reset empties the buffer.
	Reset()

	// at returns pair i of the order.
	at(i int) (key, value []byte)
	// span returns the range [lo, hi) of the pairs of partition part.
	span(part int) (lo, hi int)
	// touch loads pairs [lo, hi) into the caches, since pairs that are
	// adjacent in the order are not adjacent in memory.
	touch(lo, hi int)
}

// touchAhead is the number of pairs that are touched together. A core overlaps
// the loads of many cache lines only if these follow each other closely.
const touchAhead = 16

// Partition returns the pairs of one partition of a sorted buffer, nil if there
// are none.
func Partition(b Buffer, part int) recordio.Source {
	if lo, hi := b.span(part); lo < hi {
		return &pairs{buf: b, i: lo, hi: hi, touched: lo}
	}
	return nil
}

// pairs is a recordio.Source of the pairs [i, hi) of a sorted buffer.
type pairs struct {
	buf        Buffer
	i, hi      int
	touched    int
	key, value []byte
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
