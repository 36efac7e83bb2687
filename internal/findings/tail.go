package findings

import (
	"github.com/mraws/mraws/internal/events"
	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/manifest"
)

const (
	// heavy is how many times the mean of the others a task has to read, and slow how many
	// times the usual time an attempt takes, at least, to be called so.
	heavy, slow = 2, 2
	// leastExcess is how many seconds longer a slow attempt takes at least.
	leastExcess = 0.5
)

// tail returns why the phase ended later than it might have, as one task decides it:
// that which ended last.
func (p *phase) tail() []Finding {
	z := p.last()
	if z == nil {
		return nil
	}
	straggler, late := p.straggler(z)
	list := []Finding{straggler}
	if z.Work != nil && z.took()-z.net() > z.took()/2 {
		return list // throttling or spills
	}
	others, mean := p.others(z)
	isHeavy := others > 0 && z.weight > heavy*others
	switch {
	case isHeavy && p.name == "reduce":
		list = append(list, p.skew(z, mean))
	case !late:
		list = append(list, p.idleSlots(z, isHeavy, mean))
	}
	return list
}

// others returns the mean of the weights of the tasks but that of z, and of the bytes of
// all.
func (p *phase) others(z *run) (others, mean int64) {
	sum, bytes, n := int64(0), z.bytes, int64(0)
	seen := make([]bool, len(p.tasks))
	for i := range p.runs {
		if r := &p.runs[i]; !seen[r.task] && r.weight > 0 && r.task != z.task {
			seen[r.task] = true
			sum += r.weight
			bytes += r.bytes
			n++
		}
	}
	// Partitions without records have no bytes, and are partitions all the same.
	if p.name == "reduce" {
		n = max(n, int64(len(p.tasks)-1))
	}
	if n == 0 {
		return 0, z.bytes
	}
	return max(1, sum/n), bytes / (n + 1)
}

// facts are those of the task of a run.
func (p *phase) facts(z *run) Facts {
	f := Facts{
		Task: z.Task, Attempt: z.ID, Running: z.Running(), Worker: z.Worker, Host: hostOf(p.state, z.Worker),
		Took: z.took(), Bytes: z.bytes, Tasks: len(p.tasks), Slots: p.most, Idle: p.idleFor,
	}
	if p.idleFor > 0 {
		f.IdleSlots = p.idle / p.idleFor
	}
	if z.Work != nil {
		f.Key, f.KeyBytes = z.Work.Key, z.Work.KeyBytes
	}
	return f
}

// skew is a partition that is much larger than the others: the phase would have ended
// when the other tasks did, or when this one had if it had taken the mean time.
func (p *phase) skew(z *run, mean int64) Finding {
	f := p.facts(z)
	f.Mean = mean
	sum, n := 0.0, 0
	end := z.start
	for i := range p.runs {
		r := &p.runs[i]
		if r.Outcome == committed || r.Running() {
			sum, n = sum+r.took(), n+1
			if r.task != z.task {
				end = max(end, r.end)
			}
		}
	}
	f.Usual = sum / float64(max(n, 1))
	end = max(end, z.start+events.Time(1000*f.Usual))
	return p.finding(Skew, max(0, seconds(z.end-end)), f)
}

// idleSlots is a phase with fewer tasks than slots at its end: the part of the time
// that slots had nothing to do.
func (p *phase) idleSlots(z *run, isHeavy bool, mean int64) Finding {
	f := p.facts(z)
	f.Mean = mean
	if isHeavy && p.job != nil && z.task < len(p.job.Tasks) && len(p.job.Tasks[z.task]) == 1 {
		piece := p.job.Tasks[z.task][0]
		o := p.job.Objects[piece.Object]
		if piece.Length == o.Size {
			f.Object, f.Whole = o.Name, whole(p.job, o)
		}
	}
	return p.finding(IdleSlots, p.lost, f)
}

// whole says why an object that is one piece was not cut; "" if it was small enough.
func whole(job *manifest.Job, o manifest.Object) string {
	switch {
	case o.Compression != "":
		return string(o.Compression)
	case o.Size > job.SplitSize && !input.Grouped(job.Input.Name): // else few of its columns are read
		return job.Input.Name
	}
	return ""
}

// pace is how the attempts of a phase compare.
type pace struct {
	usual  float64            // net seconds of an attempt, the median
	bytes  float64            // that its task had to read
	factor map[string]float64 // by worker: how many times the usual time its attempts took, the median
}

// expected is how long an attempt would have taken that is as quick as usual.
func (c *pace) expected(r *run) float64 {
	if c.bytes > 0 && float64(r.weight) > c.bytes {
		return c.usual * float64(r.weight) / c.bytes
	}
	return c.usual
}

// Slow says whether an attempt that took so many seconds is a straggler where so many are
// usual.
func Slow(seconds, usual float64) bool { return seconds >= slow*usual && seconds >= usual+leastExcess }

// slow says whether an attempt took much longer than expected.
func (c *pace) slow(r *run) bool { return Slow(r.net(), c.expected(r)) }

// pace compares attempts that committed, that run, or that others overtook.
func (p *phase) pace() (c pace, counts []*run) {
	var times, sizes []float64
	for i := range p.runs {
		r := &p.runs[i]
		switch {
		case r.Outcome == committed:
			times, sizes = append(times, r.net()), append(sizes, float64(r.weight))
		case r.Outcome != "superseded" && !r.Running():
			continue
		}
		counts = append(counts, r)
	}
	c = pace{usual: median(times), bytes: median(sizes), factor: map[string]float64{}}
	if c.usual == 0 {
		return c, nil
	}
	factors := map[string][]float64{}
	for _, r := range counts {
		if r.Outcome == committed || c.slow(r) { // else it has not run for long enough
			factors[r.Worker] = append(factors[r.Worker], r.net()/c.expected(r))
		}
	}
	for w, list := range factors {
		c.factor[w] = median(list)
	}
	return c, counts
}

// straggler is a worker whose attempts took much longer than others of their size: the
// larger one of two costs. One is the time between the end of the phase and when it
// would have ended if each of them had begun when it did and taken the usual time. The
// other is what they took more than that, shared out to all slots. Of a single slow
// attempt that ended last only the first one counts. late says that the task of z is one
// of those.
func (p *phase) straggler(z *run) (_ Finding, late bool) {
	c, counts := p.pace()
	if len(counts) < 2 || len(c.factor) < 2 {
		return p.finding(Straggler, 0, Facts{}), false
	}
	worst, excess := z, map[string]float64{}
	early := map[int]events.Time{} // when a task would have ended
	for _, r := range counts {
		if !c.slow(r) || c.factor[r.Worker] < slow && r.task != z.task {
			continue
		}
		if c.factor[r.Worker] >= slow {
			excess[r.Worker] += r.net() - c.expected(r)
		}
		at := r.start + events.Time(1000*(c.expected(r)+r.took()-r.net()))
		if was, ok := early[r.task]; !ok || at < was {
			early[r.task] = at
		}
		if !c.slow(worst) || r.net()-c.expected(r) > worst.net()-c.expected(worst) {
			worst = r
		}
	}
	if len(early) == 0 {
		return p.finding(Straggler, 0, Facts{}), false
	}
	end := p.start
	for i := range p.runs {
		r := &p.runs[i]
		if r.Outcome != committed && !r.Running() {
			continue
		}
		at := r.end
		if e, ok := early[r.task]; ok {
			at = min(at, e)
		}
		end = max(end, at)
	}
	cost, shared := max(0, seconds(p.end-end)), 0.0
	for _, s := range excess {
		shared += s
	}
	f := p.facts(worst)
	f.Usual, f.Factor = c.expected(worst), c.factor[worst.Worker]
	_, late = early[z.task]
	return p.finding(Straggler, max(cost, shared/max(p.slots(), float64(p.most))), f), late
}
