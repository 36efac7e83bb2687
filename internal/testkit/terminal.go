package testkit

import (
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/hinshun/vt10x"
)

// Terminal is a terminal of this system, and what is seen on it.
type Terminal struct {
	TTY *os.File // for a program; the test closes it, once

	screen vt10x.Terminal
	ended  chan struct{}

	mu      sync.Mutex
	raw     strings.Builder
	written chan struct{} // holds a value when something was written
}

// NewTerminal opens a terminal of so many columns and lines.
func NewTerminal(t *testing.T, columns, lines int) *Terminal {
	t.Helper()
	master, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(tty, &pty.Winsize{Rows: uint16(lines), Cols: uint16(columns)}); err != nil {
		t.Fatal(err)
	}
	s := &Terminal{TTY: tty, screen: vt10x.New(vt10x.WithSize(columns, lines)), ended: make(chan struct{}), written: make(chan struct{}, 1)}
	go func() {
		defer close(s.ended)
		_, _ = io.Copy(s, master) // ends with EIO once nobody has the terminal open
	}()
	t.Cleanup(func() { tty.Close(); <-s.ended; master.Close() })
	return s
}

// Write takes what programs have written.
func (s *Terminal) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raw.Write(p)
	n, err := s.screen.Write(p)
	select {
	case s.written <- struct{}{}:
	default: // there is one that was not taken yet
	}
	return n, err
}

// Screen is what is seen now, without spaces at the ends of lines and empty lines at the
// end.
func (s *Terminal) Screen() string {
	lines := strings.Split(s.screen.String(), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// Wait returns once the screen is as it should be. One goroutine may wait.
func (s *Terminal) Wait(t *testing.T, what string, is func(screen string) bool) {
	t.Helper()
	late := time.After(time.Minute)
	for !is(s.Screen()) {
		select {
		case <-s.written:
		case <-late:
			t.Fatalf("not %s:\n%s", what, s.Screen())
		}
	}
}

// Raw is all that programs have written.
func (s *Terminal) Raw() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.raw.String()
}

// End closes the terminal and returns once all that was written is on the screen.
func (s *Terminal) End(t *testing.T) {
	t.Helper()
	if err := s.TTY.Close(); err != nil {
		t.Error(err)
	}
	<-s.ended
}
