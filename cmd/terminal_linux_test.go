package cmd

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mraws/mraws/internal/config"
)

// openTerminal returns the two ends of a terminal: what is written to tty
// is read from screen.
func openTerminal(t *testing.T) (screen, tty *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 100}); err != nil {
		t.Fatal(err)
	}
	return screen, tty
}

// A bar is drawn on a terminal, lines that are written meanwhile are kept,
// and stderr is itself again after the end.
func TestBar(t *testing.T) {
	t.Setenv("TERM", "xterm")
	screen, tty := openTerminal(t)
	shown := make(chan string)
	go func() {
		b, _ := io.ReadAll(screen) // ends with EIO once tty is closed
		shown <- string(b)
	}()

	to := newPrinter(IO{Err: tty})
	to.progress = "auto"
	p := to.newProgress("upload", 1<<20, true)
	if p.form != "bar" {
		t.Fatalf("form %s", p.form)
	}
	p.set(1 << 19)
	to.note("a line meanwhile")
	p.set(1 << 20)
	p.bar.Wait()
	p.end()
	to.note("a line after")
	if err := tty.Close(); err != nil {
		t.Error(err)
	}
	got := <-shown
	for _, want := range []string{"upload", "1.0 MiB", "100 %", "a line meanwhile", "a line after"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in %q", want, got)
		}
	}
	if err := screen.Close(); err != nil {
		t.Error(err)
	}
}

func TestDumbTerminalHasNoBar(t *testing.T) {
	t.Setenv("TERM", "dumb")
	s, _ := testSession(config.Config{Progress: "auto"}, nil)
	s.term.err = true
	if p := s.newProgress("upload", 1, true); p.form != "plain" {
		t.Errorf("form %s", p.form)
	}
}
