package coordinator

import (
	"slices"
	"time"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/manifest"
)

// idle is for how long a job waited for workers.
type idle struct {
	now   bool // since since
	since sched.Time
	sum   time.Duration // before since
}

// noteIdle takes note of whether the job waits for workers from now on, and returns
// for how long it has waited so far.
func (l *loop) noteIdle(now sched.Time) time.Duration {
	i := &l.idle
	if i.now {
		i.sum += time.Duration(now - i.since)
	}
	planning := l.app != nil && l.job == nil
	i.now, i.since = l.core.Stats().Workers == 0 && !planning && !l.done(), now
	return i.sum
}

// workedBefore is for how long attempts that have committed tasks ran before a
// coordinator led the job, of the time since it was created. Time at which several
// ran counts once. Each time is by the clock of its worker.
func workedBefore(led, created time.Time, maps []*mapCommit, reduces []*reduceCommit) time.Duration {
	type span struct{ from, to time.Time }
	var spans []span
	add := func(started time.Time, seconds float64) {
		s := span{started, started.Add(took(seconds))}
		if s.from.Before(created) {
			s.from = created
		}
		if s.to.After(led) {
			s.to = led
		}
		if s.from.Before(s.to) {
			spans = append(spans, s)
		}
	}
	for _, m := range maps {
		add(m.Started, m.Seconds)
	}
	for _, r := range reduces {
		add(r.Started, r.Seconds)
	}
	slices.SortFunc(spans, func(a, b span) int { return a.from.Compare(b.from) })
	var sum time.Duration
	var until time.Time
	for _, s := range spans {
		if s.from.Before(until) {
			s.from = until
		}
		if s.from.Before(s.to) {
			sum += s.to.Sub(s.from)
			until = s.to
		}
	}
	return sum
}

// skew is how unequal the partitions are: nil where there are less than two, or no
// records.
func (l *loop) skew() *manifest.Skew {
	s := new(manifest.Skew)
	for _, r := range l.reduces {
		s.Take(r.Task, r.Read, r.Heaviest)
	}
	return s.Of(l.job.NReduce)
}
