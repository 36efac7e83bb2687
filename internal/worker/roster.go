package worker

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/task"
	"github.com/mraws/mraws/internal/wire"
)

// running is an attempt in a slot.
type running struct {
	attempt  *wire.Attempt
	job      string
	spec     string // SHA-256 of the job's spec; "" if the coordinator did not say
	cancel   context.CancelCauseFunc
	progress *task.Progress
	pulse    *object.Pulse // of its requests to the store
	waits    time.Time     // since when one stood still, as told last; zero if none
	// abandoned is set when nobody waits for its code any more, until that
	// returns.
	abandoned bool
}

// roster is what runs in the slots, and what keeps the worker from beginning
// more.
type roster struct {
	log    zerolog.Logger
	slots  int
	memory int64 // bytes, of all slots

	mu        sync.Mutex
	running   map[string]*running // by attempt id, until the report is there
	abandoned int                 // attempts that are, and whose code has not returned
	cut       time.Time           // since when the store does not answer, for all that is known; zero if it does
	order     *Order              // once the worker drains
}

// begin lists an attempt in heartbeats and registrations, unless the worker
// drains by now: then the next of them, which does not list it, releases it.
func (t *roster) begin(r *running) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.order != nil {
		return false
	}
	t.running[r.attempt.Id] = r
	return true
}

// end forgets an attempt, once the coordinator knows how it ended: up to then
// its lease is kept, so that it is not taken for one that got lost.
func (t *roster) end(r *running) {
	r.cancel(nil)
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.running, r.attempt.Id)
}

// inFlight lists the running attempts and their job, for a registration, and
// says whether the worker drains.
func (t *roster) inFlight() (attempts []*wire.Attempt, job string, drain *wire.Drain) {
	t.mu.Lock()
	defer t.mu.Unlock()
	drain = t.order.word()
	for _, r := range t.running {
		attempts = append(attempts, r.attempt)
		job = r.job
	}
	return attempts, job, drain
}

// returned takes note that the code of an attempt has returned after all.
func (t *roster) returned(r *running) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.abandoned {
		r.abandoned = false
		t.abandoned--
		t.log.Info().Str("attempt", r.attempt.Id).Msg("abandoned attempt has returned")
	}
}

// room is nil while the worker can begin another attempt beside those that it
// has abandoned.
func (t *roster) room() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.abandoned; n > max(t.slots, leastAbandoned) || n > 0 && t.slots+n > task.MostSlots(t.memory) {
		return &StuckError{Attempts: n}
	}
	return nil
}

// slotMemory is the budget of an attempt that begins now, in bytes. Those that
// are abandoned may hold what they had.
func (t *roster) slotMemory() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return task.SlotMemory(t.memory, t.slots+t.abandoned)
}

// cutSince notes since when the store has not answered; zero if it does.
func (t *roster) cutSince(since time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if since.IsZero() || t.cut.IsZero() || since.Before(t.cut) {
		t.cut = since
	}
}

// noteWaits notes since when the store has not answered an attempt that failed.
func (t *roster) noteWaits(r *running) {
	t.mu.Lock()
	waits := r.waits
	t.mu.Unlock()
	if !waits.IsZero() {
		t.cutSince(waits)
	}
}

// draining returns the order that the worker carries out, or nil.
func (t *roster) draining() *Order {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.order
}

// noteOrder notes an order, of which the first gives the cause and the earliest the
// time that is left. It says whether that is this one.
func (t *roster) noteOrder(o Order) (left time.Duration, earlier bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	left = max(time.Until(o.Until), 0)
	log := t.log.Info().AnErr("cause", o.Cause).Str("left", left.Round(time.Millisecond).String()).Int("running", len(t.running))
	switch {
	case t.order == nil:
		log.Msg("worker drains: it takes no new task")
	case o.Until.Before(t.order.Until):
		o.Cause = t.order.Cause
		log.Msg("worker drains: its deadline is now earlier")
	default:
		log.Msg("worker is already draining")
		return 0, false
	}
	t.order = &o
	return left, true
}
