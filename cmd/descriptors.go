package cmd

import (
	"fmt"
	"syscall"

	"github.com/rs/zerolog"
)

// What a process needs of file descriptors. Go raises the soft limit to the
// hard one at the start, so what is left is the hard one, which is 4096 or
// more on most machines.
const (
	// ownDescriptors are standard streams, pollers, the listener and the
	// connections between coordinator and one worker.
	ownDescriptors = 24
	// slotDescriptors are what one attempt has open besides the connections
	// that count as requests: seven spilled runs of each of three levels, some
	// for merging and for what is done (internal/task/collector.go), and two
	// connections for input that is read as it is mapped.
	slotDescriptors = 32
	// perRequest is the connections to the store for each request that may
	// be in flight: its own, and an idle one that was not there in time.
	perRequest = 2
	// minRequests is how few requests at a time are still some use.
	minRequests = 4
	// minConnections is how many a coordinator takes at least.
	minConnections = 16
)

// needDescriptors is how many a process of some slots and requests needs,
// without those of an embedded server in it.
func needDescriptors(slots, requests int) int {
	return ownDescriptors + slots*slotDescriptors + requests*perRequest
}

// fitRequests sets the number of requests and of connections that the limit of
// file descriptors allows. It warns if that is less than those wanted.
// Serving means that the embedded server in this process takes three quarters
// of the descriptors. A limit that is too low for any work is an error.
func (b *budget) fitRequests(wanted int, serving bool, log zerolog.Logger) error {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return fmt.Errorf("read the limit of descriptors: %w", err)
	}
	limit, factor := int(min(r.Cur, 1<<20)), 1
	if serving {
		factor = 4
	}
	slots := max(b.slots, 1)
	fits := (limit/factor - needDescriptors(slots, 0)) / perRequest
	b.requests = min(wanted, fits)
	b.connections = max(limit/factor-needDescriptors(slots, wanted), minConnections)
	switch {
	case fits >= wanted:
		return nil
	case fits < minRequests:
		return usagef("raise the limit for this process, or set fewer --slots",
			"running %s at a time takes %d file descriptors, the limit (ulimit -n) is %d", countText(int64(slots), "task"), factor*needDescriptors(slots, minRequests), limit)
	}
	log.Warn().Int("limit", limit).Int("need", factor*needDescriptors(slots, wanted)).Int("s3-concurrency", fits).
		Msg("few file descriptors (ulimit -n): s3-concurrency lowered")
	return nil
}
