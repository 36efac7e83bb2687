package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// extraBinary is the program with the applications that are there for tests.
var extraBinary = program("extra", "/e2e/program", func() []string {
	if *raced {
		return []string{"-race"}
	}
	return nil
})

// newEndless is a fixture of the program whose app endless meets the word "hang"
// in one of three input objects, each a map task.
func newEndless(t *testing.T) *fixture {
	t.Helper()
	b := fixtureOf(t, extraBinary)
	for name, text := range map[string]string{"a": "a b\n", "b": "b hang\n", "c": "c a\n"} {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.run(0, "upload-input", "a", "b", "c")
	return b
}

// words are the words of all outputs, with their counts.
func (b *fixture) words() map[string]string {
	all := map[string]string{}
	for _, text := range b.outputs() {
		for line := range strings.Lines(text) {
			word, n, _ := strings.Cut(strings.TrimSpace(line), " ")
			all[word] = n
		}
	}
	return all
}

// TestCodeThatHangsOnce: an attempt whose code does not return has failed after
// the task time-out, wherever it hangs; another does the task, also where there
// is one worker only, and the process ends.
func TestCodeThatHangsOnce(t *testing.T) {
	for _, place := range []string{"map", "combine", "reduce"} {
		t.Run(place, func(t *testing.T) {
			b := newEndless(t)
			workers := map[string]string{"map": "1", "combine": "2", "reduce": "2"}[place]
			_, stderr := b.run(0, "run", "--app", "endless", "--app-arg", "place="+place, "--app-arg", "once=true",
				"--nreduce", "2", "--workers", workers, "--speculation", "off", "--task-timeout", "1s")
			wants(t, stderr, "attempt abandoned", "main.forever (endless.go:", "no progress for 1s, the task time-out")
			want := map[string]string{"a": "2", "b": "2", "c": "1", "hang": "1"}
			if d := cmp.Diff(want, b.words()); d != "" {
				t.Error(d)
			}
			if s := b.success(); s.Map.Failed+s.Reduce.Failed != 1 || s.Map.Lost+s.Reduce.Lost != 0 {
				t.Errorf("map %+v, reduce %+v", s.Map, s.Reduce)
			}
		})
	}
}

// TestCodeThatHangsAlways fails the job, with the place in the code.
func TestCodeThatHangsAlways(t *testing.T) {
	b := newEndless(t)
	_, stderr := b.run(4, "run", "--app", "endless", "--nreduce", "2", "--workers", "2", "--task-timeout", "500ms", "--max-attempts", "2")
	wants(t, stderr, "map task 1", "--task-timeout sets", "no progress for 500ms, the task time-out: the application has not returned from main.forever (endless.go:")
	p := b.start("replay", "map-1")
	b.until("the replay says that it waits", func() bool {
		return strings.Contains(p.errout.String(), "waiting for the code of app endless, without a time limit\n")
	})
	if err := p.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := b.exit(p); code != 130 {
		t.Errorf("replay: exit code %d", code)
	}
}

// TestSpeculativeAttemptOfCodeThatHangs: a phase that a speculative attempt ends is over, and the
// process ends beside the attempt that hangs.
func TestSpeculativeAttemptOfCodeThatHangs(t *testing.T) {
	b := newEndless(t)
	b.run(0, "run", "--app", "endless", "--app-arg", "once=true", "--nreduce", "2", "--workers", "2", "--task-timeout", "0")
	if s := b.success(); s.Map.SpeculativeCommitted != 1 {
		t.Errorf("%+v", s.Map)
	}
}

// TestSignalsBesideCodeThatHangs: a signal keeps its time whatever code of the
// application does: the process ends with the signal's code.
func TestSignalsBesideCodeThatHangs(t *testing.T) {
	job := []string{"--app", "endless", "--app-arg", "once=true", "--nreduce", "2", "--speculation", "off"}
	const most = 30 * time.Second // of a busy machine; 2 to 4 s of an idle one
	ends := func(t *testing.T, b *fixture, p *process, sig os.Signal, code int) {
		t.Helper()
		b.until("the code hangs", func() bool { return len(b.keys(b.layout.SideDir())) > 0 })
		start := time.Now()
		if err := p.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		if got := b.exit(p); got != code {
			t.Errorf("exit code %d, want %d", got, code)
		}
		if took := time.Since(start); took > most {
			t.Errorf("it took %v", took)
		}
	}
	for sig, code := range map[os.Signal]int{os.Interrupt: 130, syscall.SIGTERM: 143} {
		t.Run("run, "+sig.String(), func(t *testing.T) {
			b := newEndless(t)
			ends(t, b, b.start(append([]string{"run", "--workers", "2"}, job...)...), sig, code)
		})
		t.Run("worker, "+sig.String(), func(t *testing.T) {
			b := newEndless(t)
			c, _ := b.coordinator(job...)
			ends(t, b, b.start("worker", "--app", "endless", "--slots", "2", "--drain-timeout", "1s"), sig, code)
			b.run(0, "worker", "--app", "endless") // what was released is done by another
			if code := b.exit(c); code != 0 {
				t.Errorf("coordinator: exit code %d", code)
			}
			if s := b.success(); s.Map.Failed+s.Map.Lost != 0 {
				t.Errorf("%+v", s.Map)
			}
		})
	}
	t.Run("worker with a task time-out of its own", func(t *testing.T) {
		b := newEndless(t)
		b.coordinator(job...)
		b.run(0, "worker", "--app", "endless", "--slots", "1", "--task-timeout", "1s")
		if s := b.success(); s.Map.Failed != 1 {
			t.Errorf("%+v", s.Map)
		}
	})
	t.Run("verify", func(t *testing.T) {
		b := newEndless(t)
		b.run(0, append([]string{"run", "--workers", "2", "--app-arg", "place=check", "--task-timeout", "1s"}, job...)...)
		p := b.start("verify", "--app", "endless")
		b.until("verify says that it waits", func() bool {
			return strings.Contains(p.errout.String(), "waiting for the code of app endless, up to 600 s\n")
		})
		if err := p.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if code := b.exit(p); code != 130 {
			t.Errorf("verify: exit code %d", code)
		}
		_, stderr := b.run(1, "verify", "--app", "endless", "--task-timeout", "1s")
		wants(t, stderr, "the code of app endless has made no progress for 1s", "--task-timeout sets this limit; 0 is none")
	})
}
