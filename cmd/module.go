package cmd

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/runner/execrunner"
)

// serveModule is the whole work of a process that runs a module. It reads what
// execrunner.Order says, and returns the exit code.
type serveModule func(ctx context.Context, in io.Reader, out, logs io.Writer) (code int)

// Modules is the part that runs WebAssembly modules, each in a process of this program
// that calls serve, see execrunner.Order. serve returns the exit code.
func Modules(serve func(ctx context.Context, in io.Reader, out, logs io.Writer) (code int)) Part {
	return func(f *frame) { f.modules = serve }
}

// moduleLine is the command line of a process that runs modules, nil for none.
func (s *session) moduleLine() ([]string, error) {
	if s.modules == nil || s.process == nil {
		return nil, nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	return []string{self, moduleArgument}, nil
}

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
		signal.Reset() // so that they end it
		os.Exit(f.modules(context.Background(), os.Stdin, os.Stdout, os.Stderr))
	}
}

// moduleEnd is how the name of a module ends.
const moduleEnd = ".wasm"

// isModule says whether --app names a file with a module in place of an app.
func isModule(app string) bool { return strings.HasSuffix(app, moduleEnd) }

// module is code of a job whose app is a module.
func (o *execFlags) module(ctx context.Context, s *session, job *jobFlags) (*execCode, error) {
	line, err := s.moduleLine()
	if err != nil {
		return nil, err
	}
	if line == nil {
		return nil, usagef("give the program the part: cli.With(wasm.Runtime()).Main(app)", "--app %s is a WebAssembly module, and this program runs none", job.app)
	}
	if err := o.checkModule(job); err != nil {
		return nil, err
	}
	x := &execCode{shipment: newShipment()}
	file, err := x.read(job.app, false)
	if err != nil {
		return nil, err
	}
	has, err := execrunner.Inspect(ctx, line, x.paths[file.SHA256])
	if ctx.Err() != nil {
		return nil, err
	}
	if err != nil {
		return nil, &Error{Code: ExitUsage, What: fmt.Sprintf("--app %s: %v", job.app, err), Hint: moduleHint}
	}
	e := &manifest.Exec{
		Module: &manifest.Module{File: file.Name, Allow: slices.Compact(slices.Sorted(slices.Values(o.allow)))},
		Mapper: has.Map, Combiner: has.Combine, Reducer: has.Reduce, Whole: o.whole,
	}
	if s.conf.NReduce == 0 {
		e.Combiner, e.Reducer = "", ""
	}
	s.mapOnly(e)
	if e.Env, err = o.variables(); err != nil {
		return nil, err
	}
	x.files = append(x.files, file)
	if e.Files, err = x.add(o.files, nil); err != nil {
		return nil, err
	}
	for i := range e.Files {
		e.Files[i].Executable = false
	}
	if err := e.Validate(); err != nil {
		return nil, usagef("", "%w", err)
	}
	name := filepath.Base(job.app)
	if !layout.ValidName(name) {
		name = "module" + moduleEnd
	}
	x.spec = e.Spec(name)
	return x, o.declare(x.spec)
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
			return usagef(nearHint(what, manifest.Allowances())+"a module may be allowed "+strings.Join(manifest.Allowances(), ", "), "unknown --allow %q", what)
		}
	}
	return nil
}
