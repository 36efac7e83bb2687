// Package output turns what a reduce task writes into the bytes of its output,
// each [Format] in its way. The package does no I/O of its own: an [Encoder]
// hands the bytes to a writer. The verifier reads outputs with code of its own.
package output

import (
	"bytes"
	"fmt"
	"io"
	"slices"
)

// Format says how what a reduce task writes becomes bytes. The spec of a job
// names it with its options, and [Resolve] finds it.
type Format interface {
	// ContentType is the type of the object.
	ContentType() string
	// Check returns an error unless an output of so many records may have size
	// bytes.
	Check(records, size int64) error
	// Encoder returns an encoder of one output, whose bytes go to w.
	Encoder(w io.Writer) Encoder
}

// Encoder encodes the records of one output. An error is an [*UnfitError] or one
// of the writer.
type Encoder interface {
	// Key is called before the first Value of each key. The key is valid until
	// the next call of Key.
	Key(key []byte) error
	// Value encodes a record of the key and this value.
	Value(value []byte) error
	// Line encodes a record that is a line, which begins with its key.
	Line(line []byte) error
	// Close writes what is held, and what ends the output. It does not close the
	// writer.
	Close() error
}

// UnfitError says that the format cannot represent what the application wrote.
type UnfitError struct {
	What string // such as "line break in the value"
	Data []byte // where, if not in the key
}

// Error shows no data, which may be large.
func (e *UnfitError) Error() string { return e.What }

// Kind is an entry in the table of formats.
type Kind struct {
	Options []string // that New knows, by name
	// New makes a format of these options; no other is set.
	New func(options map[string]string) (Format, error)
}

// Formats are the formats by name. Nobody changes the table once the program
// runs; a test may add a format before.
var Formats = map[string]Kind{
	"lines": {nil, func(map[string]string) (Format, error) { return lines{}, nil }},
}

// Resolve returns the format of this name with these options.
func Resolve(name string, options map[string]string) (Format, error) {
	kind, ok := Formats[name]
	if !ok {
		return nil, fmt.Errorf("unknown output %.200q", name)
	}
	for option := range options {
		if !slices.Contains(kind.Options, option) {
			return nil, fmt.Errorf("output %s with the unknown option %.200q", name, option)
		}
	}
	return kind.New(options)
}

// lines writes a line for each record: "key value\n", or the line itself.
type lines struct{}

// ContentType implements [Format].
func (lines) ContentType() string { return "text/plain; charset=utf-8" }

// Check implements [Format]: each line has a byte at least.
func (lines) Check(records, size int64) error {
	if records > size || (records == 0) != (size == 0) {
		return fmt.Errorf("%d bytes and %d lines", size, records)
	}
	return nil
}

// Encoder implements [Format].
func (lines) Encoder(w io.Writer) Encoder { return &lineEncoder{to: w} }

// lineBlock is how much is gathered before it is handed on, bytes.
const lineBlock = 64 << 10

type lineEncoder struct {
	to  io.Writer
	key []byte
	buf []byte
	err error // of to
}

// Key implements [Encoder].
func (e *lineEncoder) Key(key []byte) error {
	if bytes.IndexByte(key, '\n') >= 0 {
		return &UnfitError{"line break in the key", nil}
	}
	e.key = key
	return nil
}

// Value implements [Encoder].
func (e *lineEncoder) Value(value []byte) error {
	if bytes.IndexByte(value, '\n') >= 0 {
		return &UnfitError{"line break in the value", value}
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
		return &UnfitError{"line break in the line", line}
	}
	e.add(line)
	e.buf = append(e.buf, '\n')
	return e.err
}

// Close implements [Encoder].
func (e *lineEncoder) Close() error {
	e.flush()
	return e.err
}

// add appends to the output. What is large is not copied.
func (e *lineEncoder) add(p []byte) {
	if len(e.buf)+len(p) >= lineBlock {
		e.flush()
		if len(p) >= lineBlock {
			e.write(p)
			return
		}
	}
	e.buf = append(e.buf, p...)
}

// flush hands on what was gathered.
func (e *lineEncoder) flush() {
	if len(e.buf) > 0 {
		e.write(e.buf)
		e.buf = e.buf[:0]
	}
}

func (e *lineEncoder) write(p []byte) {
	if e.err == nil {
		_, e.err = e.to.Write(p)
	}
}
