package worker

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/mraws/mraws/internal/failpoint"
)

// tempFile is a file in the scratch directory for one writer and many
// readers.
type tempFile struct {
	*os.File
	dir   string
	what  string // is in it: of its points (package failpoint)
	named bool   // the name is still to be removed
}

// newTemp creates a file, readable by its owner only, that has no name where
// the file system can do that, or loses it at once where the system allows
// that: the file then goes when it is closed, or with the process, however
// that ends.
func (t *attempt) newTemp(what string) (*tempFile, error) {
	f := &tempFile{dir: t.Scratch, what: what}
	err := f.point(".create")
	if err == nil {
		err = f.open(fmt.Sprintf("mraws-%s-%d-*", t.Phase, t.Index))
	}
	if err != nil {
		return nil, fmt.Errorf("create scratch file in %s: %w", t.Scratch, err)
	}
	return f, nil
}

// open creates the file; pattern is of a name that it may have for a moment.
func (f *tempFile) open(pattern string) (err error) {
	if f.File, err = unnamed(f.dir); err == nil {
		return nil
	}
	// Not every file system has it; what is wrong otherwise, this tells too.
	if f.File, err = os.CreateTemp(f.dir, pattern); err != nil {
		return err
	}
	f.named = os.Remove(f.Name()) != nil
	return nil
}

// Write appends to the file.
func (f *tempFile) Write(p []byte) (int, error) {
	n, err := 0, f.point(".write")
	if err == nil {
		n, err = f.File.Write(p)
	}
	if err != nil {
		err = fmt.Errorf("write scratch file in %s: %w", f.dir, err)
	}
	return n, err
}

// WriteAt writes at an offset.
func (f *tempFile) WriteAt(p []byte, off int64) (int, error) {
	n, err := 0, f.point(".write")
	if err == nil {
		n, err = f.File.WriteAt(p, off)
	}
	if err != nil {
		err = fmt.Errorf("write scratch file in %s: %w", f.dir, err)
	}
	return n, err
}

// ReadAt reads at an offset.
func (f *tempFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.point(".read"); err != nil {
		return 0, fmt.Errorf("read scratch file in %s: %w", f.dir, err)
	}
	return f.File.ReadAt(p, off)
}

// point comes in front of every operation.
func (f *tempFile) point(op string) error {
	if !failpoint.Enabled {
		return nil
	}
	return failpoint.Disk(failpoint.Point("worker." + f.what + op))
}

// Close frees the file.
func (f *tempFile) Close() error {
	err := errors.Join(f.point(".close"), f.File.Close())
	if f.named {
		if rerr := os.Remove(f.Name()); err == nil {
			err = rerr
		}
	}
	if err != nil {
		return fmt.Errorf("remove scratch file in %s: %w", f.dir, err)
	}
	return nil
}

// spool takes a stream, in memory up to a limit, then in a scratch file, and
// gives it back at any offset.
type spool struct {
	t     *attempt
	what  string // as of a tempFile
	limit int64
	size  int64
	mem   [][]byte // of spoolChunk bytes each
	file  *tempFile
}

const spoolChunk = 64 << 10

// Write appends to the spool.
func (s *spool) Write(p []byte) (int, error) {
	if s.file == nil && s.size+int64(len(p)) > s.limit {
		if err := s.flush(); err != nil {
			return 0, err
		}
	}
	if s.file != nil {
		n, err := s.file.Write(p)
		s.size += int64(n)
		return n, err
	}
	for rest := p; len(rest) > 0; {
		at := int(s.size % spoolChunk)
		if at == 0 {
			s.mem = append(s.mem, s.t.Spare.chunk())
		}
		n := copy(s.mem[len(s.mem)-1][at:], rest)
		rest = rest[n:]
		s.size += int64(n)
	}
	return len(p), nil
}

// flush moves from memory to a file.
func (s *spool) flush() error {
	f, err := s.t.newTemp(s.what)
	if err != nil {
		return err
	}
	s.file = f
	left := s.size
	for _, c := range s.mem {
		if _, err := f.Write(c[:min(left, spoolChunk)]); err != nil {
			return err
		}
		left -= spoolChunk
	}
	s.free()
	return nil
}

// ReadAt reads what was written.
func (s *spool) ReadAt(p []byte, off int64) (n int, err error) {
	if s.file != nil {
		return s.file.ReadAt(p, off)
	}
	for n < len(p) {
		if off >= s.size {
			return n, io.EOF
		}
		c := s.mem[off/spoolChunk]
		c = c[:min(spoolChunk, s.size-off/spoolChunk*spoolChunk)]
		m := copy(p[n:], c[off%spoolChunk:])
		n, off = n+m, off+int64(m)
	}
	return n, nil
}

// free leaves the memory to the next spool.
func (s *spool) free() {
	s.t.Spare.keepChunks(s.mem)
	s.mem = nil
}

// Close frees memory and file.
func (s *spool) Close() error {
	s.free()
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}
