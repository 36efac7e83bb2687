package task

import (
	"errors"
	"fmt"
	"io"

	"github.com/mraws/mraws/internal/failpoint"
	"github.com/mraws/mraws/internal/scratch"
)

// space is the scratch space of an attempt: files in a folder, and the memory
// that the attempts of a slot hand on.
type space struct {
	dir   string // of the files
	name  string // that theirs begin with
	spare *Spare
}

// tempFile is a file in the scratch directory for one writer and many
// readers.
type tempFile struct {
	*scratch.File
	dir  string
	what string // of [space.file]
}

// file creates a file, which goes when it is closed, or with the process. what
// names the points of it (package failpoint).
func (s *space) file(what string) (*tempFile, error) {
	f := &tempFile{dir: s.dir, what: what}
	err := f.point(".create")
	if err == nil {
		f.File, err = scratch.Create(f.dir, s.name+"-*")
	}
	if err != nil {
		return nil, fmt.Errorf("create scratch file in %s: %w", s.dir, err)
	}
	return f, nil
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
	if err := errors.Join(f.point(".close"), f.File.Close()); err != nil {
		return fmt.Errorf("remove scratch file in %s: %w", f.dir, err)
	}
	return nil
}

// spool takes a stream, in memory up to a limit, then in a scratch file, and
// gives it back at any offset.
type spool struct {
	space *space
	what  string // of [space.file]
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
			s.mem = append(s.mem, s.space.spare.chunk())
		}
		n := copy(s.mem[len(s.mem)-1][at:], rest)
		rest = rest[n:]
		s.size += int64(n)
	}
	return len(p), nil
}

// flush moves from memory to a file.
func (s *spool) flush() error {
	f, err := s.space.file(s.what)
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
	s.space.spare.keepChunks(s.mem)
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
