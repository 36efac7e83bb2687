package findings

import (
	"cmp"

	"github.com/mraws/mraws/internal/events"
)

const (
	// smallPiece is how many bytes the pieces of the input have in the mean, at most, that
	// are small, and manyPieces how many there are at least.
	smallPiece, manyPieces = 1 << 20, 100
	// pairSize is what a pair takes in memory besides its key and value, in bytes.
	pairSize = 24
)

// delays returns what held up the attempts of the phase. Seconds of attempts become
// seconds of the job by the number of attempts that ran at a time.
func (p *phase) delays() (list []Finding) {
	throttled, spills := Facts{All: p.work}, Facts{All: p.work}
	var failed Facts
	for i := range p.runs {
		r := &p.runs[i]
		switch r.Outcome {
		case "failed":
			failed.Failed++
			failed.Error = cmp.Or(failed.Error, r.Cause)
		case "lost":
			failed.Lost++
		case "released":
			failed.Released++
		}
		if r.Outcome == "failed" || r.Outcome == "lost" || r.Outcome == "released" {
			failed.Held += r.took()
		}
		w := r.Work
		if w == nil {
			continue
		}
		if w.Throttled > 0 {
			throttled.Attempts++
			throttled.Replies += w.Throttled
			throttled.Held += min(w.ThrottledSeconds, r.took())
		}
		if w.Spills > 0 {
			spills.Attempts++
			spills.Spills += w.Spills
			spills.Spilled += w.SpilledBytes
			if p.name == "map" {
				spills.Pairs = max(spills.Pairs, w.WroteBytes+pairSize*w.WroteRecords)
			}
			spills.Held += min(w.SpillSeconds, r.took())
		}
	}
	n := p.slots()
	failed.All = p.work
	list = append(list,
		p.finding(Throttling, throttled.Held/n, throttled),
		p.finding(Spills, spills.Held/n, p.perWorker(spills)),
		p.finding(FailedAttempts, max(failed.Held/n, p.again()), failed),
		p.finding(NoWorkers, p.missing, Facts{Slots: p.most, Idle: p.empty}))
	if p.name == "map" {
		list = append(list, p.small())
	}
	return list
}

// perWorker adds to facts how many slots a worker has, at the most.
func (p *phase) perWorker(f Facts) Facts {
	for _, w := range p.state.Workers {
		f.Slots = max(f.Slots, w.Slots)
	}
	return f
}

// again is by how much the phase would have ended earlier if the first attempt at each
// task had been as quick as the one that committed it.
func (p *phase) again() float64 {
	end := p.start
	for i := range p.tasks {
		t := &p.tasks[i]
		if t.Committed == nil || len(t.Attempts) == 0 {
			return 0
		}
		ended, first := t.Committed.End, t.Attempts[0]
		if o := first.Outcome; (o == "failed" || o == "lost" || o == "released") && first.Start > 0 {
			ended = min(ended, first.Start+t.Committed.End-t.Committed.Start)
		}
		end = max(end, ended)
	}
	return max(0, seconds(p.end-end))
}

// small is what the attempts of the map phase spent on anything but their records, if
// the pieces of the input are small: they waited for input, uploaded, asked for a task,
// and reported. As large pieces would have cost some of it too, it counts by the part of
// the pieces that there would not have been.
func (p *phase) small() Finding {
	f := Facts{Tasks: len(p.tasks), All: p.work + p.gaps, Slots: p.most}
	if p.job == nil {
		return p.finding(SmallObjects, 0, f)
	}
	bytes := int64(0)
	f.Objects = len(p.job.Objects)
	for i := range p.job.Tasks {
		f.Pieces += len(p.job.Tasks[i])
		bytes += p.planned(i)
	}
	f.Mean = bytes / int64(max(f.Pieces, 1))
	if f.Pieces < manyPieces || f.Mean > smallPiece {
		return p.finding(SmallObjects, 0, f)
	}
	pieces := 0
	for i := range p.runs {
		r := &p.runs[i]
		if r.Work == nil || r.Outcome != committed {
			continue
		}
		pieces += p.pieces(r.task)
		f.Held += min(r.took(), r.Work.WaitSeconds+r.Work.UploadSeconds+max(0, r.took()-r.Work.Seconds))
	}
	cost := f.Held/p.slots() + p.gaps/float64(max(p.most, 1))
	f.Held += p.gaps
	f.Each = f.Held / float64(max(pieces, 1))
	large := float64(max(bytes/max(p.job.SplitSize, 1), int64(p.most), 1))
	return p.finding(SmallObjects, cost*max(0, 1-large/float64(f.Pieces)), f)
}

func (p *phase) pieces(task int) int {
	if task >= len(p.job.Tasks) {
		return 1
	}
	return max(1, len(p.job.Tasks[task]))
}

// committed is the outcome of the attempt that committed its task.
const committed = "committed"

// last returns the run of the phase that ended last, of a task that needed it; nil for
// none.
func (p *phase) last() (z *run) {
	for i := range p.runs {
		r := &p.runs[i]
		if (r.Outcome == committed || r.Running()) && (z == nil || r.end >= z.end) {
			z = r
		}
	}
	return z
}

// hostOf is the host of a worker.
func hostOf(s *events.State, worker string) string {
	if w := s.Workers[worker]; w != nil {
		return w.Host
	}
	return ""
}
