package cmd

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
)

// ModuleFunctions are the names of what a WebAssembly module exports for a job, ""
// for what it does not.
type ModuleFunctions struct{ Map, Combine, Reduce string }

// ModuleRuntime runs WebAssembly modules.
type ModuleRuntime struct {
	// Inspect says what a module exports. It returns an error if no job can run it.
	Inspect func(ctx context.Context, code []byte) (ModuleFunctions, error)
	// Serve is the whole work of a process that runs a module. It reads what
	// execrunner.Order says, and returns the exit code.
	Serve func(ctx context.Context, in io.Reader, out, logs io.Writer) (code int)
}

// Modules is the part that runs WebAssembly modules.
func Modules(r ModuleRuntime) Part { return func(f *frame) { f.modules = &r } }

// moduleArgument makes the program the process of a module.
const moduleArgument = "run-module"

// moduleIfAsked does not return if the process is started for a module.
func moduleIfAsked(argv []string, parts []Part) {
	if len(argv) != 2 || argv[1] != moduleArgument {
		return
	}
	f := &frame{}
	for _, part := range parts {
		part(f)
	}
	if f.modules != nil {
		os.Exit(f.modules.Serve(context.Background(), os.Stdin, os.Stdout, os.Stderr))
	}
}

// moduleEnd is how the name of a module ends.
const moduleEnd = ".wasm"

// isModule says whether --app names a file with a module in place of an app.
func isModule(app string) bool { return strings.HasSuffix(app, moduleEnd) }

// module is code of a job whose app is a module.
func (o *execFlags) module(ctx context.Context, s *session, job *jobFlags) (*execCode, error) {
	if s.modules == nil {
		return nil, usagef("give the program the part: cli.With(wasm.Runtime()).Main(app)", "--app %s is a WebAssembly module, and this program runs none", job.app)
	}
	if err := o.checkModule(job); err != nil {
		return nil, err
	}
	x := &execCode{paths: map[string]string{}, flag: "--file"}
	file, err := x.read(job.app, false)
	if err != nil {
		return nil, err
	}
	file.Executable = false
	code, err := os.ReadFile(job.app)
	if err != nil {
		return nil, usagef("", "read the module: %w", err)
	}
	has, err := s.modules.Inspect(ctx, code)
	if err != nil {
		return nil, &Error{Code: ExitUsage, What: fmt.Sprintf("--app %s: %v", job.app, err), Hint: moduleHint}
	}
	e := &manifest.Exec{
		Module: &manifest.Module{File: file.Name, Allow: slices.Compact(slices.Sorted(slices.Values(o.allow)))},
		Mapper: has.Map, Combiner: has.Combine, Reducer: has.Reduce, Files: []manifest.CodeFile{file}, Whole: o.whole,
	}
	if e.Env, err = o.variables(); err != nil {
		return nil, err
	}
	if err := x.addFiles(e, o.files, false, false); err != nil {
		return nil, err
	}
	if err := sortFiles(e.Files); err != nil {
		return nil, err
	}
	if err := e.Validate(); err != nil {
		return nil, usagef("", "%w", err)
	}
	name := filepath.Base(job.app)
	if !layout.ValidName(name) {
		name = "module" + moduleEnd
	}
	x.spec = e.Spec(name)
	return x, nil
}

// moduleHint is for modules that no job can run.
const moduleHint = "docs/own-wasm.md has what a module exports and imports, and examples/wasm the build lines for C, Rust and Go"

// checkModule returns an error if flags do not go with a module.
func (o *execFlags) checkModule(job *jobFlags) error {
	for _, f := range []struct {
		name  string
		given bool
		hint  string
	}{
		{"--mapper", o.mapper != "", "the module exports mraws_map"},
		{"--combiner", o.combiner != "", "a module that exports mraws_combine has a combiner"},
		{"--reducer", o.reducer != "", "without mraws_reduce the output is that of mraws_map"},
		{"--app-arg", len(job.args) > 0, "--env NAME=VALUE sets a variable that the module sees"},
		{"--archive", len(o.archives) > 0, "--file ships a file, and the module can read it"},
		{"--inherit-aws", o.inheritAWS, "a module has no network"},
		{"--field-separator", o.separator != "", "it writes keys and values"},
		{"--key-fields", o.keyFields != 1, "it writes keys and values"},
		{"--partition-fields", o.partitionFields != "0" && o.partitionFields != "", "it writes keys and values"},
		{"--sort", o.sort != "", "its keys are sorted by their bytes"},
		{"--key-field-separator", o.keySeparator != "", "it writes keys and values"},
		{"--records", o.records != "", "it always writes records"},
		{"--whole-objects path", o.whole == manifest.WholePath, "--whole-objects bytes hands over the bytes"},
	} {
		if f.given {
			return usagef(f.hint, "%s is not for a job with the module %s", f.name, job.app)
		}
	}
	for _, what := range o.allow {
		switch {
		case what == "files":
			return usagef("the module can read what --file ships", "--allow files is not needed")
		case !slices.Contains(manifest.Allowances(), what):
			return usagef("a module may be allowed "+strings.Join(manifest.Allowances(), ", "), "unknown --allow %q", what)
		}
	}
	return nil
}
