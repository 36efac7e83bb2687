package object

import (
	"context"
	"sync"
	"time"
)

// Pulse tells how long the requests of one piece of work have waited for a
// store that says nothing. Whoever does the work hands it to the store in a
// context ([WithPulse]); the store notes on it when a request goes out and
// when something of it moves. Its zero value is ready for use, and a nil
// Pulse notes nothing.
type Pulse struct {
	mu    sync.Mutex
	waits map[*Wait]time.Time // since when nothing has moved
	moves int64

	refusals int64         // replies that put a request off
	off      int           // requests that are put off now
	since    time.Time     // when the first of these was
	offFor   time.Duration // for how long some were, before since
}

type pulseKey struct{}

// WithPulse returns a context whose requests are noted on p.
func WithPulse(ctx context.Context, p *Pulse) context.Context {
	return context.WithValue(ctx, pulseKey{}, p)
}

// PulseOf returns the pulse of a context, or nil.
func PulseOf(ctx context.Context) *Pulse {
	p, _ := ctx.Value(pulseKey{}).(*Pulse)
	return p
}

// Stalled returns for how long nothing has moved in that request, of those
// that are on their way, for which it is longest; 0 if there is none.
func (p *Pulse) Stalled() time.Duration {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var most time.Duration
	for _, since := range p.waits {
		most = max(most, time.Since(since))
	}
	return most
}

// Waiting says whether a request is on its way.
func (p *Pulse) Waiting() bool {
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.waits) > 0
}

// Moves counts what has moved so far: requests that went out or ended, and
// bytes that came or went. It only grows.
func (p *Pulse) Moves() int64 {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.moves
}

// Throttled returns how many replies asked for fewer requests so far, and for how long a
// request, one at least, waited to be sent again or was sent again after such a reply.
func (p *Pulse) Throttled() (replies int64, took time.Duration) {
	if p == nil {
		return 0, 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	took = p.offFor
	if p.off > 0 {
		took += time.Since(p.since)
	}
	return p.refusals, took
}

// Wait returns the waiting of one request, which includes its repetitions.
func (p *Pulse) Wait() *Wait {
	if p == nil {
		return nil
	}
	return &Wait{pulse: p}
}

// Wait is one request's waiting for the store. A nil Wait notes nothing.
type Wait struct {
	pulse *Pulse
	off   bool // the store has put it off; guarded by that of pulse
}

// Begin says that the request is on its way and that nothing is expected to
// move for the time of grace. One that is on its way goes on waiting.
func (w *Wait) Begin(grace time.Duration) {
	if w == nil {
		return
	}
	p := w.pulse
	p.mu.Lock()
	defer p.mu.Unlock()
	p.moves++
	if _, on := p.waits[w]; on {
		return
	}
	if p.waits == nil {
		p.waits = make(map[*Wait]time.Time)
	}
	p.waits[w] = time.Now().Add(grace)
}

// Moved says that a byte of the request was taken: it waits from now on.
func (w *Wait) Moved() {
	if w == nil {
		return
	}
	p := w.pulse
	p.mu.Lock()
	defer p.mu.Unlock()
	p.moves++
	if since, on := p.waits[w]; on && time.Since(since) > 0 {
		p.waits[w] = time.Now()
	}
}

// End says that the store has answered, or that nobody waits any more.
func (w *Wait) End() {
	if w == nil {
		return
	}
	w.pulse.mu.Lock()
	defer w.pulse.mu.Unlock()
	w.pulse.moves++
	delete(w.pulse.waits, w)
}

// Throttle says that the store asked for fewer requests in reply to this one.
func (w *Wait) Throttle() {
	if w == nil {
		return
	}
	p := w.pulse
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusals++
	if w.off {
		return
	}
	if w.off = true; p.off == 0 {
		p.since = time.Now()
	}
	p.off++
}

// Served says that the store does not put the request off any more, or that nobody
// waits for it.
func (w *Wait) Served() {
	if w == nil {
		return
	}
	p := w.pulse
	p.mu.Lock()
	defer p.mu.Unlock()
	if !w.off {
		return
	}
	w.off = false
	if p.off--; p.off == 0 {
		p.offFor += time.Since(p.since)
	}
}
