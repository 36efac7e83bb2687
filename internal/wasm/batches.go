package wasm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/mraws/mraws/internal/runner/execrunner"
)

const (
	// batchSize is how many bytes a guest gets at a time at most, but for a line or
	// record that has more and comes alone. Where batches end depends on the input alone: a guest that writes
	// something for each batch writes the same in every attempt.
	batchSize = 64 << 10
	// mostLine bounds a line and a record, in bytes.
	mostLine = 64 << 20
	// mostObject bounds an object that is one batch, in bytes.
	mostObject = 1 << 30
	// recordHeader is the size of the two lengths of a record.
	recordHeader = 8
)

// batches cuts an input.
type batches struct {
	in    io.Reader
	reads string
	buf   []byte
	start int // of what was not handed out
	end   int
	over  bool // nothing follows end
}

func newBatches(in io.Reader, reads string) *batches {
	return &batches{in: in, reads: reads, buf: make([]byte, batchSize)}
}

// next returns the next batch, which is valid until the call after it. An empty one
// is the end.
func (b *batches) next() ([]byte, error) {
	if b.reads == execrunner.Bytes {
		return b.object()
	}
	for limit := batchSize; ; limit *= 2 {
		if err := b.fill(limit); err != nil {
			return nil, err
		}
		at := b.buf[b.start:min(b.end, b.start+limit)]
		last := b.over && b.start+len(at) == b.end
		n := b.whole(at, limit > batchSize)
		switch {
		case n > 0 || len(at) == 0:
			b.start += n
			return at[:n], nil
		case last && b.reads == execrunner.Records:
			return nil, fmt.Errorf("its input ends within a record: %s", describe(at))
		case last: // the last line may lack its line break
			b.start = b.end
			return append(at, '\n'), nil
		case limit >= mostLine:
			return nil, fmt.Errorf("a line or record of its input has more than %d bytes", mostLine)
		}
	}
}

// whole returns how many bytes at the beginning of p are whole lines or records, all of
// them or only the first.
func (b *batches) whole(p []byte, first bool) int {
	switch {
	case b.reads == execrunner.Records:
		return wholeRecords(p, first)
	case first:
		return bytes.IndexByte(p, '\n') + 1
	}
	return bytes.LastIndexByte(p, '\n') + 1
}

// fill reads until so many bytes are there or the input ends.
func (b *batches) fill(n int) error {
	if b.start+n > len(b.buf) {
		held := b.buf[b.start:b.end]
		if n > len(b.buf) {
			b.buf = make([]byte, n)
		}
		b.start, b.end = 0, copy(b.buf, held)
	}
	for !b.over && b.end < b.start+n {
		m, err := io.ReadFull(b.in, b.buf[b.end:b.start+n])
		b.end += m
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			b.over = true
		case err != nil:
			return fmt.Errorf("read the input: %w", err)
		}
	}
	return nil
}

// object returns all of the input, and then nothing.
func (b *batches) object() ([]byte, error) {
	if b.over {
		return nil, nil
	}
	b.over = true
	data, err := io.ReadAll(io.LimitReader(b.in, mostObject+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the input: %w", err)
	case len(data) > mostObject:
		return nil, fmt.Errorf("the object has more than %d bytes, which is the most that a module gets", mostObject)
	}
	return data, nil
}

// wholeRecords returns how many bytes of b are whole records, all of them or only the
// first.
func wholeRecords(b []byte, first bool) (size int) {
	for len(b)-size >= recordHeader && (size == 0 || !first) {
		next := uint64(size) + recordHeader + uint64(binary.LittleEndian.Uint32(b[size:])) + uint64(binary.LittleEndian.Uint32(b[size+4:]))
		if next > uint64(len(b)) {
			break
		}
		size = int(next)
	}
	return size
}

// describe tells of a record that is cut off.
func describe(b []byte) string {
	if len(b) < recordHeader {
		return fmt.Sprintf("%d bytes are left, and the lengths of a record have %d", len(b), recordHeader)
	}
	return fmt.Sprintf("its key has %d bytes and its value %d, and %d bytes are left", binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]), len(b)-recordHeader)
}
