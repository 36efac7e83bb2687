//go:build !interop

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mraws/mraws/internal/failpoint"
	"github.com/mraws/mraws/internal/findings"
)

// These jobs are made slow each in one way, by seconds, so that what else slows them on a
// busy machine comes behind.

// explained is what `mraws explain` says.
type explained struct {
	Over     bool
	Seconds  float64
	Findings []struct {
		findings.Finding
		Text, Advice string
	}
}

func (b *fixture) explained() (e explained) {
	b.t.Helper()
	out, _ := b.run(0, "explain", "-o", "json")
	if err := json.Unmarshal([]byte(out), &e); err != nil {
		b.t.Fatalf("%v:\n%s", err, out)
	}
	return e
}

// explains wants the costliest finding to be of a cause, to cost a fifth of the time at
// least, and what people are told of it to have these parts.
func (b *fixture) explains(cause findings.Cause, parts ...string) findings.Finding {
	b.t.Helper()
	e := b.explained()
	text, _ := b.run(0, "explain")
	b.t.Logf("%s", text)
	if len(e.Findings) == 0 || e.Findings[0].Cause != cause {
		log, _ := b.run(0, "events", "-o", "json")
		b.t.Fatalf("found %+v, want %s first\n%s", e.Findings, cause, log)
	}
	f := e.Findings[0]
	if f.Share < findings.Large || f.Seconds > e.Seconds+0.001 || f.Text == "" || f.Advice == "" {
		b.t.Errorf("%+v", f)
	}
	wants(b.t, text, append([]string{"\n1. ", "\n   try: "}, parts...)...)
	return f.Finding
}

// file writes an input file.
func (b *fixture) file(name, text string) string {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return path
}

// after waits until so much time has gone by since now.
func (b *fixture) after(d time.Duration) {
	b.t.Helper()
	began := time.Now()
	b.until(d.String()+" have gone by", func() bool { return time.Since(began) >= d })
}

// TestExplainSkew: one key has nearly all values, there is no combiner, and the reducer
// takes a while for each value.
func TestExplainSkew(t *testing.T) {
	b := newPlainFixture(t)
	var text strings.Builder
	for range 800 {
		text.WriteString("hot\tvalue\n")
	}
	for i := range 40 {
		fmt.Fprintf(&text, "key-%d\tvalue\n", i)
	}
	b.run(0, "run", "--mapper", "cat", "--reducer", "sh -c 'while read -r k v; do sleep 0.01; done'", "--nreduce", "4", "--workers", "2", b.file("in", text.String()))
	f := b.explains(findings.Skew, "skewed key", `Key "hot" has 9`, "a combiner")
	if f.Key != `"hot"` || !strings.HasPrefix(f.Task, "reduce-") {
		t.Errorf("%+v", f)
	}
}

// TestExplainStraggler: a worker stands still for a while in the middle of a task.
func TestExplainStraggler(t *testing.T) {
	b := newPlainFixture(t)
	b.set("MRAWS_LEASE", "60s")
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	c, address := b.coordinator("--nreduce", "1")
	line := []string{"worker", "--coord", address, "--app", "jobcount", "--slots", "1"}
	slow := b.start(line...)
	b.until("it has begun", func() bool { return len(b.keys(b.layout.SideDir())) > 0 })
	if err := slow.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	quick := b.start(line...)
	b.until("the other one has done the rest", func() bool { return b.commits() >= 7 })
	b.after(10 * time.Second)
	if f := b.explains(findings.Straggler, "straggling host", "has run for"); !f.Running {
		t.Errorf("while it stands: %+v", f)
	}
	if err := slow.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	b.exits(c, slow, quick)
	f := b.explains(findings.Straggler, "straggling host", "times as long as usual", "SIGTERM")
	if f.Seconds < 8 || f.Host == "" || f.Factor < 2 {
		t.Errorf("%+v", f)
	}
}

// TestExplainSmallObjects: there are a thousand objects of a few bytes, a task each.
func TestExplainSmallObjects(t *testing.T) {
	b := newPlainFixture(t)
	files := make([]string, 1000)
	for i := range files {
		files[i] = b.file(fmt.Sprintf("f%04d", i), "a few words\n")
	}
	b.run(0, append([]string{"run", "--app", "wc", "--nreduce", "1", "--workers", "2", "--pack", "never"}, files...)...)
	f := b.explains(findings.SmallObjects, "too many small objects", "1,000 objects", "--pack auto")
	if f.Objects != 1000 || f.Each <= 0 {
		t.Errorf("%+v", f)
	}
}

// TestExplainThrottling: the store asks the worker for fewer requests, again and again.
func TestExplainThrottling(t *testing.T) {
	b := newPlainFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	f, proxy := b.through("GetObject *input/* p=0.5 503", "PutObject *intermediate/mr-* p=0.5 503")
	c, address := b.coordinator("--nreduce", "2")
	w := f.start("worker", "--coord", address, "--app", "wc", "--slots", "1")
	b.exits(c, w)
	played(t, proxy)
	found := b.explains(findings.Throttling, "throttling by the store", "--shuffle packed")
	if found.Replies < 8 || found.Attempts < 4 {
		t.Errorf("%+v", found)
	}
}

// TestExplainNoWorkers: the first worker comes late.
func TestExplainNoWorkers(t *testing.T) {
	b := newPlainFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	c, address := b.coordinator("--app", "wc", "--nreduce", "2")
	b.until("the job is planned", func() bool { return len(b.keys(b.layout.Job())) == 1 })
	b.after(10 * time.Second)
	w := b.start("worker", "--coord", address, "--app", "wc", "--slots", "2")
	b.exits(c, w)
	f := b.explains(findings.NoWorkers, "waiting for workers", "there was no slot at all", "mraws worker")
	if f.Idle < 9 {
		t.Errorf("%+v", f)
	}
}

// TestExplainSpills: the memory is small, and the disk stands still for a while.
func TestExplainSpills(t *testing.T) {
	b := fixtureOf(t, armable)
	b.set("MRAWS_LEASE", "60s")
	var text strings.Builder
	for i := range 500_000 {
		fmt.Fprintf(&text, "%08x a line of a file that is to be sorted\n", uint32(i)*2654435761)
	}
	b.run(0, "upload-input", b.file("in", text.String()))
	c, address := b.coordinator("--nreduce", "1")
	armed := *b
	armed.set(failpoint.Variable, "worker.spill.write=stop")
	w := armed.start("worker", "--coord", address, "--app", "sort", "--slots", "1", "--memory", "32MiB")
	b.until("the worker spills", func() bool { return strings.Contains(w.errout.String(), "worker.spill.write") })
	b.after(10 * time.Second)
	if err := w.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	b.exits(c, w)
	f := b.explains(findings.Spills, "too little memory", "did not fit in memory", "--memory ")
	if f.Spills < 2 || f.Spilled < 1<<20 || f.Slots != 1 {
		t.Errorf("%+v", f)
	}
}

// TestExplainIdleSlots: nearly all of the input is one object that cannot be cut, and the
// mapper takes a while for each line.
func TestExplainIdleSlots(t *testing.T) {
	b := newPlainFixture(t)
	lines := func(n int) string {
		var s strings.Builder
		for i := range n {
			fmt.Fprintf(&s, "%08x a line\n", uint32(i)*2654435761)
		}
		return s.String()
	}
	input := []string{b.file("large.gz", string(gzipped(t, lines(800))))}
	for i := range 4 {
		input = append(input, b.file(fmt.Sprintf("small-%d", i), lines(20)))
	}
	b.run(0, append([]string{"run", "--mapper", "sh -c 'while read -r l; do sleep 0.01; echo a; done'", "--reducer", "cat", "--nreduce", "1", "--workers", "2"}, input...)...)
	f := b.explains(findings.IdleSlots, "idle slots", "reads all of large.gz", "bgzip")
	if f.Object != "large.gz" || f.Whole != "gzip" || f.Slots != 2 {
		t.Errorf("%+v", f)
	}
}

// TestExplainHealthy: a job that nothing slows has no such finding, and a job without a
// log has nothing to explain.
func TestExplainHealthy(t *testing.T) {
	b := newPlainFixture(t)
	b.run(0, append([]string{"run", "--app", "wc", "--nreduce", "4", "--workers", "2"}, b.books()...)...)
	for _, f := range b.explained().Findings {
		switch f.Cause { // others are the machine's
		case findings.Skew, findings.SmallObjects, findings.Throttling, findings.Spills, findings.FailedAttempts:
			t.Errorf("%+v", f)
		}
	}
	b.run(0, "reset", "--yes")
	b.run(0, "run", "--app", "wc", "--nreduce", "4", "--workers", "2", "--events=false")
	_, stderr := b.run(2, "explain")
	wants(t, stderr, "has no event log")
}
