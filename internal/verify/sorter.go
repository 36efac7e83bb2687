package verify

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/recordio"
)

// entryBytes is the size of an entry, with room for the growth of slices.
const entryBytes = 40

// entry is a pair in the arena of a sorter. Entries of one key order by off,
// which grows in the order of emission.
type entry struct {
	prefix uint64 // first eight bytes of the key, padded with zeros
	off    uint32 // of the key in the arena; the value follows it
	klen   uint32
	vlen   uint32
}

// sorter sorts the pairs that a reference emits by partition, key and time
// of emission, in bounded memory: a full arena becomes a sorted file. It
// neither combines nor knows anything of the worker's way to do the same.
type sorter struct {
	dir     string
	part    func(key []byte) (int, error)
	arena   []byte
	limit   int // bytes of arena and entries
	parts   [][]entry
	entries int
	runs    []sortedRun
	w       *recordio.Writer
	pairs   int64
	err     error // ends the sorting
}

// sortedRun is a file of one sorted stream for each partition.
type sortedRun struct {
	f     *os.File
	spans []span // [partition]
}

func newSorter(dir string, n int, limit int64, part func([]byte) (int, error)) *sorter {
	return &sorter{
		dir: dir, part: part, parts: make([][]entry, n), limit: int(min(limit, 1<<30)),
		w: recordio.NewWriter(nil, recordio.Options{Local: true}),
	}
}

// Emit takes a pair from a mapper. After an error it does nothing.
func (s *sorter) Emit(key, value []byte) {
	if s.err != nil {
		return
	}
	r, err := s.part(key)
	if err != nil {
		s.err = err
		return
	}
	size := len(key) + len(value)
	if s.entries > 0 && len(s.arena)+size+(s.entries+1)*entryBytes > s.limit {
		if s.err = s.spill(); s.err != nil {
			return
		}
	}
	s.parts[r] = append(s.parts[r], entry{prefixOf(key), uint32(len(s.arena)), uint32(len(key)), uint32(len(value))})
	s.arena = append(append(s.arena, key...), value...)
	s.entries++
	s.pairs++
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

func (s *sorter) key(e entry) []byte   { return s.arena[e.off : e.off+e.klen] }
func (s *sorter) value(e entry) []byte { return s.arena[e.off+e.klen : e.off+e.klen+e.vlen] }

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
	return cmp.Compare(a.off, b.off)
}

// spill sorts what the arena holds into a file.
func (s *sorter) spill() error {
	var g errgroup.Group
	g.SetLimit(workers())
	for _, entries := range s.parts {
		g.Go(func() error { slices.SortFunc(entries, s.compare); return nil })
	}
	_ = g.Wait() // sorting cannot fail
	f, err := os.CreateTemp(s.dir, "sort-")
	if err != nil {
		return fmt.Errorf("sort in a temporary file: %w", err)
	}
	run := sortedRun{f: f, spans: make([]span, len(s.parts))}
	s.runs = append(s.runs, run)
	var off int64
	for r, entries := range s.parts {
		n, err := s.write(f, entries)
		if err != nil {
			return fmt.Errorf("sort in a temporary file: %w", err)
		}
		run.spans[r] = span{off, n}
		off += n
		s.parts[r] = entries[:0]
	}
	s.arena, s.entries = s.arena[:0], 0
	if cap(s.arena) > 2*s.limit {
		s.arena = nil // one huge pair
	}
	return nil
}

// write writes sorted entries as one stream and returns its size in bytes.
func (s *sorter) write(f *os.File, entries []entry) (int64, error) {
	s.w.Reset(f)
	for _, e := range entries {
		if err := s.w.Write(s.key(e), s.value(e)); err != nil {
			return 0, err
		}
	}
	sum, err := s.w.Close()
	return sum.Bytes, err
}

// finish sorts the last pairs and frees the arena.
func (s *sorter) finish() error {
	if s.err == nil && s.entries > 0 {
		s.err = s.spill()
	}
	s.arena, s.parts, s.w = nil, nil, nil
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
func (a *audit) sorted(ctx context.Context, s *sorter, r int) (*recordio.Merger, func(), error) {
	srcs := make([]recordio.Source, len(s.runs))
	for i, run := range s.runs {
		srcs[i] = &fileSource{r: run.f, s: run.spans[r]}
	}
	srcs, drop, err := a.narrow(ctx, srcs)
	if err != nil {
		drop()
		return nil, nil, err
	}
	return recordio.Merge(srcs, nil), drop, nil
}
