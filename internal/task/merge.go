package task

import (
	"bytes"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/internal/sortbuf"
	"github.com/mraws/mraws/mr"
)

// sorted is something that holds sorted segments, at most one for each of
// some partitions: a run, a full buffer, a fetched segment.
type sorted interface {
	// source returns the segment of a partition, nil if it is empty. The
	// source is used up before the next call.
	source(part int) recordio.Source
	// weight is the memory in bytes that a source takes.
	weight() int64
	// Close frees what it holds.
	Close() error
}

// run is a spill in a scratch file.
type run struct {
	*recordio.Run
	file   *tempFile
	reader *recordio.Reader
	memory int64 // of reader and index, bytes
}

func (r *run) source(part int) recordio.Source {
	if r.Records(part) == 0 {
		return nil
	}
	if r.reader == nil {
		r.reader = recordio.NewReader(nil)
	}
	r.PartitionInto(r.reader, part)
	return r.reader
}

func (r *run) weight() int64 { return r.memory }
func (r *run) Close() error  { return r.file.Close() }

// resident is the buffer of a map attempt, sorted, as the last of its runs.
type resident struct{ buf sortbuf.Buffer }

func (r resident) source(part int) recordio.Source { return sortbuf.Partition(r.buf, part) }
func (r resident) weight() int64                   { return 0 }
func (r resident) Close() error                    { return nil }

// merger writes sorted runs to scratch and merges them. A run has the sorted
// pairs of all partitions.
type merger struct {
	space   *space
	live    *live
	nparts  int                           // partitions of a run
	limit   int64                         // memory of the readers of one merge, bytes
	block   int                           // of a run, bytes
	combine func(acc, next []byte) []byte // nil leaves the values of a key as they are
	writer  *recordio.RunWriter           // reused for its buffers
}

// source merges what ins hold of a partition; the order of values is that of
// ins.
func (m *merger) source(ins []sorted, part int) recordio.Source {
	srcs := make([]recordio.Source, 0, len(ins))
	for _, in := range ins {
		if s := in.source(part); s != nil {
			srcs = append(srcs, s)
		}
	}
	if len(srcs) == 1 {
		return srcs[0] // already combined
	}
	return recordio.Merge(srcs, m.combine)
}

// write writes the partitions that source returns as a run; what is "spill" or
// "merge".
func (m *merger) write(what string, source func(part int) recordio.Source) (_ *run, err error) {
	f, err := m.space.file(what)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	defer func() { m.live.spilling.Add(int64(time.Since(began))) }()
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	o := recordio.Options{Codec: recordio.S2, BlockSize: m.block}
	if m.writer == nil {
		m.writer = recordio.NewRunWriter(f, o)
	}
	m.writer.Reset(f)
	for part := range m.nparts {
		s := source(part)
		if s == nil {
			continue
		}
		if err := m.writer.StartPartition(part); err != nil {
			return nil, err
		}
		if err := m.live.copyRecords(m.writer, s); err != nil {
			return nil, err
		}
	}
	sum, err := m.writer.Close()
	if err != nil {
		return nil, err
	}
	m.live.Spills.Add(1)
	m.live.Spilled.Add(sum.Bytes)
	r, err := recordio.OpenRun(f, sum.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read back scratch file in %s: %w", m.space.dir, err)
	}
	memory := recordio.ReaderMemory(o, m.writer.Largest()) + recordio.IndexMemory(m.nparts)
	return &run{Run: r, file: f, memory: memory}, nil
}

// copyRecords writes a source to its end, or until the attempt is stopped.
func (l *live) copyRecords(w interface{ Write(key, value []byte) error }, s recordio.Source) error {
	for n := 1; s.Next(); n++ {
		if l.stopped.Load() {
			return errStopped
		}
		if n%beatEach == 0 {
			l.Beats.Add(1)
		}
		if err := w.Write(s.Key(), s.Value()); err != nil {
			return recordError(s.Key(), err)
		}
	}
	return s.Err()
}

// errStopped stands for the cause of the attempt's context, which Run
// returns in its place.
var errStopped = errors.New("attempt was stopped")

// recordError makes the error of a record that is too large a fatal one that
// names the key.
func recordError(key []byte, err error) error {
	var large *recordio.TooLargeError
	if errors.As(err, &large) {
		return &FatalError{Err: fmt.Errorf("write key %s: %w", shortKey(key), err)}
	}
	return err
}

// compact merges neighbours among ins into runs until the sources of all
// take no more memory than the limit, as weigh counts it. Only neighbours, since
// the order of values is the order of ins. It closes what it has merged, and
// everything after an error.
func (m *merger) compact(ins []sorted) (_ []sorted, err error) {
	for weigh(ins) > m.limit {
		if ins, err = m.pass(ins); err != nil {
			return nil, err
		}
	}
	return ins, nil
}

// pass merges neighbours among ins, as many at a time as the limit allows, but
// the first two at least. It leaves what needs no pass.
func (m *merger) pass(ins []sorted) (out []sorted, err error) {
	for len(ins) > 0 {
		if len(out) > 0 && weigh(out, ins...) <= m.limit {
			return append(out, ins...), nil
		}
		group := 1
		for group < len(ins) && weigh(ins[:group+1]) <= m.limit {
			group++
		}
		merged, err := m.merge(ins[:group])
		if err != nil {
			return nil, errors.Join(err, closeAll(out), closeAll(ins))
		}
		out, ins = append(out, merged), ins[group:]
	}
	return out, nil
}

// merge merges one group into a run, and closes the group unless there is an
// error.
func (m *merger) merge(group []sorted) (sorted, error) {
	if len(group) == 1 {
		return group[0], nil
	}
	r, err := m.write("merge", func(part int) recordio.Source { return m.source(group, part) })
	if err != nil {
		return nil, err
	}
	if err := closeAll(group); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	clear(group) // closed: not again after an error of a later group
	return r, nil
}

// weigh is the memory in bytes that a merge of ins and more takes for its
// readers, all but the two heaviest: no merge does with fewer. Their weight
// is that of their largest records, which fit no budget.
func weigh(ins []sorted, more ...sorted) (n int64) {
	var first, second int64
	for _, list := range [][]sorted{ins, more} {
		for _, in := range list {
			w := in.weight()
			n += w
			if w > first {
				first, second = w, first
			} else {
				second = max(second, w)
			}
		}
	}
	return n - first - second
}

func closeAll(ins []sorted) error {
	var errs []error
	for _, in := range ins {
		if in != nil {
			errs = append(errs, in.Close())
		}
	}
	return errors.Join(errs...)
}

// combineFunc is the method of a combiner as a function, nil for none.
func combineFunc(c mr.Combiner) func(acc, next []byte) []byte {
	switch c := c.(type) {
	case nil:
		return nil
	case mr.CombinerFunc:
		return c
	default:
		return c.Combine
	}
}

// detached returns combine made safe against a combiner that returns next
// itself, whose memory the merge is about to use again.
func detached(combine func(acc, next []byte) []byte) func(acc, next []byte) []byte {
	if combine == nil {
		return nil
	}
	return func(acc, next []byte) []byte {
		sum := combine(acc, next)
		if len(sum) > 0 && len(next) > 0 {
			s, n := uintptr(unsafe.Pointer(unsafe.SliceData(sum))), uintptr(unsafe.Pointer(unsafe.SliceData(next)))
			if s >= n && s < n+uintptr(len(next)) {
				return bytes.Clone(sum)
			}
		}
		return sum
	}
}
