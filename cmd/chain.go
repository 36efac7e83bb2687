package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/chain"
	"github.com/mraws/mraws/internal/coordinator"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/reset"
)

// chainRun is one run of a chain of jobs. Each step is a run of its own, on the store of
// the chain, with the flags that the file has as keys.
type chainRun struct {
	*session
	line    *cobra.Command // what the user gave
	flags   *runFlags      // of the chain
	file    *chain.File
	dir     string // the folder of the file, which paths in it are relative to
	from    string // the folder that the command was started in
	st      *store
	outputs map[string]string // URLs, by the name of a step that has run
	results []stepResult
	told    int        // steps that have been announced
	port    *chainPort // of a coordinator; nil where the process runs the workers too
	proved  bool       // the store of the chain honours conditional writes
	began   time.Time
}

// stepResult is a step that is done.
type stepResult struct {
	name    string
	jobs    []jobResult // one, or those of each round
	rounds  int         // 0 for a step that runs once
	stopped string      // why there were no more rounds
}

// jobResult is a job of a step that is done.
type jobResult struct {
	path    string // below that of the chain
	job     jobJSON
	again   bool
	where   *target
	success *manifest.Success
}

// runChain is `run --jobs`.
func runChain(ctx context.Context, s *session, line *cobra.Command, o *runFlags, args []string) (err error) {
	if s.nameGiven {
		return usagef("a chain has its name in its file: name: …; --prefix says where its jobs lie", "--name is not for a chain of jobs")
	}
	if err := checkLine(line, args); err != nil {
		return err
	}
	params, err := o.chain.params()
	if err != nil {
		return err
	}
	c := &chainRun{session: s, line: line, flags: o, outputs: map[string]string{}, began: time.Now()}
	if c.file, err = s.readChain(o.chain.file, params); err != nil {
		return err
	}
	if c.dir, err = filepath.Abs(filepath.Dir(o.chain.file)); err != nil {
		return err
	}
	if c.from, err = os.Getwd(); err != nil {
		return fmt.Errorf("find the working directory: %w", err)
	}
	plan, apart, err := c.check(ctx)
	switch {
	case err != nil:
		return err
	case o.chain.plan:
		return c.printPlan(plan)
	}
	lead := &jobRun{session: s, flags: o}
	if apart && !o.dryRun {
		return lead.apart(ctx)
	}
	if err := lead.complete(); err != nil {
		return err
	}
	if c.st, err = s.openStore(ctx, c.otherwise()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.st.Close()) }()
	if o.chain.fleet {
		if err := c.openPort(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, c.port.Close()) }()
	}
	if o.dryRun {
		return c.dryRun(ctx)
	}
	if err := s.openBoard(c.st, ""); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.board.Close()) }()
	for _, step := range c.file.Steps {
		if err := c.step(ctx, step); err != nil {
			if len(c.results) > 0 {
				s.note("%s", c.text())
			}
			return err
		}
	}
	c.frame.at = c.target
	if c.port != nil {
		c.port.end(ctx, c.conf.Lease)
	}
	return c.result(ctx)
}

// dryRun says what the first step would cost. Of the others the input is not known before
// it is there.
func (c *chainRun) dryRun(ctx context.Context) error {
	first := c.file.Steps[0]
	if first.Repeat != nil {
		return c.place(first, usagef("leave out --dry-run; --plan prints the steps", "--dry-run prices a first step that runs once, and this one runs in rounds"))
	}
	input, err := c.input(first, c.outputs, nil, 0)
	if err != nil {
		return err
	}
	r, err := c.prepare(stepJob{step: first, path: first.Name, input: input}, lookIn(c.outputs))
	if err != nil {
		return err
	}
	c.frame.at, r.flags.dryRun = r.target, true
	if err := c.in(func() error { return r.run(ctx, input) }); err != nil {
		return c.place(first, err)
	}
	if n := len(c.file.Steps) - 1; n > 0 {
		c.note("this is step %s; what %s will read is known once it is written", first.Name, countText(int64(n), "further step"))
	}
	return nil
}

// otherwise is the store where none is configured.
func (c *chainRun) otherwise() place {
	if c.flags.chain.fleet {
		return found // as a coordinator of one job has it
	}
	return embedded
}

// openPort opens the port on which the jobs answer, one after the other.
func (c *chainRun) openPort() error {
	host := ""
	if c.st.Embedded {
		host = "127.0.0.1" // nobody elsewhere could reach the store
	}
	lis, err := listen(c.conf, host, c.conf.Port)
	if err != nil {
		return err
	}
	security, _, err := c.serverSecurity()
	if err == nil {
		c.port, err = openChainPort(lis, security, c.st.Bucket())
	}
	if err != nil {
		return errors.Join(err, lis.Close())
	}
	c.log.Info().Str("addr", lis.Addr().String()).Str("bucket", c.st.Bucket()).Str("prefix", c.base()).Msg("listening")
	return nil
}

// last says whether no step follows this one.
func (c *chainRun) last(step *chain.Step) bool { return step == c.file.Steps[len(c.file.Steps)-1] }

// base is the prefix of all jobs of the chain.
func (c *chainRun) base() string {
	return strings.TrimPrefix(c.layout.Prefix()+"/"+c.file.Name.Text, "/")
}

// step runs a step, and all its rounds.
func (c *chainRun) step(ctx context.Context, step *chain.Step) error {
	result := stepResult{name: step.Name}
	c.told++
	if step.Repeat != nil {
		return c.rounds(ctx, step, &result)
	}
	input, err := c.input(step, c.outputs, nil, 0)
	if err != nil {
		return err
	}
	more := func(*manifest.Success) bool { return !c.last(step) }
	job, err := c.run(ctx, stepJob{step: step, path: step.Name, input: input, more: more, last: c.last(step)}, c.outputs, nil)
	if err != nil {
		return err
	}
	result.jobs = []jobResult{job}
	c.outputs[step.Name] = job.job.Output
	c.results = append(c.results, result)
	return nil
}

// run runs a job, or finds that it is done. Clear removes what has to go when the job of
// a step that has changed is removed; nil is that job alone.
func (c *chainRun) run(ctx context.Context, j stepJob, outputs map[string]string, clear func(context.Context) error) (result jobResult, err error) {
	text := "step %d of %d: %s"
	c.note(text, c.told, len(c.file.Steps), j.path)
	for again := false; ; again = true {
		result, err = c.try(ctx, j, outputs)
		var conflict *coordinator.ConflictError
		if !errors.As(err, &conflict) || conflict.Kind != coordinator.OtherJob && conflict.Kind != coordinator.OtherInput {
			return result, c.place(j.step, err)
		}
		if !c.flags.chain.rerun || again {
			e := &Error{Code: ExitConflict, What: "the step has changed since its job " + c.base() + "/" + j.path + " ran", Cause: &differs{conflict},
				Hint: c.again("--rerun") + " removes this job, and those of later steps whose input changes by it, and runs them again"}
			return result, c.place(j.step, e)
		}
		c.note("step %s has changed: its job is removed", j.path)
		if clear == nil {
			clear = func(ctx context.Context) error { return c.remove(ctx, layout.New(c.base()+"/"+j.path)) }
		}
		if err := clear(ctx); err != nil {
			return result, err
		}
	}
}

// try runs a job once.
func (c *chainRun) try(ctx context.Context, j stepJob, outputs map[string]string) (result jobResult, err error) {
	r, err := c.prepare(j, lookIn(outputs))
	if err != nil {
		return result, err
	}
	c.frame.at = r.target
	if r.port = c.port; c.port != nil {
		r.flags.last = j.last
		r.flags.more = func(success *manifest.Success) bool { return c.port.follows(j.more(success)) }
	}
	if c.proved && r.flags.outputAt == "" {
		r.flags.unsafe = true // the preflight of a job before it was of the same bucket
	}
	r.finish = func(ctx context.Context, success *manifest.Success, again bool) error {
		result = jobResult{path: j.path, job: newJobJSON(r.target, success, again, r.st), again: again, where: r.target, success: success}
		result.job.Fetched, c.proved = r.flags.out, true
		if !r.flags.verify {
			return nil
		}
		var err error
		result.job.Verify, err = r.verified(ctx, r.st, r.appOf(), "")
		if err == nil && !result.job.Verify.OK() {
			err = mismatch(result.job.Verify, r.where())
		}
		return err
	}
	err = c.in(func() error { return r.run(ctx, j.input) })
	return result, err
}

// remove removes a job of the chain. It refuses to while a coordinator runs it.
func (c *chainRun) remove(ctx context.Context, lay layout.Layout) error {
	s := &session{frame: c.frame, target: &target{conf: c.conf, verb: c.verb, layout: lay}}
	busy, err := busyWith(ctx, s, c.st)
	switch {
	case err != nil:
		return err
	case busy != "":
		return &Error{Code: ExitConflict, What: busy, Hint: "wait for it, or stop it and its workers"}
	}
	o := reset.Options{Input: true}
	if o.Place, err = reset.Find(ctx, c.st, lay, func(bucket string) reset.PlaceStore { return c.st.In(bucket) }); err != nil {
		return err
	}
	_, err = reset.Run(ctx, c.st, lay, o)
	return err
}
