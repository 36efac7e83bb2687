// Package scratch makes temporary files that do not outlive their process,
// however that ends.
package scratch

import "os"

// File is a temporary file, readable by its owner only. It has no name where
// the file system can do that, or loses it at once where the system allows
// that: what it holds then goes when it is closed, or with the process.
type File struct {
	*os.File
	named bool // the name is still to be removed
}

// Create makes a file in dir; pattern is of a name that it may have for a
// moment, as for os.CreateTemp.
func Create(dir, pattern string) (*File, error) {
	if f, err := unnamed(dir); err == nil {
		return &File{File: f}, nil
	}
	// Not every file system has it; what is wrong otherwise, this tells too.
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
