package cmd

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mraws/mraws/internal/chain"
	"github.com/mraws/mraws/internal/config"
)

// chainFlags are those of `run` for a chain of jobs.
type chainFlags struct {
	file  string
	set   []string // name=value
	plan  bool
	rerun bool
	fleet bool // workers are started by themselves, and this process coordinates
}

func (o *chainFlags) add(c *cobra.Command) {
	f := c.Flags()
	defer section(f, chainSection)()
	f.StringVarP(&o.file, "jobs", "f", "", "run the chain of jobs in this `file`, each step below PREFIX/CHAIN/STEP/")
	f.StringArrayVar(&o.set, "set", nil, "`name=value` of a parameter of the chain; may be repeated")
	f.BoolVar(&o.plan, "plan", false, "print the steps of the chain and run nothing")
	f.BoolVar(&o.rerun, "rerun", false, "remove the jobs of steps that have changed, and of those that follow from them, and run these again")
}

// unused is the error of flags that only a chain has.
func (o *chainFlags) unused() error {
	given := named(flagGiven{"--set", len(o.set) > 0}, flagGiven{"--plan", o.plan}, flagGiven{"--rerun", o.rerun})
	if len(given) == 0 {
		return nil
	}
	return usagef("such as -f jobs.yaml", "%s: only a chain of jobs has that, which --jobs names", strings.Join(given, ", "))
}

// params reads --set.
func (o *chainFlags) params() (map[string]string, error) {
	params := map[string]string{}
	for _, s := range o.set {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return nil, usagef("such as --set day=2026-11-30", "--set %q is not name=value", s)
		}
		params[name] = value
	}
	return params, nil
}

// ofChain are the flags that say on which store and with how many workers a chain runs:
// they are on the command line and no keys of steps.
func ofChain() []string {
	return append(config.Names(config.Common, config.Net), "port", "listen", "coord-timeout", "memory", "scratch",
		"workers", "processes", "head", "unsafe-single-coordinator", "config", "no-pager", "quiet", "verbose", "output", "help",
		"jobs", "set", "plan", "rerun", "dry-run", "advertise", "takeover")
}

// ofBoth are the flags that a step and the command line may have. The line says it for
// all steps.
var ofBoth = []string{"verify"}

// ofNeither are flags that mean nothing in a chain. Parts of an earlier run in the
// folder of `out` are always replaced: those are of the same step.
var ofNeither = []string{"overwrite"}

// reads are the keys of a step that name input, beside those of package chain.
var reads = []string{"in", "in-list", "in-inventory"}

// stepKeys are the keys that a step of a chain may have: the flags of `run` that are not
// of the whole chain.
func (f *frame) stepKeys() []chain.Key {
	line, _ := f.runLine()
	choices := map[string]config.Key{}
	for _, k := range config.Keys() {
		choices[k.Name] = k
	}
	var keys []chain.Key
	line.Flags().VisitAll(func(f *pflag.Flag) {
		if slices.Contains(ofChain(), f.Name) || slices.Contains(ofNeither, f.Name) {
			return
		}
		_, usage := pflag.UnquoteUsage(f)
		k := chain.Key{Name: f.Name, Help: strings.TrimSuffix(usage, "; may be repeated"), Default: f.DefValue, Choices: flagChoices(f, choices)}
		switch f.Value.Type() {
		case "bool":
			k.Kind = chain.Switch
		case "stringArray", "stringSlice":
			k.Kind = chain.List
		case "int", "int64", "n":
			k.Kind = chain.Number
		}
		keys = append(keys, k)
	})
	return keys
}

// readChain reads the file of a chain and sets its parameters.
func (f *frame) readChain(path string, params map[string]string) (*chain.File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, usagef("", "read the jobs: %w", err)
	}
	file, err := chain.Parse(path, data, f.stepKeys(), reads...)
	if err == nil {
		err = file.Bind(params, os.LookupEnv)
	}
	if err != nil {
		return nil, chainError(err)
	}
	if file.Name.Text == "" {
		base := filepath.Base(path)
		file.Name.Text = strings.TrimSuffix(base, filepath.Ext(base))
		if err := chain.CheckName(file.Name.Text); err != nil {
			return nil, usagef("name the chain in its file: name: …", "%s: the name of the file is none of a chain: %w", path, err)
		}
	}
	return file, nil
}

// chainError is the error of a file of a chain, with the word that may have been meant.
func chainError(err error) error {
	var e *chain.Error
	if !errors.As(err, &e) {
		return err
	}
	hint := "`mraws config schema` prints the schema of such files, which editors can use"
	if near := config.Nearest(e.Word, e.Names); e.Word != "" && near != "" {
		hint = "did you mean " + near + "?\n" + hint
	}
	return &Error{Code: ExitUsage, What: e.Error(), Hint: hint}
}

// checkLine refuses flags that belong into the file.
func checkLine(line *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("in the file: input: "+args[0], "%q: with --jobs, each step of the file names its input", args[0])
	}
	var wrong *Error
	line.Flags().Visit(func(f *pflag.Flag) {
		if wrong != nil || slices.Contains(ofChain(), f.Name) || slices.Contains(ofBoth, f.Name) {
			return
		}
		wrong = usagef("in the file, in a step or below defaults: "+f.Name+": "+f.Value.String(), "--%s is not for a chain, but for its steps", f.Name)
	})
	if wrong != nil {
		return wrong
	}
	return nil
}

// printSchema prints the schema of files of a kind.
func (f *frame) printSchema(kind string) error {
	var schema []byte
	var err error
	switch kind {
	case "jobs":
		schema, err = chain.Schema(f.stepKeys())
	case "settings":
		schema, err = config.Schema()
	default:
		err = usagef("", "no schema %q: %w", kind, config.NoneOf(kind, []string{"jobs", "settings"}))
	}
	if err == nil {
		_, err = f.io.Out.Write(schema)
	}
	return err
}

func configSchemaCommand(f *frame) *cobra.Command {
	return paging(&cobra.Command{
		Use:   "schema [jobs|settings]",
		Short: "Print the JSON Schema of files of run --jobs, or of configuration files",
		Long: "Print the JSON Schema of the files that `run --jobs` runs, or, with the word settings, of\n" +
			"configuration files. An editor with a language server for YAML uses it if the file begins with\n\n" +
			"  # yaml-language-server: $schema=jobs.schema.json",
		Example:   "  " + f.name + " config schema > jobs.schema.json\n  " + f.name + " config schema settings > mraws.schema.json",
		ValidArgs: []cobra.Completion{"jobs", "settings"},
		Args:      cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return f.bare(func() error { return f.printSchema(append(args, "jobs")[0]) })(c, args)
		},
	})
}
