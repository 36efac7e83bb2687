// Package wasm runs WebAssembly modules as applications (docs/own-wasm.md). It is
// the side of the child process: package execrunner starts the process and hands it
// an order, [Serve] carries that out. A guest that loops freezes the process that it
// runs in, so nothing here limits its time; who started the process kills it.
package wasm

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/runner/execrunner"
)

// The functions that a module exports.
const (
	bufferFunction  = "mraws_buffer"  // (n i32) -> (address i32)
	mapFunction     = "mraws_map"     // (n i32) -> (address << 32 | length i64), as the next two
	combineFunction = "mraws_combine" // there may be none
	reduceFunction  = "mraws_reduce"  // there may be none
	startFunction   = "_initialize"   // () -> (), there may be none: a compiler writes it
)

// hostModule is the name of the module whose functions a guest may import, beside
// those of WASI.
const hostModule = "mraws"

// inspect says what a module exports. It returns an error if a job cannot run it, and
// runs nothing of it.
func inspect(ctx context.Context, code []byte) (f execrunner.Functions, err error) {
	rt := wazero.NewRuntime(ctx)
	defer func() { err = errors.Join(err, rt.Close(ctx)) }()
	if err := hosts(ctx, rt, io.Discard); err != nil {
		return f, err
	}
	m, err := compile(ctx, rt, code)
	if err != nil {
		return f, err
	}
	has := m.ExportedFunctions()
	for name, to := range map[string]*string{mapFunction: &f.Map, combineFunction: &f.Combine, reduceFunction: &f.Reduce} {
		if _, ok := has[name]; ok {
			*to = name
		}
	}
	if f.Combine != "" && f.Reduce == "" {
		return f, fmt.Errorf("it exports %s and no %s", combineFunction, reduceFunction)
	}
	return f, nil
}

// compile compiles a module and holds it against what it has to export and may
// import.
func compile(ctx context.Context, rt wazero.Runtime, code []byte) (wazero.CompiledModule, error) {
	const magic, version = "\x00asm", "\x01\x00\x00\x00"
	switch {
	case !bytes.HasPrefix(code, []byte(magic)):
		return nil, errors.New("it is no WebAssembly module")
	case len(code) >= 8 && code[6] == 1:
		return nil, errors.New("it is a WebAssembly component, which is another format: only core modules run, such as those of the targets wasm32-wasi, wasm32-wasip1 and wasm32-unknown-unknown")
	case !bytes.HasPrefix(code, []byte(magic+version)):
		return nil, errors.New("it has an unknown version of the WebAssembly format")
	}
	m, err := rt.CompileModule(ctx, code)
	if err != nil {
		return nil, fmt.Errorf("it is no valid WebAssembly module: %w", err)
	}
	return m, errors.Join(checkImports(rt, m), checkExports(m))
}

// checkImports returns an error unless the host has all that the module imports.
func checkImports(rt wazero.Runtime, m wazero.CompiledModule) error {
	for _, f := range m.ImportedFunctions() {
		module, name, _ := f.Import()
		host := rt.Module(module)
		if host == nil {
			return fmt.Errorf("it imports %.100q of %.100q%s; modules may import functions of %s and %s alone", name, module, whence(module), wasi_snapshot_preview1.ModuleName, hostModule)
		}
		has := host.ExportedFunctionDefinitions()[name]
		if has == nil {
			return fmt.Errorf("it imports %.100q of %q, which has no such function", name, module)
		}
		if !slices.Equal(has.ParamTypes(), f.ParamTypes()) || !slices.Equal(has.ResultTypes(), f.ResultTypes()) {
			return fmt.Errorf("it imports %q of %q as %s, which is %s", name, module, signature(f.ParamTypes(), f.ResultTypes()), signature(has.ParamTypes(), has.ResultTypes()))
		}
	}
	if len(m.ImportedMemories()) > 0 {
		return errors.New("it imports its memory, which it has to have itself")
	}
	return nil
}

// whence tells what a module is that imports of a host which is not there.
func whence(host string) string {
	switch {
	case host == "env":
		return " (its linker found no such function)"
	case host == "gojs":
		return " (it was built with GOOS=js, not GOOS=wasip1)"
	case strings.HasPrefix(host, "__wbindgen"):
		return " (it was built for browsers)"
	}
	return ""
}

// checkExports returns an error unless the module exports what a job needs.
func checkExports(m wazero.CompiledModule) error {
	has := m.ExportedFunctions()
	i32, i64 := []api.ValueType{api.ValueTypeI32}, []api.ValueType{api.ValueTypeI64}
	for _, f := range []struct {
		name            string
		params, results []api.ValueType
		optional        bool
	}{
		{startFunction, nil, nil, true},
		{bufferFunction, i32, i32, false},
		{mapFunction, i32, i64, false},
		{combineFunction, i32, i64, true},
		{reduceFunction, i32, i64, true},
	} {
		switch d := has[f.name]; {
		case d == nil && f.optional:
		case d == nil && has["_start"] != nil:
			return fmt.Errorf("it exports no function %s, and has a main function that it exports as _start: it was linked as a program, not as a reactor", f.name)
		case d == nil:
			return fmt.Errorf("it exports no function %s", f.name)
		case !slices.Equal(d.ParamTypes(), f.params) || !slices.Equal(d.ResultTypes(), f.results):
			return fmt.Errorf("it exports %s as %s, want %s", f.name, signature(d.ParamTypes(), d.ResultTypes()), signature(f.params, f.results))
		}
	}
	if len(m.ExportedMemories()) != 1 {
		return errors.New("it exports no memory")
	}
	return nil
}

// signature reads "(i32, i32) -> i64".
func signature(params, results []api.ValueType) string {
	list := func(types []api.ValueType) string {
		var names []string
		for _, t := range types {
			names = append(names, api.ValueTypeName(t))
		}
		return strings.Join(names, ", ")
	}
	if len(results) == 0 {
		return "(" + list(params) + ")"
	}
	return "(" + list(params) + ") -> " + list(results)
}

// failure is what a guest has told with mraws.fail.
type failure struct{ text string }

func (f *failure) Error() string { return f.text }

// mostText bounds the text of mraws.fail, in bytes.
const mostText = 16 << 10

// hosts makes the modules whose functions a guest may import: WASI, and log and fail
// of mraws.
func hosts(ctx context.Context, rt wazero.Runtime, logs io.Writer) error {
	text := func(m api.Module, function string, at, n uint32) []byte {
		b, ok := m.Memory().Read(at, n)
		if !ok {
			panic(fmt.Errorf("%s.%s got %d bytes at %d, outside of the memory of %d bytes", hostModule, function, n, at, m.Memory().Size()))
		}
		return b
	}
	_, err := wasi_snapshot_preview1.Instantiate(ctx, rt)
	if err != nil {
		return fmt.Errorf("make the host of WASI: %w", err)
	}
	_, err = rt.NewHostModuleBuilder(hostModule).
		NewFunctionBuilder().WithFunc(func(_ context.Context, m api.Module, at, n uint32) {
		line := text(m, "log", at, n)
		_, _ = logs.Write(append(bytes.TrimSuffix(bytes.Clone(line), []byte{'\n'}), '\n'))
	}).Export("log").
		NewFunctionBuilder().WithFunc(func(_ context.Context, m api.Module, at, n uint32) {
		line := text(m, "fail", at, n)
		panic(&failure{string(line[:min(len(line), mostText)])})
	}).Export("fail").
		Instantiate(ctx)
	if err != nil {
		return fmt.Errorf("make the host of modules: %w", err)
	}
	return nil
}

// config is what an instance of the module can reach: its variables, the folder of
// its files, and what the order allows. Its clock stands at 2022-01-01 and moves with
// each look at it, and its random numbers are always the same, unless allowed
// otherwise. What it writes to standard output goes where its errors go: the output of
// the process is records.
func config(o execrunner.Order, logs io.Writer) (_ wazero.ModuleConfig, done func(), err error) {
	c := wazero.NewModuleConfig().WithName("").WithStartFunctions(startFunction).WithArgs(o.Name).WithStdout(logs).WithStderr(logs)
	for _, v := range o.Env {
		name, value, _ := strings.Cut(v, "=")
		c = c.WithEnv(name, value)
	}
	done = func() {}
	if o.Files != "" {
		root, err := os.OpenRoot(o.Files) // a link to elsewhere leads nowhere
		if err != nil {
			return nil, nil, fmt.Errorf("open the files of the module: %w", err)
		}
		done = func() { _ = root.Close() }
		c = c.WithFSConfig(wazero.NewFSConfig().WithFSMount(root.FS(), "/"))
	}
	if slices.Contains(o.Allow, manifest.AllowClock) {
		c = c.WithSysWalltime().WithSysNanotime().WithSysNanosleep()
	}
	if slices.Contains(o.Allow, manifest.AllowRandom) {
		c = c.WithRandSource(rand.Reader)
	}
	return c, done, nil
}
