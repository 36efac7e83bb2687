package cmd

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/coordinator"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/upload"
	"github.com/mraws/mraws/internal/worker"
	"github.com/mraws/mraws/mr"
)

// runFlags are those of `run`.
type runFlags struct {
	*jobFlags
	workers   int
	processes bool
	verify    bool
	out       string
	overwrite bool
	head      int
	include   []string
}

func (f *frame) runCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "run [INPUT...]",
		Short: "Run a whole job: upload, coordinator, workers, result",
		Long: "Run a whole job in one process tree. INPUT is files, folders and globs as for upload-input,\n" +
			"or - for standard input, and the job reads only these; without INPUT it reads the objects\n" +
			"below input/. If no bucket is configured, the store is\n" +
			"the embedded S3 server with its data folder, and each run with INPUT has a prefix of its own.",
		Example: "  " + f.name + " run --app wc book.txt\n" +
			"  " + f.name + " run --app grep --app-arg pattern=whale --nreduce 1 --out result 'books/**/*.txt'\n" +
			"  " + f.name + " run --app indexer --bucket my-bucket --workers 8",
	}
	o := &runFlags{jobFlags: newJobFlags(c, f.apps, "the app to run")}
	o.addEmpty(c)
	c.Flags().IntVar(&o.workers, "workers", 0, "number of workers with one slot each; 0 is one per core")
	c.Flags().BoolVar(&o.processes, "processes", false, "run each worker in its own process, which is restarted if it dies")
	c.Flags().BoolVar(&o.verify, "verify", false, "check the result with the checks of the command verify")
	c.Flags().StringVar(&o.out, "out", "", "fetch the output into this `folder`, which must be empty or not exist")
	c.Flags().BoolVar(&o.overwrite, "overwrite", false, "replace the parts of another job in the --out folder; other files in it stay")
	c.Flags().IntVar(&o.head, "head", 5, "show this many lines of the output")
	c.Flags().StringArrayVar(&o.include, "include", nil, "take only the files of INPUT that match this `glob`; may be repeated")
	config.AddFlags(c.Flags(), config.Names(config.Job)...)
	config.AddFlags(c.Flags(), "memory", "scratch", "port", "listen", "insecure", "coord-timeout", "metrics")
	c.RunE = f.run(func(ctx context.Context, s *session, args []string) error {
		return s.runJob(ctx, o, args)
	})
	return c
}

// runJob is the run command.
func (s *session) runJob(ctx context.Context, o *runFlags, args []string) (err error) {
	app, err := s.apps.sole(o.app)
	if err != nil {
		return err
	}
	params, err := o.jobParams(&app)
	if err != nil {
		return err
	}
	if app.NeedsProcesses && !o.processes {
		return usagef("add --processes", "app %s may end its process, so each worker needs its own process", app.Name)
	}
	if (!o.processes || o.verify) && s.process.neededBy(app) {
		return s.runApart(ctx, o)
	}
	if err := o.complete(s); err != nil {
		return err
	}
	var folder *outFolder
	if o.out != "" {
		if folder, err = openOut(o.out, o.overwrite); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, folder.Close()) }()
	}
	plan, err := s.runInput(ctx, o, args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, plan.Close()) }()
	if err := s.openPage(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.page.Close()) }()
	st, err := s.openStore(ctx, embedded)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	s.page.store(st.Store)
	if !o.processes {
		s.page.workers()
	}
	if plan != nil && st.Embedded && !s.conf.IsSet("prefix") {
		o.jobID = coordinator.NewJobID(app.Name)
		s.layout, s.ownPrefix = layout.New(o.jobID), true
	}
	s.process.say(word{Place: &jobPlace{Local: s.local, Prefix: s.layout.Prefix(), OwnPrefix: s.ownPrefix}})
	success, again, err := s.job(ctx, st, o, app, params, plan)
	if err != nil {
		return err
	}
	return s.result(ctx, st, o, app, folder, success, again)
}

// runInput makes the plan of the INPUT arguments and reads their pipes. It returns
// nil without arguments.
func (s *session) runInput(ctx context.Context, o *runFlags, args []string) (*upload.Plan, error) {
	if len(args) == 0 {
		s.noteStdin()
		return nil, nil
	}
	var avoid []upload.Avoid
	if o.out != "" {
		avoid = append(avoid, upload.Avoid{Path: o.out, Why: "output folder of this run"})
	}
	plan, err := s.findInput(args, o.include, avoid...)
	if err != nil {
		return nil, err
	}
	if err := s.spool(ctx, plan); err != nil {
		return nil, errors.Join(err, plan.Close())
	}
	o.names = names(plan)
	return plan, nil
}

// complete sets the defaults of flags that are not set.
func (o *runFlags) complete(s *session) (err error) {
	if err := s.setMemory(s.conf.Memory); err != nil {
		return err
	}
	if o.workers == 0 {
		o.workers = s.cores()
		if o.processes {
			o.workers = max(1, min(o.workers, int(s.memory/config.MinMemory)))
		}
	}
	if o.head < 0 {
		return usagef("0 shows none", "invalid --head %d", o.head)
	}
	if o.workers < 1 {
		return usagef("0 is one for each core", "invalid --workers %d", o.workers)
	}
	if !o.processes {
		s.slots = o.workers
	}
	o.out, err = absolute(o.out)
	return err
}

// absolute makes a path absolute, since user code may change the working directory.
// "" stays.
func absolute(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", path, err)
	}
	return abs, nil
}

// job uploads the input and runs coordinator and workers until the job is over.
// Again says that the job was done before.
func (s *session) job(ctx context.Context, st *store, o *runFlags, app mr.App, params map[string]string, plan *upload.Plan) (success *manifest.Success, again bool, err error) {
	port := 0
	if s.conf.IsSet("port") {
		port = s.conf.Port
	}
	lis, err := listen(s.conf, "127.0.0.1", port)
	if err != nil {
		return nil, false, err
	}
	address := lis.Addr().String()
	c, err := s.newCoordinator(st, s.layout, lis, &app, params, o.jobFlags)
	if err != nil {
		return nil, false, err
	}
	if plan != nil {
		if err := s.place(ctx, st, c, plan); err != nil {
			return nil, false, errors.Join(err, lis.Close())
		}
	}
	over := make(chan struct{})
	watched := s.watch(c, over)
	t := together{workers: o.workers, lead: c.Run, ended: c.Ended()}
	if o.processes {
		t.grace = s.conf.Lease // they hear of the end from the coordinator
		t.work = func(ctx context.Context, ended <-chan struct{}, index int) error {
			return s.child(ctx, ended, st, o, app, address, index)
		}
	} else {
		debug.SetMemoryLimit(memoryLimit(s.memory))
		shared := new(worker.Shared)
		t.work = func(ctx context.Context, _ <-chan struct{}, _ int) error {
			return s.inProcess(ctx, st, o, app, address, shared)
		}
	}
	success, err = t.run(ctx)
	close(over)
	<-watched
	return success, c.WasDone(), s.roleError(err)
}

// result prints the result of a job. It fetches and verifies the output if asked.
func (s *session) result(ctx context.Context, st *store, o *runFlags, app mr.App, folder *outFolder, success *manifest.Success, again bool) error {
	if folder != nil {
		if err := folder.fetch(ctx, st, success); err != nil {
			return err
		}
	}
	if s.output == "json" {
		return s.resultJSON(ctx, st, o, app, success, again)
	}
	if err := s.showResult(ctx, st, o, app, success, again); err != nil {
		return err
	}
	if o.verify {
		if err := s.verifyJob(ctx, st, &app, ""); err != nil {
			return err
		}
	}
	return s.skipped(success, st)
}

// resultJSON is result as one document.
func (s *session) resultJSON(ctx context.Context, st *store, o *runFlags, app mr.App, success *manifest.Success, again bool) (err error) {
	doc := s.jobJSON(success, st)
	doc.AlreadyDone, doc.Fetched = again, o.out
	if o.verify {
		doc.Verify, err = s.verified(ctx, st, &app, "")
	}
	if err := errors.Join(err, s.printJSON(doc)); err != nil {
		return err
	}
	if doc.Verify != nil && !doc.Verify.OK() {
		return s.mismatch(doc.Verify)
	}
	return s.skipped(success, st)
}

// showResult prints the summary, how to read the output, and its first lines.
func (s *session) showResult(ctx context.Context, st *store, o *runFlags, app mr.App, success *manifest.Success, again bool) error {
	var b strings.Builder
	b.WriteString(successText(success, again, st.Bucket(), s.layout))
	if o.out != "" {
		fmt.Fprintf(&b, "\n  fetched %s", o.out)
	}
	remove := []string{"reset", "--yes"}
	if s.ownPrefix {
		remove = append(remove, "--input")
	}
	fmt.Fprintf(&b, "\n  check   %s", s.line("verify", "--app", app.Name))
	fmt.Fprintf(&b, "\n  remove  %s", s.line(remove...))
	lines, key, err := s.firstLines(ctx, st, success, o.head)
	if err != nil {
		return err
	}
	if len(lines) > 0 {
		fmt.Fprintf(&b, "\n  first lines of %s:", key)
		for _, l := range lines {
			fmt.Fprintf(&b, "\n    %s", l)
		}
	}
	return s.say("%s", b.String())
}
