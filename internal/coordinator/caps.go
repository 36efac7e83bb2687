package coordinator

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mraws/mraws/internal/coordinator/sched"
)

const (
	// maxWorkers bounds the workers that are registered at the same time.
	maxWorkers = 4096
	// MaxConnections bounds the connections at the same time: one of each
	// worker, and as many as a quarter of them for those who change over,
	// ask for the status or come to look. The next one waits until another
	// is closed. What is connected and says nothing is cut off after a time
	// (wire.NewServer). A connection takes some 100 KiB.
	MaxConnections = maxWorkers + maxWorkers/4
)

// connections is how many the coordinator takes.
func (o Options) connections() int {
	if o.Connections > 0 {
		return min(o.Connections, MaxConnections)
	}
	return MaxConnections
}

// full is the answer to a worker for which there is no more room, nil if
// there is. It comes again, since others may leave, and ends after its
// coord-timeout with these words.
func (l *loop) full(w sched.WorkerID) error {
	if _, here := l.core.Member(w); here || l.core.Stats().Workers < maxWorkers {
		return nil
	}
	return status.Errorf(codes.Unavailable, "the coordinator has %d workers and takes no more", maxWorkers)
}
