package output

import (
	"bytes"
	"fmt"
	"io"
)

// lines writes a line for each record: "key value\n", or the line itself.
type lines struct{ compression string }

func newLines(options map[string]string) (Format, error) {
	return lines{options[CompressionOption]}, checkCompression(options)
}

// ContentType implements [Format].
func (f lines) ContentType() string { return contentType(f.compression, "text/plain; charset=utf-8") }

// Ending implements [Format].
func (f lines) Ending() string { return endings[f.compression] }

// Check implements [Format]: each line has a byte at least.
func (f lines) Check(records, size int64) error {
	if f.compression != "" {
		return checkPacked(size)
	}
	if records > size || (records == 0) != (size == 0) {
		return fmt.Errorf("%d bytes and %d lines", size, records)
	}
	return nil
}

// Encoder implements [Format].
func (f lines) Encoder(w io.Writer, _ Libraries) (Encoder, error) {
	to, end := compressTo(w, f.compression)
	return &lineEncoder{block: block{to: to, end: end}}, nil
}

type lineEncoder struct {
	block
	key []byte
}

// Key implements [Encoder].
func (e *lineEncoder) Key(key []byte) error {
	if bytes.IndexByte(key, '\n') >= 0 {
		return &UnfitError{What: "line break in the key"}
	}
	e.key = key
	return nil
}

// Value implements [Encoder].
func (e *lineEncoder) Value(value []byte) error {
	if bytes.IndexByte(value, '\n') >= 0 {
		return &UnfitError{What: "line break in the value", Data: value}
	}
	e.add(e.key)
	e.buf = append(e.buf, ' ')
	e.add(value)
	e.buf = append(e.buf, '\n')
	return e.err
}

// Line implements [Encoder].
func (e *lineEncoder) Line(line []byte) error {
	if bytes.IndexByte(line, '\n') >= 0 {
		return &UnfitError{What: "line break in the line", Data: line}
	}
	e.add(line)
	e.buf = append(e.buf, '\n')
	return e.err
}

// blockSize is how much is gathered before it is handed on, bytes.
const blockSize = 64 << 10

// block gathers bytes on their way to a writer.
type block struct {
	to  io.Writer
	end func() error // ends what to is; nil for nothing
	buf []byte
	err error // of to
}

// add appends to the output. What is large is not copied.
func (b *block) add(p []byte) {
	if len(b.buf)+len(p) >= blockSize {
		b.flush()
		if len(p) >= blockSize {
			b.write(p)
			return
		}
	}
	b.buf = append(b.buf, p...)
}

// full hands on what was gathered if it is much.
func (b *block) full() error {
	if len(b.buf) >= blockSize {
		b.flush()
	}
	return b.err
}

// flush hands on what was gathered.
func (b *block) flush() {
	if len(b.buf) > 0 {
		b.write(b.buf)
		b.buf = b.buf[:0]
	}
}

func (b *block) write(p []byte) {
	if b.err == nil {
		_, b.err = b.to.Write(p)
	}
}

// Close hands on what was gathered and ends the output.
func (b *block) Close() error {
	b.flush()
	if b.err == nil && b.end != nil {
		b.err = b.end()
	}
	return b.err
}
