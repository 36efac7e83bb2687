package verify

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"unsafe"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/keyorder"
	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/internal/scratch"
)

// entrySize is the size of an entry in bytes.
const entrySize = int64(unsafe.Sizeof(entry{}))

// entry is a pair in the arena of a sorter. Entries of one key order by off,
// which grows in the order of emission.
type entry struct {
	prefix uint64 // first eight bytes of the key, padded with zeros
	off    uint32 // of the key in the arena; the value follows it
	klen   uint32
	vlen   uint32
	part   uint32
}

// arena holds pairs in chunks, so that it grows without being copied. An
// offset is the number of a chunk and, in the last bits, a place in it.
type arena struct {
	chunks [][]byte // those in use come first
	used   int
	bytes  int64 // of the chunks in use
}

const (
	chunkBits = 20
	chunkSize = 1 << chunkBits
)

// grows is how many bytes more the arena would take for a pair of size bytes.
func (a *arena) grows(size int) int64 {
	if a.used > 0 {
		if n := len(a.chunks[a.used-1]); n < chunkSize && n+size <= chunkSize {
			return 0
		}
	}
	return int64(max(size, chunkSize))
}

// put copies a pair and returns its offset.
func (a *arena) put(key, value []byte) uint32 {
	size := len(key) + len(value)
	if more := a.grows(size); more > 0 {
		if a.used == len(a.chunks) {
			a.chunks = append(a.chunks, nil)
		}
		if c := a.chunks[a.used]; int64(cap(c)) < more {
			a.chunks[a.used] = make([]byte, 0, more)
		}
		a.used++
		a.bytes += more
	}
	c := &a.chunks[a.used-1]
	off := uint32((a.used-1)<<chunkBits | len(*c))
	*c = append(append(*c, key...), value...)
	return off
}

// reset empties the arena; chunks of pairs that are larger than others are
// freed.
func (a *arena) reset() {
	for i, c := range a.chunks[:a.used] {
		if a.chunks[i] = c[:0]; cap(c) > chunkSize {
			a.chunks[i] = nil
		}
	}
	a.used, a.bytes = 0, 0
}

// at returns n bytes from an offset on.
func (a *arena) at(off, n uint32) []byte {
	c, i := a.chunks[off>>chunkBits], off&(chunkSize-1)
	return c[i : i+n]
}

// sorter sorts the pairs that a reference emits by partition, key and time
// of emission, in bounded memory: a full arena becomes a sorted file. It
// neither combines nor knows anything of the worker's way to do the same.
type sorter struct {
	dir     string
	part    func(key []byte) (int, error)
	arena   arena
	limit   int64 // bytes of arena and entries
	n       int   // partitions
	entries []entry
	runs    []sortedRun
	w       *recordio.Writer
	pairs   int64
	watch   func(r int, key, value []byte) // sees every pair
	code    *Code                          // that emits
	order   *keyorder.Order                // of keys and values
	err     error                          // ends the sorting
}

// sortedRun is a file of one sorted stream for each partition that has pairs.
type sortedRun struct {
	f     *scratch.File
	spans []span // [partition]
}

func newSorter(dir string, n int, limit int64, part func([]byte) (int, error)) *sorter {
	return &sorter{
		dir: dir, part: part, n: n, limit: min(limit, 1<<30),
		w: recordio.NewWriter(nil, recordio.Options{Local: true}),
	}
}

// Emit takes a pair from a mapper. After an error it does nothing.
func (s *sorter) Emit(key, value []byte) {
	if s.err != nil {
		return
	}
	key = s.order.Encode(key, value)
	r, err := s.part(key)
	if err != nil {
		s.err = err
		return
	}
	size := len(key) + len(value)
	more := 0 // entries that there is to be room for, besides what there is
	if len(s.entries) == cap(s.entries) {
		more = max(1<<10, cap(s.entries)/2)
	}
	if len(s.entries) > 0 && s.full(size, more) {
		if s.err = s.code.away(s.spill); s.err != nil {
			return
		}
		more = 0
	}
	if more > 0 {
		s.entries = append(make([]entry, 0, cap(s.entries)+more), s.entries...)
	}
	s.entries = append(s.entries, entry{prefixOf(key), s.arena.put(key, value), uint32(len(key)), uint32(len(value)), uint32(r)})
	s.pairs++
	if s.watch != nil {
		s.watch(r, key, value)
	}
}

// failed is the error that ended the sorting.
func (s *sorter) failed() error { return s.err }

// full tells whether a pair of size bytes takes the sorter beyond its limit.
// While the entries grow, there are old ones and new ones.
func (s *sorter) full(size, more int) bool {
	entries := int64(cap(s.entries))
	if more > 0 {
		entries += entries + int64(more)
	}
	return s.arena.bytes+s.arena.grows(size)+entries*entrySize > s.limit
}

// prefixOf orders as its key does, as far as it goes.
func prefixOf(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var b [8]byte
	copy(b[:], key)
	return binary.BigEndian.Uint64(b[:])
}

func (s *sorter) key(e entry) []byte { return s.arena.at(e.off, e.klen) }

// pair returns key and value.
func (s *sorter) pair(e entry) (key, value []byte) {
	b := s.arena.at(e.off, e.klen+e.vlen)
	return b[:e.klen], b[e.klen:]
}

func (s *sorter) compare(a, b entry) int {
	if a.prefix != b.prefix {
		return cmp.Compare(a.prefix, b.prefix)
	}
	if a.klen <= 8 && b.klen <= 8 { // equal but for zero bytes at the end
		if a.klen != b.klen {
			return cmp.Compare(a.klen, b.klen)
		}
	} else if c := bytes.Compare(s.key(a), s.key(b)); c != 0 {
		return c
	}
	// Of two pairs in one place, the one that came first has no bytes.
	return cmp.Or(cmp.Compare(a.off, b.off), cmp.Compare(a.vlen, b.vlen))
}

// byPartition brings the entries of each partition together, in any order, and
// returns where they end.
func (s *sorter) byPartition() (ends []int) {
	ends = make([]int, s.n)
	for _, e := range s.entries {
		ends[e.part]++
	}
	next, sum := make([]int, s.n), 0
	for p, n := range ends {
		next[p] = sum
		sum += n
		ends[p] = sum
	}
	for p := range ends {
		for next[p] < ends[p] {
			e := s.entries[next[p]]
			for int(e.part) != p {
				at := next[e.part]
				next[e.part]++
				e, s.entries[at] = s.entries[at], e
			}
			s.entries[next[p]] = e
			next[p]++
		}
	}
	return ends
}

// spill sorts what the arena holds into a file.
func (s *sorter) spill() error {
	ends := s.byPartition()
	var g errgroup.Group
	g.SetLimit(workers())
	for p, end := range ends {
		if entries := s.entries[start(ends, p):end]; len(entries) > 1 {
			g.Go(func() error { slices.SortFunc(entries, s.compare); return nil })
		}
	}
	_ = g.Wait() // sorting cannot fail
	f, err := newTemp(s.dir)
	if err != nil {
		return fmt.Errorf("sort in a temporary file: %w", err)
	}
	run := sortedRun{f: f, spans: make([]span, s.n)}
	s.runs = append(s.runs, run)
	out := bufio.NewWriterSize(f, 256<<10)
	var off int64
	for p, end := range ends {
		entries := s.entries[start(ends, p):end]
		if len(entries) == 0 {
			continue
		}
		n, err := s.write(out, entries)
		if err != nil {
			return fmt.Errorf("sort in a temporary file: %w", err)
		}
		run.spans[p] = span{off, n}
		off += n
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("sort in a temporary file: %w", err)
	}
	s.entries = s.entries[:0]
	s.arena.reset()
	return nil
}

// start is where partition p starts.
func start(ends []int, p int) int {
	if p == 0 {
		return 0
	}
	return ends[p-1]
}

// write writes sorted entries as one stream and returns its size in bytes.
func (s *sorter) write(f io.Writer, entries []entry) (int64, error) {
	s.w.Reset(f)
	for _, e := range entries {
		if err := s.w.Write(s.pair(e)); err != nil {
			return 0, err
		}
	}
	sum, err := s.w.Close()
	return sum.Bytes, err
}

// finish sorts the last pairs and frees the arena.
func (s *sorter) finish() error {
	if s.err == nil && len(s.entries) > 0 {
		s.err = s.spill()
	}
	s.arena, s.entries, s.w = arena{}, nil, nil
	return s.err
}

// close removes the files.
func (s *sorter) close() {
	for _, run := range s.runs {
		dropFile(run.f)
	}
}

// sorted returns the pairs of partition r in order. The merge needs drop to
// be called after it.
func (s *sorter) sorted(ctx context.Context, opt Options, r int) (*recordio.Merger, func(), error) {
	var srcs []recordio.Source
	for _, run := range s.runs {
		if run.spans[r].n > 0 {
			srcs = append(srcs, &fileSource{r: run.f, s: run.spans[r]})
		}
	}
	srcs, drop, err := opt.narrow(ctx, srcs)
	if err != nil {
		drop()
		return nil, nil, err
	}
	return recordio.Merge(srcs, nil), drop, nil
}
