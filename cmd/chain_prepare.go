package cmd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/mraws/mraws/internal/chain"
	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
)

// stepJob is a job that a step runs.
type stepJob struct {
	step  *chain.Step
	path  string // below the prefix of the chain
	round int    // 0 for a step that runs once
	input []string
	more  func(*manifest.Success) bool // whether another job follows
	last  bool                         // it is certain that none does
}

// prepare makes the run of a job: what the command line `mraws run` with the keys of the
// step as flags would make. Errors name the place in the file.
func (c *chainRun) prepare(j stepJob, output func(string) (string, error)) (*jobRun, error) {
	line, o := c.runLine()
	config.AddFlags(line.Flags(), config.Names(config.Common)...)
	if c.flags.chain.fleet {
		config.AddFlags(line.Flags(), "advertise")
		o.processes, o.takeOver = true, c.flags.takeOver
	}
	scope := chain.Scope{Number: j.round, Output: output}
	for _, set := range j.step.Settings {
		for _, v := range set.Values {
			text, err := c.file.Expand(j.step, set.Key, v, scope)
			if err == nil {
				err = c.setFlag(line.Flags(), j.step, set.Key, text, v.Pos)
			}
			if err != nil {
				return nil, chainError(err)
			}
		}
	}
	var err error
	c.line.Flags().Visit(func(f *pflag.Flag) { // the line beats the file
		if line.Flags().Lookup(f.Name) != nil && err == nil {
			err = line.Flags().Set(f.Name, f.Value.String())
		}
	})
	if err != nil {
		return nil, err
	}
	prefix := c.base() + "/" + j.path
	if _, err := layout.CheckPrefix(prefix); err != nil {
		return nil, c.place(j.step, usagef("", "prefix %s: %w", prefix, err))
	}
	conf, err := c.load(line)
	if err != nil {
		return nil, c.configError(j.step, err)
	}
	if err := o.outThere(); err != nil {
		return nil, c.place(j.step, err)
	}
	o.overwrite = o.out != ""
	s := &session{
		frame: c.frame, budget: c.budget, token: c.token, waits: waits{printer: c.printer},
		target: &target{
			conf: conf, verb: c.verb, layout: layout.New(prefix), serves: c.serves, chosen: c.chosen, local: c.target.local, said: true, step: true,
		},
	}
	return &jobRun{session: s, flags: o, st: c.st, dir: c.from, fleet: c.flags.chain.fleet}, nil
}

// setFlag sets a flag of a step.
func (c *chainRun) setFlag(flags *pflag.FlagSet, step *chain.Step, key, text string, at chain.Pos) error {
	err := flags.Set(key, text)
	if err == nil {
		return nil
	}
	if e := (*pflag.InvalidValueError)(nil); errors.As(err, &e) {
		err = invalidValue(e)
	}
	return &chain.Error{Path: c.file.Path, Pos: at, Key: step.Key(key), What: strings.ReplaceAll(err.Error(), "--"+key, key)}
}

// configError is the error of a configuration with the keys of a step: it names the
// line, if a key of the file is wrong.
func (c *chainRun) configError(step *chain.Step, err error) error {
	var p *config.Problem
	if errors.As(err, &p) {
		if set := step.Setting(p.Key); set != nil && p.Origin.Level == config.Flag && !c.line.Flags().Changed(p.Key) {
			return chainError(&chain.Error{Path: c.file.Path, Pos: set.Values[0].Pos, Key: step.Key(p.Key), What: fmt.Sprintf("%q: %v", p.Value, p.Want)})
		}
	}
	return err
}

// place puts the place of a step in the file in front of an error.
func (c *chainRun) place(step *chain.Step, err error) error {
	if err == nil {
		return nil
	}
	place := &chain.Error{Path: c.file.Path, Pos: step.Pos, Key: step.Key("")}
	where := strings.TrimSpace(place.Error()) + " "
	var e *Error
	var p printedError
	switch {
	case errors.As(err, &p):
		return err
	case errors.As(err, &e):
		told := *e
		told.What = where + told.What
		return &told
	}
	return fmt.Errorf("%s%w", where, err)
}

// in runs do in the folder of the file.
func (c *chainRun) in(do func() error) error {
	if err := os.Chdir(c.dir); err != nil {
		return fmt.Errorf("enter the folder of %s: %w", c.file.Path, err)
	}
	err := do()
	return errors.Join(err, os.Chdir(c.from))
}

// input is what a job reads: the outputs of the steps before it, of the round before it,
// and what the file names.
func (c *chainRun) input(step *chain.Step, outputs map[string]string, round []string, number int) (args []string, err error) {
	for _, from := range step.From {
		if from.Text == chain.Round {
			args = append(args, round...)
			continue
		}
		args = append(args, outputs[from.Text])
	}
	for _, v := range step.Input {
		text, err := c.file.Expand(step, "input", v, chain.Scope{Number: number, Output: lookIn(outputs)})
		if err == nil && text == "-" {
			err = &chain.Error{Path: c.file.Path, Pos: v.Pos, Key: step.Key("input"), What: "a chain cannot read standard input: it could not be resumed"}
		}
		if err != nil {
			return nil, chainError(err)
		}
		args = append(args, text)
	}
	return args, nil
}

// lookIn returns the outputs of steps. Steps run behind those that they need.
func lookIn(outputs map[string]string) func(string) (string, error) {
	return func(step string) (string, error) {
		if url, ok := outputs[step]; ok {
			return url, nil
		}
		return "", fmt.Errorf("step %s has not run", step)
	}
}

// jobsOf are the jobs of a step, or of each of its rounds.
func jobsOf(step *chain.Step) []*chain.Step {
	if len(step.Steps) > 0 {
		return step.Steps
	}
	return []*chain.Step{step}
}

// jobPath is the prefix of a job below that of the chain. round is the folder of the
// round, "" for a step that runs once.
func jobPath(step, job *chain.Step, round string) string {
	path := step.Name
	if round != "" {
		path += "/" + round
	}
	if job != step {
		path += "/" + job.Name
	}
	return path
}

// plannedJob is a job of the plan.
type plannedJob struct {
	Step   string `json:"step"`
	App    string `json:"app"`
	Repeat string `json:"repeat,omitempty"`
	Prefix string `json:"prefix"`
	Output string `json:"output"`
	Line   string `json:"line"` // of run, in the folder of the file
}

// anyRound stands for the number of a round in a plan.
const anyRound = "round-NNNN"

// check prepares every job, so that what is wrong with the last one is known before the
// first begins. Apart says that code of an application has to run in a child process.
func (c *chainRun) check(ctx context.Context) (plan []plannedJob, apart bool, err error) {
	if c.target.local, _, err = c.choose(c.otherwise()); err != nil {
		return nil, false, err
	}
	defer func() { c.frame.at = c.target }()
	outputs := map[string]string{}
	for _, step := range c.file.Steps {
		folder, number, round := "", 0, []string(nil)
		if step.Repeat != nil {
			folder, number = anyRound, 1
			if round, err = c.input(step, outputs, nil, number); err != nil {
				return nil, false, err
			}
		}
		inner := maps.Clone(outputs)
		for _, job := range jobsOf(step) {
			j := stepJob{step: job, path: jobPath(step, job, folder), round: number, input: round}
			if job != step || step.Repeat == nil {
				if j.input, err = c.input(job, inner, round, number); err != nil {
					return nil, false, err
				}
			}
			planned, needs, err := c.checkJob(ctx, j, inner)
			if err != nil {
				return nil, false, err
			}
			planned.Repeat = repeatText(step.Repeat)
			plan, apart = append(plan, planned), apart || needs
			inner[job.Name] = planned.Output
		}
		outputs[step.Name] = plan[len(plan)-1].Output
	}
	return plan, apart, nil
}

// checkJob prepares a job and reads its code.
func (c *chainRun) checkJob(ctx context.Context, j stepJob, outputs map[string]string) (p plannedJob, apart bool, err error) {
	r, err := c.prepare(j, lookIn(outputs))
	if err != nil {
		return p, false, err
	}
	c.frame.at = r.target
	if o := r.flags; o.app == "" && o.exec.mapper == "" && len(c.apps) > 1 {
		return p, false, c.place(j.step, usagef("such as app: wc, or mapper: cat", "the step names no code"))
	}
	if err := c.in(func() error { return r.choose(ctx) }); err != nil {
		return p, false, c.place(j.step, err)
	}
	if r.app.NeedsProcesses && !r.flags.processes {
		return p, false, c.place(j.step, usagef("add --processes: "+c.again("--processes"), "app %s may end its process, so each worker needs its own process", r.app.Name))
	}
	apart = r.code == nil && (!r.flags.processes || r.flags.verify) && c.process.neededBy(r.app)
	words := []string{"run"}
	for _, set := range j.step.Settings {
		for _, v := range set.Values {
			text, err := c.file.Expand(j.step, set.Key, v, chain.Scope{Number: j.round, Output: lookIn(outputs)})
			if err != nil {
				return p, false, chainError(err)
			}
			words = append(words, "--"+set.Key+"="+text)
		}
	}
	p = plannedJob{
		Step: strings.TrimPrefix(j.step.Key(""), "steps."), App: r.app.Name, Prefix: r.layout.Prefix(),
		Output: layout.Place(c.conf.Bucket, r.layout.OutputDir()), Line: c.commandLine.line(append(words, j.input...)...),
	}
	for _, key := range []string{"output-at", "out"} {
		set := j.step.Setting(key)
		if set == nil {
			continue
		}
		at, err := c.file.Expand(j.step, key, set.Values[0], chain.Scope{Number: j.round, Output: lookIn(outputs)})
		if err != nil {
			return p, false, chainError(err)
		}
		switch {
		case !strings.HasPrefix(at, s3Scheme):
			continue
		case j.round > 0:
			return p, false, chainError(&chain.Error{Path: c.file.Path, Pos: set.Pos, Key: j.step.Key(key),
				What: "rounds read the output of each other, and have it below the chain: a later step can write elsewhere"})
		}
		p.Output = strings.TrimRight(at, "/") + "/"
	}
	return p, apart, nil
}

// repeatText says how often a step is repeated; "" for once.
func repeatText(r *chain.Repeat) string {
	switch {
	case r == nil:
		return ""
	case r.Until == nil:
		return countText(int64(r.AtMost), "round")
	}
	return fmt.Sprintf("until %s, at most %s", r.Until, countText(int64(r.AtMost), "round"))
}
