package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/escape"
	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/runner"
	"github.com/mraws/mraws/internal/runner/execrunner"
	"github.com/mraws/mraws/internal/runner/gorunner"
	"github.com/mraws/mraws/internal/shipped"
	"github.com/mraws/mraws/internal/task"
	"github.com/mraws/mraws/mr"
)

func (f *frame) replayCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "replay TASK",
		Short: "Run one task of a job again and write nothing to the bucket",
		Long: "Run one task of a job again in this process, from the same bytes: a map task from the input\n" +
			"as the job recorded it, a reduce task from the partitions that the maps committed. Nothing is\n" +
			"written to the bucket, so a task can be replayed during the job and after it. The result\n" +
			"goes to stdout or to files, and is compared with the committed result. The app runs in one\n" +
			"goroutine, for a debugger: dlv exec ./" + f.name + " -- replay map-12.\n\n" +
			"A map task prints a line for each pair: key, tab and value, both quoted. A reduce task prints\n" +
			"its output; records of named outputs go to stderr, or to files below their name. An error of the app has exit code 4 and names the record; a result other than the\n" +
			"committed one has exit code 8.",
		Example: "  " + f.name + " replay map-12 >/dev/null\n  " + f.name + " replay map-12 last\n  " + f.name + " replay reduce-3 --prefix runs/42 --out again",
		RunE: f.run(func(ctx context.Context, s *session, args []string) error {
			phase, index, err := parseTask(args[0])
			if err != nil {
				return err
			}
			if out, err = absolute(out); err != nil {
				return err
			}
			if info, err := os.Stat(out); out != "" && err == nil && !info.IsDir() {
				return usagef("--out names a folder: the results of the task are files in it", "%s is a file", escape.Line(out))
			}
			if slices.ContainsFunc(s.apps, s.process.neededBy) { // which of them is known later
				return s.callApart(ctx)
			}
			return s.withStore(ctx, func(st *store) error { return replay(ctx, s, st, phase, index, out) })
		}),
	}
	c.Flags().StringVar(&out, "out", "", "write to files in this `folder` in place of stdout")
	config.AddFlags(c.Flags(), "memory", "scratch", "exec-memory", "exec-disk", "exec-output")
	f.takesJob(c, 1)
	return c
}

// parseTask reads "map-12" or "reduce-3". besides are words that the command takes too.
func parseTask(s string, besides ...string) (phase mr.Phase, index int, err error) {
	words := []string{mr.MapPhase.String(), mr.ReducePhase.String()}
	name, number, _ := strings.Cut(s, "-")
	index, err = strconv.Atoi(number)
	switch {
	case err != nil || index < 0:
	case name == mr.MapPhase.String():
		return mr.MapPhase, index, nil
	case name == mr.ReducePhase.String():
		return mr.ReducePhase, index, nil
	}
	hint := "such as map-12 or reduce-3"
	if cut := strings.IndexAny(s, "0123456789"); cut > 0 && err != nil { // the dash may be missing
		name = strings.Trim(s[:cut], "-_ ")
		index, err = strconv.Atoi(s[cut:])
	}
	if near := config.Nearest(name, words); err == nil && near != "" {
		hint = fmt.Sprintf("did you mean %s-%d?", near, index)
	} else if near := config.Nearest(s, besides); near != "" {
		hint = "did you mean " + near + "? A task is such as map-12 or reduce-3"
	}
	return 0, 0, usagef(hint, "invalid task %q", s)
}

// replay runs a task again and tells what came of it.
func replay(ctx context.Context, s *session, st *store, phase mr.Phase, index int, dir string) (err error) {
	job, err := s.readJob(ctx, st)
	if err != nil {
		return err
	}
	tasks := len(job.Tasks)
	if phase == mr.ReducePhase {
		tasks = job.NReduce // none in a map-only job
	}
	if index >= tasks {
		return usagef("they are numbered from 0", "job %s has %s", job.ID, countText(int64(tasks), phase.String()+" task"))
	}
	host, err := newExecHost(s, st)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	code, err := replayCode(s, job, host)
	if err != nil {
		return err
	}
	if err := s.setMemory(s.conf.Memory); err != nil {
		return err
	}
	files := shipped.NewCache(s.shipOptions(st))
	defer func() { err = errors.Join(err, files.Close()) }()
	env := &task.Env{
		Store: st, Buckets: st.source, Outputs: st.writable, Libraries: s.libraries(), Layout: job.Layout(s.layout), Job: job, Runner: code, Worker: "replay", Scratch: cmp.Or(s.conf.Scratch, os.TempDir()), Memory: s.memory,
		Commits: new(task.Commits), Files: files, Parquet: s.parquet.read, Log: s.log, Progress: new(task.Progress),
	}
	create, err := replayFiles(s.printer, dir)
	if err != nil {
		return err
	}
	// No time limit: a debugger may stop the code for long.
	over := s.waits.watchCode(job.App.Name, 0, func() (bool, int64) { return true, env.Progress.Moves() }, nil)
	r, err := interruptible(ctx, func() (task.Replayed, error) { return env.Replay(ctx, phase, index, create) })
	over()
	if err != nil {
		return replayError(s.printer, err)
	}
	return replayed(s.printer, fmt.Sprintf("%s-%d", phase, index), r)
}

// nameJob is the hint of a command that finds no job.
const nameJob = "name the job's --prefix, as run printed it, or its --bucket"

// replayCode returns what runs the code of a job.
func replayCode(s *session, job *manifest.Job, host *execrunner.Host) (runner.Runner, error) {
	if job.App.Apart() {
		return host.Runner(job, s.layout), nil
	}
	app, err := s.apps.find(job.App.Name)
	if err != nil {
		return nil, err
	}
	if app.Version != job.App.Version {
		return nil, &Error{Code: ExitConflict, What: fmt.Sprintf("job %s ran version %q of app %s, this is %q", job.ID, job.App.Version, app.Name, app.Version),
			Hint: "replay with the build of " + s.name + " that ran the job"}
	}
	return gorunner.New(app), nil
}

// readJob reads the job's spec.
func (s *session) readJob(ctx context.Context, st *store) (*manifest.Job, error) {
	job, info, err := jobstate.ReadJob(ctx, st, s.layout)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usagef(nameJob, "there is no job in s3://%s: %s does not exist", s.where(), info.Key)
	}
	return job, err
}

// keptOpen is a stream that is not ours to close.
type keptOpen struct{ io.Writer }

func (keptOpen) Close() error { return nil }

// replayFiles makes what a replay writes to: files of dir, or without one
// stdout, or with -o json nothing at all.
func replayFiles(p *printer, dir string) (func(name string) (io.WriteCloser, error), error) {
	if dir == "" {
		return func(name string) (io.WriteCloser, error) {
			switch {
			case p.forMachines():
				return keptOpen{io.Discard}, nil
			case strings.HasPrefix(name, "bad-"), strings.Contains(name, "/"):
				return keptOpen{safely{p.io.Err}}, nil
			case p.term.out:
				return &escape.Writer{W: p.io.Out}, nil
			}
			return keptOpen{p.io.Out}, nil
		}, nil
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("make the output folder: %w", err)
	}
	return func(name string) (io.WriteCloser, error) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return nil, fmt.Errorf("make the folder of a named output: %w", err)
		}
		return os.Create(path)
	}, nil
}

// replayError explains what stopped a replay.
func replayError(p *printer, err error) error {
	var app *task.AppError
	var fatal *task.FatalError
	var segment *task.SegmentError
	var conflict *task.ConflictError
	switch {
	case errors.As(err, &app):
		if app.Stack != "" {
			p.note("%s", strings.TrimSpace(app.Stack))
		}
		return &Error{Code: ExitJobFailed, What: "the app failed", Cause: app}
	case errors.As(err, &fatal):
		return &Error{Code: ExitJobFailed, What: "the task cannot succeed", Cause: fatal}
	case errors.As(err, &conflict):
		return &Error{Code: ExitConflict, What: conflict.Error()}
	case errors.As(err, &segment):
		return &Error{Code: ExitJobFailed, What: "the task cannot read what the maps committed", Cause: segment}
	case errors.Is(err, fs.ErrNotExist):
		return &Error{Code: ExitUsage, What: "not all map tasks have committed", Cause: err,
			Hint: "a reduce task can be replayed once the maps are done"}
	}
	return err
}

// replayed tells how a replay ended.
func replayed(p *printer, name string, r task.Replayed) error {
	if p.forMachines() {
		if err := p.printDoc(struct {
			Schema string `json:"schema"`
			Task   string `json:"task"`
			task.Replayed
		}{"mraws/replay/v1", name, r}); err != nil {
			return err
		}
	}
	skipped := ""
	if r.Skipped > 0 {
		skipped = ", skipped " + countText(r.Skipped, "record")
	}
	emitted := countText(r.Emitted, "pair") + " emitted"
	if strings.HasPrefix(name, mr.ReducePhase.String()) {
		emitted = countText(r.Emitted, "line")
	}
	p.note("replayed %s: read %s in %s%s, %s", name, bytesText(r.Bytes), countText(r.Records, "record"), skipped, emitted)
	switch {
	case r.Committed == "":
		p.note("the task is not committed: there is nothing to compare with")
	case r.Different == nil:
		p.note("equal to what attempt %s committed", r.Committed)
	default:
		return &Error{Code: ExitMismatch, What: "different from what attempt " + r.Committed + " committed", Cause: lines(r.Different),
			Hint: "the app does not do the same with the same input: time, random numbers, order of maps, side files?"}
	}
	return nil
}
