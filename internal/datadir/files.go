// Package datadir is the data folder of the embedded server as others see it:
// whether a folder is one, which files of it are secret, and where the server
// that runs on it answers. Programs without the server have this package.
package datadir

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Names inside a data folder.
const (
	LockFile        = "lock"
	CredentialsFile = "credentials.json"
	EndpointFile    = "endpoint.json"
	PortFile        = "port.json"
	Root            = "s3"
)

// Default returns the data folder that is used when none is named:
// $XDG_DATA_HOME/mraws, or ~/.local/share/mraws. It does not create it.
func Default() (string, error) {
	// The XDG base directory specification says that a relative path is
	// invalid and must be ignored.
	if d := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "mraws"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find data folder: %w", err)
	}
	return filepath.Join(home, ".local", "share", "mraws"), nil
}

// Is tells whether a folder has been the data folder of a server.
func Is(dir string) bool {
	if _, err := os.Lstat(filepath.Join(dir, CredentialsFile)); err != nil {
		return false
	}
	info, err := os.Stat(filepath.Join(dir, Root))
	return err == nil && info.IsDir()
}

// Secrets lists the files of a data folder that hold its keys.
func Secrets(dir string) []string {
	return []string{filepath.Join(dir, CredentialsFile), filepath.Join(dir, EndpointFile)}
}

// WriteJSON replaces the file name by v with mode 0600, at once: a reader sees
// the old or the new content.
func WriteJSON(name string, v any) (err error) {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	// CreateTemp makes files of mode 0600.
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write %s: %w", name, err), os.Remove(f.Name()))
		}
	}()
	if _, err = f.Write(append(data, '\n')); err != nil {
		return errors.Join(err, f.Close())
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// ReadJSON fills v from the file name. The error of a file that is not there
// wraps [fs.ErrNotExist].
func ReadJSON(name string, v any) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if len(data) == 0 {
		return &undecodableError{fmt.Errorf("%s is empty", name)}
	}
	if err := json.Unmarshal(data, v); err != nil {
		return &undecodableError{fmt.Errorf("decode %s: %w", name, err)}
	}
	return nil
}

// undecodableError is the error of a file that is there and is no JSON.
type undecodableError struct{ error }

func (e *undecodableError) Unwrap() error { return e.error }
