package recordio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"
)

// lead is the room in bytes before a payload in the buffers of a Writer. With it
// the start of the file, the header, the payload and the checksum of a block are
// one write.
const lead = fileLen + headerLen

var errClosed = errors.New("record stream is closed")

// Writer writes one stream of records. It makes one call of Write on the
// underlying writer for each block, and holds two blocks in memory. It must
// be closed: a stream without its footer is not valid.
//
// A Writer is not safe for concurrent use.
type Writer struct {
	w     io.Writer
	o     Options
	flags byte

	buf     []byte // lead, then the records of the current block
	enc     []byte // lead, then their encoding
	records uint32 // in the current block
	digest  *digest

	maxRecord int64 // MaxRecord, less in tests

	total   totals
	largest int64
	written int64
	err     error // of every later call
}

// NewWriter returns a Writer on w.
func NewWriter(w io.Writer, o Options) *Writer {
	o = o.withDefaults()
	wr := &Writer{o: o, digest: newDigest(), maxRecord: MaxRecord}
	if o.Local {
		wr.flags = flagLocal
	}
	wr.Reset(w)
	return wr
}

// Reset starts a new stream on w with the same options and buffers.
func (w *Writer) Reset(dst io.Writer) {
	w.w = dst
	w.buf = w.buf[:min(lead, cap(w.buf))]
	w.records = 0
	w.digest.reset()
	w.total, w.largest, w.written, w.err = totals{}, 0, 0, nil
}

// Largest returns the size in bytes, key and value, of the largest record of the
// stream so far that has a block of its own, or 0. A reader of the stream needs
// memory for it, see [ReaderMemory].
func (w *Writer) Largest() int64 { return w.largest }

// Records returns the number of records of the stream so far. While it is 0
// nothing has been written to the underlying writer.
func (w *Writer) Records() int64 { return int64(w.total.records) + int64(w.records) }

// Write appends a record, copying key and value. A [*TooLargeError] leaves
// the stream as it was; any other error is final.
func (w *Writer) Write(key, value []byte) error {
	if w.err != nil {
		return w.err
	}
	size := int64(len(key)) + int64(len(value))
	if size > w.maxRecord {
		return &TooLargeError{Size: size, Max: w.maxRecord}
	}
	if w.buf == nil {
		w.buf = make([]byte, lead, lead+w.o.BlockSize+checksumLen)
	}
	n := frameLen(key, value) + int(size)
	if len(w.buf)-lead+n > w.o.BlockSize {
		w.flush()
		if n > w.o.BlockSize {
			w.largest = max(w.largest, size)
		}
		switch {
		case w.err != nil:
			return w.err
		case n > MaxBlockSize:
			return w.writeHuge(key, value)
		case cap(w.buf) < lead+n+checksumLen:
			w.buf = nil
			makeRoom(n)
			w.buf = make([]byte, lead, lead+max(n, w.o.BlockSize)+checksumLen)
		}
	}
	start := len(w.buf)
	w.buf = append(append(appendFrame(w.buf, key, value), key...), value...)
	if w.flags&flagLocal == 0 {
		w.prove(xxhash.Sum64(w.buf[start:]))
	}
	w.total.bytes += uint64(size)
	w.records++
	return nil
}

// prove takes the hash of a record into account.
func (w *Writer) prove(h uint64) {
	w.total.sum += h
	w.digest.add(h)
}

// flush writes the current block, if it has any records.
func (w *Writer) flush() {
	if w.records == 0 || w.err != nil {
		return
	}
	raw := w.buf[lead:]
	block, codec := w.buf, None
	if w.o.Codec == S2 {
		if need := lead + maxCompressed(len(raw)) + checksumLen; cap(w.enc) < need {
			w.enc = nil
			makeRoom(need)
			w.enc = make([]byte, lead, max(need, lead+maxCompressed(w.o.BlockSize)+checksumLen))
		}
		if enc, smaller := compress(w.enc[:lead], raw); smaller {
			block, codec = enc, S2
		}
	}
	w.emit(block, header{kind: kindRecords, codec: codec, records: w.records, raw: uint32(len(raw))})
	w.total.blocks++
	w.total.records += uint64(w.records)
	w.records = 0
	w.buf = w.buf[:lead]
	if limit := 4 * (lead + max(w.o.BlockSize, DefaultBlockSize)); cap(w.buf) > limit || cap(w.enc) > 2*limit {
		w.buf, w.enc = nil, nil // a large record is rare: give its memory back
	}
}

// emit completes and writes a block, which is lead and a payload.
func (w *Writer) emit(block []byte, h header) {
	h.stored = uint32(len(block) - lead)
	h.put(block[fileLen:])
	from := w.lead(block)
	block = binary.LittleEndian.AppendUint64(block, xxhash.Sum64(block[fileLen:]))
	w.put(block[from:])
}

// lead writes the start of the file to b if nothing has been written yet and
// returns where in b the output starts.
func (w *Writer) lead(b []byte) int {
	if w.written > 0 {
		return fileLen
	}
	copy(b, magic)
	b[len(magic)], b[len(magic)+1] = version, w.flags
	return 0
}

// writeHuge writes a record as a block of its own, straight from the memory
// of the caller and not compressed: a copy or two of a record of up to a
// gigabyte would not fit into a worker's budget.
func (w *Writer) writeHuge(key, value []byte) error {
	var room [lead + frameMax]byte
	b := appendFrame(room[:lead], key, value)
	n := len(b) - lead + len(key) + len(value)
	header{kind: kindRecords, codec: None, records: 1, raw: uint32(n), stored: uint32(n)}.put(b[fileLen:])

	check := xxhash.New()
	_, _ = check.Write(b[fileLen:])
	w.put(b[w.lead(b):])
	if w.flags&flagLocal == 0 {
		w.prove(HashRecord(key, value))
	}
	for _, part := range [][]byte{key, value} {
		_, _ = check.Write(part)
		w.put(part)
	}
	w.put(binary.LittleEndian.AppendUint64(room[:0], check.Sum64()))
	w.total.bytes += uint64(len(key) + len(value))
	w.total.records++
	w.total.blocks++
	return w.err
}

// put writes b and keeps count.
func (w *Writer) put(b []byte) {
	if w.err != nil {
		return
	}
	n, err := w.w.Write(b)
	w.written += int64(n)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		w.err = fmt.Errorf("write record stream at byte %d: %w", w.written, err)
	}
}

// Close writes what is left and the footer, and returns the summary of the
// stream. It does not close the underlying writer.
func (w *Writer) Close() (Summary, error) {
	w.flush()
	if w.err != nil {
		return Summary{}, w.err
	}
	if w.flags&flagLocal == 0 {
		w.digest.sum(&w.total.sha256)
	}
	var room [lead + 64 + checksumLen]byte
	w.emit(w.total.append(room[:lead], w.flags), header{kind: kindFooter, codec: None, raw: uint32(footerLen(w.flags))})
	if w.err != nil {
		return Summary{}, w.err
	}
	w.err = errClosed
	return w.total.summary(w.written), nil
}

// summary is what the totals of a file of n bytes say.
func (t *totals) summary(n int64) Summary {
	return Summary{
		Sum:   Sum{Records: int64(t.records), Hash: Hex64(t.sum), Bytes: int64(t.bytes)},
		Hash:  t.sha256,
		Bytes: n,
	}
}
