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
//	memory.go   the budget of memory, slots and requests
//	print.go    what a command writes: data, lines for people, tables, JSON
//	progress.go progress on stderr
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
	process *Process // nil where commands are only called
	apps    appTable
	verbose bool
	start   startServer // of the embedded server; nil for none
	modules serveModule // nil for none

	started bool // the command itself has begun: errors are no longer usage errors
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
	f.report(name, e, f.output == "json" || wantsJSON(args))
	return e.Code
}

func (f *frame) root() *cobra.Command {
	root := &cobra.Command{
		Use:   f.name,
		Short: "MapReduce over S3",
		Long: "MapReduce over S3: a coordinator, any number of workers, and one bucket.\n\n" +
			"Keys that are not flags of a command can be set in mraws.yaml or with MRAWS_*\n" +
			"variables: see `" + f.name + " config show`.",
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
	p.VarP(&oneOf{&f.output, []string{"text", "json"}}, "output", "o", "format of results and errors")
	f.output = "text"
	root.MarkFlagsMutuallyExclusive("quiet", "verbose")

	root.AddCommand(f.commands()...)
	root.SetHelpCommand(helpCommand())
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	rules(root)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return flagError(c, f.args, err) })
	root.SetHelpFunc(helpOf(root.HelpFunc()))
	return root
}

// commands lists all commands.
func (f *frame) commands() []*cobra.Command {
	all := []*cobra.Command{
		f.runCommand(),
		f.coordinatorCommand(),
		f.workerCommand(),
		f.statusCommand(),
		f.catCommand(),
		f.verifyCommand(),
		f.replayCommand(),
		f.uploadCommand(),
		f.resetCommand(),
		f.hadoopCommand(),
		f.appsCommand(),
		f.configCommand(),
		f.versionCommand(),
	}
	if f.start != nil {
		all = append(all, f.s3Command())
	}
	return all
}

// rules applies to a command and all below it what cobra leaves out: a
// group that is called with a word that is none of its commands is an error,
// and flags with few values complete.
func rules(c *cobra.Command) {
	if c.HasSubCommands() {
		c.Args = func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return unknownCommand(c, args[0])
		}
		c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	}
	for _, k := range config.Keys() {
		if k.Choices != nil && c.LocalFlags().Lookup(k.Name) != nil {
			// Fails for a flag that has a completion already.
			_ = c.RegisterFlagCompletionFunc(k.Name, cobra.FixedCompletions(k.Choices, cobra.ShellCompDirectiveNoFileComp))
		}
	}
	for _, sub := range c.Commands() {
		rules(sub)
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
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Help on a command",
		RunE: func(c *cobra.Command, args []string) error {
			topic, rest, err := c.Root().Find(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 && topic.HasSubCommands() {
				return topic.Args(topic, rest)
			}
			topic.InitDefaultHelpFlag()
			return topic.Help()
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

// wantsJSON looks for -o json in a command line that may not have parsed.
func wantsJSON(args []string) bool {
	for i, a := range args {
		switch a {
		case "-o", "--output":
			if i+1 < len(args) && args[i+1] == "json" {
				return true
			}
		case "-ojson", "-o=json", "--output=json":
			return true
		case "--":
			return false
		}
	}
	return false
}

// oneOf is a flag with few values.
type oneOf struct {
	value   *string
	choices []string
}

func (o *oneOf) String() string { return *o.value }
func (o *oneOf) Type() string   { return strings.Join(o.choices, "|") }
func (o *oneOf) Set(s string) error {
	if !slices.Contains(o.choices, s) {
		return fmt.Errorf("must be one of %s", strings.Join(o.choices, ", "))
	}
	*o.value = s
	return nil
}
