package wasm

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/runner/execrunner"
	"github.com/mraws/mraws/internal/testkit/wat"
)

// TestInspect: a module is told from what no job can run, with the reason.
func TestInspect(t *testing.T) {
	echo := func(change func(*wat.Module)) []byte {
		m := wat.Guest(wat.Echo())
		if change != nil {
			change(m)
		}
		return m.Bytes()
	}
	for _, tt := range []struct {
		name string
		code []byte
		want string
	}{
		{"a script", []byte("#!/bin/sh\n"), "it is no WebAssembly module"},
		{"nothing", nil, "it is no WebAssembly module"},
		{"a component", []byte("\x00asm\x0d\x00\x01\x00"), "it is a WebAssembly component"},
		{"a version to come", []byte("\x00asm\x02\x00\x00\x00"), "unknown version"},
		{"cut off", echo(nil)[:40], "no valid WebAssembly module"},
		{"wrong code", echo(func(m *wat.Module) { m.Functions[1].Code = wat.Code(wat.I32Const(1)) }), "no valid WebAssembly module"},
		{"much memory", echo(func(m *wat.Module) { m.Pages = 1 << 17 }), "no valid WebAssembly module"},
		{"no mraws_map", echo(func(m *wat.Module) { m.Functions[1].Name = "map" }), "it exports no function mraws_map"},
		{"no mraws_buffer", echo(func(m *wat.Module) { m.Functions[0].Name = "" }), "it exports no function mraws_buffer"},
		{"a program", echo(func(m *wat.Module) { m.Functions[0].Name = "_start" }), "was linked as a program, not as a reactor"},
		{"signature", echo(func(m *wat.Module) {
			m.Functions[1].Params = []byte{wat.I32, wat.I32}
		}), "it exports mraws_map as (i32, i32) -> i64, want (i32) -> i64"},
		{"signature of mraws_reduce", echo(func(m *wat.Module) {
			m.Functions[2].Results, m.Functions[2].Code = []byte{wat.I32}, wat.I32Const(0)
		}), "it exports mraws_reduce as (i32) -> i32, want (i32) -> i64"},
		{"combiner alone", echo(func(m *wat.Module) { m.Functions[2].Name = "mraws_combine" }), "it exports mraws_combine and no mraws_reduce"},
		{"import of nowhere", echo(func(m *wat.Module) { m.Imports = []wat.Func{{Of: "env", Name: "sqrt"}} }), `it imports "sqrt" of "env" (its linker found no such function)`},
		{"import that is not there", echo(func(m *wat.Module) { m.Imports = []wat.Func{{Of: "mraws", Name: "spawn"}} }), `it imports "spawn" of "mraws", which has no such function`},
		{"import as another", echo(func(m *wat.Module) { m.Imports = []wat.Func{{Of: "mraws", Name: "log", Params: []byte{wat.I32}}} }), `it imports "log" of "mraws" as (i32), which is (i32, i32)`},
		{"GOOS=js", echo(func(m *wat.Module) { m.Imports = []wat.Func{{Of: "gojs", Name: "x"}} }), "GOOS=wasip1"},
		{"no memory", (&wat.Module{NoMemory: true, Functions: []wat.Func{
			{Name: "mraws_buffer", Params: []byte{wat.I32}, Results: []byte{wat.I32}, Code: wat.I32Const(0)},
			{Name: "mraws_map", Params: []byte{wat.I32}, Results: []byte{wat.I64}, Code: wat.I64Const(0)},
		}}).Bytes(), "it exports no memory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := inspect(t.Context(), tt.code); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	f, err := inspect(t.Context(), echo(nil))
	if want := (execrunner.Functions{Map: "mraws_map", Reduce: "mraws_reduce"}); err != nil || f != want {
		t.Errorf("%+v, %v", f, err)
	}
	f, err = inspect(t.Context(), echo(func(m *wat.Module) { m.Functions[2].Name = "" }))
	if want := (execrunner.Functions{Map: "mraws_map"}); err != nil || f != want {
		t.Errorf("%+v, %v", f, err)
	}
}

// TestInspectInAProcess: a look at a module runs in a process of its own, since one of a
// few bytes can ask for more memory than there is.
func TestInspectInAProcess(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	look := func(code string) (execrunner.Functions, error) {
		file := filepath.Join(t.TempDir(), "a.wasm")
		if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
		return execrunner.Inspect(t.Context(), []string{self, childArgument}, file)
	}
	const magic = "\x00asm\x01\x00\x00\x00"
	for code, want := range map[string]string{
		"text": "it is no WebAssembly module",
		// A section of imports, exports or functions that says it has 2^32-1 of them.
		magic + "\x02\x05\xff\xff\xff\xff\x0f": "the process that inspects it, in at most 2147483648 bytes of memory, has failed: exit status",
		magic + "\x0a\x05\xff\xff\xff\xff\x0f": "the process that inspects it, in at most 2147483648 bytes of memory, has failed: exit status",
	} {
		if _, err := look(code); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "goroutine") {
			t.Errorf("%q: %v, want %s", code, err, want)
		}
	}
	f, err := look(string(wat.Guest(wat.Echo()).Bytes()))
	if want := (execrunner.Functions{Map: "mraws_map", Reduce: "mraws_reduce"}); err != nil || f != want {
		t.Errorf("%+v, %v", f, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	over := errors.New("interrupted")
	cancel(over)
	if _, err := execrunner.Inspect(ctx, []string{self, childArgument}, "a.wasm"); !errors.Is(err, over) {
		t.Errorf("%v, want %v", err, over)
	}
}
