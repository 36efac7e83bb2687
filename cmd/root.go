// Package cmd is the command line: the one place where configuration, store
// and roles are wired together. Each file is one command, or one part of the
// frame around them:
//
//	root.go     Execute, the root command, rules that hold for every command
//	line.go     how the process was started, and command lines to paste
//	parts.go    what a program may have or not
//	apps.go     the applications to choose from
//	exec.go     executables in place of them, module.go WebAssembly modules
//	exit.go     exit codes, and how errors become codes and messages
//	signal.go   what SIGINT and SIGTERM do
//	process.go  what a process knows about its start and its parent
//	verdict.go  processes that code of an application may end
//	session.go  what a command gets once flags and configuration are read
//	logging.go  the logger
//	store.go    which store and prefix are meant, and opening the store
//	job_arg.go  which job is meant by its name
//	complete.go completion by what there is
//	memory.go   the budget of memory, slots and requests
//	print.go    what a command writes: data, lines for people, tables
//	documents.go  results for programs, with -o
//	pager.go    the pager for long output on a terminal
//	help.go     what the help of a command shows
//	progress.go progress on stderr: when and in which form; bars.go as lines, pace.go
//	            how fast, screen.go on a terminal, activity.go where nothing else is shown
//
// A command is a method of frame that returns a *cobra.Command whose RunE is
// frame.run(...) (a session with the configuration) or frame.bare(...) (for
// what must work while the configuration is broken). It returns an error,
// best an [*Error]; nobody below Execute prints errors or exits.
package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/mr"
)

// frame is one execution of one command line.
type frame struct {
	*printer
	*commandLine
	process    *Process // nil where commands are only called
	apps       appTable
	verbose    bool
	unpaged    bool        // --no-pager
	start      startServer // of the embedded server; nil for none
	modules    serveModule // nil for none
	parquet    parquetFiles
	parquetOut ParquetTables // zero for none

	board *board // the dashboard that this process serves; nil for none

	started bool  // the command itself has begun: errors are no longer usage errors
	helped  error // of writing the help that --help asks for
}

// Execute runs the command line args (without the program's name) of a
// program with apps to choose from, and returns the exit code. Name is what
// it calls itself, program how the user started it (see [Invocation]).
// The cause of a ctx that a signal cancelled is a [Signal]. The program has
// these parts.
func Execute(ctx context.Context, name string, program, args []string, stdio IO, apps []mr.App, parts ...Part) int {
	f := &frame{printer: newPrinter(stdio), commandLine: &commandLine{name: name, program: program, args: args}, apps: apps}
	f.process, _ = ctx.Value(processKey{}).(*Process)
	for _, part := range parts {
		part(f)
	}
	err := f.apps.check()
	if err == nil {
		root := f.root()
		root.SetArgs(args)
		err = root.ExecuteContext(ctx)
	}
	if err == nil {
		err = f.helped
	}
	if err == nil {
		return ExitOK
	}
	var code printedError
	if errors.As(err, &code) {
		return int(code)
	}
	if !f.started {
		err = usageError(err)
	}
	e := explain(ctx, err)
	if e.Hint == "" && (e.Code == ExitInterrupt || e.Code == ExitTerminate) {
		e.Hint = f.stopHint()
	}
	e.Hint = f.paste(e.Hint)
	format := f.output
	if !f.forMachines() {
		format = wantedFormat(args)
	}
	f.report(name, e, format)
	return e.Code
}

func (f *frame) root() *cobra.Command {
	root := &cobra.Command{
		Use:   f.name,
		Short: "MapReduce over S3",
		Long: "MapReduce over S3: a coordinator, any number of workers, and one bucket.\n\n" +
			"Keys that are not flags of a command can be set in mraws.yaml or with MRAWS_*\n" +
			"variables: see `" + f.name + " config show`.",
		Example:       f.examples("run --app wc book.txt", "jobs", "cat last --head 20", "help run"),
		Version:       readVersion().Version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.SetIn(f.io.In)
	root.SetOut(f.io.Out)
	root.SetErr(f.io.Err)

	p := root.PersistentFlags()
	p.SortFlags = false
	config.AddFlags(p, config.Names(config.Common)...)
	p.StringVar(&f.configFile, "config", "", "configuration `file`, instead of ./mraws.yaml, XDG's or /etc/mraws/mraws.yaml")
	p.BoolVarP(&f.quiet, "quiet", "q", false, "only errors: --log-level error --progress none")
	p.BoolVarP(&f.verbose, "verbose", "v", false, "--log-level debug")
	p.VarP(&oneOf{&f.output, formats()}, "output", "o", "format of results and errors; jsonl is a line for each thing of a list")
	f.output = formatText
	p.BoolVar(&f.unpaged, "no-pager", false, "--pager never")
	root.MarkFlagsMutuallyExclusive("quiet", "verbose")
	root.MarkFlagsMutuallyExclusive("pager", "no-pager")

	completes(root, "prefix", f.completePrefixes(false))

	root.AddCommand(f.commands()...)
	root.SetHelpCommand(f.helpCommand())
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	f.completionExamples(root)
	completeBashAlone(root)
	root.AddGroup(groups()...)
	for _, c := range root.Commands() {
		c.GroupID = groupOf(c.Name())
	}
	f.rules(root)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return flagError(c, f.args, err) })
	root.SetHelpFunc(func(c *cobra.Command, _ []string) { f.helped = f.help(c) })
	root.SetUsageFunc(f.help)
	return root
}

// commands lists all commands.
func (f *frame) commands() []*cobra.Command {
	all := []*cobra.Command{
		f.runCommand(),
		f.coordinatorCommand(),
		f.workerCommand(),
		f.statusCommand(),
		f.jobsCommand(),
		f.uiCommand(),
		f.cancelCommand(),
		f.eventsCommand(),
		f.logsCommand(),
		f.traceCommand(),
		f.explainCommand(),
		f.catCommand(),
		f.verifyCommand(),
		f.replayCommand(),
		f.uploadCommand(),
		f.resetCommand(),
		f.doctorCommand(),
		f.hadoopCommand(),
		f.appsCommand(),
		f.configCommand(),
		f.manCommand(),
		f.versionCommand(),
	}
	if f.start != nil {
		all = append(all, f.s3Command())
	}
	return all
}

// rules applies to a command and all below it what cobra leaves out: a
// group that is called with a word that is none of its commands is an error,
// and words complete.
func (f *frame) rules(c *cobra.Command) {
	c.Flags().SortFlags = false
	if c.HasSubCommands() {
		c.Args = func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return unknownCommand(c, args[0])
		}
		if c.RunE == nil {
			c.RunE = func(c *cobra.Command, _ []string) error { return f.help(c) }
		}
	}
	completeRest(c)
	for _, sub := range c.Commands() {
		f.rules(sub)
	}
}

func suggestion(c *cobra.Command, word string) string {
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	if near := config.Nearest(word, names); near != "" {
		return fmt.Sprintf(", did you mean %q?", near)
	}
	return ""
}

// helpCommand replaces cobra's, which exits 0 on an unknown topic.
func (f *frame) helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "help [COMMAND]",
		Short:             "Help on a command",
		Example:           f.examples("help run", "help jobs prune"),
		ValidArgsFunction: completeTopics,
		RunE: func(c *cobra.Command, args []string) error {
			topic, rest, err := c.Root().Find(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 && topic.HasSubCommands() {
				return topic.Args(topic, rest)
			}
			topic.InitDefaultHelpFlag()
			topic.InitDefaultVersionFlag()
			return f.help(topic)
		},
	}
}

// usageError is the error of a command line that could not be understood.
func usageError(err error) error {
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	return &Error{Code: ExitUsage, What: err.Error(), Hint: "see `mraws --help`, or --help after a command"}
}

// wantedFormat looks for -o in a command line that may not have parsed.
func wantedFormat(args []string) string {
	for i, a := range args {
		if a == "--" {
			break
		}
		for _, flag := range []string{"--output=", "-o=", "-o"} {
			word, ok := strings.CutPrefix(a, flag)
			if (a == "-o" || a == "--output") && i+1 < len(args) {
				word, ok = args[i+1], true
			}
			if ok && slices.Contains(formats(), word) {
				return word
			}
		}
	}
	return formatText
}
