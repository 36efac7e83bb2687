package cmd

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
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
	whole                     string
	records                   string
	offsets                   bool     // before the lines of the mapper
	allow                     []string // of a module
}

func (o *execFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.mapper, "mapper", "", "in place of --app: this `command` reads lines and writes lines \"key TAB value\"")
	f.StringVar(&o.combiner, "combiner", "", "`command` that reads and writes such lines, sorted, in the map tasks")
	f.StringVar(&o.reducer, "reducer", "", "`command` that reads such lines, sorted, and writes the output; empty or - is none: the output is that of the mapper; aggregate adds up what the keys ask for")
	f.StringArrayVar(&o.files, "file", nil, "ship this `file` into the working directory of the commands, or for a module; file#name gives it another name; may be repeated")
	f.StringArrayVar(&o.archives, "archive", nil, "ship this .tar, .tar.gz, .tgz or .zip `file` and unpack it into a folder of its name, or of the name after #; may be repeated")
	f.StringArrayVar(&o.env, "env", nil, "set this variable of the commands or the module, `name=value`; may be repeated")
	f.BoolVar(&o.inheritAWS, "inherit-aws", false, "give the commands the variables AWS_* of their worker")
	f.StringVar(&o.separator, "field-separator", "", "`text` that ends the fields of the lines of mapper and combiner; empty is a tab")
	f.IntVar(&o.keyFields, "key-fields", 1, "number of fields, from the first, that make the key")
	f.StringVar(&o.partitionFields, "partition-fields", "0", "fields of the key that say to which reduce task it goes: `N` are the first N, M,N those from M to N; 0 is all")
	f.StringVar(&o.sort, "sort", "", "order of the keys by their fields, as `options` of sort(1), such as '-k2,2nr -k1,1'; empty is by bytes")
	f.StringVar(&o.keySeparator, "key-field-separator", "", "`text` that ends the fields of a key, for --sort and --partition-fields; empty is that of --field-separator")
	f.StringVar(&o.records, "records", "", "what commands read and write: empty is lines, `binary` is keys and values with their lengths in front")
	f.StringSliceVar(&o.allow, "allow", nil, "what a module that --app names may use beside the files of --file: `clock`, random")
	f.StringVar(&o.whole, "whole-objects", "", "the mapper gets objects in place of lines: their `bytes`, or a line with the path of a file that has them")
}

// given says whether any of the flags is.
func (o *execFlags) given() bool { return o.mapper != "" || len(o.beside()) > 0 }

// beside are the flags that are given, but for --mapper.
func (o *execFlags) beside() []string {
	all := named(
		flagGiven{"--combiner", o.combiner != ""}, flagGiven{"--reducer", o.reducer != ""},
		flagGiven{"--file", len(o.files) > 0}, flagGiven{"--archive", len(o.archives) > 0}, flagGiven{"--env", len(o.env) > 0},
		flagGiven{"--inherit-aws", o.inheritAWS}, flagGiven{"--whole-objects", o.whole != ""}, flagGiven{"--records", o.records != ""},
		flagGiven{"--allow", len(o.allow) > 0},
	)
	return append(all, o.ofLines()...)
}

// ofLines are the flags that are given and that cut lines or keys.
func (o *execFlags) ofLines() []string {
	all := named(flagGiven{"--field-separator", o.separator != ""}, flagGiven{"--key-fields", o.keyFields != 1})
	return append(all, o.ofKeys()...)
}

// ofKeys are the flags that are given and that cut keys.
func (o *execFlags) ofKeys() []string {
	return named(
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
		if hint = "--records takes binary; without it there are lines"; o.records == manifest.BinaryRecords {
			hint = "leave out --records, or " + strings.Join(o.ofLines(), " and ")
		}
	case "whole":
		hint = "--whole-objects takes bytes and path"
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
	e.Separator, e.KeySeparator = o.separator, o.keySeparator
	if o.keyFields != 1 {
		e.KeyFields = o.keyFields
	}
	var err error
	if e.PartitionFrom, e.PartitionFields, err = fieldRange(o.partitionFields); err != nil {
		return err
	}
	if o.sort == "" {
		return nil
	}
	order, err := manifest.ParseSortFields(o.sort)
	if err != nil {
		return usagef("such as --sort '-k2,2nr -k1,1': the second field by number, the largest first, then the first by its bytes", "--sort %q: %w", o.sort, err)
	}
	for _, f := range order {
		if most := max(e.KeyFields, 1); f.Field > most && o.keySeparator == "" && !o.executable {
			return usagef("--key-fields says how many fields make the key", "--sort %q: field %d of a key of %s", o.sort, f.Field, countText(int64(most), "field"))
		}
	}
	e.Sort = order.String()
	return nil
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
	spec  *manifest.Spec
	paths map[string]string // of the files on this machine, by SHA-256
	flag  string            // that ships a file
}

// code reads the files that the flags name. It returns nil if no flag is given, and
// no module.
func (o *execFlags) code(ctx context.Context, s *session, job *jobFlags) (*execCode, error) {
	switch {
	case isModule(job.app):
		return o.module(ctx, s, job)
	case !o.given():
		return nil, nil
	case len(o.allow) > 0:
		return nil, usagef("executables are not confined", "--allow is for a module, such as --app app.wasm")
	case o.mapper == "" && job.app != "":
		return nil, usagef("--mapper CMD runs an executable in place of --app "+shellQuote(job.app), "%s: only jobs with --mapper take that", strings.Join(o.beside(), ", "))
	case job.app != "" || len(job.args) > 0:
		return nil, usagef("executables have arguments and --env in place of parameters", "--app and --app-arg are not for jobs with --mapper")
	case o.mapper == "":
		return nil, usagef("such as --mapper cat, which hands on each line", "no --mapper")
	}
	e := &manifest.Exec{Mapper: o.mapper, Combiner: o.combiner, Reducer: o.reducer, InheritAWS: o.inheritAWS, Whole: o.whole, Offsets: o.offsets, Records: o.records}
	if o.reducer == "-" || o.reducer == "NONE" {
		e.Reducer = ""
	}
	if err := o.fields(e); err != nil {
		return nil, err
	}
	x := &execCode{paths: map[string]string{}, flag: "--file"}
	if o.executable {
		x.flag = "-file"
	}
	if err := cmp.Or(x.addFiles(e, o.files, false, o.executable), x.addFiles(e, o.archives, true, false)); err != nil {
		return nil, err
	}
	if err := sortFiles(e.Files); err != nil {
		return nil, err
	}
	var err error
	if e.Env, err = o.variables(); err != nil {
		return nil, err
	}
	if err := e.Validate(); err != nil {
		return nil, o.refused(err)
	}
	x.spec = e.Spec(execName)
	return x, nil
}

// addFiles reads files or archives, which may be run or not, whatever their mode.
func (x *execCode) addFiles(e *manifest.Exec, args []string, archive, executable bool) error {
	for _, arg := range args {
		f, err := x.read(arg, archive)
		if err != nil {
			return err
		}
		f.Executable = (f.Executable || executable) && e.Module == nil
		e.Files = append(e.Files, f)
	}
	return nil
}

// sortFiles orders files by name. It returns an error if two have the same.
func sortFiles(files []manifest.CodeFile) error {
	slices.SortFunc(files, func(a, b manifest.CodeFile) int { return strings.Compare(a.Name, b.Name) })
	for i := 1; i < len(files); i++ {
		if files[i].Name == files[i-1].Name {
			return usagef("--file PATH#NAME gives one of them another name", "two files with the name %q are to be shipped", files[i].Name)
		}
	}
	return nil
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

// archiveFlag is the flag that ships an archive.
func (x *execCode) archiveFlag() string {
	if x.flag == "-file" {
		return "-archives"
	}
	return "--archive"
}

// archiveKinds are the kinds of archives by the end of their name.
var archiveKinds = map[string]string{".tar": manifest.Tar, ".tar.gz": manifest.TarGz, ".tgz": manifest.TarGz, ".zip": manifest.Zip, ".jar": manifest.Zip}

// read reads a file that a flag names as path or path#name.
func (x *execCode) read(arg string, archive bool) (f manifest.CodeFile, err error) {
	path, name, named := strings.Cut(arg, "#")
	if !named {
		name = filepath.Base(path)
	}
	f.Name = name
	if archive {
		ends := slices.Collect(maps.Keys(archiveKinds))
		i := slices.IndexFunc(ends, func(end string) bool { return strings.HasSuffix(strings.ToLower(path), end) })
		if i < 0 {
			return f, usagef("the name of an archive ends in .tar, .tar.gz, .tgz or .zip", "%s %q is none", x.archiveFlag(), path)
		}
		f.Archive = archiveKinds[ends[i]]
	}
	file, err := os.Open(path)
	if err != nil {
		return f, usagef("", "read a file to ship: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return f, fmt.Errorf("read a file to ship: %w", err)
	}
	if !info.Mode().IsRegular() {
		return f, usagef("a folder is shipped as an archive, with "+x.archiveFlag(), "%s is no regular file", path)
	}
	sha := sha256.New()
	if f.Size, err = io.Copy(sha, file); err != nil {
		return f, fmt.Errorf("read a file to ship: %w", err)
	}
	f.SHA256 = hex.EncodeToString(sha.Sum(nil))
	f.Executable = !archive && info.Mode()&0o111 != 0
	x.paths[f.SHA256], err = filepath.Abs(path)
	return f, err
}

// ship puts the files into the bucket, but for those that are there.
func (x *execCode) ship(ctx context.Context, st *store, lay layout.Layout) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for sha, path := range x.paths {
		g.Go(func() error {
			if err := shipOne(gctx, st, lay.Code(sha), path); err != nil {
				return fmt.Errorf("ship %s: %w", path, err)
			}
			return nil
		})
	}
	return g.Wait()
}

func shipOne(ctx context.Context, st *store, key, path string) (err error) {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if there, err := st.Stat(ctx, key); err == nil && there.Size == info.Size() {
		return nil
	}
	_, err = st.PutFile(ctx, key, file, info.Size(), object.PutOptions{IfAbsent: true, ContentType: "application/octet-stream"})
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
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
