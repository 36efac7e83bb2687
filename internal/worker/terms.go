package worker

import (
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/wire"
)

// terms are what the worker knows of the job that it works on, and of how the
// coordinator wants it to behave.
type terms struct {
	mu        sync.Mutex
	lay       layout.Layout
	leaseIs   time.Duration
	announced time.Duration // the lease of the last announcement that was read; 0 for none
	joined    bool          // once, at least
	goesOn    bool          // the job is one of a chain, and may not be its last
	idle      time.Duration // the job's task time-out
	least     time.Duration // for which an absent coordinator is waited for
}

// layout is that of the job, once a coordinator has told.
func (t *terms) layout() layout.Layout {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lay
}

func (t *terms) hasJoined() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.joined
}

// mayGoOn says whether another job of the chain may follow the one that the worker has
// joined.
func (t *terms) mayGoOn() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.joined && t.goesOn
}

func (t *terms) noteChain(goesOn bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.goesOn = goesOn
}

func (t *terms) lease() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.leaseIs
}

func (t *terms) taskTimeout() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.idle
}

func (t *terms) noteLease(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.announced = d
}

// patience is how long an absent coordinator is waited for. Where one is
// announced another may stand by, and takes over when the lease has ended.
func (t *terms) patience() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.least + t.announced
}

// join takes the terms of a coordinator that has let the worker join.
func (t *terms) join(r *wire.RegisterReply) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lay, t.joined = layout.New(r.Prefix), true
	t.leaseIs = max(time.Duration(r.LeaseMs)*time.Millisecond, 10*time.Millisecond)
	t.idle = max(time.Duration(r.TaskTimeoutMs)*time.Millisecond, 0)
}

// waitNotice tells people that the worker waits for a coordinator.
type waitNotice struct {
	log   zerolog.Logger
	where func() string
	upTo  func() time.Duration
	mu    sync.Mutex
	timer *time.Timer // nil while there is a coordinator
	cause error       // as known last
}

// tellAfter is how long a worker waits for a coordinator before it says so, and
// tellAgain how often it says so again.
const (
	tellAfter = time.Second
	tellAgain = time.Minute
)

// begin has it told soon that the worker waits for a coordinator.
func (n *waitNotice) begin() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.timer == nil {
		n.timer = time.AfterFunc(tellAfter, n.tell)
	}
}

func (n *waitNotice) tell() {
	where, upTo := n.where(), n.upTo()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.timer == nil {
		return // it is there by now
	}
	limit, who := upTo.String(), "a coordinator"
	if wire.IsLater(n.cause) {
		limit, who = "no limit", "the coordinator"
	}
	n.log.Warn().AnErr("cause", n.cause).Str("at", where).Str("up_to", limit).Msg("waiting for " + who)
	n.timer.Reset(tellAgain)
}

// note notes why there is no coordinator; nil is that there is one, or that
// it is waited for no longer.
func (n *waitNotice) note(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cause = err; err == nil && n.timer != nil {
		n.timer.Stop()
		n.timer = nil
	}
}
