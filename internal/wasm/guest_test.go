package wasm

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/runner/execrunner"
	"github.com/mraws/mraws/internal/testkit/wat"
)

// TestBatches: a mapper gets whole lines, at most 64 KiB of them unless one line has
// more, and the same batches however the lines come in.
func TestBatches(t *testing.T) {
	var text strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&text, "line %d\n", i)
	}
	text.WriteString(strings.Repeat("a long line ", 20_000) + "\n" + strings.Repeat("short\n", 1000) + "the last")
	var first []string
	for _, size := range []int{1, 5000, 1 << 20} {
		h, out := newHost(t, wat.Guest(wat.Echo()).Bytes()), new(emitted)
		err := h.run(func(r *execrunner.Host, job *manifest.Job) error {
			return r.Runner(job, lay).Map(h.task(0), &blocks{text: text.String(), size: size}, out)
		})
		if err != nil {
			t.Fatal(err)
		}
		var all strings.Builder
		for _, p := range out.pairs {
			batch := strings.TrimPrefix(p, "|")
			if !strings.HasSuffix(batch, "\n") || len(batch) > batchSize && strings.Count(batch, "\n") != 1 {
				t.Errorf("a batch of %d bytes, %d lines", len(batch), strings.Count(batch, "\n"))
			}
			all.WriteString(batch)
		}
		if all.String() != text.String()+"\n" {
			t.Errorf("batches have %d bytes, want %d", all.Len(), text.Len()+1)
		}
		if first == nil {
			first = out.pairs
		}
		if !slices.Equal(first, out.pairs) {
			t.Errorf("with blocks of %d bytes there are other batches", size)
		}
	}
	if len(first) != 6 {
		t.Errorf("%d batches, want 4 of lines, one of the long line and one behind it", len(first))
	}
}

// record is a record as bytes.
func record(key, value string) string {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(key)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(value)))
	return string(b) + key + value
}

// TestRecords: a reducer gets pairs as records, whole ones in each batch, so does a
// combiner. Without a reducer the output is that of the mapper.
func TestRecords(t *testing.T) {
	lines, err := newHost(t, wat.Guest(wat.Echo()).Bytes()).reduce("a|1", "a|2", "b|"+strings.Repeat("x", 70_000), "c|")
	want(t, []string{strings.Join(lines, "")}, err, record("a", "1")+record("a", "2")+record("b", strings.Repeat("x", 70_000))+record("c", ""))

	var many []string
	for i := range 10_000 {
		many = append(many, fmt.Sprintf("%05d|value", i))
	}
	lines, err = newHost(t, wat.Guest(wat.Echo()).Bytes()).reduce(many...)
	if err != nil || len(lines) < 2 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	for i, l := range lines {
		if wholeRecords([]byte(l), false) != len(l) || len(l) > batchSize {
			t.Errorf("batch %d of %d bytes does not have whole records", i, len(l))
		}
	}

	h := newHost(t, wat.Guest(wat.Echo()).Bytes())
	h.exec.Combiner = reduceFunction
	pairs, err := h.mapText("x\n")
	want(t, pairs, err, "|"+record("", "x\n"))

	h = newHost(t, wat.Guest(wat.Echo()).Bytes())
	h.exec.Reducer = ""
	pairs, err = h.mapText("x\ny")
	want(t, pairs, err, "\x00\x00\x00\x00|x\ny\n")

	h = newHost(t, wat.Guest(wat.Echo()).Bytes())
	h.exec.Whole = manifest.WholeBytes
	pairs, err = h.mapText("no line break\n\nat the end")
	want(t, pairs, err, "|no line break\n\nat the end")
}

// TestEnd: the last call, with no bytes, can write what the guest has held back.
func TestEnd(t *testing.T) {
	m := wat.Guest(wat.Code(wat.LocalGet, 0, wat.If, wat.NoValue, wat.I64Const(0), wat.Return, wat.End, wat.Span(16, 10)))
	m.Data = map[int]string{16: record("k", "v")}
	pairs, err := newHost(t, m.Bytes()).mapText(strings.Repeat("line\n", 50_000))
	want(t, pairs, err, "k|v")
	pairs, err = newHost(t, m.Bytes()).mapText("")
	want(t, pairs, err)
}

// wasi is an import of WASI.
func wasi(name string, params ...byte) wat.Func {
	return wat.Func{Of: "wasi_snapshot_preview1", Name: name, Params: params, Results: []byte{wat.I32}}
}

// told is a mapper that returns, at the end, four bytes which code has left at
// address 64.
func told(code ...any) []byte {
	return wat.Code(wat.LocalGet, 0, wat.If, wat.NoValue, wat.I64Const(0), wat.Return, wat.End, wat.Code(code...),
		wat.I32Const(52), wat.I32Const(0), wat.Word(wat.I32Store), wat.I32Const(56), wat.I32Const(0), wat.Word(wat.I32Store), wat.I32Const(60-4), wat.I32Const(4), wat.Word(wat.I32Store), wat.I32Const(60), wat.I32Const(64), wat.Word(wat.I32Load), wat.Word(wat.I32Store),
		wat.Span(52, 12))
}

// number maps nothing with a module of such a mapper, and returns the number.
func (h *host) number() (uint32, error) {
	pairs, err := h.mapText("x\n")
	if err != nil {
		return 0, err
	}
	if len(pairs) != 1 || len(pairs[0]) != 5 {
		return 0, fmt.Errorf("pairs %q", pairs)
	}
	return binary.LittleEndian.Uint32([]byte(pairs[0][1:])), nil
}

// TestConfined: what a module reaches is its variables, its files and, if allowed, the
// clock and random numbers.
func TestConfined(t *testing.T) {
	guest := func(imports []wat.Func, code ...any) *host {
		m := wat.Guest(told(code...))
		m.Imports = imports
		m.Data = map[int]string{512: "words.txt", 544: "../../../../../../etc/passwd"}
		return newHost(t, m.Bytes())
	}
	number := func(h *host) uint32 {
		t.Helper()
		n, err := h.number()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	clock := func() *host {
		return guest([]wat.Func{wasi("clock_time_get", wat.I32, wat.I64, wat.I32)}, wat.I32Const(0), wat.I64Const(0), wat.I32Const(64), wat.Call, 0, wat.Drop)
	}
	if a, b := number(clock()), number(clock()); a != b {
		t.Errorf("the clock says %d and %d", a, b)
	}
	h := clock()
	h.exec.Module.Allow = []string{manifest.AllowClock}
	if a := number(h); a == number(clock()) {
		t.Errorf("the clock says %d, as it does when it is not allowed", a)
	}
	random := func() *host {
		return guest([]wat.Func{wasi("random_get", wat.I32, wat.I32)}, wat.I32Const(64), wat.I32Const(4), wat.Call, 0, wat.Drop)
	}
	if a, b := number(random()), number(random()); a != b {
		t.Errorf("the random numbers are %d and %d", a, b)
	}
	h = random()
	h.exec.Module.Allow = []string{manifest.AllowRandom}
	if a := number(h); a == number(random()) {
		t.Errorf("the random number is %d, as it is when it is not allowed", a)
	}
	t.Setenv("SECRET", "1")
	vars := guest([]wat.Func{wasi("environ_sizes_get", wat.I32, wat.I32)}, wat.I32Const(64), wat.I32Const(68), wat.Call, 0, wat.Drop)
	if n := number(vars); n != 7 {
		t.Errorf("it sees %d variables, want the 7 of its input", n)
	}
	vars.exec.Env = map[string]string{"A": "1", "B": ""}
	if n := number(vars); n != 9 {
		t.Errorf("it sees %d variables, want 9", n)
	}
	// The folder of its files is number 3, if there is one. badf and noent are 8 and 44
	// of WASI, perm is 63, inval is 28.
	open := func(at, n int32) *host {
		return guest([]wat.Func{wasi("path_open", wat.I32, wat.I32, wat.I32, wat.I32, wat.I32, wat.I64, wat.I64, wat.I32, wat.I32)},
			wat.I32Const(64), wat.I32Const(3), wat.I32Const(0), wat.I32Const(at), wat.I32Const(n), wat.I32Const(0), wat.I64Const(2), wat.I64Const(0), wat.I32Const(0), wat.I32Const(68), wat.Call, 0, wat.Word(wat.I32Store))
	}
	if n := number(open(512, 9)); n != 8 {
		t.Errorf("without files a file is opened with error %d, want 8", n)
	}
	h = open(512, 9)
	h.ship("words.txt", []byte("words"))
	if n := number(h); n != 0 {
		t.Errorf("its file is opened with error %d", n)
	}
	h = open(544, 28)
	h.ship("words.txt", []byte("words"))
	if n := number(h); n == 0 {
		t.Error("it has opened /etc/passwd")
	}
	write := guest([]wat.Func{
		wasi("path_open", wat.I32, wat.I32, wat.I32, wat.I32, wat.I32, wat.I64, wat.I64, wat.I32, wat.I32), wasi("fd_write", wat.I32, wat.I32, wat.I32, wat.I32),
	},
		wat.I32Const(3), wat.I32Const(0), wat.I32Const(512), wat.I32Const(9), wat.I32Const(8 /* truncate */), wat.I64Const(64 /* write */), wat.I64Const(0), wat.I32Const(0), wat.I32Const(68), wat.Call, 0, wat.Drop,
		wat.I32Const(80), wat.I32Const(512), wat.Word(wat.I32Store), wat.I32Const(84), wat.I32Const(4), wat.Word(wat.I32Store),
		wat.I32Const(64), wat.I32Const(68), wat.Word(wat.I32Load), wat.I32Const(80), wat.I32Const(1), wat.I32Const(88), wat.Call, 1, wat.Word(wat.I32Store))
	write.ship("words.txt", []byte("words"))
	if n := number(write); n == 0 {
		t.Error("it has written to its file")
	}
}

// TestLog: what a module logs goes to the log of the attempt, and counters count.
func TestLog(t *testing.T) {
	m := wat.Guest(wat.Code(wat.I32Const(16), wat.I32Const(30), wat.Call, 0, wat.I32Const(64), wat.I32Const(5), wat.Call, 0, wat.I64Const(0)))
	m.Imports = []wat.Func{{Of: "mraws", Name: "log", Params: []byte{wat.I32, wat.I32}}}
	m.Data = map[int]string{16: "reporter:counter:words,many,21", 64: "hello"}
	h := newHost(t, m.Bytes())
	if _, err := h.mapText("x\n"); err != nil {
		t.Fatal(err)
	}
	if h.counts.n["words,many"] != 42 {
		t.Errorf("counters %v", h.counts.n)
	}
	if text := h.side.files["stderr/map-0/e.7"]; text != "hello\nhello\n" {
		t.Errorf("the log is %q of %v", text, h.side.files)
	}
}

// TestHostile: modules that do what they must not fail with the reason.
func TestHostile(t *testing.T) {
	text := func(name string) []wat.Func {
		return []wat.Func{{Of: "mraws", Name: name, Params: []byte{wat.I32, wat.I32}}}
	}
	second := func(code ...any) []byte { // the first batch is well
		return wat.Code(wat.I32Const(32), wat.Word(wat.I32Load), wat.I32Eqz, wat.If, wat.NoValue, wat.I32Const(32), wat.I32Const(1), wat.Word(wat.I32Store), wat.Echo(), wat.Return, wat.End, wat.Code(code...))
	}
	for _, tt := range []struct {
		name   string
		module func() *wat.Module
		want   string
	}{
		{"trap", func() *wat.Module { return wat.Guest(wat.Code(wat.Unreachable)) }, "mraws_map: wasm error: unreachable"},
		{"trap in the middle", func() *wat.Module { return wat.Guest(second(wat.Unreachable)) }, "mraws_map: wasm error: unreachable"},
		{"buffer at -1", func() *wat.Module { m := wat.Guest(wat.Echo()); m.Functions[0].Code = wat.I32Const(-1); return m }, "mraws_buffer(65535) returned 4294967295: a buffer there leaves the memory of 524288 bytes"},
		{"buffer at the end", func() *wat.Module {
			m := wat.Guest(wat.Echo())
			m.Functions[0].Code = wat.I32Const(8<<16 - 1)
			return m
		}, "leaves the memory"},
		{"result at -1", func() *wat.Module { return wat.Guest(wat.I64Const(-1)) }, "mraws_map returned 4294967295 bytes at 4294967295: they leave the memory"},
		{"result behind the memory", func() *wat.Module { return wat.Guest(wat.Span(8<<16-9, 10)) }, "mraws_map returned 10 bytes at 524279: they leave the memory of 524288 bytes"},
		{"result at an address of nothing", func() *wat.Module { return wat.Guest(wat.Span(1<<31, 8)) }, "they leave the memory"},
		{"half a length", func() *wat.Module { return wat.Guest(wat.Span(16, 7)) }, "mraws_map returned 7 bytes of records, and the one at byte 0 goes on behind them: 7 bytes are left"},
		{"a long key", func() *wat.Module {
			m := wat.Guest(wat.Span(16, 20))
			m.Data = map[int]string{16: "\xff\xff\xff\xff\xff\xff\xff\xff"}
			return m
		}, "its key has 4294967295 bytes and its value 4294967295, and 12 bytes are left"},
		{"a record cut off", func() *wat.Module {
			m := wat.Guest(wat.Span(16, 19))
			m.Data = map[int]string{16: record("k", "v") + record("k", "v")}
			return m
		}, "the one at byte 10 goes on behind them"},
		{"a huge record", func() *wat.Module {
			m := wat.Guest(wat.Span(16, 65<<20+8))
			m.Pages, m.Data = 1050, map[int]string{16: "\x00\x00\x00\x00\x00\x00\x10\x04"}
			return m
		}, "more than 67108864"},
		{"much output", func() *wat.Module {
			m := wat.Guest(wat.Span(16, 4<<16))
			m.Data = map[int]string{16: "\x00\x00\x00\x00\xf8\xff\x03\x00"}
			return m
		}, "it has written more than 1000000 bytes"},
		{"recursion", func() *wat.Module { return wat.Guest(wat.Code(wat.LocalGet, 0, wat.Call, 1)) }, "mraws_map: stack overflow"},
		{"trap deep down", func() *wat.Module {
			return wat.Guest(wat.Code(wat.LocalGet, 0, wat.I32Eqz, wat.If, wat.NoValue, wat.Unreachable, wat.End, wat.LocalGet, 0, wat.I32Const(-1), wat.I32Add, wat.Call, 1))
		}, " more lines\n  stderr: module a.wasm: mraws_map: wasm error: unreachable\n  stderr: its memory has 524288 bytes"},
		{"exit", func() *wat.Module {
			m := wat.Guest(wat.Code(wat.I32Const(0), wat.Call, 0, wat.Unreachable))
			m.Imports = []wat.Func{{Of: "wasi_snapshot_preview1", Name: "proc_exit", Params: []byte{wat.I32}}}
			return m
		}, "it called proc_exit(0)"},
		{"start traps", func() *wat.Module {
			m := wat.Guest(wat.Echo())
			m.Functions = append(m.Functions, wat.Func{Code: wat.Code(wat.Unreachable)})
			m.Start = 3
			return m
		}, "it does not start: "},
		{"start exits", func() *wat.Module {
			m := wat.Guest(wat.Echo())
			m.Imports = []wat.Func{{Of: "wasi_snapshot_preview1", Name: "proc_exit", Params: []byte{wat.I32}}}
			m.Functions = append(m.Functions, wat.Func{Code: wat.Code(wat.I32Const(0), wat.Call, 0)})
			m.Start = 4
			return m
		}, "it does not start: it called proc_exit(0)"},
		{"data behind the memory", func() *wat.Module { m := wat.Guest(wat.Echo()); m.Data = map[int]string{8 << 16: "x"}; return m }, "it does not start: "},
		{"fails", func() *wat.Module {
			m := wat.Guest(wat.Code(wat.I32Const(16), wat.I32Const(12), wat.Call, 0, wat.Unreachable))
			m.Imports, m.Data = text("fail"), map[int]string{16: "no such luck"}
			return m
		}, "mraws_map: no such luck"},
		{"fails nowhere", func() *wat.Module {
			m := wat.Guest(wat.Code(wat.I32Const(-1), wat.I32Const(12), wat.Call, 0, wat.Unreachable))
			m.Imports = text("fail")
			return m
		}, "mraws.fail got 12 bytes at 4294967295"},
		{"logs nowhere", func() *wat.Module {
			m := wat.Guest(wat.Code(wat.I32Const(16), wat.I32Const(-1), wat.Call, 0, wat.Unreachable))
			m.Imports = text("log")
			return m
		}, "mraws.log got 4294967295 bytes at 16"},
		{"no function", func() *wat.Module { m := wat.Guest(wat.Echo()); m.Functions[1].Name = ""; return m }, "it exports no function mraws_map"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t, tt.module().Bytes())
			if h.limits.Output = 1_000_000; tt.name == "a huge record" {
				h.limits.Output = 0
			}
			_, err := h.mapText(strings.Repeat("line\n", 100_000))
			var exit *execrunner.ExitError
			if !errors.As(err, &exit) || exit.Role != "mapper" || exit.Line != "a.wasm mraws_map" || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			noChildren(t)
		})
	}
}

// noChildren fails if this process has a child, which all tests have waited for.
func noChildren(t *testing.T) {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Skip("this system does not list the children of a process")
	}
	for _, task := range tasks {
		children, err := os.ReadFile("/proc/self/task/" + task.Name() + "/children")
		if err == nil && len(bytes.TrimSpace(children)) > 0 {
			t.Errorf("left are the processes %s", children)
		}
	}
}

// TestLoop: a module that never returns, from its start or from a call, is killed with
// its attempt, and so is one that does nothing but log.
func TestLoop(t *testing.T) {
	say := wat.Code(wat.I32Const(16), wat.I32Const(22), wat.Call, 0)
	imports := []wat.Func{{Of: "mraws", Name: "log", Params: []byte{wat.I32, wat.I32}}}
	start := wat.Guest(wat.Echo())
	start.Functions = append(start.Functions, wat.Func{Code: wat.Code(say, wat.Loop, wat.NoValue, wat.Br, 0, wat.End)})
	start.Start = 4
	for name, m := range map[string]*wat.Module{
		"map":   wat.Guest(wat.Code(say, wat.Loop, wat.NoValue, wat.Br, 0, wat.End, wat.Unreachable)),
		"log":   wat.Guest(wat.Code(wat.Loop, wat.NoValue, say, wat.Br, 0, wat.End, wat.Unreachable)),
		"start": start,
	} {
		t.Run(name, func(t *testing.T) {
			m.Imports, m.Data = imports, map[int]string{16: "reporter:counter:a,b,1"}
			h := newHost(t, m.Bytes())
			ctx, cancel := context.WithCancelCause(t.Context())
			h.ctx = ctx
			over := errors.New("the task is over")
			h.counts.added = func() { cancel(over) }
			if _, err := h.mapText(strings.Repeat("line\n", 100_000)); !errors.Is(err, over) {
				t.Errorf("%v, want %v", err, over)
			}
			noChildren(t)
		})
	}
}

// TestMemory: the memory of a module ends below that of its process. The end to end
// tests have a process with such a limit.
func TestMemory(t *testing.T) {
	grow := wat.Code(wat.Loop, wat.NoValue, wat.I32Const(1), wat.MemoryGrow, 0, wat.I32Const(1), wat.I32Add, wat.BrIf, 0, wat.End, wat.Unreachable)
	large := wat.Guest(wat.Echo())
	large.Pages = 2000
	for _, tt := range []struct {
		module *wat.Module
		memory int64
		want   string
	}{
		{wat.Guest(grow), 128 << 20, "its memory has 67108864 bytes and may have 67108864"},
		{wat.Guest(grow), 32 << 20, "its memory has 16777216 bytes and may have 16777216"},
		{wat.Guest(grow), 0, "its memory has 4294901760 bytes and may have 4294901760"},
		{large, 128 << 20, "no valid WebAssembly module"},
	} {
		file := filepath.Join(t.TempDir(), "a.wasm")
		if err := os.WriteFile(file, tt.module.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		order, err := json.Marshal(execrunner.Order{Module: file, Name: "a.wasm", Function: mapFunction, Reads: execrunner.Lines, Memory: tt.memory, Cache: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		var out, logs strings.Builder
		if code := Serve(t.Context(), strings.NewReader(string(order)+"\nx\n"), &out, &logs); code != 1 || !strings.Contains(logs.String(), tt.want) || out.Len() > 0 {
			t.Errorf("exit code %d, %q, want %q", code, logs.String(), tt.want)
		}
	}
}

// TestDataLimit: where there is no control group the process of a module starts under
// small limits too.
func TestDataLimit(t *testing.T) {
	const memory = 32 << 20
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("the race detector asks for more")
	}
	file := filepath.Join(t.TempDir(), "a.wasm")
	if err := os.WriteFile(file, wat.Sorter(true).Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	order, err := json.Marshal(execrunner.Order{Module: file, Name: "a.wasm", Function: mapFunction, Reads: execrunner.Lines, Memory: memory, Cache: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	limited := fmt.Sprintf(`ulimit -d %d && exec "$0" %s`, (2*memory+execrunner.ModuleRoom)>>10, childArgument)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", limited, self)
	cmd.Stdin = strings.NewReader(string(order) + "\nb\na\n")
	var logs strings.Builder
	cmd.Stderr = &logs
	if out, err := cmd.Output(); err != nil || len(out) == 0 {
		t.Errorf("%v, %d bytes, %s", err, len(out), logs.String())
	}
}
