package worker

import (
	"sync"

	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/wire"
)

// ledger is what a worker has asked of S3 for its job. The part that commit records say
// is kept apart: a coordinator that takes over finds it in the bucket. Of the rest it
// knows what the coordinator before was told.
type ledger struct {
	traffic func() object.Traffic // of the process; nil where nobody counts
	before  object.Traffic        // for jobs before

	mu       sync.Mutex
	recorded object.Traffic // of what the commit records of its attempts say
	told     object.Traffic // the rest, as it was told last in a call that was answered
}

// account is what a call says of the ledger.
type account struct {
	requests map[string]int64
	spent    *wire.Spent
	rest     object.Traffic
}

// now returns what the next call says. It is empty where nobody counts.
func (l *ledger) now() (a account) {
	if l.traffic == nil {
		return a
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.traffic()
	all.Sub(l.before)
	a.rest = all.Clone()
	a.rest.Sub(l.recorded)
	a.requests = all.Requests
	a.spent = &wire.Spent{Sent: all.Sent, Received: all.Received, Recorded: wire.NewTraffic(l.recorded)}
	return a
}

// record takes note of what a commit record says.
func (l *ledger) record(t object.Traffic) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.recorded.Add(t)
}

// answered takes note of a call that the coordinator has answered.
func (l *ledger) answered(a account) {
	if a.spent == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told = a.rest
}

// handedOn is what the coordinator before was told.
func (l *ledger) handedOn() *wire.Traffic {
	l.mu.Lock()
	defer l.mu.Unlock()
	return wire.NewTraffic(l.told)
}
