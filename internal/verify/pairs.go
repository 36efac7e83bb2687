package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/internal/scratch"
)

// segmentSource is a sorted segment on its way into a merge. It is opened
// when the first record is wanted and closed at its end, and looks at every
// record that passes: order and partition as they come, counts and checksums
// against the commit record at the end. Damage ends the segment and becomes
// a finding, so that the rest of the partition can still be looked at.
type segmentSource struct {
	a    *audit
	m, r int
	open func() io.Reader
	find *finder
	part func(key []byte) (int, error) // nil if the partitioner is unknown

	rd   *recordio.Reader
	key  []byte // of the last record
	val  []byte // of it, where values have an order
	err  error
	done bool
	bad  bool // the records cannot be trusted
	// What was read.
	sum    recordio.Sum
	seen   bool
	strays int64 // distinct keys of other partitions
	stray  string
	mess   string // the first key out of order
}

// Next advances to the next record.
func (s *segmentSource) Next() bool {
	if s.done {
		return false
	}
	if s.rd == nil {
		s.rd = recordio.NewReader(s.open())
	}
	if !s.rd.Next() {
		s.finish()
		return false
	}
	key := s.rd.Key()
	if s.seen && bytes.Equal(key, s.key) {
		return true
	}
	if s.seen && s.mess == "" {
		s.mess = s.a.order.disorder(s.key, s.val, key, s.rd.Value())
	}
	s.key, s.seen = append(s.key[:0], key...), true
	if s.a.order != nil {
		s.val = append(s.val[:0], s.rd.Value()...)
	}
	if s.part != nil {
		p, err := s.part(key)
		if err != nil {
			s.err, s.done = err, true
			return false
		}
		if p != s.r {
			if s.strays++; s.stray == "" {
				s.stray = fmt.Sprintf("key %s belongs into partition %d", s.a.order.show(key), p)
			}
		}
	}
	return true
}

// Key and Value are those of the current record.
func (s *segmentSource) Key() []byte   { return s.rd.Key() }
func (s *segmentSource) Value() []byte { return s.rd.Value() }

// Err is nil for a damaged segment, which is a finding.
func (s *segmentSource) Err() error { return s.err }

// finish compares what was read with the commit record.
func (s *segmentSource) finish() {
	s.done = true
	key, rec, which := s.a.segKey(s.m, s.r), s.a.seg(s.m, s.r), s.a.which(s.m, s.r)
	sum, err := s.rd.Summary()
	s.rd = nil
	if corrupt := (*recordio.CorruptError)(nil); errors.As(err, &corrupt) {
		s.bad = true
		s.find.add(Corrupt, key, "%s%v", which, err)
		return
	}
	if err != nil { // of the spool
		s.err = err
		return
	}
	s.sum = sum.Sum
	switch {
	case sum.Sum != rec.sum:
		s.find.add(BadSum, key, "%sit has %s, its commit record says %s", which, showSum(sum.Sum), showSum(rec.sum))
	case sum.Hash != rec.hash:
		s.find.add(BadSum, key, "%sits records have the SHA-256 %x, its commit record says %x", which, sum.Hash, rec.hash)
	}
	if s.mess != "" {
		s.bad = true
		s.find.add(Unsorted, key, "%s%s", which, s.mess)
	}
	if s.strays > 0 {
		s.find.add(WrongPartition, key, "%s%s%s", which, s.stray, more(s.strays-1, "key", "does"))
	}
}

// showSum is a sum for people.
func showSum(s recordio.Sum) string {
	return fmt.Sprintf("%d records of %d bytes, checksum %016x", s.Records, s.Bytes, uint64(s.Hash))
}

// more says that n further things are as the one just named.
func more(n int64, what, does string) string {
	switch {
	case n <= 0:
		return ""
	case n == 1:
		return fmt.Sprintf(" (and 1 more %s %s)", what, does)
	}
	return fmt.Sprintf(" (and so do %d more %ss)", n, what)
}

// narrow merges runs of neighbours among srcs into temporary files until at
// most fanIn sources are left, which bounds the buffers of the last merge.
// Records of equal keys stay in the order of their sources. The files live
// until the returned function is called.
func (o Options) narrow(ctx context.Context, srcs []recordio.Source) (_ []recordio.Source, drop func(), err error) {
	var files []*scratch.File
	drop = func() {
		for _, f := range files {
			dropFile(f)
		}
	}
	for len(srcs) > o.fanIn {
		var fewer []recordio.Source
		for len(srcs) > 0 {
			group := srcs[:min(len(srcs), o.fanIn)]
			srcs = srcs[len(group):]
			f, err := newTemp(o.Scratch)
			if err != nil {
				return nil, drop, fmt.Errorf("merge into a temporary file: %w", err)
			}
			files = append(files, f)
			n, err := mergeInto(ctx, f, group)
			if err != nil {
				return nil, drop, err
			}
			fewer = append(fewer, &fileSource{r: f, s: span{0, n}})
		}
		srcs = fewer
	}
	return srcs, drop, nil
}

// mergeInto writes the merge of srcs to f and returns its size in bytes.
func mergeInto(ctx context.Context, f io.Writer, srcs []recordio.Source) (int64, error) {
	w := recordio.NewWriter(f, recordio.Options{Local: true})
	m := recordio.Merge(srcs, nil)
	for n := 0; m.Next(); n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		if err := w.Write(m.Key(), m.Value()); err != nil {
			return 0, fmt.Errorf("merge into a temporary file: %w", err)
		}
	}
	if err := m.Err(); err != nil {
		return 0, err
	}
	sum, err := w.Close()
	if err != nil {
		return 0, fmt.Errorf("merge into a temporary file: %w", err)
	}
	return sum.Bytes, nil
}

// fileSource is a sorted stream in a temporary file. It holds buffers from
// its first record to its last.
type fileSource struct {
	r    io.ReaderAt
	s    span
	rd   *recordio.Reader
	err  error
	done bool
}

func (f *fileSource) Next() bool {
	if f.done {
		return false
	}
	if f.rd == nil {
		f.rd = recordio.NewReader(io.NewSectionReader(f.r, f.s.off, f.s.n))
	}
	if f.rd.Next() {
		return true
	}
	f.done, f.err, f.rd = true, f.rd.Err(), nil
	if f.err != nil {
		f.err = fmt.Errorf("read back a temporary file: %w", f.err)
	}
	return false
}

func (f *fileSource) Key() []byte   { return f.rd.Key() }
func (f *fileSource) Value() []byte { return f.rd.Value() }
func (f *fileSource) Err() error    { return f.err }
