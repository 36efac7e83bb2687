package coordinator

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/mraws/mraws/internal/coordinator/sched"
)

// turns runs functions on the goroutine of the loop, which owns the job.
type turns struct {
	start   time.Time
	clock   func() sched.Time // of a test; nil is the time since start
	acts    chan func()       // run by the loop, in order
	stopped chan struct{}     // closed when the loop takes no more of them
}

func newTurns(clock func() sched.Time) turns {
	return turns{start: time.Now(), clock: clock, acts: make(chan func()), stopped: make(chan struct{})}
}

// now is the scheduler's monotonic time.
func (t *turns) now() sched.Time {
	if t.clock != nil {
		return t.clock()
	}
	return sched.Time(time.Since(t.start))
}

// call runs f on the loop, waits for it, and says whether it was run: not
// once ctx or the loop has ended.
func (t *turns) call(ctx context.Context, f func()) bool {
	done := make(chan struct{})
	select {
	case t.acts <- func() { f(); close(done) }:
		<-done
		return true
	case <-ctx.Done():
	case <-t.stopped:
	}
	return false
}

// seconds shows a duration to people, to a tenth: 14 s.
func seconds(d time.Duration) string {
	return strconv.FormatFloat(math.Round(10*d.Seconds())/10, 'f', -1, 64) + " s"
}

// name shows a task to people.
func name(t sched.TaskID) string { return fmt.Sprintf("%s task %d", t.Phase, t.Index) }
