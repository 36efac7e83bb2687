package s3local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/mraws/mraws/internal/datadir"
)

// lockDir takes the exclusive lock of a data folder. The kernel frees it when
// the returned file is closed, also by the end of the process, however it
// ends.
func lockDir(dir string) (*os.File, error) {
	name := filepath.Join(dir, datadir.LockFile)
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	err = errors.Join(err, f.Close())
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("lock %s: %w", dir, datadir.ErrLocked)
	}
	return nil, fmt.Errorf("lock %s: %w", name, err)
}
