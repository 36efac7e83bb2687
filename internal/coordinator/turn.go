package coordinator

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/mr"
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

// name shows a task to people. Those of a map-only job are map tasks.
func (l *loop) name(t sched.TaskID) string {
	if l.job.MapOnly() {
		t.Phase = mr.MapPhase
	}
	return fmt.Sprintf("%s task %d", t.Phase, t.Index)
}

// reads names what a map task reads, unless the cause of its failure names it: nobody knows
// over which record a process fails.
func (l *loop) reads(t sched.TaskID, cause string) string {
	if t.Phase == mr.ReducePhase && !l.job.MapOnly() || t.Index >= len(l.job.Tasks) {
		return ""
	}
	var named []string
	pieces := l.job.Tasks[t.Index]
	for _, p := range pieces[:min(len(pieces), mostNamed)] {
		o := l.job.Objects[p.Object]
		if strings.Contains(cause, " of "+o.Name) {
			return ""
		}
		bucket := o.Bucket
		if bucket == "" {
			bucket = l.o.Store.Bucket()
		}
		named = append(named, fmt.Sprintf("bytes %d to %d of %s", p.Offset, p.Offset+p.Length, layout.Place(bucket, o.In(l.o.Layout))))
	}
	if n := len(pieces) - len(named); n > 0 {
		named = append(named, fmt.Sprintf("and %d more", n))
	}
	if len(named) == 0 {
		return ""
	}
	return "the task reads " + strings.Join(named, ", ")
}
