package s3local

import (
	"fmt"
	"syscall"
)

// limits bounds what a server does at a time, so that its descriptors
// suffice. One that runs out of them is worse than slow: the backend takes a
// file that it cannot open for one that is not there, or for another's.
type limits struct {
	// connections may be open. For another one that waits for a request makes
	// room; if none does, the other gets 503 SlowDown, which S3 clients heed.
	connections int
	// actions of the backend may be in progress. There must be more than
	// bodies: uploads wait for the guard's lock, and the delete that holds
	// the lock needs an action of its own to go on.
	actions int
	// bodies of uploads may be read, which are among the actions; each has a
	// buffer of ioBuffer bytes.
	bodies int
}

const (
	maxConnections = 4096
	maxActions     = 512
	minActions     = 8

	// perAction is the descriptors that an action has at most: its own file,
	// that of a lock, a part or a source, a folder, and room for another two.
	// TestDescriptors would show more.
	perAction = 6
	// perConnection is a socket, and the file whose content is being sent.
	perConnection = 2
	// reserve is for the lock, the listener, standard streams, the connections
	// that are being refused and the like.
	reserve = 32

	// minDescriptors lets as many clients in as a small job has.
	minDescriptors = reserve + minActions*perAction + 32*perConnection
)

// DescriptorError says that a process may have too few files open to serve.
type DescriptorError struct {
	Limit, Want int // of the process
}

// Error names both numbers.
func (e *DescriptorError) Error() string {
	return fmt.Sprintf("a process that serves needs %d file descriptors, its limit (ulimit -n) is %d", e.Want, e.Limit)
}

// processLimits are the limits of a server that may use three quarters of the
// descriptors of its process; the rest are for clients in the same process.
func processLimits() (limits, error) {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return limits{}, fmt.Errorf("read the limit of descriptors: %w", err)
	}
	n := int(min(r.Cur, 1<<20))
	l, ok := limitsFor(n / 4 * 3)
	if !ok {
		return l, &DescriptorError{Limit: n, Want: (minDescriptors + 2) / 3 * 4}
	}
	return l, nil
}

// limitsFor shares n descriptors out, if they are enough.
func limitsFor(n int) (l limits, ok bool) {
	l.actions = min(max(n/32, minActions), maxActions)
	l.bodies = l.actions / 2
	l.connections = min((n-reserve-l.actions*perAction)/perConnection, maxConnections)
	return l, n >= minDescriptors
}
