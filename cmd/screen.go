package cmd

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// lockedWriter keeps the lines of concurrent writers apart. On a terminal it can have
// lines below all that is written, which are drawn anew when something is written.
type lockedWriter struct {
	first io.Writer // what it was made for

	mu    sync.Mutex
	drawn []string // in ASCII
	rest  []byte   // of what was written while lines are drawn: no whole line yet
	wrote time.Time
	held  *bytes.Buffer // what is written while the terminal is a pager's; nil for none
}

// Write implements io.Writer.
func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wrote = time.Now()
	if l.held != nil {
		return l.held.Write(p)
	}
	if len(l.drawn) == 0 {
		return l.first.Write(p)
	}
	l.rest = append(l.rest, p...)
	whole := l.rest[:bytes.LastIndexByte(l.rest, '\n')+1]
	if len(whole) == 0 {
		return len(p), nil
	}
	err := l.redraw(whole, l.drawn)
	l.rest = append([]byte(nil), l.rest[len(whole):]...)
	return len(p), err
}

// draw puts lines of the width of the terminal below all that was written, in place of
// those that it put there before.
func (l *lockedWriter) draw(lines func(width int) []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	width, height := sizeOf(l.first)
	all := lines(width - 1) // the last column would move the cursor on some terminals
	_ = l.redraw(nil, all[:min(len(all), height-1)])
}

// erase takes away what is drawn.
func (l *lockedWriter) erase() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.drawn) > 0 {
		_ = l.redraw(nil, nil)
		l.flush()
	}
}

// leave leaves on the screen what is drawn.
func (l *lockedWriter) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drawn = nil
	l.flush()
}

func (l *lockedWriter) flush() {
	_, _ = l.first.Write(l.rest)
	l.rest = nil
}

// redraw writes text where the drawn lines are, and lines below it, all at once.
func (l *lockedWriter) redraw(text []byte, lines []string) error {
	var b bytes.Buffer
	if len(l.drawn) > 0 {
		width, _ := sizeOf(l.first)
		rows := 0 // of a terminal that may have become narrower meanwhile
		for _, line := range l.drawn {
			rows += max(1, (len(line)+width-1)/width)
		}
		fmt.Fprintf(&b, "\x1b[%dA\r\x1b[J", rows) // up, to the first column, clear all below
	}
	b.Write(text)
	for _, line := range lines {
		b.WriteString(line + "\n")
	}
	l.drawn = lines
	_, err := l.first.Write(b.Bytes())
	return err
}

// hold keeps what is written until release writes it.
func (l *lockedWriter) hold() (release func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = new(bytes.Buffer)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		_, _ = l.first.Write(l.held.Bytes()) // nowhere left to report to
		l.held = nil
	}
}

// lastWrite is when something was written; a zero time for never.
func (l *lockedWriter) lastWrite() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.wrote
}

// dataWriter is stdout. If that is shown on a terminal, what is drawn there goes first.
type dataWriter struct {
	first io.Writer // what it was made for
	err   *lockedWriter
	shown bool
	last  atomic.Int64 // when something was written, in Unix nanoseconds; 0 for never
}

// Write implements io.Writer.
func (d *dataWriter) Write(p []byte) (int, error) {
	if d.last.Store(time.Now().UnixNano()); d.shown {
		d.err.erase()
	}
	return d.first.Write(p)
}
