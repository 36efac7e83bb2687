package e2e

import (
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// newQuits is a fixture of the program whose app quits ends its process at this
// word, in the second of two map tasks.
func newQuits(t *testing.T, word string) *fixture {
	t.Helper()
	b := fixtureOf(t, extraBinary)
	for name, text := range map[string]string{"a": "a b\n", "b": "b " + word + "\n"} {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.run(0, "upload-input", "a", "b")
	return b
}

// TestCodeThatEndsItsProcess: whatever exit code the application chooses, or Go
// for it, the job has failed, with the reason and the task; the same line goes
// on, and so does one with --processes, where another process takes over.
func TestCodeThatEndsItsProcess(t *testing.T) {
	for word, why := range map[string]string{
		"exit0": "the application ended its process with exit code 0",
		"exit2": "the application ended its process with exit code 2",
		"exit3": "the application ended its process with exit code 3",
		"panic": "the Go runtime ended the process of the application: panic: a mapper's own goroutine",
	} {
		t.Run(word, func(t *testing.T) {
			b := newQuits(t, word)
			line := []string{"run", "--app", "quits", "--workers", "1", "--nreduce", "1"}
			stdout, stderr := b.run(4, line...)
			wants(t, stderr, "error: the job failed\n  cause: map task 1: "+why+"\n", " replay map-1 ", "to resume: `", " run --processes --app quits --workers 1 ")
			if stdout != "" {
				t.Errorf("stdout: %s", stdout)
			}
			_, stderr = b.run(4, "replay", "map-1")
			wants(t, stderr, "error: the app failed\n  cause: "+why)
			_, stderr = b.run(4, append(line, "--processes", "--max-attempts", "1", "--lease", "500ms")...)
			wants(t, stderr, "error: the job failed", "worker process died", "map task 1: "+why)
			b.run(0, "reset", "--yes")
			line = append(line, "--app-arg", "once=true")
			if word == "exit2" || word == "exit3" {
				b.run(4, line...)
			} else {
				line = append(line, "--processes", "--lease", "1s")
			}
			b.run(0, line...)
			if d := cmp.Diff(map[string]string{"a": "1", "b": "2", word: "1"}, b.words()); d != "" {
				t.Error(d)
			}
			b.run(0, "verify")
		})
	}
}

// TestVerifyOfCodeThatEndsItsProcess: verify does not pass because the
// application ends it with 0.
func TestVerifyOfCodeThatEndsItsProcess(t *testing.T) {
	b := newQuits(t, "exit0")
	b.run(0, "run", "--app", "quits", "--app-arg", "once=true", "--workers", "1", "--nreduce", "1", "--processes", "--lease", "1s")
	_, stderr := b.run(4, "verify", "--app", "quits")
	wants(t, stderr, "error: the app failed\n  cause: the application ended its process with exit code 0")
}

// TestProcessOfAnApplication: signals reach a job in a process of its own once,
// however they are sent, and neither process outlives the other.
func TestProcessOfAnApplication(t *testing.T) {
	line := []string{"run", "--app", "endless", "--app-arg", "once=true", "--workers", "1", "--nreduce", "1", "--speculation", "off"}
	// begun starts the job, in a process group, and returns when its code hangs.
	begun := func(t *testing.T) (b *fixture, p *process, kid int) {
		t.Helper()
		b = newEndless(t)
		c := exec.Command(b.bin, line...)
		c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		p = b.launch(c, line)
		b.until("the code hangs", func() bool { return len(b.keys(b.layout.SideDir())) > 0 })
		return b, p, child(t, p.Process.Pid)
	}
	send := func(t *testing.T, pid int, sig syscall.Signal) {
		t.Helper()
		if err := syscall.Kill(pid, sig); err != nil {
			t.Fatal(err)
		}
	}
	ended := func(b *fixture, kid int) {
		b.t.Helper()
		b.until("the process of the application has ended", func() bool {
			stat, err := os.ReadFile("/proc/" + strconv.Itoa(kid) + "/stat")
			_, state, _ := strings.Cut(string(stat), ") ")
			return err != nil || strings.HasPrefix(state, "Z")
		})
	}
	for _, to := range []string{"the parent", "the child", "both"} {
		t.Run("SIGTERM to "+to, func(t *testing.T) {
			b, p, kid := begun(t)
			send(t, map[string]int{"the parent": p.Process.Pid, "the child": kid, "both": -p.Process.Pid}[to], syscall.SIGTERM)
			if code := b.exit(p); code != 143 {
				t.Errorf("exit code %d", code)
			}
			if n := strings.Count(p.errout.String(), "committed tasks are kept"); n != 1 { // a second signal ends it without
				t.Errorf("%d reports in:\n%s", n, p.errout.String())
			}
			ended(b, kid)
			b.run(0, line...)
			b.run(0, "verify", "--app", "endless")
		})
	}
	t.Run("the child is killed", func(t *testing.T) {
		b, p, kid := begun(t)
		send(t, kid, syscall.SIGKILL)
		if code := b.exit(p); code != 4 {
			t.Errorf("exit code %d", code)
		}
		wants(t, p.errout.String(), "cause: map task 1: the process of the application was ended by signal: killed\n", "to resume: `")
		b.run(0, line...)
	})
	// A process inherits that SIGHUP is ignored, under nohup say, unless its
	// parent takes it.
	taken := make(chan os.Signal, 1)
	signal.Notify(taken, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(taken) })
	for sig, code := range map[syscall.Signal]int{syscall.SIGKILL: 137, syscall.SIGHUP: 129, syscall.SIGQUIT: 131} {
		t.Run("the parent gets "+sig.String(), func(t *testing.T) {
			b, p, kid := begun(t)
			send(t, p.Process.Pid, sig)
			if got := b.exit(p); got != code {
				t.Errorf("exit code %d, want %d", got, code)
			}
			ended(b, kid)
			b.run(0, line...)
		})
	}
}

// TestStdinOfAnApplication: a job in a process of its own reads the standard
// input, and fetches into a folder of the same working directory.
func TestStdinOfAnApplication(t *testing.T) {
	b := fixtureOf(t, extraBinary)
	args := []string{"run", "--app", "quits", "--nreduce", "1", "--out", "result", "--verify", "-"}
	c := exec.Command(b.bin, args...)
	c.Stdin = strings.NewReader("a whale\na sea\n")
	p := b.launch(c, args)
	if code := b.exit(p); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	data, err := os.ReadFile(filepath.Join(b.dir, "result", "mr-out-0"))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff("a 2\nsea 1\nwhale 1\n", string(data)); d != "" {
		t.Error(d)
	}
	wants(t, p.out.String(), "SUCCEEDED", "check   "+b.bin+" verify --app quits")
}
