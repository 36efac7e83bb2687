package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// Stdin is the path of the standard input.
const Stdin = "-"

// stdinName is its name below input/.
const stdinName = "stdin"

// isStdin tells whether an argument means the standard input. A file of that
// name is "./-".
func isStdin(arg string) bool {
	switch filepath.Clean(arg) {
	case Stdin:
		return arg == Stdin
	case "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0":
		return true
	}
	return false
}

// isDescriptor tells whether a path is an open file of this process, as a
// shell gives it for <(command).
func isDescriptor(abs string) bool {
	return strings.HasPrefix(abs, "/dev/fd/") || strings.HasPrefix(abs, "/proc/self/fd/")
}

// SpoolOptions say how pipes are read.
type SpoolOptions struct {
	Dir   string    // for a file without a name
	Stdin io.Reader // what Stdin reads
	// Waits, if set, is called after each Patience with the pipe that is being
	// read and the bytes that have been read from it.
	Waits    func(path string, bytes int64)
	Patience time.Duration
}

// Spool reads each pipe of a plan to its end into a file without a name. The store
// needs size and checksum before the upload, and a pipe cannot be read again. It
// returns the cause of ctx when ctx ends, also while a read of a pipe blocks.
func (p *Plan) Spool(ctx context.Context, o SpoolOptions) error {
	for i := range p.Files {
		f := &p.Files[i]
		if !f.Pipe || f.spool != nil {
			continue
		}
		if err := f.read(ctx, o); err != nil {
			what := f.Path
			if what == Stdin {
				what = "the standard input"
			}
			return fmt.Errorf("read %s: %w", what, err)
		}
		p.Bytes += f.Size
	}
	return nil
}

// Close frees the spooled files.
func (p *Plan) Close() error {
	if p == nil {
		return nil
	}
	var errs []error
	for i := range p.Files {
		if s := p.Files[i].spool; s != nil {
			errs = append(errs, s.Close())
			p.Files[i].spool = nil
		}
	}
	return errors.Join(errs...)
}

// read reads a pipe in a goroutine. Opening and reading a pipe can block for ever.
// Only its other end or the end of the process ends that.
func (f *File) read(ctx context.Context, o SpoolOptions) error {
	to, err := nameless(o.Dir)
	if err != nil {
		return err
	}
	var n atomic.Int64
	done := make(chan error, 1)
	path := f.Path
	go func() {
		from := o.Stdin
		if path != Stdin {
			pipe, err := os.Open(path)
			if err != nil {
				done <- errors.Unwrap(err) // without the path, which the caller names
				return
			}
			defer pipe.Close() // opened for reading: nothing to lose
			from = pipe
		}
		_, err := io.Copy(to, &counted{from, &n})
		done <- err
	}()
	patience := max(o.Patience, time.Millisecond)
	tick := time.NewTimer(patience)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			if err != nil {
				return errors.Join(err, to.Close())
			}
			f.spool, f.Size = to, n.Load()
			return nil
		case <-tick.C:
			if o.Waits != nil {
				o.Waits(path, n.Load())
			}
			patience *= 2
			tick.Reset(patience)
		case <-ctx.Done():
			return context.Cause(ctx) // the file is still written to; the end of the process frees it
		}
	}
}

type counted struct {
	r io.Reader
	n *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// nameless creates a file that is deleted when it is closed.
func nameless(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "mraws-input-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
