package execrunner

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// pipeEnd is our end of a pipe to or from a process. One goroutine reads or writes;
// Close and ended may be called by others.
//
// At first nobody polls the pipe, as an [os.File] does. Linux tells whoever has ever
// polled a pipe of each read and each write at the other end (pipe_read and pipe_write
// in its fs/pipe.c), also where bytes were there before, and a script reads and writes
// 8 KiB at a time. Each time a thread of ours would wake up for nothing. So Read and
// Write take naps instead, in each of which a script fills or empties many of those
// 8 KiB. A process that is too fast for naps gets an end that is polled, so does one
// that is silent for long.
type pipeEnd struct {
	name  string
	reads bool          // we read
	over  chan struct{} // closed once the process has ended

	mu    sync.Mutex // held during a system call on fd
	fd    int        // -1 once it is closed, or belongs to file
	file  *os.File   // the end that is polled; nil before
	until time.Time  // the deadline of Read once the process has ended

	// Of the goroutine that reads or writes:
	timer *time.Timer
	quiet time.Duration // without a byte
	fast  int           // how often the process was found waiting
	taken bool          // Read has returned bytes, and there can be few more by now
}

const (
	nap     = time.Millisecond
	silence = 2 * time.Second
	// mostFast is how often a process may be found waiting, more often than not.
	mostFast = 4
	// pipeSize is what a pipe holds, bytes: what a script writes in five naps.
	pipeSize = 256 << 10
	// few bytes are what a process writes that has an answer for each line: its
	// next one is not waited for longer than need be.
	few = 2 << 10
)

// newPipe makes a pipe, of which we read or write one end. The process gets the other.
func newPipe(name string, read bool) (ours *pipeEnd, theirs *os.File, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, fmt.Errorf("make a pipe: %w", err)
	}
	_, _ = unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, pipeSize) // else it holds 64 KiB
	our, their := fds[1], fds[0]
	if read {
		our, their = their, our
	}
	theirs = os.NewFile(uintptr(their), name)
	if err := unix.SetNonblock(our, true); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("make a pipe: %w", err), theirs.Close(), unix.Close(our))
	}
	return &pipeEnd{name: name, reads: read, over: make(chan struct{}), fd: our}, theirs, nil
}

// Read implements io.Reader.
func (p *pipeEnd) Read(b []byte) (int, error) {
	if p.taken && p.file == nil {
		p.nap()
	}
	for {
		n, err := p.try(unix.Read, b)
		switch {
		case p.file != nil:
			return p.file.Read(b)
		case errors.Is(err, syscall.EAGAIN):
			p.wait()
		case err != nil:
			return n, err
		case n == 0 && len(b) > 0:
			return 0, io.EOF
		default:
			p.quiet, p.taken = 0, n > few
			return n, nil
		}
	}
}

// Write implements io.Writer.
func (p *pipeEnd) Write(b []byte) (int, error) {
	for done := 0; ; {
		n, err := p.try(unix.Write, b[done:])
		if done += n; n > 0 {
			p.quiet = 0
		}
		switch {
		case p.file != nil:
			n, err = p.file.Write(b[done:])
			return done + n, err
		case errors.Is(err, syscall.EAGAIN):
			p.wait()
		case err != nil, done == len(b):
			return done, err
		}
	}
}

// try makes a system call, unless the end is polled.
func (p *pipeEnd) try(call func(int, []byte) (int, error), b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.file == nil {
		if p.fd < 0 {
			return 0, os.ErrClosed
		}
		if n, err := call(p.fd, b); !errors.Is(err, syscall.EINTR) {
			return max(n, 0), err
		}
	}
	return 0, nil
}

// wait waits for the process, which has left nothing to do.
func (p *pipeEnd) wait() {
	if p.quiet += nap; p.quiet > silence || !p.nap() {
		p.poll()
	}
}

// nap waits for a while; false if the process has ended. A process that could do
// nothing in several of them is too fast.
func (p *pipeEnd) nap() bool {
	if p.timer == nil {
		p.timer = time.NewTimer(nap)
	} else {
		p.timer.Reset(nap)
	}
	select {
	case <-p.timer.C:
	case <-p.over:
		return false
	}
	if p.fast = max(0, p.fast-1); p.idle() {
		p.fast += 2
	}
	if p.fast >= mostFast {
		p.poll()
	}
	return true
}

// idle tells whether the process waits at the other end, as far as the pipe shows.
func (p *pipeEnd) idle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fd < 0 {
		return false
	}
	n, err := unix.IoctlGetInt(p.fd, unix.TIOCINQ) // FIONREAD: bytes in the pipe
	if err != nil {
		return false
	}
	if p.reads {
		return n > pipeSize*7/8
	}
	return n == 0
}

// poll makes the end one that is polled.
func (p *pipeEnd) poll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fd < 0 {
		return
	}
	p.file, p.fd = os.NewFile(uintptr(p.fd), p.name), -1
	if !p.until.IsZero() {
		_ = p.file.SetReadDeadline(p.until)
	}
}

// ended says that the process has ended, and until when its output is read on.
func (p *pipeEnd) ended(until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until = until
	close(p.over)
	if p.file != nil {
		_ = p.file.SetReadDeadline(until)
	}
}

// Close closes the end. Who reads or writes then gets [os.ErrClosed].
func (p *pipeEnd) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.file != nil:
		return p.file.Close()
	case p.fd < 0:
		return os.ErrClosed
	}
	err := unix.Close(p.fd)
	p.fd = -1
	return err
}
