package cmd

import (
	"context"
	"errors"
	"maps"
	"net"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/coordinator"
	"github.com/mraws/mraws/internal/failpoint"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/trace"
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
	in         []string             // s3://bucket/key of input that lies elsewhere
	outputAt   string               // s3://bucket/folder/ of the output; "" is output/ of the job
	perTask    int64                // lines of a map task; 0 is any number
	jobID      string               // of a new job; "" leaves it to the coordinator
	names      []string             // of the input; nil is all of it
	sources    []coordinator.Source // of the input; nil is input/ of the job
	exec       execFlags
	code       *execCode // that exec names; nil for none
}

func newJobFlags(c *cobra.Command, apps appTable, appHelp string) *jobFlags {
	o := &jobFlags{}
	c.Flags().StringVar(&o.app, "app", "", appHelp)
	c.Flags().StringArrayVar(&o.args, "app-arg", nil, "`name=value` of a parameter of the app; may be repeated")
	_ = c.RegisterFlagCompletionFunc("app", apps.complete) // the flag was defined a line ago
	return o
}

func (o *jobFlags) addEmpty(c *cobra.Command) {
	c.Flags().BoolVar(&o.allowEmpty, "allow-empty", false, "accept a job without input and write empty outputs")
	c.Flags().Int64Var(&o.perTask, "lines-per-task", 0, "cut the input behind each `N` lines of an object, for a map task of its own each; 0 cuts it by --split-size")
	c.Flags().BoolVar(&o.unsafe, "unsafe-single-coordinator", false,
		"skip the check that the store honours conditional writes; safe only for a deterministic app, one coordinator and no lost worker")
	c.Flags().StringVar(&o.outputAt, "output-at", "", "write the output to the folder `s3://bucket/folder/` of the same server; if empty, to output/")
}

// format is the format of the input that the job names itself, nil for that of its app.
func (o *jobFlags) format(app *mr.App) (*manifest.Choice, error) {
	switch {
	case o.perTask < 0:
		return nil, usagef("a number from 1 on", "--lines-per-task %d", o.perTask)
	case o.perTask == 0:
		return nil, nil
	case app == nil && o.code == nil:
		return nil, usagef("it is known then how the input is read", "--lines-per-task needs --app or --mapper")
	case app != nil && app.Input != mr.Lines, o.code != nil && o.code.spec.Input.Name != manifest.Lines:
		return nil, usagef("leave out --lines-per-task", "--lines-per-task is not for jobs that read whole objects, or number the lines of each")
	}
	return &manifest.Choice{Name: manifest.Lines, Options: map[string]string{manifest.PerTask: strconv.FormatInt(o.perTask, 10)}}, nil
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
			"With --mapper the job runs executables, with --app FILE.wasm a WebAssembly module, as `run` does.",
		Example: "  " + f.name + " coordinator --nreduce 10\n" +
			"  " + f.name + " coordinator --app wc --prefix counts --in s3://other-bucket/logs/2026/\n" +
			"  " + f.name + " coordinator --local --app wc --nreduce 4",
		Args: cobra.NoArgs,
	}
	o := newJobFlags(c, f.apps, "app of the job, or the file of a WebAssembly module, which ends in .wasm; if empty, the app of the first worker")
	o.addEmpty(c)
	o.exec.add(c)
	c.Flags().StringArrayVar(&o.in, "in", nil, "read `s3://bucket/folder/` or s3://bucket/object of the same server in place of input/; may be repeated")
	c.Flags().BoolVar(&o.takeOver, "takeover", false, "replace a running coordinator, which then ends with exit code 7")
	config.AddFlags(c.Flags(), config.Names(config.Net, config.Serve, config.Job)...)
	c.RunE = f.run(func(ctx context.Context, s *session, _ []string) error {
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
	params, err := o.jobParams(app)
	if err != nil {
		return err
	}
	if err := checkSources(o.in); err != nil {
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
	if o.sources, err = findSources(ctx, st, o.in, false); err != nil {
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
	c, err := s.newCoordinator(st, lis, app, params, o)
	if err != nil {
		return errors.Join(err, lis.Close())
	}
	s.log.Info().Str("addr", lis.Addr().String()).Str("bucket", st.Store.Bucket()).Str("prefix", s.layout.Prefix()).Msg("listening")
	s.logsProgress = true
	over := s.watchJob(c)
	success, err := c.Run(ctx)
	over()
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
	format, err := o.format(app)
	if err != nil {
		return nil, err
	}
	s.page.calls(&security)
	options := coordinator.Options{
		Store: failpoint.Store("coordinator", st.Store), Buckets: func(name string) coordinator.Lister { return st.In(name) }, Layout: s.layout, Log: s.log, Version: readVersion().Version,
		OutputAt: s.outputAt, OutputStore: s.outputStore(st),
		App: app, Params: params, Input: format, JobID: o.jobID, Names: o.names, Sources: o.sources,
		NReduce: s.conf.NReduce, SplitSize: int64(s.conf.SplitSize), Pack: coordinator.Pack(s.conf.Pack), Shuffle: coordinator.Shuffle(s.conf.Shuffle), AllowEmpty: o.allowEmpty,
		MaxBad: bad, Decompress: decompress(s.conf),
		TaskTimeout: s.conf.TaskTimeout, Lease: s.conf.Lease, MaxFailures: s.conf.MaxAttempts, MaxLost: 4 * s.conf.MaxAttempts,
		Speculate: s.conf.Speculation == "auto",
		Listener:  lis, Connections: s.connections, Addresses: addresses, Security: security, PublishToken: publish,
		Unsafe: o.unsafe, TakeOver: o.takeOver, Events: trace.FromEnv(),
	}
	if o.code != nil {
		if !bad.IsZero() {
			return nil, usagef("it is not known over which record they fail", "max-bad-records is not for jobs of executables and modules")
		}
		options.Exec, options.Ship = o.code.spec, func(ctx context.Context) error { return o.code.ship(ctx, st, s.layout) }
	}
	c := coordinator.New(options)
	s.page.coordinator(c)
	return c, nil
}

// decompress is what becomes of compressed input.
func decompress(c *config.Loaded) manifest.Decompress {
	if c.Decompress == "off" {
		return manifest.Decompress{}
	}
	return manifest.Decompress{Ratio: c.MaxRatio, Limit: int64(c.MaxDecompressed)}
}
