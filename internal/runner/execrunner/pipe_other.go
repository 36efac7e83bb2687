//go:build !linux

package execrunner

import (
	"fmt"
	"os"
	"time"
)

// pipeEnd is our end of a pipe to or from a process.
type pipeEnd struct{ *os.File }

// newPipe makes a pipe, of which we read or write one end. The process gets the other.
func newPipe(_ string, read bool) (ours *pipeEnd, theirs *os.File, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("make a pipe: %w", err)
	}
	if read {
		return &pipeEnd{r}, w, nil
	}
	return &pipeEnd{w}, r, nil
}

// ended says that the process has ended, and until when its output is read on.
func (p *pipeEnd) ended(until time.Time) { _ = p.SetReadDeadline(until) }
