package recordio

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"unsafe"

	"github.com/cespare/xxhash/v2"
)

// A run ends with an index, a block of kind kindIndex whose payload is one
// entry for each partition, in order, and a tail that says where it starts.
//
//	entry: partition uint32, records uint64, offset uint64, length uint64
//	tail:  offset of the index uint64, runMagic
const (
	runMagic = "mrawsrun"
	entryLen = 28
	tailLen  = 16
)

// segment is an entry of the index.
type segment struct {
	partition               int
	records, offset, length int64
}

// RunWriter writes a spill: the sorted records of some or all partitions of
// a map task, one [Options].Local stream each, and an index. A RunWriter is
// not safe for concurrent use.
type RunWriter struct {
	dst   io.Writer
	w     *Writer
	index []segment
	open  bool // index's last segment is being written
	total Summary
	large int64
	err   error // of every later call
}

// NewRunWriter returns a RunWriter on w, at whose start the run will stand.
// Options.Local is implied.
func NewRunWriter(w io.Writer, o Options) *RunWriter {
	o.Local = true
	return &RunWriter{dst: w, w: NewWriter(nil, o)}
}

// Reset starts a new run on dst with the same options and buffers.
func (w *RunWriter) Reset(dst io.Writer) {
	*w = RunWriter{dst: dst, w: w.w, index: w.index[:0]}
}

// StartPartition begins the segment of partition r, which must be greater
// than the last one. A partition that is never started is empty.
func (w *RunWriter) StartPartition(r int) error {
	w.endPartition()
	if w.err != nil {
		return w.err
	}
	if n := len(w.index); r < 0 || int64(r) > 1<<31-1 || n > 0 && r <= w.index[n-1].partition {
		return fmt.Errorf("start partition %d of a run out of order", r)
	}
	w.index = append(w.index, segment{partition: r, offset: w.total.Bytes})
	w.open = true
	w.w.Reset(w.dst)
	return nil
}

// endPartition completes the open segment, if any.
func (w *RunWriter) endPartition() {
	if w.err != nil || !w.open {
		return
	}
	s, err := w.w.Close()
	if err != nil {
		w.err = err
		return
	}
	w.open = false
	w.large = max(w.large, w.w.Largest())
	last := &w.index[len(w.index)-1]
	last.records, last.length = s.Sum.Records, s.Bytes
	w.total.Sum.Add(s.Sum)
	w.total.Bytes += s.Bytes
}

// Write appends a record to the partition that was started last. A
// [*TooLargeError] leaves the run as it was; any other error is final.
func (w *RunWriter) Write(key, value []byte) error {
	if w.err != nil {
		return w.err
	}
	if !w.open {
		return fmt.Errorf("write to a run outside a partition")
	}
	return w.w.Write(key, value)
}

// Largest is [Writer.Largest] over the partitions that are complete: over all
// of them after Close.
func (w *RunWriter) Largest() int64 { return w.large }

// Close writes the index and returns the summary of the whole run, without
// hashes. It does not close the underlying writer.
func (w *RunWriter) Close() (Summary, error) {
	w.endPartition()
	if w.err != nil {
		return Summary{}, w.err
	}
	n := len(w.index) * entryLen
	b := make([]byte, headerLen, headerLen+n+checksumLen+tailLen)
	header{kind: kindIndex, codec: None, records: uint32(len(w.index)), raw: uint32(n), stored: uint32(n)}.put(b)
	for _, s := range w.index {
		b = binary.LittleEndian.AppendUint32(b, uint32(s.partition))
		b = binary.LittleEndian.AppendUint64(b, uint64(s.records))
		b = binary.LittleEndian.AppendUint64(b, uint64(s.offset))
		b = binary.LittleEndian.AppendUint64(b, uint64(s.length))
	}
	b = binary.LittleEndian.AppendUint64(b, xxhash.Sum64(b))
	b = append(binary.LittleEndian.AppendUint64(b, uint64(w.total.Bytes)), runMagic...)
	if _, err := w.dst.Write(b); err != nil {
		w.err = fmt.Errorf("write index of a run: %w", err)
		return Summary{}, w.err
	}
	w.err = errClosed
	w.total.Bytes += int64(len(b))
	return w.total, nil
}

// Run reads a spill. It is safe for concurrent use if its source is.
type Run struct {
	src   io.ReaderAt
	index []segment // by partition
}

// OpenRun reads the index of a run of size bytes. A run that is not whole is
// a [*CorruptError].
func OpenRun(src io.ReaderAt, size int64) (*Run, error) {
	bad := func(off int64, reason string) (*Run, error) { return nil, &CorruptError{Offset: off, Reason: reason} }
	var tail [tailLen]byte
	if size < headerLen+checksumLen+tailLen {
		return bad(size, "too short for a run")
	}
	if _, err := src.ReadAt(tail[:], size-tailLen); err != nil && err != io.EOF {
		return nil, fmt.Errorf("read tail of a run: %w", err)
	}
	start := int64(binary.LittleEndian.Uint64(tail[:]))
	if string(tail[8:]) != runMagic || start < 0 || start > size-tailLen-headerLen-checksumLen {
		return bad(size-tailLen, "malformed tail of a run")
	}
	block := make([]byte, size-tailLen-start)
	if _, err := src.ReadAt(block, start); err != nil && err != io.EOF {
		return nil, fmt.Errorf("read index of a run: %w", err)
	}
	h := parseHeader(block)
	n := len(block) - headerLen - checksumLen
	if want := (header{kind: kindIndex, codec: None, records: uint32(n / entryLen), raw: uint32(n), stored: uint32(n)}); h != want ||
		n%entryLen != 0 || block[2] != 0 || block[3] != 0 || !intact(block) {
		return bad(start, "malformed index of a run")
	}
	run := &Run{src: src, index: make([]segment, 0, n/entryLen)}
	end, last := int64(0), -1
	for b := block[headerLen : headerLen+n]; len(b) > 0; b = b[entryLen:] {
		s := segment{
			partition: int(binary.LittleEndian.Uint32(b)),
			records:   int64(binary.LittleEndian.Uint64(b[4:])),
			offset:    int64(binary.LittleEndian.Uint64(b[12:])),
			length:    int64(binary.LittleEndian.Uint64(b[20:])),
		}
		if s.partition <= last || s.records < 0 || s.offset != end || s.length < 0 || s.length > start-end {
			return bad(start, "index of a run does not match the run")
		}
		end, last = s.offset+s.length, s.partition
		run.index = append(run.index, s)
	}
	if end != start {
		return bad(start, "index of a run does not match the run")
	}
	return run, nil
}

// IndexMemory is the memory in bytes that the index of a [Run] of n
// partitions takes.
func IndexMemory(n int) int64 { return int64(n) * int64(unsafe.Sizeof(segment{})) }

// find returns the segment of partition r, if there is one.
func (run *Run) find(r int) (segment, bool) {
	i, ok := slices.BinarySearchFunc(run.index, r, func(s segment, r int) int { return s.partition - r })
	if !ok {
		return segment{}, false
	}
	return run.index[i], true
}

// Records returns the number of records of partition r.
func (run *Run) Records(r int) int64 { s, _ := run.find(r); return s.records }

// PartitionInto makes rd read partition r. A partition that the run does not
// have ends at once. A merge of many partitions reuses the buffers of rd.
func (run *Run) PartitionInto(rd *Reader, r int) {
	s, ok := run.find(r)
	rd.Reset(io.NewSectionReader(run.src, s.offset, s.length))
	rd.done = !ok
}
