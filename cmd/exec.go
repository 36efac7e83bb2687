package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/runner/execrunner"
	"github.com/mraws/mraws/mr"
)

// execName is the name of the app of a job of executables.
const execName = "exec"

// execFlags are those of a job whose app consists of executables.
type execFlags struct {
	mapper, combiner, reducer string
	files, archives, env      []string
	inheritAWS                bool
	executable                bool // files are, whatever their mode
	separator                 string
	keyFields                 int
	keySeparator              string
	partitionFields           string // "N" or "M,N"; "" and "0" are all
	sort                      string
	sortValues                string
	totalOrder                bool
	whole                     string
	records                   string
	offsets                   bool     // before the lines of the mapper
	allow                     []string // of a module
	named                     []string // outputs besides that of the job
}

func (o *execFlags) add(c *cobra.Command) {
	f := c.Flags()
	defer section(f, codeSection)()
	f.StringVar(&o.mapper, "mapper", "", "in place of --app: this `command` reads lines and writes lines \"key TAB value\"")
	f.StringVar(&o.combiner, "combiner", "", "`command` that reads and writes such lines, sorted, in the map tasks")
	f.StringVar(&o.reducer, "reducer", "", "`command` that reads such lines, sorted, and writes the output; empty or - is none: the output is that of the mapper; aggregate adds up what the keys ask for")
	f.StringArrayVar(&o.files, "file", nil, "ship this `file` into the working directory of the commands, for a module, or to the app as Task.Files; file#name gives it another name; may be repeated")
	f.StringArrayVar(&o.archives, "archive", nil, "ship this .tar, .tar.gz, .tgz or .zip `file` and unpack it into a folder of its name, or of the name after #; may be repeated")
	f.StringArrayVar(&o.env, "env", nil, "set this variable of the commands or the module, `name=value`; may be repeated")
	f.BoolVar(&o.inheritAWS, "inherit-aws", false, "give the commands the variables AWS_* of their worker")
	f.StringVar(&o.separator, "field-separator", "", "`text` that ends the fields of the lines of mapper and combiner; empty is a tab")
	f.IntVar(&o.keyFields, "key-fields", 1, "number of fields, from the first, that make the key")
	few(f, &o.records, "records", "what commands read and write: empty is lines, binary is keys and values with their lengths in front", "", manifest.BinaryRecords)
	f.StringSliceVar(&o.allow, "allow", nil, "what a module that --app names may use beside the files of --file: clock and random, the `names` with commas between")
	completes(c, "allow", cobra.FixedCompletions([]string{"clock", "random"}, noFiles))
	f.StringSliceVar(&o.named, "named-outputs", nil, "`names` of outputs besides that of the job, such as errors,rest, or errors=lines for a format of its own: a line \"output:errors TAB line\" of what writes the output goes to output/_named/errors/")
	few(f, &o.whole, "whole-objects", "the mapper gets objects in place of lines: their bytes, or a line with the path of a file that has them", "", "bytes", "path")
	o.addOrder(f)
}

// addOrder adds the flags that order pairs and say where they go.
func (o *execFlags) addOrder(f *pflag.FlagSet) {
	defer section(f, orderSection)()
	f.StringVar(&o.partitionFields, "partition-fields", "0", "fields of the key that say to which reduce task it goes: `N` are the first N, M,N those from M to N; 0 is all")
	f.StringVar(&o.sort, "sort", "", "order of the keys by their fields, as `options` of sort(1), such as '-k2,2nr -k1,1'; empty is by bytes")
	few(f, &o.sortValues, "sort-values", "`order` of the values of a key: bytes, bytes-reverse, numeric, numeric-reverse; empty is that of the input, or of the app", append([]string{""}, manifest.ValueOrders()...)...)
	f.BoolVar(&o.totalOrder, "total-order", false, "give each reduce task a range of the keys, so that the outputs one after the other are in order")
	f.StringVar(&o.keySeparator, "key-field-separator", "", "`text` that ends the fields of a key, for --sort and --partition-fields; empty is that of --field-separator")
}

// given says whether any of the flags is.
func (o *execFlags) given() bool { return o.mapper != "" || len(o.beside()) > 0 }

// beside are the flags that are given, but for --mapper.
func (o *execFlags) beside() []string {
	return append(named(flagGiven{"--file", len(o.files) > 0}, flagGiven{"--archive", len(o.archives) > 0}), o.besideFiles()...)
}

// besideFiles are those that are not for jobs of an app: files any job can ship.
func (o *execFlags) besideFiles() []string {
	all := named(
		flagGiven{"--combiner", o.combiner != ""}, flagGiven{"--reducer", o.reducer != ""}, flagGiven{"--env", len(o.env) > 0},
		flagGiven{"--inherit-aws", o.inheritAWS}, flagGiven{"--whole-objects", o.whole != ""}, flagGiven{"--records", o.records != ""},
		flagGiven{"--allow", len(o.allow) > 0}, flagGiven{"--named-outputs", len(o.named) > 0},
	)
	return append(all, o.ofLines()...)
}

// ofLines are the flags that are given and that cut lines.
func (o *execFlags) ofLines() []string {
	return named(flagGiven{"--field-separator", o.separator != ""}, flagGiven{"--key-fields", o.keyFields != 1})
}

// ofKeys are the flags that are given and that order pairs or say where they go. They
// are for jobs of any code.
func (o *execFlags) ofKeys() []string {
	return named(
		flagGiven{"--sort-values", o.sortValues != ""}, flagGiven{"--total-order", o.totalOrder},
		flagGiven{"--key-field-separator", o.keySeparator != ""},
		flagGiven{"--partition-fields", o.partitionFields != "0" && o.partitionFields != ""}, flagGiven{"--sort", o.sort != ""},
	)
}

// flagGiven says of a flag whether it is given.
type flagGiven struct {
	name  string
	given bool
}

// named are the names of those that are given.
func named(flags ...flagGiven) (names []string) {
	for _, f := range flags {
		if f.given {
			names = append(names, f.name)
		}
	}
	return names
}

// refused is the error of flags that make no job. The options of Hadoop have other
// names.
func (o *execFlags) refused(err error) error {
	var of *manifest.OptionError
	if o.executable || !errors.As(err, &of) {
		return usagef("", "%w", err)
	}
	hint := ""
	switch of.Field {
	case "combiner":
		hint = "give a --reducer too, or leave out --combiner"
	case "reducer":
		hint = "give a --reducer, such as --reducer cat, or leave out " + strings.Join(o.ofKeys(), " and ")
	case "records":
		hint = "leave out --records, or " + strings.Join(o.ofLines(), " and ")
	case "separator":
		hint = "give --field-separator such a text"
	case "key_separator":
		hint = "give --key-field-separator such a text"
	case "key_fields":
		hint = "--key-fields 2 makes a key of the first two fields"
	case "partition_fields":
		hint = "--key-fields says how many fields make the key, and --partition-fields names some of them"
	}
	return usagef(hint, "%w", err)
}

// fields sets how lines and keys are cut.
func (o *execFlags) fields(e *manifest.Exec) error {
	e.Separator = o.separator
	if o.keyFields != 1 {
		e.KeyFields = o.keyFields
	}
	if e.Records != "" { // the keys of records are cut as those of an app
		return nil
	}
	e.KeySeparator = o.keySeparator
	var err error
	if e.PartitionFrom, e.PartitionFields, err = fieldRange(o.partitionFields); err != nil {
		return err
	}
	order, err := o.sortFields()
	if err != nil || order == nil {
		return err
	}
	for _, f := range order {
		if most := max(e.KeyFields, 1); f.Field > most && o.keySeparator == "" && !o.executable {
			return usagef("--key-fields says how many fields make the key", "--sort %q: field %d of a key of %s", o.sort, f.Field, countText(int64(most), "field"))
		}
	}
	e.Sort = order.String()
	return nil
}

// sortFields reads --sort; nil is by bytes.
func (o *execFlags) sortFields() (manifest.SortFields, error) {
	if o.sort == "" {
		return nil, nil
	}
	order, err := manifest.ParseSortFields(o.sort)
	if err != nil {
		return nil, usagef("such as --sort '-k2,2nr -k1,1': the second field by number, the largest first, then the first by its bytes", "--sort %q: %w", o.sort, err)
	}
	return order, nil
}

// fieldRange reads "N" or "M,N". An M of 1 is 0.
func fieldRange(text string) (from, to int, err error) {
	if text == "" {
		return 0, 0, nil
	}
	first, last, both := strings.Cut(text, ",")
	if !both {
		first, last = "1", text
	}
	from, err = strconv.Atoi(first)
	if err == nil {
		to, err = strconv.Atoi(last)
	}
	if err != nil || from < 1 || to < 0 || both && to < from {
		return 0, 0, usagef("2 are the first two fields, 2,3 the second and the third", "--partition-fields %q is neither N nor M,N", text)
	}
	if from == 1 {
		from = 0
	}
	return from, to, nil
}

// execCode is the code of a job of executables or of a module.
type execCode struct {
	spec *manifest.Spec
	shipment
}

// code reads the files that the flags name. It returns nil if no flag is given, and
// no module.
func (o *execFlags) code(ctx context.Context, s *session, job *jobFlags) (*execCode, error) {
	if job.format == "whole" && o.whole == "" && (o.mapper != "" || isModule(job.app)) {
		o.whole = manifest.WholeBytes
	}
	switch {
	case isModule(job.app):
		return o.module(ctx, s, job)
	case !o.given():
		return nil, nil
	case len(o.allow) > 0:
		return nil, usagef("executables are not confined", "--allow is for a module, such as --app app.wasm")
	case o.mapper == "" && (job.app != "" || len(s.apps) == 1) && len(o.besideFiles()) == 0:
		var err error
		job.shipped, err = o.ofApp(ctx, s)
		return nil, err
	case o.mapper == "" && job.app != "":
		return nil, usagef("--mapper CMD runs an executable in place of --app "+shellQuote(job.app), "%s: only jobs with --mapper take that", strings.Join(o.besideFiles(), ", "))
	case job.app != "" || len(job.args) > 0:
		return nil, usagef("executables have arguments and --env in place of parameters", "--app and --app-arg are not for jobs with --mapper")
	case o.mapper == "":
		return nil, usagef("such as --mapper cat, which hands on each line; --app NAME takes files too", "no --mapper")
	}
	e := &manifest.Exec{Mapper: o.mapper, Combiner: o.combiner, Reducer: o.reducer, InheritAWS: o.inheritAWS, Whole: o.whole, Offsets: o.offsets, Records: o.records}
	if o.reducer == "-" || o.reducer == "NONE" {
		e.Reducer = ""
	}
	if e.Reducer != "" && s.conf.NReduce == 0 {
		return nil, usagef("leave out --reducer, or --nreduce 0", "--nreduce 0 makes a map-only job, which has no reducer")
	}
	s.mapOnly(e)
	if err := o.fields(e); err != nil {
		return nil, err
	}
	x := &execCode{shipment: newShipment()}
	if o.executable {
		x.flag = "-file"
	}
	var err error
	if e.Files, err = x.add(o.files, o.archives); err != nil {
		return nil, err
	}
	for i, f := range e.Files {
		e.Files[i].Executable = f.Archive == "" && (f.Executable || o.executable)
	}
	if e.Env, err = o.variables(); err != nil {
		return nil, err
	}
	if err := e.Validate(); err != nil {
		return nil, o.refused(err)
	}
	x.spec = e.Spec(execName)
	return x, o.declare(x.spec)
}

// declare adds the named outputs to a spec.
func (o *execFlags) declare(s *manifest.Spec) error {
	if err := mr.CheckNamedOutputs(o.named); err != nil {
		return usagef("such as --named-outputs errors,rest", "--named-outputs: %w", err)
	}
	s.Output = s.Output.WithNamed(o.named)
	return nil
}

// mapOnly makes a map-only job of one whose code has no reducer, unless it is to have
// a number of parts.
func (s *session) mapOnly(e *manifest.Exec) {
	if e.Reducer == "" && !s.conf.IsSet("nreduce") {
		s.conf.NReduce = 0
	}
}

// variables are those of --env.
func (o *execFlags) variables() (env map[string]string, err error) {
	for _, v := range o.env {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" {
			return nil, usagef("such as --env LC_ALL=C", "--env %q is not name=value", v)
		}
		if env == nil {
			env = map[string]string{}
		}
		env[name] = value
	}
	return env, nil
}

// guardArgument makes the program a guard of executables (execrunner.StandGuard).
const guardArgument = "guard-executables"

// guardIfAsked does not return if the process is started as a guard.
func guardIfAsked(argv []string) {
	if len(argv) == 2 && argv[1] == guardArgument {
		execrunner.StandGuard(os.Stdin)
		os.Exit(ExitOK)
	}
}

// execProcesses bounds the processes of an attempt.
const execProcesses = 1000

// newExecHost returns what runs the executables and modules of jobs. A process that was not
// started by the command line has no guard.
func newExecHost(s *session, st *store) (*execrunner.Host, error) {
	o := execrunner.Options{
		Store: st, Bucket: st.Bucket(), Scratch: cmp.Or(s.conf.Scratch, os.TempDir()), Log: s.log,
		Limits: execrunner.Limits{
			Memory: int64(s.conf.ExecMemory), Disk: int64(s.conf.ExecDisk), Output: int64(s.conf.ExecOutput), Processes: execProcesses,
		},
	}
	if s.process != nil {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find this program: %w", err)
		}
		o.Guard = []string{self, guardArgument}
	}
	var err error
	if o.Module, err = s.moduleLine(); err != nil {
		return nil, err
	}
	return execrunner.NewHost(o), nil
}

// appOf is the app, nil for one that consists of executables or of a module.
func (r *jobRun) appOf() *mr.App {
	if r.code != nil {
		return nil
	}
	return &r.app
}
