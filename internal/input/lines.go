package input

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/mraws/mraws/mr"
)

// LinesOptions says which lines of an object a [LineReader] returns.
type LinesOptions struct {
	// Object is the object's name, for records and errors.
	Object string
	// Offset is the position in the object of the reader's first byte.
	Offset int64
	// First says that a line starts at Offset, as at the object's start.
	// Without it everything up to and including the first "\n" is skipped,
	// as it belongs to a line that started before.
	First bool
	// Limit ends the piece: lines that start at or behind Offset+Limit
	// belong to the next one. Negative means to the end of the object.
	Limit int64
	// Numbered sets Record.Line, counting from 1.
	Numbered bool
	// MaxRecord is the most bytes of a line; 0 means [DefaultMaxLine].
	MaxRecord int
}

// maxBlock is the most bytes of a block of several lines, few enough that who
// looks at them more than once finds them in the processor's cache.
const maxBlock = 256 << 10

// LineReader is a [Reader] of lines, which are those that [mr.Lines] says:
// "\n" ends a line and nothing else does, and what follows the last "\n" is a
// line too unless it is empty.
//
// A piece of an object owns the lines that start in it, the rule of Hadoop's
// LineRecordReader: to read the piece [off, off+n) with off > 0 start one
// byte early (Offset: off-1, Limit: n+1) and let the reader go on behind the
// end of the piece. Then any way of splitting an object gives each line once.
//
// Lines lie where the source has them. Only one that goes on behind what the
// source has at hand is copied, to be in one piece.
type LineReader struct {
	src  Source
	buf  []byte // what is at hand, of the source or line
	lent int    // bytes of buf that are of the source: all or none
	line []byte // a line in one piece
	pos  int    // of the next line in buf
	base int64  // offset in the object of buf[0]
	stop int64  // lines starting here or later are not ours
	max  int
	rec  mr.Record
	skip bool
	num  bool
	eof  bool
	err  error
	// ends, of a compressed object that is cut, returns where the last line may
	// begin at the latest, or -1 as long as nobody knows.
	ends func() int64
}

// Lines returns a reader of the lines that o picks from src.
func Lines(src Source, o LinesOptions) *LineReader {
	l := &LineReader{src: src, base: o.Offset, stop: math.MaxInt64, max: o.MaxRecord, skip: !o.First, num: o.Numbered}
	if l.max <= 0 {
		l.max = DefaultMaxLine
	}
	if o.Limit >= 0 {
		l.stop = o.Offset + o.Limit
	}
	l.rec.Object = o.Object
	return l
}

// Record returns the current line; its Data is valid until the next Next.
func (l *LineReader) Record() mr.Record { return l.rec }

// at is where the next line begins in the object.
func (l *LineReader) at() int64 { return l.base + int64(l.pos) }

// Err returns the error that ended the lines, or nil.
func (l *LineReader) Err() error { return l.err }

// Next moves to the next line.
func (l *LineReader) Next() bool {
	if l.skip && !l.skipLine() {
		return false
	}
	if l.base+int64(l.pos) >= l.stop || l.err != nil {
		return false
	}
	scanned := 0
	for {
		if i := bytes.IndexByte(l.buf[l.pos+scanned:], '\n'); i >= 0 {
			return l.take(scanned+i, 1)
		}
		scanned = len(l.buf) - l.pos
		if l.eof {
			return scanned > 0 && l.take(scanned, 0)
		}
		if scanned > l.max {
			return l.tooLong()
		}
		if !l.fill() {
			return false
		}
	}
}

// NextBlock moves to the next lines, as many as are at hand in 256 KiB, at
// least one. Record then has all of them, with their line ends, as Data. A
// line that does not fit beside others comes without its line end, as from
// Next. It is not for numbered lines.
func (l *LineReader) NextBlock() bool {
	block := l.ahead()
	if len(block) == 0 {
		return l.Next()
	}
	l.rec.Data = block
	l.rec.Offset = l.at()
	l.pass(len(block))
	return true
}

// ahead returns the next lines with their line ends, as many as are at hand in 256
// KiB, without moving. There are none at the end, on errors, and before a line that does
// not fit beside others: Next tells.
func (l *LineReader) ahead() []byte {
	if l.skip && !l.skipLine() || l.max < maxBlock { // lines in a block could be too long
		return nil
	}
	for {
		left := l.stop - l.base - int64(l.pos)
		if left <= 0 || l.err != nil {
			return nil
		}
		window := l.buf[l.pos:]
		size := int(min(int64(len(window)), left, maxBlock))
		if n := bytes.LastIndexByte(window[:size], '\n') + 1; n > 0 {
			return window[:n:n]
		}
		if l.eof || size < len(window) || size == maxBlock {
			return nil // the last one that is ours, or a long one
		}
		if !l.fill() {
			return nil
		}
	}
}

// pass moves behind the first n bytes of what ahead has returned.
func (l *LineReader) pass(n int) { l.pos += n }

// take makes the next n bytes the record and skips them with the sep bytes
// behind them.
func (l *LineReader) take(n, sep int) bool {
	if n > l.max {
		return l.tooLong()
	}
	l.rec.Data = l.buf[l.pos : l.pos+n : l.pos+n]
	l.rec.Offset = l.base + int64(l.pos)
	if l.num {
		l.rec.Line++
	}
	l.pos += n + sep
	return true
}

func (l *LineReader) tooLong() bool {
	l.err = &TooLongError{Object: l.rec.Object, Offset: l.base + int64(l.pos), Max: l.max}
	return false
}

// Skip moves past a line that is too long.
func (l *LineReader) Skip() (rec mr.Record, length int64, err error) {
	var long *TooLongError
	if !errors.As(l.err, &long) {
		return rec, 0, errNothingToSkip
	}
	l.err = nil
	if l.num {
		l.rec.Line++
	}
	l.rec.Offset, l.rec.Data = long.Offset, nil
	for {
		window := l.buf[l.pos:]
		i := bytes.IndexByte(window, '\n')
		data := window
		if i >= 0 {
			data = window[:i]
		}
		length += int64(len(data))
		l.pos += len(data)
		switch {
		case i >= 0:
			l.pos++
			return l.rec, length, nil
		case l.eof:
			return l.rec, length, nil
		case !l.fill():
			return l.rec, length, l.err
		}
	}
}

// skipLine moves behind the first "\n". It reads no further than to the last
// byte behind which a line of the piece can start, and holds nothing of what
// it skips.
func (l *LineReader) skipLine() bool {
	for l.err == nil {
		window := l.buf[l.pos:]
		if l.ends == nil { // else the line may end behind the piece
			left := l.stop - 1 - l.base - int64(l.pos)
			if left <= 0 {
				break
			}
			window = window[:min(int64(len(window)), left)]
		}
		if i := bytes.IndexByte(window, '\n'); i >= 0 {
			l.pos += i + 1
			l.skip = false
			return true
		}
		l.pos += len(window)
		if l.eof || (l.pos == len(l.buf) && !l.fill()) {
			break
		}
	}
	l.skip, l.stop = false, math.MinInt64 // no line of the piece is left
	return false
}

// fill puts more of the source behind what is left in buf. At the end of the
// input it sets eof; on an error it returns false.
func (l *LineReader) fill() bool {
	if l.pos > 0 || l.lent > 0 {
		l.line = l.line[:0]
		l.hold(l.buf[l.pos:])
		l.base += int64(l.pos)
		l.pos = 0
	}
	l.buf = l.line
	if l.lent > 0 {
		if err := l.src.Discard(l.lent); err != nil {
			return l.fail(err)
		}
		l.lent = 0
	}
	view, err := l.src.Peek()
	if l.ends != nil {
		if at := l.ends(); at >= 0 {
			l.stop = at + 1
		}
	}
	switch {
	case errors.Is(err, io.EOF):
		l.eof = true
		return true
	case err != nil:
		return l.fail(err)
	case len(l.line) == 0:
		l.buf, l.lent = view, len(view)
		return true
	}
	// The rest of the line, or so much that it is known to be too long.
	view = view[:min(len(view), l.max+1-len(l.line))]
	if i := bytes.IndexByte(view, '\n'); i >= 0 {
		view = view[:i+1]
	}
	l.hold(view)
	l.buf = l.line
	if err := l.src.Discard(len(view)); err != nil {
		return l.fail(err)
	}
	return true
}

// hold appends to line.
func (l *LineReader) hold(more []byte) {
	if need := len(l.line) + len(more); need > cap(l.line) {
		// No line that counts is longer than max, with its end.
		grown := make([]byte, len(l.line), max(need, min(max(2*cap(l.line), 1<<10), l.max+1)))
		copy(grown, l.line)
		l.line = grown
	}
	l.line = append(l.line, more...)
}

func (l *LineReader) fail(err error) bool {
	l.err = fmt.Errorf("read %s at byte %d: %w", l.rec.Object, l.base+int64(len(l.buf)), err)
	return false
}
