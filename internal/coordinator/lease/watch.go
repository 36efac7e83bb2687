package lease

import "time"

// Bounds of the time between two looks of a standby: a look is one GET, and
// the end of a long lease is to be noticed within a second as well.
const (
	minPoll = 50 * time.Millisecond
	maxPoll = time.Second
)

// watch measures for how long an announcement has stayed as it is. It goes
// by this machine's monotonic clock alone: neither what the other machine or
// the store call the time nor a step of the own wall clock matters. What it
// has not seen it does not count, so that it is never too long: while the
// store did not answer, the other coordinator could not renew either, and
// while this process stood still, that may have been the whole machine.
type watch struct {
	etag      string // of the version that is watched; "" is that there is none
	lease     time.Duration
	unchanged time.Duration
	last      time.Time // up to when it has been seen; zero after a look that was not answered
	began     bool
}

// saw takes note of a look, made at asked and answered at answered, that
// found the version etag of a coordinator with that lease.
func (w *watch) saw(etag string, lease time.Duration, asked, answered time.Time) {
	if !w.began || etag != w.etag {
		*w = watch{etag: etag, lease: lease, last: answered, began: true}
		return
	}
	// The first look saw the version before it was answered, each later one
	// after it was asked for.
	if w.last.IsZero() {
		w.last = answered
		return
	}
	w.unchanged += min(max(asked.Sub(w.last), 0), lease/2)
	w.last = asked
}

// missed takes note of a look that was not answered.
func (w *watch) missed() { w.last = time.Time{} }

// expired says whether the version has stayed for its lease.
func (w *watch) expired() bool { return w.began && w.unchanged >= w.lease }

// pause is how long to wait at now before the next look.
func (w *watch) pause(now time.Time) time.Duration {
	p := min(max(w.lease/10, minPoll), maxPoll)
	if !w.last.IsZero() && !w.expired() {
		left := w.lease - w.unchanged - now.Sub(w.last)
		p = min(p, max(left, time.Millisecond))
	}
	return p
}
