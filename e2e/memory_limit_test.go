//go:build !interop

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// cgroup makes a control group with a limit of memory, in bytes, and returns
// its folder, "" where this user or system has none to give. The groups of the
// test itself and the topmost ones are tried, of version 2 and 1.
func (b *fixture) cgroup(limit int64) string {
	b.t.Helper()
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		b.t.Fatal(err)
	}
	for line := range strings.Lines(string(own)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		top, file := "/sys/fs/cgroup", "memory.max"
		if f[1] == "memory" {
			top, file = "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
		} else if f[1] != "" {
			continue
		}
		for _, parent := range []string{filepath.Join(top, f[2]), top} {
			dir, err := os.MkdirTemp(parent, "mraws-")
			if err != nil {
				continue
			}
			b.t.Cleanup(func() { os.Remove(dir) }) // its processes have ended
			// Without O_CREATE: /sys/fs/cgroup is an ordinary folder under version 1.
			set, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
			if err != nil {
				continue
			}
			_, err = set.WriteString(strconv.FormatInt(limit, 10))
			if set.Close() == nil && err == nil {
				return dir
			}
		}
	}
	b.t.Log("no control group for a limit of memory can be made here")
	return ""
}

// TestMemoryLimit is row 9: a worker that the system gives no more memory than
// --memory auto asks for does its job, and one with less says so. With a limit
// for a control group the kernel kills whoever exceeds it; with one for data
// segments, which needs no rights, Go ends the process. A job of 140 MB exceeds
// both unless it is held in pieces.
func TestMemoryLimit(t *testing.T) {
	const least = 104 * mib
	grouped := func(b *fixture, limit int64) string {
		if dir := b.cgroup(limit); dir != "" {
			return "echo $$ >" + dir + "/cgroup.procs"
		}
		return ""
	}
	// Of the data segments 80 MB are stacks of threads and tables of Go, most
	// of them not in memory.
	for name, line := range map[string]func(b *fixture) (limit, memory string){
		"control group": func(b *fixture) (string, string) { return grouped(b, least), "auto" },
		"data segments": func(*fixture) (string, string) {
			return fmt.Sprintf("ulimit -s 512 && ulimit -d %d", 192*mib>>10), "32MiB"
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newHeavyFixture(t)
			limit, memory := line(b)
			if limit == "" {
				return
			}
			b.inputs("0 1000000\n", "1000000 1400000\n")
			c, address := b.coordinator("--app", "hot", "--nreduce", "1")
			w := b.under(limit, "worker", "--coord", address, "--app", "hot", "--memory", memory)
			peak := b.peakMemory(w)
			for _, p := range []*process{w, c} {
				if code := b.exit(p); code != 0 {
					t.Fatalf("mraws %s: exit code %d", p.name, code)
				}
			}
			t.Logf("the worker has taken up to %d MiB", peak()/mib)
			if got := peak(); got > least || got < 20*mib {
				t.Errorf("the worker has taken up to %d bytes, want at most %d", got, least)
			}
			if got, want := b.outputs()[0], "hot0 1400000 979999300000\n"; got != want {
				t.Errorf("output %q, want %q", got, want)
			}
			b.run(0, "verify")
		})
	}
	t.Run("too little", func(t *testing.T) {
		b := newHeavyFixture(t)
		if limit := grouped(b, 80*mib); limit != "" {
			w := b.under(limit, "worker", "--app", "hot", "--coord", "127.0.0.1:1")
			if code := b.exit(w); code != 2 {
				t.Errorf("exit code %d", code)
			}
			wants(t, w.errout.String(), "too little memory: /sys/fs/cgroup/", "allows 80MiB, --memory auto needs 104MiB", "hint: raise the limit, or set --memory")
		}
	})
}
