package coordinator

import (
	"time"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/wire"
)

// maxDrain bounds what is believed of how long a worker will still be there.
const maxDrain = 24 * time.Hour

// drain takes note of a worker's word that it has been asked to end; nil is
// none. What the worker runs has been told by the message that says so.
func (l *loop) drain(now sched.Time, w sched.WorkerID, d *wire.Drain) {
	m := l.members[w]
	if d == nil || m == nil {
		return
	}
	left := min(max(d.LeftMs, 0), maxDrain.Milliseconds())
	ev := sched.Drain{Worker: w, Left: time.Duration(left) * time.Millisecond}
	if m.drain == nil {
		l.log.Info().Str("worker", string(w)).Str("left", ev.Left.Round(time.Millisecond).String()).Msg("worker drains: it gets no new task")
	}
	m.drain = &ev
	l.unpark(w, waitReply)
	if l.core != nil {
		l.step(now, ev)
	}
}
