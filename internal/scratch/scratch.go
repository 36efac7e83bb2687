// Package scratch makes temporary files that do not outlive their process, however
// the process ends.
package scratch

import "os"

// File is a temporary file that only its owner can read. It has no name if the
// file system supports that. Otherwise its name is removed at once if the system
// allows that. A file without a name is deleted when it is closed or its process
// ends.
type File struct {
	*os.File
	named bool // the name is still to be removed
}

// Create makes a file in dir. The pattern is for os.CreateTemp, if the file needs
// a name for a moment.
func Create(dir, pattern string) (*File, error) {
	if f, err := unnamed(dir); err == nil {
		return &File{File: f}, nil
	}
	// The file system has no files without names, or dir is unusable, which
	// CreateTemp reports.
	f, err := os.CreateTemp(dir, pattern)
	if err != nil {
		return nil, err
	}
	return &File{File: f, named: os.Remove(f.Name()) != nil}, nil
}

// Close frees the file.
func (f *File) Close() error {
	err := f.File.Close()
	if f.named {
		if rerr := os.Remove(f.Name()); err == nil {
			err = rerr
		}
	}
	return err
}
