package cmd

import (
	"context"
	"errors"
	"maps"
	"net"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/coordinator"
	"github.com/mraws/mraws/internal/failpoint"
	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/runner/gorunner"
	"github.com/mraws/mraws/mr"
)

// jobFlags are the flags of a job that are no configuration: they belong to
// one run.
type jobFlags struct {
	app        string
	args       []string
	allowEmpty bool
	unsafe     bool
	takeOver   bool
	input      inputFlags
	outputAt   string               // s3://bucket/folder/ of the output; "" is output/ of the job
	reuse      string               // prefix of a job, or last; "" is none
	jobID      string               // of a new job; "" leaves it to the coordinator
	names      []string             // of the input; nil is all of it
	sources    []coordinator.Source // of the input; nil is input/ of the job
	formatFlags
	output outputFlags
	exec   execFlags
	code   *execCode // that exec names; nil for none
	// shipped is what --file and --archive ship to an app; nil for none.
	shipped *shipment
	// more says whether another job of a chain follows, nil for a job of none
	// ([coordinator.Options]).
	more   func(*manifest.Success) bool
	last   bool // it is certain that none follows
	slots  int  // that the job is expected to have; 0 is that nobody knows
	dryRun bool // plan the job, say what it costs, and write nothing
	// expected is the input that is not uploaded yet, of a dry run; nil is none.
	expected []manifest.Object
	// apart counts what workers of this process ask of the store.
	apart object.Tally
}

func newJobFlags(c *cobra.Command, apps appTable, appHelp string) *jobFlags {
	o := &jobFlags{}
	c.Flags().StringVar(&o.app, "app", "", appHelp)
	c.Flags().StringArrayVar(&o.args, "app-arg", nil, "`name=value` of a parameter of the app; may be repeated")
	completes(c, "app", apps.complete)
	completes(c, "app-arg", apps.completeParams)
	return o
}

func (o *jobFlags) addEmpty(c *cobra.Command) {
	c.Flags().BoolVar(&o.allowEmpty, "allow-empty", false, "accept a job without input and write empty outputs")
	o.formatFlags.add(c)
	c.Flags().BoolVar(&o.unsafe, "unsafe-single-coordinator", false,
		"skip the check that the store honours conditional writes; safe only for a deterministic app, one coordinator and no lost worker")
	c.Flags().StringVar(&o.reuse, "reuse", "", "take over the map tasks of the job below this `prefix` of the bucket that read the same: they read no input; last is the newest finished job of the same app")
	c.Flags().StringVar(&o.outputAt, "output-at", "", "write the output to the folder `s3://bucket/folder/` of the same server; if empty, to output/")
	o.output.add(c)
	c.Flags().BoolVar(&o.dryRun, "dry-run", false, "plan the job, print its tasks, requests to S3, bytes and dollars, and write nothing")
}

// outputFormat is the format of the output that the job names itself, nil for lines.
// The columns that an app declares are those of its reducer.
func (o *jobFlags) outputFormat(app *mr.App, params map[string]string, nreduce int) (*manifest.Choice, error) {
	if app == nil || app.OutputColumns == nil || nreduce == 0 {
		return o.output.choice(nil)
	}
	params, err := app.Resolve(params)
	if err != nil {
		return nil, usagef("", "%w", err)
	}
	return o.output.choice(app.OutputColumns(params))
}

// columnsRead are the columns of a row that an app says it reads, nil where it says none,
// or fails: its tasks say why.
func columnsRead(app *mr.App, params map[string]string) (columns []string) {
	if app == nil || app.Columns == nil {
		return nil
	}
	params, err := app.Resolve(params)
	if err != nil {
		return nil
	}
	err = gorunner.New(*app).Guard(func() (err error) { columns, err = app.Columns(params); return err })
	if err != nil || input.CheckColumns(columns) != nil {
		return nil
	}
	return columns
}

// params returns the parameters given, or nil if there are none. Values are
// checked against the app where this program has it.
func (o *jobFlags) params(app *mr.App) (map[string]string, error) {
	if len(o.args) == 0 {
		return nil, nil
	}
	params := map[string]string{}
	for _, a := range o.args {
		name, value, ok := strings.Cut(a, "=")
		if !ok || name == "" {
			return nil, usagef("such as --app-arg pattern=[0-9]+", "--app-arg %q is not name=value", a)
		}
		if !utf8.ValidString(a) {
			return nil, usagef("parameters go into the job's JSON", "--app-arg %q is not UTF-8", a)
		}
		params[name] = value
	}
	if app == nil {
		return params, nil
	}
	if _, err := app.Resolve(maps.Clone(params)); err != nil {
		return nil, &Error{Code: ExitUsage, What: err.Error(), Hint: nearParams(app, params) + "`mraws apps` lists the parameters of each app"}
	}
	return params, nil
}

// jobParams is params for those who begin a job: they find out before any work
// that a required parameter is missing.
func (o *jobFlags) jobParams(app *mr.App) (map[string]string, error) {
	params, err := o.params(app)
	if err == nil && params == nil && app != nil {
		if _, err := app.Resolve(map[string]string{}); err != nil {
			return nil, &Error{Code: ExitUsage, What: err.Error(), Hint: "--app-arg NAME=VALUE gives it; `mraws apps` lists the parameters of each app"}
		}
	}
	return params, err
}

func (f *frame) coordinatorCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "coordinator",
		Short: "Plan a job and assign its tasks until all output is written",
		Long: "Plan a job over the objects below input/, or those of --in, assign its tasks to workers, and\n" +
			"end when all output is in the bucket. A coordinator that is started again with the same\n" +
			"line resumes the job. While another coordinator runs the job, this one is a standby: it takes over when the\n" +
			"other has not renewed its announcement for --lease, and ends when the job ends.\n\n" +
			"With --mapper the job runs executables, with --app FILE.wasm a WebAssembly module, as `run` does.\n\n" +
			"With --jobs FILE it leads the chain of jobs in that file, one after the other on one port. Workers\n" +
			"that were started with --coord stay until the chain is over.",
		Example: "  " + f.name + " coordinator --nreduce 10\n" +
			"  " + f.name + " coordinator --app wc --prefix counts --in s3://other-bucket/logs/2026/\n" +
			"  " + f.name + " coordinator --local --app wc --nreduce 4\n" +
			"  " + f.name + " coordinator -f jobs.yaml --bucket my-bucket",
		Args: cobra.NoArgs,
	}
	o := newJobFlags(c, f.apps, "app of the job, or the file of a WebAssembly module, which ends in .wasm; if empty, the app of the first worker")
	o.addEmpty(c)
	o.exec.add(c)
	o.input.add(c, "read `s3://bucket/folder/`, s3://bucket/object or a quoted s3://bucket/folder/**/*.gz in place of input/; may be repeated", "an s3://bucket/key as for --in")
	f.givesName(c, "name of the job")
	completes(c, "reuse", f.completePrefixes(true))
	c.Flags().BoolVar(&o.takeOver, "takeover", false, "replace a running coordinator, which then ends with exit code 7")
	config.AddFlags(c.Flags(), config.Names(config.Net, config.Serve, config.Job)...)
	chain := &chainFlags{fleet: true}
	chain.add(c)
	c.RunE = f.run(func(ctx context.Context, s *session, args []string) error {
		if chain.file != "" {
			return runChain(ctx, s, c, &runFlags{jobFlags: o, chain: *chain, head: 5}, args)
		}
		if err := chain.unused(); err != nil {
			return err
		}
		return coordinate(ctx, s, o)
	})
	return c
}

// coordinate is the coordinator command.
func coordinate(ctx context.Context, s *session, o *jobFlags) (err error) {
	var app *mr.App
	if o.app != "" && !isModule(o.app) {
		a, err := s.apps.find(o.app)
		if err != nil {
			return err
		}
		app = &a
	}
	if o.code, err = o.exec.code(ctx, s, o); err != nil {
		return err
	}
	if o.code != nil {
		if err := o.code.checkShipped(); err != nil {
			return err
		}
		o.code.warn(s.log)
	}
	if _, _, err := o.order(app, s.conf.NReduce); err != nil {
		return err
	}
	params, err := o.jobParams(app)
	if err != nil {
		return err
	}
	if o.sources, err = o.input.elsewhere(s.printer); err != nil {
		return err
	}
	if err := s.openPage(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.page.Close()) }()
	defer s.logLibrary()()
	st, err := s.openStore(ctx, found)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	s.page.store(st.Store)
	if o.sources, err = o.input.remote(ctx, st, s.conf, o.sources); err != nil {
		return err
	}
	host := ""
	if st.Embedded {
		host = "127.0.0.1" // nobody elsewhere could reach the store
	}
	lis, err := listen(s.conf, host, s.conf.Port)
	if err != nil {
		return err
	}
	if s.outputAt, err = o.openPlace(ctx, st); err != nil {
		return errors.Join(err, lis.Close())
	}
	if !o.dryRun {
		if err := s.openBoard(st, s.layout.Prefix()); err != nil {
			return errors.Join(err, lis.Close())
		}
		defer func() { err = errors.Join(err, s.board.Close()) }()
	}
	c, err := s.newCoordinator(st, lis, app, params, o)
	if err != nil {
		return errors.Join(err, lis.Close())
	}
	if o.dryRun {
		return errors.Join(s.dryRun(ctx, st, c, nil, fleet{workers: 1, processes: 1, memory: 1 << 30, guessed: true}), lis.Close())
	}
	return s.lead(ctx, st, c, lis)
}

// lead runs a coordinator until the job is over.
func (s *session) lead(ctx context.Context, st *store, c *coordinator.Coordinator, lis net.Listener) error {
	if err := c.Survey(ctx); err != nil {
		return errors.Join(s.roleError(err), lis.Close())
	}
	s.log.Info().Str("addr", lis.Addr().String()).Str("bucket", st.Store.Bucket()).Str("prefix", s.layout.Prefix()).Msg("listening")
	over := s.watchJob(c)
	success, err := c.Run(ctx)
	over(err == nil)
	if err != nil {
		return s.roleError(err)
	}
	if err := s.printSuccess(success, c.WasDone(), st); err != nil {
		return err
	}
	return skipped(s.target, success)
}

// newCoordinator wires a coordinator. It owns lis from then on, unless there is an
// error.
func (s *session) newCoordinator(st *store, lis net.Listener, app *mr.App, params map[string]string, o *jobFlags) (*coordinator.Coordinator, error) {
	security, publish, err := s.serverSecurity()
	if err != nil {
		return nil, err
	}
	addresses, err := advertised(s.conf.Advertise, lis)
	if err != nil {
		return nil, err
	}
	bad, err := manifest.ParseBudget(s.conf.MaxBad)
	if err != nil {
		return nil, usagef("such as 10 or 0.1%", "max-bad-records: %w", err)
	}
	format, err := o.choose(app, o.code)
	if err != nil {
		return nil, err
	}
	if format != nil && format.Name == "parquet" && s.parquet.read == nil {
		return nil, usagef("give the program the part: cli.With(parquet.Files()).Main(app)", "this program reads no Parquet")
	}
	written, err := o.outputFormat(app, params, s.conf.NReduce)
	if err != nil {
		return nil, err
	}
	order, partitioner, err := o.order(app, s.conf.NReduce)
	if err != nil {
		return nil, err
	}
	rates, err := s.rates(st)
	if err != nil {
		return nil, err
	}
	s.page.calls(&security)
	options := coordinator.Options{
		Store: failpoint.Store("coordinator", st.Store), Buckets: st.reach(s.conf), Pick: o.input.pick, Layout: s.layout, Log: s.log, Version: readVersion().Version,
		OutputAt: s.outputAt, OutputStore: s.outputStore(st),
		App: app, Params: params, Input: format, Output: written, Order: order, Partitioner: partitioner, JobID: o.jobID, Names: o.names, Expected: o.expected, Sources: o.sources,
		Parquet: s.parquet.read, Columns: columnsRead(app, params), Slots: o.slots, NReduce: s.conf.NReduce, SplitSize: int64(s.conf.SplitSize), Pack: coordinator.Pack(s.conf.Pack), Shuffle: coordinator.Shuffle(s.conf.Shuffle), AllowEmpty: o.allowEmpty,
		MaxBad: bad, Decompress: decompression(s.conf),
		TaskTimeout: s.conf.TaskTimeout, Lease: s.conf.Lease, MaxFailures: s.conf.MaxAttempts, MaxLost: 4 * s.conf.MaxAttempts,
		Speculate: s.conf.Speculation == "auto",
		Listener:  lis, Connections: s.connections, Addresses: addresses, Security: security, PublishToken: publish,
		Unsafe: o.unsafe, TakeOver: o.takeOver, More: o.more, Last: o.last, Events: s.page.events(), EventLog: s.conf.Events,
		Rates: rates, MaxUSD: s.conf.MaxUSD, Apart: s.apart(st, o),
	}
	if o.code != nil {
		options.Exec, options.Ship = o.code.spec, func(ctx context.Context) error { return o.code.ship(ctx, st, s.layout) }
	}
	if o.shipped != nil {
		options.Files, options.Ship = o.shipped.files, func(ctx context.Context) error { return o.shipped.ship(ctx, st, s.layout) }
	}
	if o.reuse == "last" {
		options.Finished = func(ctx context.Context, app string) ([]string, error) { return s.finishedJobs(ctx, st, app) }
	} else if options.Reuse, err = o.earlier(s.layout); err != nil {
		return nil, err
	}
	c := coordinator.New(options)
	s.page.coordinator(c)
	s.board.lead(s.layout.Prefix(), c)
	return c, nil
}

// apart is what was asked of the store that is none of the coordinator's own: by workers
// of this process, and for earlier steps of a chain.
func (s *session) apart(st *store, o *jobFlags) func() object.Traffic {
	var before object.Traffic
	if s.step {
		before = st.Traffic()
	}
	looked := s.board.traffic() // is in before
	return func() object.Traffic {
		all := o.apart.Traffic()
		all.Add(before)
		all.Add(s.board.traffic())
		all.Sub(looked)
		return all
	}
}

// earlier is the prefix of --reuse, nil for none.
func (o *jobFlags) earlier(lay layout.Layout) (*string, error) {
	if o.reuse == "" {
		return nil, nil
	}
	prefix, err := layout.CheckPrefix(o.reuse)
	if err != nil {
		return nil, usagef("such as --reuse counts/2026-11-29", "--reuse %q: %w", o.reuse, err)
	}
	if prefix == lay.Prefix() {
		return nil, usagef("name the --prefix of another job", "--reuse %s is the prefix of this job", o.reuse)
	}
	return &prefix, nil
}

// decompression is what becomes of compressed input.
func decompression(c *config.Loaded) manifest.Decompress {
	if c.Decompress == "off" {
		return manifest.Decompress{}
	}
	return manifest.Decompress{Ratio: c.MaxRatio, Limit: int64(c.MaxDecompressed)}
}
