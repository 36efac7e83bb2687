package s3local

import (
	"fmt"
	"syscall"

	"github.com/mraws/mraws/internal/datadir"
)

// limits bounds what a server does at the same time, so that it has enough file
// descriptors. Without descriptors the backend reports a file that it cannot open as
// missing, or as owned by another account.
type limits struct {
	// connections is the maximum number of open connections. One more closes a
	// connection that waits for a request. If none waits it gets 503 SlowDown,
	// after which S3 clients retry.
	connections int
	// actions is the maximum number of concurrent actions of the backend. It
	// must exceed bodies: uploads wait for the guard's lock, and the delete that
	// holds the lock needs an action of its own.
	actions int
	// bodies is the maximum number of uploads whose body is being read. Each is
	// an action and has a buffer of ioBuffer bytes.
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

	// minDescriptors is enough for the clients of a small job.
	minDescriptors = reserve + minActions*perAction + 32*perConnection
)

// processLimits are the limits of a server that uses three quarters of the file
// descriptors of its process. The rest are for clients in the same process.
func processLimits() (limits, error) {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return limits{}, fmt.Errorf("read the limit of descriptors: %w", err)
	}
	n := int(min(r.Cur, 1<<20))
	l, ok := limitsFor(n / 4 * 3)
	if !ok {
		return l, &datadir.DescriptorError{Limit: n, Want: (minDescriptors + 2) / 3 * 4}
	}
	return l, nil
}

// limitsFor divides n descriptors, or returns an error if they are too few.
func limitsFor(n int) (l limits, ok bool) {
	l.actions = min(max(n/32, minActions), maxActions)
	l.bodies = l.actions / 2
	l.connections = min((n-reserve-l.actions*perAction)/perConnection, maxConnections)
	return l, n >= minDescriptors
}
