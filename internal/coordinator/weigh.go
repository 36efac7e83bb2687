package coordinator

import (
	"time"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/mr"
)

// weights are the bytes that each task reads: of a map task those of its
// pieces, as the input format weighs them, also in a map-only job, of a reduce task the keys and values that the maps committed for
// it, which are all known once reduces are granted. A worker's heartbeats
// count in the same bytes. Stored are the bytes of the pieces as they lie in the
// bucket, by the number of their task.
type weights struct {
	maps, reduces, stored []int64
	mapOnly               bool
}

func newWeights(job *manifest.Job) weights {
	w := weights{make([]int64, job.Maps()), make([]int64, job.Outputs()), make([]int64, len(job.Tasks)), job.MapOnly()}
	read := w.maps
	if w.mapOnly {
		read = w.reduces
	}
	format := job.InputFormat()
	for m, pieces := range job.Tasks {
		for _, p := range pieces {
			read[m] += job.Objects[p.Object].Weight(format, p.Length)
		}
		w.stored[m] = job.TaskBytes(m)
	}
	return w
}

// add counts what a map task committed, once.
func (w weights) add(rec *manifest.Map) {
	for r, p := range rec.Parts {
		w.reduces[r] += p.Sum.Bytes
	}
}

// of returns the bytes of a task, or 0 for one that does not exist.
func (w weights) of(t sched.TaskID) int64 {
	list := w.maps
	if t.Phase == mr.ReducePhase {
		list = w.reduces
	}
	if t.Index < 0 || t.Index >= len(list) {
		return 0
	}
	return list[t.Index]
}

// count adds the bytes of one task to those of its phase. progress has that of tasks
// that run.
func (w weights) count(p *wire.Reading, t sched.TaskID, done bool, progress map[sched.TaskID]float64) {
	bytes := w.of(t)
	if t.Phase == mr.MapPhase || w.mapOnly {
		bytes = w.stored[t.Index]
	}
	p.Total += bytes
	if done {
		p.Done += bytes
	} else {
		p.Done += int64(progress[t] * float64(bytes))
	}
}

// progress is the fraction of its task that an attempt has read, 0 if that
// cannot be known. Line ends are not counted in the records of a map.
func (w weights) progress(p *wire.Progress) float64 {
	all := w.of(taskOf(p.GetAttempt()))
	if all <= 0 || p.GetBytes() <= 0 {
		return 0
	}
	return min(1, float64(p.GetBytes())/float64(all))
}

// mostSeconds bounds what a record may say of its attempt's time.
const mostSeconds = 365 * 24 * 3600

// took is how long an attempt ran, as its record says.
func took(seconds float64) time.Duration {
	if !(seconds > 0) { // or is not a number
		return 0
	}
	return time.Duration(min(seconds, mostSeconds) * float64(time.Second))
}
