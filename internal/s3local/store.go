package s3local

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
)

// store is a posix backend and the folder that it works in.
type store struct {
	*posix.Posix
	versions *versions
	folder   *os.File
	info     os.FileInfo // of the folder
	root     string      // comes before the name of a bucket, to make a path
	limits   limits
}

const (
	// maxCopy is the largest object that S3 copies in one request.
	maxCopy = 5 << 30
	// ioBuffer is the size in bytes of the buffer through which a body is copied,
	// and that of a ranged read. It fits into the cache of a core.
	ioBuffer = 256 << 10
	// workingDirectory is that of the process, also if it was removed.
	workingDirectory = "/proc/self/cwd"
	// longRoot is the length in bytes from which on a folder is named by its
	// descriptor (/proc/self/fd), which costs each system call 10% more. A path
	// has at most 4,096 bytes, of which a bucket and a key need 1,100.
	longRoot = 2048
)

// errNoXattr explains a data folder that cannot keep metadata.
var errNoXattr = errors.New("file system keeps no user extended attributes of 2 KiB " +
	"(ext4, xfs, btrfs, zfs and tmpfs of Linux 6.6 do): choose a data folder on another file system")

// openStore opens the folder dir, an absolute path.
//
// The backend opens files relative to the working directory, and changes the working
// directory to its folder. Here its folder is the current working directory, and the
// guard replaces the name of each bucket by an absolute path.
func openStore(dir string, l limits) (*store, error) {
	if err := checkXattr(dir, meta.XattrMeta{}.StoreAttribute); err != nil {
		return nil, err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	info, err := folder.Stat()
	if err != nil {
		return nil, errors.Join(err, folder.Close())
	}
	opts := posix.PosixOpts{
		CopyObjectThreshold: maxCopy, // zero refuses every copy
		DataIntegrityEtag:   true,    // no MD5: up to 1.8 times the PUT rate; see versions.go
		ForceNoObjLockFile:  true,    // the data folder has one server
		Concurrency:         l.actions - l.bodies,
		IOBufferSize:        ioBuffer,
	}
	opts.SetNewDirPerm(0o700)
	opts.SetNewFilePerm(0o600)
	v := &versions{}
	p, err := posix.New(workingDirectory, v, opts)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, errors.Join(err, folder.Close()))
	}
	root := dir + "/"
	if len(root) > longRoot {
		root = fmt.Sprintf("/proc/self/fd/%d/", folder.Fd())
	}
	return &store{Posix: p, versions: v, folder: folder, info: info, root: root, limits: l}, nil
}

// here reports whether the folder is still at its path.
func (s *store) here() bool {
	info, err := os.Stat(s.root)
	return err == nil && os.SameFile(info, s.info)
}

// name returns the name of a bucket that has a path for the backend.
func (s *store) name(path string) string { return strings.TrimPrefix(path, s.root) }

// close closes the backend.
func (s *store) close() error {
	s.Posix.Shutdown()
	return s.folder.Close()
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
