package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestCoordinatorStoppedWhileWorkersWait: a signal ends a coordinator at once
// although workers wait for its answers, and they go on with the next one.
func TestCoordinatorStoppedWhileWorkersWait(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	line := []string{"--app", "jobcount", "--app-arg", "stall=1s", "--nreduce", "2"}
	c, _ := b.coordinator(line...)
	w := b.start("worker", "--app", "jobcount", "--slots", "20")
	b.until("all maps have begun", func() bool { return len(b.keys(b.layout.SideDir())) == 8 })
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := b.exit(c); code != 143 {
		t.Errorf("coordinator: exit code %d, want 143", code)
	}
	c, _ = b.coordinator(line...)
	for _, p := range []*process{c, w} {
		if code := b.exit(p); code != 0 {
			t.Errorf("mraws %s: exit code %d", p.name, code)
		}
	}
	if s := b.success(); s.Map.Granted != 0 || s.Map.Lost+s.Map.Failed != 0 {
		t.Errorf("the maps that ran on were run again: %+v", s.Map)
	}
	b.run(0, "verify", "--app", "jobcount")
}

// TestStoppedWorkerHandsBack: what a worker that got SIGTERM does not finish
// in time is given to another at once, and counted neither as lost nor as
// failed.
func TestStoppedWorkerHandsBack(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	c, _ := b.coordinator("--app", "jobcount", "--app-arg", "stall=2s", "--nreduce", "2", "--lease", "1h")
	w := b.start("worker", "--app", "jobcount", "--slots", "2", "--drain-timeout", "100ms")
	b.until("a map has begun", func() bool { return len(b.keys(b.layout.SideDir())) > 0 })
	if err := w.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := b.exit(w); code != 143 {
		t.Errorf("worker: exit code %d, want 143", code)
	}
	if n := b.commits(); n != 0 {
		t.Errorf("%d maps were committed", n)
	}
	again := b.start("worker", "--app", "jobcount")
	for _, p := range []*process{c, again} {
		if code := b.exit(p); code != 0 {
			t.Errorf("mraws %s: exit code %d", p.name, code)
		}
	}
	if s := b.success(); s.Map.Lost+s.Map.Failed != 0 {
		t.Errorf("%+v", s.Map)
	}
	b.run(0, "verify", "--app", "jobcount")
}

// TestRunWithAStoppedWorker: a worker process that stands still keeps neither
// the job nor its end back.
func TestRunWithAStoppedWorker(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	p := b.start("run", "--app", "jobcount", "--app-arg", "stall=500ms", "--processes", "--workers", "2", "--nreduce", "2", "--lease", "1s")
	b.until("a map has begun", func() bool { return len(b.keys(b.layout.SideDir())) > 0 })
	if err := syscall.Kill(child(t, p.Process.Pid), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if code := b.exit(p); code != 0 {
		t.Errorf("run: exit code %d", code)
	}
}

// child returns a child process of pid.
func child(t *testing.T, pid int) int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// "pid (name) state ppid ...", proc_pid_stat(5).
		_, rest, _ := strings.Cut(string(data), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == fmt.Sprint(pid) {
			id, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				t.Fatal(err)
			}
			return id
		}
	}
	t.Fatalf("process %d has no child", pid)
	return 0
}
