package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"

	"github.com/mraws/mraws/internal/chain"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
)

// rounds are those of one step. Of a step that keeps the last ones only, the bucket has
// the jobs of round 1, which tell what the rounds began with, and of the last two.
type rounds struct {
	*chainRun
	step   *chain.Step
	result *stepResult
	there  []int // rounds of which the bucket has something, in order
}

// rounds runs a step again and again, each round on the output of the one before it.
func (c *chainRun) rounds(ctx context.Context, step *chain.Step, result *stepResult) (err error) {
	r := &rounds{chainRun: c, step: step, result: result}
	if err := r.list(ctx); err != nil {
		return err
	}
	input, err := c.input(step, c.outputs, nil, 1)
	if err != nil {
		return err
	}
	at := step.Repeat
	for n := 1; ; n++ {
		if n == 2 && at.KeepLast && !slices.ContainsFunc(result.jobs, func(j jobResult) bool { return !j.again }) {
			last, err := r.lastDone(ctx)
			if err != nil {
				return err
			}
			if last > 2 {
				n, input = last, []string{r.outputOf(last - 1)}
			}
		}
		jobs, err := r.round(ctx, n, input)
		if err != nil {
			return err
		}
		result.jobs, result.rounds = append(result.jobs, jobs...), n
		input = []string{jobs[len(jobs)-1].job.Output}
		if at.KeepLast {
			if err := r.removeBetween(ctx, 2, n-2); err != nil {
				return err
			}
		}
		if r.over(n, jobs) {
			break
		}
	}
	c.outputs[step.Name] = input[0]
	c.results = append(c.results, *result)
	return nil
}

// over says whether round n is the last one, and notes why.
func (r *rounds) over(n int, jobs []jobResult) bool {
	at := r.step.Repeat
	if at.Until != nil {
		var counters []map[string]int64
		for _, j := range jobs {
			counters = append(counters, j.success.Counters)
		}
		holds, counted := at.Until.Holds(counters...)
		if !counted && n == 1 {
			r.log.Warn().Str("step", r.step.Name).Str("counter", at.Until.Counter).Msg("no job of the first round has this counter, which counts as 0")
		}
		if holds {
			r.result.stopped = at.Until.String()
			return true
		}
	}
	if n < at.AtMost {
		return false
	}
	if at.Until != nil {
		r.result.stopped = "at-most"
		r.log.Warn().Str("step", r.step.Name).Int("rounds", n).Msg("the rounds have ended by their number, not by their condition: " + at.Until.String())
	}
	return true
}

// more says whether another job follows a job of round n that ends now, behind those of the
// round before it.
func (r *rounds) more(n int, step *chain.Step, before []jobResult, success *manifest.Success) bool {
	jobs := jobsOf(r.step)
	if step != jobs[len(jobs)-1] || !r.chainRun.last(r.step) {
		return true
	}
	counters := []map[string]int64{success.Counters}
	for _, j := range before {
		counters = append(counters, j.success.Counters)
	}
	if until := r.step.Repeat.Until; until != nil {
		if holds, _ := until.Holds(counters...); holds {
			return false
		}
	}
	return n < r.step.Repeat.AtMost
}

// round runs the jobs of round n.
func (r *rounds) round(ctx context.Context, n int, input []string) (jobs []jobResult, err error) {
	outputs := maps.Clone(r.outputs)
	for _, step := range jobsOf(r.step) {
		clear := func(ctx context.Context) error { // the later rounds follow from it
			if err := r.removeBetween(ctx, n+1, r.last()); err != nil {
				return err
			}
			return r.remove(ctx, r.layoutOf(n, step))
		}
		more := func(success *manifest.Success) bool { return r.more(n, step, jobs, success) }
		j := stepJob{step: step, path: jobPath(r.step, step, chain.RoundName(n)), round: n, input: input, more: more}
		if step != r.step {
			if j.input, err = r.input(step, outputs, input, n); err != nil {
				return nil, err
			}
		}
		job, err := r.run(ctx, j, outputs, clear)
		if err != nil {
			return nil, err
		}
		outputs[step.Name] = job.job.Output
		jobs = append(jobs, job)
	}
	if !slices.Contains(r.there, n) {
		r.there = append(r.there, n)
		slices.Sort(r.there)
	}
	return jobs, nil
}

// list finds the rounds of which the bucket has something.
func (r *rounds) list(ctx context.Context) error {
	for dir, err := range r.st.ListDirs(ctx, r.base()+"/"+r.step.Name+"/") {
		if err != nil {
			return fmt.Errorf("list the rounds: %w", err)
		}
		if n, ok := chain.ParseRound(path.Base(dir)); ok {
			r.there = append(r.there, n)
		}
	}
	slices.Sort(r.there)
	return nil
}

// last is the last round of which the bucket has something, 0 for none.
func (r *rounds) last() int {
	if len(r.there) == 0 {
		return 0
	}
	return r.there[len(r.there)-1]
}

// layoutOf is that of a job of round n.
func (r *rounds) layoutOf(n int, job *chain.Step) layout.Layout {
	return layout.New(r.base() + "/" + jobPath(r.step, job, chain.RoundName(n)))
}

// outputOf is the URL of the output of round n.
func (r *rounds) outputOf(n int) string {
	jobs := jobsOf(r.step)
	return layout.Place(r.st.Bucket(), r.layoutOf(n, jobs[len(jobs)-1]).OutputDir())
}

// lastDone is the last round that is done, and whose input is there, of those that may
// be; 0 for none.
func (r *rounds) lastDone(ctx context.Context) (int, error) {
	for _, n := range slices.Backward(r.there) {
		if n > r.step.Repeat.AtMost || n < 2 {
			continue
		}
		after, err := r.done(ctx, n-1)
		if err == nil && after {
			after, err = r.done(ctx, n)
		}
		if err != nil || after {
			return n, err
		}
	}
	return 0, nil
}

// done says whether the last job of round n is done.
func (r *rounds) done(ctx context.Context, n int) (bool, error) {
	jobs := jobsOf(r.step)
	_, err := r.st.Stat(ctx, r.layoutOf(n, jobs[len(jobs)-1]).Success())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// removeBetween removes the jobs of rounds from first to last, the last one first: what
// is left of them if this is interrupted still begins where it began.
func (r *rounds) removeBetween(ctx context.Context, first, last int) error {
	for _, n := range slices.Backward(slices.Clone(r.there)) {
		if n < first || n > last {
			continue
		}
		for _, job := range slices.Backward(jobsOf(r.step)) {
			if err := r.remove(ctx, r.layoutOf(n, job)); err != nil {
				return err
			}
		}
		r.there = slices.DeleteFunc(r.there, func(o int) bool { return o == n })
	}
	return nil
}
