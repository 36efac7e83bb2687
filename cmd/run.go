package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/coordinator"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/runner/execrunner"
	"github.com/mraws/mraws/internal/shipped"
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
	chain     chainFlags
}

func (f *frame) runCommand() *cobra.Command {
	c, o := f.runLine()
	o.chain.add(c)
	f.givesName(c, "name of the job")
	completes(c, "reuse", f.completePrefixes(true))
	c.RunE = f.run(func(ctx context.Context, s *session, args []string) error {
		if o.chain.file != "" {
			return runChain(ctx, s, c, o, args)
		}
		if err := o.chain.unused(); err != nil {
			return err
		}
		return (&jobRun{session: s, flags: o}).run(ctx, args)
	})
	return c
}

// runLine is the command line of one job, which the command has, and each step of a
// chain.
func (f *frame) runLine() (*cobra.Command, *runFlags) {
	c := &cobra.Command{
		Use:   "run [INPUT...]",
		Short: "Run a whole job: upload, coordinator, workers, result",
		Long: "Run a whole job in one process tree. INPUT is files, folders and globs as for upload-input,\n" +
			"- for standard input, or s3://bucket/folder/, s3://bucket/object and quoted globs such as\n" +
			"s3://bucket/folder/**/*.gz, which are read where they are. The job reads only these; without\n" +
			"INPUT it reads the objects below input/. If no bucket is configured, the store is the embedded S3 server with its data folder,\n" +
			"and each run with INPUT has a prefix of its own.\n\n" +
			"With --mapper the job runs executables by the contract of Hadoop Streaming in place of an app.\n" +
			"With --app FILE.wasm it runs that WebAssembly module, confined to what --file and --allow name.\n\n" +
			"With --jobs FILE it runs the chain of jobs in that file, and goes on with the first that is not done.",
		Example: "  " + f.name + " run --app wc book.txt\n" +
			"  " + f.name + " run --app wc --name counts book.txt\n" +
			"  " + f.name + " run --app grep --app-arg pattern=whale --nreduce 1 --out result 'books/**/*.txt'\n" +
			"  " + f.name + " run --app indexer --bucket my-bucket --workers 8\n" +
			"  " + f.name + " run --app wc --bucket my-bucket --prefix counts s3://other-bucket/logs/2026/\n" +
			"  " + f.name + " run --mapper 'python3 m.py' --reducer 'python3 r.py' --file m.py --file r.py book.txt\n" +
			"  " + f.name + " run --app wc.wasm book.txt\n" +
			"  " + f.name + " run -f jobs.yaml --set day=2026-11-30",
	}
	o := &runFlags{jobFlags: newJobFlags(c, f.apps, "the app to run, or the file of a WebAssembly module, which ends in .wasm")}
	o.addEmpty(c)
	o.exec.add(c)
	c.Flags().IntVar(&o.workers, "workers", 0, "number of workers with one slot each; 0 is one per core")
	c.Flags().BoolVar(&o.processes, "processes", false, "run each worker in its own process, which is restarted if it dies")
	c.Flags().BoolVar(&o.verify, "verify", false, "check the result with the checks of the command verify")
	c.Flags().StringVar(&o.out, "out", "", "fetch the output into this `folder`, which must be empty or not exist; or write it to s3://bucket/folder/ of the same server, as --output-at does")
	c.Flags().BoolVar(&o.overwrite, "overwrite", false, "replace the parts of another job in the --out folder; other files in it stay")
	c.Flags().IntVar(&o.head, "head", 5, "show this many lines of the output")
	o.input.add(c, "read `INPUT`, as an argument of the line; may be repeated", "as INPUT")
	config.AddFlags(c.Flags(), config.Names(config.Job)...)
	config.AddFlags(c.Flags(), "memory", "scratch", "exec-memory", "exec-disk", "exec-output", "port", "listen", "insecure", "coord-timeout", "http", "metrics", "pprof")
	return c, o
}

// jobRun is one run of the run command.
type jobRun struct {
	*session
	flags  *runFlags
	app    mr.App
	code   *execCode // in place of the app; nil for none
	host   *execrunner.Host
	files  *shipped.Cache // of jobs of apps
	params map[string]string
	named  []string                                                               // INPUT, as the line has it
	plan   *upload.Plan                                                           // of INPUT; nil without
	folder *outFolder                                                             // of --out; nil without
	st     *store                                                                 // nil until run opens it
	fleet  bool                                                                   // workers are started by themselves
	port   *chainPort                                                             // that the job has for its turn; nil is one of its own
	dir    string                                                                 // that worker processes work in; "" is that of this process
	watch  func(*coordinator.Coordinator) (over func(done bool))                  // shows the progress of the job; nil is watchJob
	finish func(ctx context.Context, success *manifest.Success, again bool) error // in place of what is printed of the job; nil for none
}

func (r *jobRun) run(ctx context.Context, args []string) (err error) {
	o := r.flags
	if err := r.choose(ctx); err != nil {
		return err
	}
	if r.app.NeedsProcesses && !o.processes {
		return usagef("add --processes", "app %s may end its process, so each worker needs its own process", r.app.Name)
	}
	if r.code == nil && !o.dryRun && (!o.processes || o.verify) && r.process.neededBy(r.app) {
		return r.apart(ctx)
	}
	if err := r.complete(); err != nil {
		return err
	}
	if err := r.openFolder(args); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.folder.Close()) }()
	r.named = args
	here, err := r.split(args)
	if err != nil {
		return err
	}
	given := len(args) > 0 || o.input.any()
	if !given {
		r.noteStdin()
	}
	if err := r.input(ctx, here); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.plan.Close()) }()
	if err := r.openPage(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.page.Close()) }()
	if r.st == nil {
		if r.st, err = r.openStore(ctx, embedded); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, r.st.Close()) }()
	}
	if r.host, err = newExecHost(r.session, r.st); err != nil {
		return err
	}
	r.files = shipped.NewCache(r.shipOptions(r.st))
	defer func() { err = errors.Join(err, r.host.Close(), r.files.Close()) }()
	r.page.store(r.st.Store)
	if !o.processes {
		r.page.workers()
	}
	if err := r.addSources(ctx); err != nil {
		return err
	}
	if err := r.settlePlace(ctx, given); err != nil {
		return err
	}
	if o.dryRun {
		return r.estimate(ctx)
	}
	if !r.step {
		if err := r.openBoard(r.st, r.layout.Prefix()); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, r.board.Close()) }()
	}
	success, again, err := r.job(ctx)
	if err != nil {
		return err
	}
	return r.result(ctx, success, again)
}

// addSources adds what is read where it lies in S3, beside what is uploaded.
func (r *jobRun) addSources(ctx context.Context) (err error) {
	o := r.flags
	if o.sources, err = o.input.remote(ctx, r.st, r.conf, o.sources); err != nil {
		return err
	}
	if len(o.sources) > 0 && r.plan != nil {
		o.sources = append(o.sources, coordinator.Source{})
	}
	return nil
}

// estimate says what the job would cost.
func (r *jobRun) estimate(ctx context.Context) error {
	lis, err := r.listen()
	if err != nil {
		return err
	}
	defer lis.Close() // nobody was to connect
	o := r.flags
	if r.outputAt, err = o.openPlace(ctx, r.st); err != nil {
		return err
	}
	o.expected = expected(r.plan)
	c, err := r.newCoordinator(r.st, lis, r.appOf(), r.params, o.jobFlags)
	if err != nil {
		return err
	}
	f := fleet{workers: o.workers, processes: 1, memory: r.memory / int64(o.workers)}
	if o.processes {
		f.processes = o.workers
	}
	return r.dryRun(ctx, r.st, c, r.plan, f)
}

// split returns the input that lies here, of the arguments and of the lists, and keeps
// that of S3 as sources.
func (r *jobRun) split(args []string) (here []string, err error) {
	named, err := r.flags.input.local(r.printer)
	if err != nil {
		return nil, err
	}
	here, there := splitInput(append(slices.Clone(args), named...))
	r.flags.sources, err = r.flags.input.parseSources(there)
	return here, err
}

// settlePlace says below which prefix the job lies. One with INPUT on the embedded server
// has one of its own, unless it was named.
func (r *jobRun) settlePlace(ctx context.Context, given bool) error {
	if given && r.st.Embedded && !r.conf.IsSet("prefix") && !r.nameGiven && !r.step {
		r.flags.jobID = coordinator.NewJobID(r.app.Name)
		r.layout, r.ownPrefix = layout.New(r.flags.jobID), true
	}
	if err := r.folder.check(ctx, r.st, r.layout); err != nil {
		return err
	}
	r.process.say(word{Place: &jobPlace{Local: r.local, Prefix: r.layout.Prefix(), OwnPrefix: r.ownPrefix}})
	return nil
}

// openFolder opens the folder of --out, if the line has one.
func (r *jobRun) openFolder(args []string) (err error) {
	o := r.flags
	if o.out == "" || o.dryRun {
		return nil
	}
	again := !slices.Contains(args, "-") && (len(args) == 0 && !o.input.any() || r.conf.IsSet("prefix") || r.nameGiven)
	r.folder, err = openOut(o.out, o.overwrite, again)
	return err
}

// choose finds the app, or the executables or the module in place of it.
func (r *jobRun) choose(ctx context.Context) (err error) {
	o := r.flags
	if err := r.checkFormat(&o.output); err != nil {
		return err
	}
	if r.code, err = o.exec.code(ctx, r.session, o.jobFlags); err != nil {
		return err
	}
	if o.code = r.code; r.code == nil {
		if o.app == "" && len(r.apps) > 1 {
			return usagef("one of "+strings.Join(r.apps.names(), ", ")+": "+r.again("--app", r.apps[0].Name)+"\n"+
				"executables: "+r.again("--mapper", "cat", "--reducer", "uniq -c"), "no app named: --app or --mapper is required")
		}
		if r.app, err = r.apps.sole(o.app); err != nil {
			return err
		}
		if _, _, err := o.order(&r.app, r.conf.NReduce); err != nil {
			return err
		}
		r.params, err = o.jobParams(&r.app)
		return err
	}
	if _, _, err := o.order(nil, r.conf.NReduce); err != nil {
		return err
	}
	r.app = mr.App{Name: r.code.spec.App.Name}
	if r.fleet { // whose workers may have what this machine has not
		return r.code.checkShipped()
	}
	return r.code.check()
}

// input makes the plan of the INPUT of this machine, if there is any, and reads its pipes.
func (r *jobRun) input(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var avoid []upload.Avoid
	if r.flags.out != "" {
		avoid = append(avoid, upload.Avoid{Path: r.flags.out, Why: "output folder of this run"})
	}
	plan, err := findInput(r.conf, args, r.flags.input.pick, avoid...)
	if err != nil {
		return err
	}
	err = r.spool(ctx, plan)
	if err == nil && r.conf.Decompress != "off" {
		err = unreadable(plan)
	}
	if err != nil {
		return errors.Join(err, plan.Close())
	}
	r.plan, r.flags.names = plan, names(plan)
	return nil
}

// complete sets the defaults of flags that are not set.
func (r *jobRun) complete() (err error) {
	o := r.flags
	if r.code != nil {
		r.code.warn(r.log)
	}
	if err := o.outThere(); err != nil {
		return err
	}
	if err := r.setMemory(r.conf.Memory); err != nil {
		return err
	}
	if o.workers == 0 {
		o.workers = r.cores()
		if o.processes {
			o.workers = max(1, min(o.workers, int(r.memory/config.MinMemory)))
		}
	}
	if o.head < 0 {
		return usagef("0 shows none", "invalid --head %d", o.head)
	}
	if o.workers < 1 {
		return usagef("0 is one for each core", "invalid --workers %d", o.workers)
	}
	o.slots = o.workers
	if !o.processes {
		r.slots = o.workers
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
func (r *jobRun) job(ctx context.Context) (success *manifest.Success, again bool, err error) {
	lis, err := r.listen()
	if err != nil {
		return nil, false, err
	}
	address := lis.Addr().String()
	if r.outputAt, err = r.flags.openPlace(ctx, r.st); err != nil {
		return nil, false, errors.Join(err, lis.Close())
	}
	c, err := r.newCoordinator(r.st, lis, r.appOf(), r.params, r.flags.jobFlags)
	if err != nil {
		return nil, false, errors.Join(err, lis.Close())
	}
	if err := c.Survey(ctx); err != nil {
		if r.ownPrefix { // nothing is there yet
			r.layout, r.ownPrefix = layout.New(r.conf.Prefix), false
		}
		return nil, false, errors.Join(r.roleError(err), lis.Close())
	}
	if err := r.place(ctx, c); err != nil {
		return nil, false, errors.Join(err, lis.Close())
	}
	if r.plan != nil && slices.ContainsFunc(r.plan.Files, func(f upload.File) bool { return f.Pipe }) {
		r.spent, _ = splitInput(r.named)
		if len(r.flags.sources) > 0 {
			r.spentFor = layout.Place(r.st.Bucket(), r.layout.InputDir())
		}
	}
	watch := r.watchJob
	if r.watch != nil {
		watch = r.watch
	}
	over := watch(c)
	t := together{workers: r.flags.workers, lead: c.Run, ended: c.Ended()}
	if r.fleet {
		t.workers = 0
	} else if r.flags.processes {
		t.grace = r.conf.Lease // they hear of the end from the coordinator
		t.work = func(ctx context.Context, ended <-chan struct{}, index int) error {
			return r.child(ctx, ended, address, index)
		}
	} else {
		debug.SetMemoryLimit(memoryLimit(r.memory))
		shared, sample := new(worker.Shared), newSampler(r.st, r.host, cmp.Or(r.conf.Scratch, os.TempDir()))
		t.work = func(ctx context.Context, _ <-chan struct{}, index int) error {
			if index > 0 { // the figures are those of the process
				return r.inProcess(ctx, address, shared, nil)
			}
			return r.inProcess(ctx, address, shared, sample)
		}
	}
	success, err = t.run(ctx)
	over(err == nil)
	if r.port != nil {
		r.port.told(c.Told(), c.WasDone() || success != nil && success.Map.Reused+success.Reduce.Reused > 0)
	}
	return success, c.WasDone(), r.roleError(err)
}

// listen opens the port of the coordinator.
func (r *jobRun) listen() (net.Listener, error) {
	if r.port != nil {
		return r.port.turn(), nil
	}
	port := 0
	if r.conf.IsSet("port") {
		port = r.conf.Port
	}
	return listen(r.conf, "127.0.0.1", port)
}

// place uploads the input of a job, unless the job exists and has this input. It
// changes nothing if the coordinator would refuse the job.
func (r *jobRun) place(ctx context.Context, c *coordinator.Coordinator) error {
	if r.plan == nil {
		return nil
	}
	if err := c.CheckNames(r.flags.names); err != nil {
		return r.roleError(err)
	}
	if !r.ownPrefix {
		found, err := c.Foresee(ctx, func(ctx context.Context) ([]string, error) {
			report, err := upload.Run(ctx, r.st, r.layout, r.plan, upload.Options{Compare: true})
			return report.Differ, err
		})
		if err != nil || found {
			return r.roleError(err)
		}
	}
	report, err := r.uploadPlan(ctx, r.st, r.plan)
	if err == nil {
		r.note("%s", uploadText(r.target, report))
	}
	return err
}

// result prints the result of a job. It fetches and verifies the output if asked.
func (r *jobRun) result(ctx context.Context, success *manifest.Success, again bool) error {
	if r.folder != nil {
		out, _ := r.outputs(r.st)
		if err := r.folder.fetch(ctx, r.printer, out, success); err != nil {
			return err
		}
	}
	switch {
	case r.finish != nil:
		return r.finish(ctx, success, again)
	case r.forMachines():
		return r.resultJSON(ctx, success, again)
	}
	if err := r.show(ctx, success, again); err != nil {
		return err
	}
	if r.flags.verify {
		if err := r.verifyJob(ctx, r.st, r.appOf(), ""); err != nil {
			return err
		}
	}
	return skipped(r.target, success)
}

// resultJSON is result as one document.
func (r *jobRun) resultJSON(ctx context.Context, success *manifest.Success, again bool) (err error) {
	doc := newJobJSON(r.target, success, again, r.st)
	doc.Fetched = r.flags.out
	if r.flags.verify {
		doc.Verify, err = r.verified(ctx, r.st, r.appOf(), "")
	}
	if err := errors.Join(err, r.printDoc(doc)); err != nil {
		return err
	}
	if doc.Verify != nil && !doc.Verify.OK() {
		return mismatch(doc.Verify, r.where())
	}
	return skipped(r.target, success)
}

// show prints the summary, how to read the output, and its first lines.
func (r *jobRun) show(ctx context.Context, success *manifest.Success, again bool) error {
	var b strings.Builder
	out, lay := r.outputs(r.st)
	b.WriteString(successText(success, again, out.Bucket(), lay, r.width()))
	if r.flags.out != "" {
		fmt.Fprintf(&b, "\n  fetched %s", r.flags.out)
	}
	b.WriteString(r.nextText(success))
	lines, key, err := r.firstLines(ctx, out, success, r.flags.head)
	if err != nil {
		return err
	}
	if len(lines) > 0 {
		fmt.Fprintf(&b, "\n  first lines of %s:", key)
		for _, l := range lines {
			fmt.Fprintf(&b, "\n    %s", l)
		}
	}
	return r.say("%s", b.String())
}
