package scratch

import (
	"os"

	"golang.org/x/sys/unix"
)

// unnamed creates a file in dir that never has a name. File systems that
// cannot do that return an error.
func unnamed(dir string) (*os.File, error) {
	return os.OpenFile(dir, unix.O_TMPFILE|os.O_RDWR, 0o600)
}
