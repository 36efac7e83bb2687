package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/testkit/wat"
)

// guestInGo builds examples/wasm/go, and returns the path of the module.
func (b *fixture) guestInGo() string {
	b.t.Helper()
	path := filepath.Join(b.dir, "wc.wasm")
	c := exec.Command("go", "build", "-buildmode=c-shared", "-o", path, ".")
	c.Dir, c.Env = filepath.Join("..", "examples", "wasm", "go"), append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := c.CombinedOutput(); err != nil {
		b.t.Fatalf("build the guest: %v\n%s", err, out)
	}
	return path
}

// TestWasmWordCount: a module counts words as the application does, byte for byte, with
// a coordinator and a worker that know no app.
func TestWasmWordCount(t *testing.T) {
	b := newPlainFixture(t)
	module, books := b.guestInGo(), b.books()
	b.run(0, append([]string{"run", "--app", "wc", "--prefix", newPrefix(), "--nreduce", "3", "--out", "wc"}, books...)...)
	b.run(0, append([]string{"upload-input"}, books...)...)
	c, _ := b.coordinator("--app", module, "--nreduce", "3")
	w := b.start("worker", "--slots", "2")
	b.exits(c, w)
	got := b.outputs()
	for r := range 3 {
		want, err := os.ReadFile(filepath.Join(b.dir, "wc", fmt.Sprintf("mr-out-%d", r)))
		if err != nil || len(want) == 0 {
			t.Fatalf("%d bytes, %v", len(want), err)
		}
		if got[r] != string(want) {
			t.Errorf("output %d differs from that of wc", r)
		}
	}
	b.run(0, "verify")
}

// modules lists the processes of modules that run for a worker.
func modules(t *testing.T, worker int) (pids []int) {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil || !strings.HasSuffix(string(line), "\x00run-module\x00") {
			continue
		}
		stat, err := os.ReadFile(filepath.Join(dir, "stat"))
		fields := strings.Fields(string(stat[max(bytes.LastIndexByte(stat, ')'), 0):]))
		if err != nil || len(fields) < 3 || fields[2] != strconv.Itoa(worker) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// loops is a mapper that never returns.
func loops() []byte {
	return wat.Code(wat.Loop, wat.NoValue, wat.Br, 0, wat.End, wat.Unreachable)
}

// TestWasmKilled: a worker is killed while modules loop in it. None of their processes
// is left, nor the folder of the worker.
func TestWasmKilled(t *testing.T) {
	b := newPlainFixture(t)
	module := b.write("loops.wasm", string(wat.Guest(loops()).Bytes()), 0o644)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	c, _ := b.coordinator("--app", module)
	w := b.start("worker", "--slots", "2")
	var all []int
	b.until("two modules run", func() bool {
		all = modules(t, w.Process.Pid)
		return len(all) == 2
	})
	b.kill(w)
	b.until("the modules of the killed worker are gone", func() bool { return allGone(all) })
	b.until("its directory is gone", func() bool {
		left, err := filepath.Glob(filepath.Join(b.dir, "mraws-exec-*"))
		return err == nil && len(left) == 0
	})
	b.kill(c)
}

// TestWasmHostile: modules that behave badly fail their job with the reason, the
// program goes on to say it, and nothing of them is left.
func TestWasmHostile(t *testing.T) {
	start := wat.Guest(wat.Echo())
	start.Functions = append(start.Functions, wat.Func{Code: loops()[:5]})
	start.Start = 3
	for name, tt := range map[string]struct {
		module *wat.Module
		flags  []string
		want   string
	}{
		"loops":             {wat.Guest(loops()), []string{"--task-timeout", "1s"}, "no progress for 1s"},
		"loops from start":  {start, []string{"--task-timeout", "1s"}, "no progress for 1s"},
		"takes much memory": {wat.Guest(wat.Code(wat.Loop, wat.NoValue, wat.I32Const(1), wat.MemoryGrow, 0, wat.I32Const(1), wat.I32Add, wat.BrIf, 0, wat.End, wat.Unreachable)), []string{"--exec-memory", "128MiB"}, "its memory has 67108864 bytes and may have 67108864"},
		"traps":             {wat.Guest(wat.Code(wat.Unreachable)), nil, "wasm error: unreachable"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newPlainFixture(t)
			module := b.write("bad.wasm", string(tt.module.Bytes()), 0o644)
			input := b.write("in.txt", "a line\n", 0o644)
			_, stderr := b.run(4, append(append([]string{"run", "--max-attempts", "1", "--workers", "1", "--app", module}, tt.flags...), input)...)
			wants(t, stderr, tt.want)
			if left, err := filepath.Glob(filepath.Join(b.dir, "mraws-exec-*")); err != nil || len(left) > 0 {
				t.Errorf("left in scratch: %v, %v", left, err)
			}
		})
	}
}
