package execrunner

import (
	"bytes"
	"errors"
	"io"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// TestPipeEnds sends bytes through two pipes and a copier between them, which takes
// small steps, large ones, and none for longer than naps last.
func TestPipeEnds(t *testing.T) {
	want := records(3 * pipeSize)
	for name, step := range map[string]func(w io.Writer, r io.Reader) error{
		"small steps": func(w io.Writer, r io.Reader) error {
			_, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, make([]byte, 8<<10))
			return err
		},
		"large steps": func(w io.Writer, r io.Reader) error {
			_, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, make([]byte, 2*pipeSize))
			return err
		},
		"all at once": func(w io.Writer, r io.Reader) error {
			b, err := io.ReadAll(r)
			_, werr := w.Write(b)
			return errors.Join(err, werr)
		},
	} {
		t.Run(name, func(t *testing.T) {
			to, in := pipe(t, false)
			from, out := pipe(t, true)
			var group errgroup.Group
			group.Go(func() error { return errors.Join(step(out, in), out.Close(), in.Close()) })
			group.Go(func() error {
				_, err := to.Write(want)
				return errors.Join(err, to.Close())
			})
			got, err := io.ReadAll(from)
			if err := errors.Join(err, group.Wait()); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%d bytes of %d, %v", len(got), len(want), err)
			}
		})
	}
}

// TestPipeEndIsPolled is about the processes that naps do not serve.
func TestPipeEndIsPolled(t *testing.T) {
	t.Run("silent", func(t *testing.T) {
		from, out := pipe(t, true)
		from.quiet = silence // as if it had waited so long
		wrote := make(chan error, 1)
		read := make(chan byte, 1)
		go func() {
			b := make([]byte, 1)
			_, err := from.Read(b)
			wrote <- err
			read <- b[0]
		}()
		for !from.polled() { // the byte comes behind that
			runtime.Gosched()
		}
		if _, err := out.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if err := <-wrote; err != nil || <-read != 'x' {
			t.Fatal(err)
		}
	})
	t.Run("fast", func(t *testing.T) {
		to, in := pipe(t, false)
		for range mostFast {
			to.nap() // the pipe is empty
		}
		if !to.polled() {
			t.Error("a pipe that is found empty each time is not polled")
		}
		if _, err := to.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if b := make([]byte, 2); must(in.Read(b)) != 1 || b[0] != 'x' {
			t.Errorf("got %q", b)
		}
	})
	t.Run("polled", func(t *testing.T) {
		from, out := pipe(t, true)
		for i := range 4 {
			if _, err := out.Write(make([]byte, 2*few)); err != nil {
				t.Fatal(err)
			}
			if must(from.Read(make([]byte, 2*few))) != 2*few {
				t.Fatal("a read is short")
			}
			if i == 0 {
				from.poll() // it would nap before the next bytes otherwise
			}
		}
		if from.timer != nil {
			t.Error("an end that is polled takes naps")
		}
	})
	t.Run("slow", func(t *testing.T) {
		from, out := pipe(t, true)
		for range 3 * mostFast {
			if _, err := out.Write([]byte("some")); err != nil {
				t.Fatal(err)
			}
			from.nap()
		}
		if from.polled() {
			t.Error("a pipe that is never full is polled")
		}
	})
}

// TestPipeEndIsClosed closes an end while it is used, napping and polled.
func TestPipeEndIsClosed(t *testing.T) {
	for _, polled := range []bool{false, true} {
		to, _ := pipe(t, false)
		if polled {
			to.poll()
		}
		wrote := make(chan error, 1)
		go func() {
			_, err := to.Write(make([]byte, 2*pipeSize)) // nobody reads
			wrote <- err
		}()
		if err := to.Close(); err != nil {
			t.Error(err)
		}
		if err := <-wrote; !errors.Is(err, os.ErrClosed) {
			t.Errorf("Write returned %v", err)
		}
		if err := to.Close(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("the second Close returned %v", err)
		}
	}
}

// TestPipeEndOfTheDead has a process end that leaves its end of a pipe to another.
func TestPipeEndOfTheDead(t *testing.T) {
	for _, polled := range []bool{false, true} {
		from, out := pipe(t, true)
		if polled {
			from.poll()
		}
		if _, err := out.Write([]byte("last words")); err != nil {
			t.Fatal(err)
		}
		from.ended(time.Now().Add(50 * time.Millisecond))
		got, err := io.ReadAll(from)
		if !errors.Is(err, os.ErrDeadlineExceeded) || string(got) != "last words" {
			t.Errorf("got %q, %v", got, err)
		}
	}
}

// polled tells whether the end is.
func (p *pipeEnd) polled() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.file != nil
}

func pipe(t *testing.T, read bool) (ours *pipeEnd, theirs *os.File) {
	ours, theirs, err := newPipe("test", read)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
	return ours, theirs
}

func must(n int, err error) int {
	if err != nil {
		panic(err)
	}
	return n
}
