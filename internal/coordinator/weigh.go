package coordinator

import (
	"time"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/mr"
)

// weights are the bytes that each task reads: of a map task those of its
// pieces, as the input format weighs them, of a reduce task the keys and values that the maps committed for
// it, which are all known once reduces are granted. A worker's heartbeats
// count in the same bytes.
type weights struct{ maps, reduces []int64 }

func newWeights(job *manifest.Job) weights {
	w := weights{make([]int64, len(job.Tasks)), make([]int64, job.NReduce)}
	format := job.InputFormat()
	for m, pieces := range job.Tasks {
		for _, p := range pieces {
			w.maps[m] += job.Objects[p.Object].Weight(format, p.Length)
		}
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
