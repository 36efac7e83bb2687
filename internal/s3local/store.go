package s3local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
)

// store is a posix backend and what it did to the process.
type store struct {
	*posix.Posix
	versions *versions
	root     os.FileInfo // of the folder that must be the working directory
	previous string      // working directory before
	limits   limits
}

const (
	// maxCopy is the largest object that S3 copies in one request.
	maxCopy = 5 << 30
	// ioBuffer is what a body is copied through, and what a ranged read
	// allocates for itself, in bytes. It fits into the cache of a core.
	ioBuffer = 256 << 10
)

// errNoXattr explains a data folder that cannot keep metadata.
var errNoXattr = errors.New("file system keeps no user extended attributes of 2 KiB " +
	"(ext4, xfs, btrfs, zfs and tmpfs of Linux 6.6 do): choose a data folder on another file system")

// openStore opens the folder root, which becomes the working directory.
func openStore(root string, l limits) (*store, error) {
	if err := checkXattr(root, meta.XattrMeta{}.StoreAttribute); err != nil {
		return nil, err
	}
	previous, err := os.Getwd()
	if err != nil {
		// It may have been removed. Then there is nowhere to go back to.
		previous = ""
	}
	if err := checkAlone(previous); err != nil {
		return nil, err
	}
	info, err := os.Stat(root)
	if err != nil {
		return nil, err
	}
	opts := posix.PosixOpts{
		CopyObjectThreshold: maxCopy, // zero refuses every copy
		DataIntegrityEtag:   true,    // no MD5: up to 1.8 times the PUT rate; see versions.go
		Concurrency:         l.actions - l.bodies,
		IOBufferSize:        ioBuffer,
	}
	opts.SetNewDirPerm(0o700)
	opts.SetNewFilePerm(0o600)
	v := &versions{}
	p, err := posix.New(root, v, opts)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", root, errors.Join(err, backTo(previous)))
	}
	return &store{Posix: p, versions: v, root: info, previous: previous, limits: l}, nil
}

// close closes the backend and goes back to the previous working directory,
// unless somebody else changed it.
func (s *store) close() error {
	s.Posix.Shutdown()
	if !s.here() {
		return nil
	}
	return backTo(s.previous)
}

// here tells whether the working directory is the one that the backend needs.
func (s *store) here() bool {
	wd, err := os.Stat(".")
	return err == nil && os.SameFile(wd, s.root)
}

// backTo changes the working directory. One that is gone is left alone.
func backTo(dir string) error {
	if dir == "" {
		return nil
	}
	if err := os.Chdir(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("restore working directory: %w", err)
	}
	return nil
}

// checkAlone refuses to take the working directory from a server that runs in
// this process. It needs no state: such a server left its endpoint next to the
// working directory.
func checkAlone(wd string) error {
	var e Endpoint
	dir := filepath.Dir(wd)
	if filepath.Base(wd) != rootDir || readJSON(filepath.Join(dir, endpointFile), &e) != nil || e.PID != os.Getpid() {
		return nil
	}
	f, err := lockDir(dir)
	if err == nil {
		return f.Close()
	}
	return fmt.Errorf("this process already serves %s and can serve only one folder at a time: %w", dir, err)
}

// checkXattr makes sure that metadata of the largest size that S3 allows can
// be stored with a file.
func checkXattr(root string, set func(f *os.File, bucket, object, name string, value []byte) error) (err error) {
	f, err := os.CreateTemp(root, ".probe-*")
	if err != nil {
		return fmt.Errorf("write to %s: %w", root, err)
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	err = set(f, "", "", "probe", make([]byte, 2<<10))
	for _, no := range []error{syscall.ENOTSUP, syscall.EPERM, syscall.ENOSPC, syscall.E2BIG} {
		if errors.Is(err, no) {
			return fmt.Errorf("%s: %w (%w)", root, errNoXattr, err)
		}
	}
	if err != nil {
		return fmt.Errorf("set extended attribute in %s: %w", root, err)
	}
	return nil
}
