//go:build !interop

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// heavyBinary is e2e/heavy, never with the race detector: what a process
// takes with it says nothing.
var heavyBinary = program("heavy", "/e2e/heavy", func() []string { return nil })

// newHeavyFixture is newFixture with the program that has the heavy applications.
func newHeavyFixture(t *testing.T) *fixture {
	t.Helper()
	return fixtureOf(t, heavyBinary)
}

// inputs uploads objects with these lines, one object for each text.
func (b *fixture) inputs(texts ...string) {
	b.t.Helper()
	args := []string{"upload-input"}
	for i, text := range texts {
		path := filepath.Join(b.dir, fmt.Sprintf("in-%02d", i))
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			b.t.Fatal(err)
		}
		args = append(args, path)
	}
	b.run(0, args...)
}

// peakMemory watches a process and returns the most memory that it has had
// so far, in bytes: VmHWM of proc_pid_status(5), which the kernel keeps. (The
// resource usage of a child that has ended is no measure: the memory of the
// process that forked it counts there.)
func (b *fixture) peakMemory(p *process) func() int64 {
	return b.most(p, func() int64 { return statusKiB(p.Process.Pid, "VmHWM") << 10 })
}

// most calls measure every few milliseconds as long as a process runs, and
// returns the most that it has told so far.
func (b *fixture) most(p *process, measure func() int64) func() int64 {
	var most atomic.Int64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(4 * time.Millisecond)
		defer tick.Stop()
		for {
			most.Store(max(most.Load(), measure()))
			select {
			case <-p.done:
				return
			case <-stop:
				return
			case <-tick.C:
			}
		}
	}()
	b.t.Cleanup(func() { close(stop); <-stopped })
	return most.Load
}

// statusKiB returns a field of /proc/PID/status, 0 if the process has ended.
func statusKiB(pid int, field string) int64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				return 0
			}
			return n
		}
	}
	return 0
}

const mib = 1 << 20

// maxMemory is the promise of docs/operations.md: what a worker of one slot
// takes at most of memory, in bytes, with this budget and largest record.
func maxMemory(budget, largest int64) int64 { return budget/4*5 + 64*mib + 5*largest }

// TestMemoryBudget is rows 9, 41 and 42: a worker of one slot runs jobs of
// many times its budget, of one key with millions of values, of records
// larger than the budget, and stays below what is promised.
func TestMemoryBudget(t *testing.T) {
	million := func(n int) string { return fmt.Sprintf("%d000000 %d000000\n", n, n+1) }
	huge := func(key, value, n int) string {
		var s strings.Builder
		for i := range n {
			fmt.Fprintf(&s, "%d %d %d\n", key, value, i)
		}
		return s.String()
	}
	for _, tt := range []struct {
		name    string
		app     []string
		inputs  []string
		budget  int64 // bytes
		largest int64 // record, bytes
		verify  []string
		output  string // of partition 0; "" is not compared
	}{
		// A million of its pairs are 100 MB.
		{"a hot key", []string{"--app", "hot"}, []string{million(0), "1000000 1400000\n"}, 32 * mib, 0, nil, "hot0 1400000 979999300000\n"},
		{"a hot key, combined", []string{"--app", "hotsum"}, []string{million(0), million(1) + million(2)}, 32 * mib, 0, nil, "hot0 4499998500000\n"},
		{"many keys, combined", []string{"--app", "hotsum", "--app-arg", "keys=2000000"}, []string{million(0) + million(1), million(1)}, 32 * mib, 0, nil, ""},
		{"a line of 10 MiB", []string{"--app", "wc"},
			[]string{strings.Repeat("a line of many words ", 10*mib/21) + "\nend\n", strings.Repeat("word", 10*mib/4) + " end"}, 32 * mib, 10 * mib, []string{"--app", "wc"}, ""},
		{"a value of 100 MiB", []string{"--app", "blob", "--app-arg", "echo=true"}, []string{huge(8, 100*mib, 1), huge(9, mib, 9)}, 64 * mib, 100 * mib, nil, ""},
		{"many values of 32 MiB", []string{"--app", "blob"},
			[]string{huge(8, 32*mib, 6), huge(9, 32*mib, 1), huge(7, 32*mib, 1), huge(6, 32*mib, 1)}, 32 * mib, 32 * mib, nil, ""},
		{"keys of 20 MiB", []string{"--app", "blob"}, []string{huge(20*mib, 8, 4), huge(20*mib+1, 8, 1)}, 32 * mib, 20 * mib, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newHeavyFixture(t)
			b.inputs(tt.inputs...)
			c, address := b.coordinator(append(tt.app, "--nreduce", "1")...)
			w := b.start("worker", "--coord", address, "--app", tt.app[1], "--slots", "1", "--memory", fmt.Sprintf("%dMiB", tt.budget/mib))
			peak := b.peakMemory(w)
			for _, p := range []*process{c, w} {
				if code := b.exit(p); code != 0 {
					t.Fatalf("mraws %s: exit code %d", p.name, code)
				}
			}
			most := maxMemory(tt.budget, tt.largest)
			got := peak()
			t.Logf("at most %d MiB were promised, the worker has taken up to %d MiB", most/mib, got/mib)
			if got > most || got < 20*mib { // less is no measurement
				t.Errorf("the worker has taken up to %d bytes, want at most %d", got, most)
			}
			b.run(0, append([]string{"verify"}, tt.verify...)...)
			if got := b.outputs()[0]; tt.output != "" && got != tt.output {
				t.Errorf("output %q, want %q", got, tt.output)
			}
		})
	}
}
