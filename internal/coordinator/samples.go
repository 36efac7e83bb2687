package coordinator

import (
	"time"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/events"
	"github.com/mraws/mraws/internal/wire"
)

// samples are the last figures that workers have told of what their processes take.
// Nothing is decided by them.
type samples map[sched.WorkerID]*sampled

type sampled struct {
	last   *wire.Sample
	logged sched.Time // when one was written into the event log; 0 if none was
}

// noteSample takes note of the sample of a heartbeat; nil is none.
func (l *loop) noteSample(now sched.Time, w sched.WorkerID, s *wire.Sample) {
	if s == nil {
		return
	}
	of := l.samples[w]
	if of == nil {
		of = new(sampled)
		l.samples[w] = of
	}
	of.last = s
	if l.history != nil && (of.logged == 0 || now-of.logged >= sampleGap(now, len(l.samples))) {
		of.logged = now
		l.history.Append(events.Event{Type: events.WorkerSampled, Worker: string(w), Sample: s.Object()})
	}
}

// Of a worker at most one sample in leastSampleGap is written. When there are more than
// wideSamples of all workers the times between them grow with the age of the coordinator:
// while that doubles it writes 0.7 times wideSamples more. But each worker has another one
// when the coordinator is twice as old.
const (
	leastSampleGap = sched.Time(10 * time.Second)
	wideSamples    = 4000
)

// sampleGap is the least time between two samples of a worker in the event log.
func sampleGap(age sched.Time, workers int) sched.Time {
	return max(leastSampleGap, age/wideSamples*sched.Time(min(workers, wideSamples/2)))
}

// sample returns the last sample of a worker, nil for none.
func (l *loop) sample(w sched.WorkerID) *wire.Sample {
	if of := l.samples[w]; of != nil {
		return of.last
	}
	return nil
}
