package cmd

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/apps"
	"github.com/mraws/mraws/mr"
)

// TestCrashLine: what Go printed when it ended a process becomes one line.
func TestCrashLine(t *testing.T) {
	for text, want := range map[string]string{
		"": "",
		"panic: boom\n\ngoroutine 7 [running]:\nmain.f()\n\t/x/panic: no.go:1\n":                                                            "panic: boom",
		"panic: a [recovered]\n\tpanic: b\n\ngoroutine 1 [running]:\n":                                                                      "panic: b",
		"panic: runtime error: invalid memory address\n[signal SIGSEGV: segmentation violation]\n\ngoroutine 1 [running]:\nfatal error: no": "panic: runtime error: invalid memory address",
		"runtime: goroutine stack exceeds 1000000000-byte limit\nfatal error: stack overflow\n\nruntime stack:\n":                           "fatal error: stack overflow",
		"SIGQUIT: quit\nPC=0x1\n\ngoroutine 0":                                                                                              "SIGQUIT: quit",
	} {
		var o outcome
		o.crash.WriteString(text)
		if got := o.crashLine(); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestListen: what a process tells is understood, and what Go prints at its end
// is not taken for it.
func TestListen(t *testing.T) {
	three, zero := 3, 0
	for text, want := range map[string]outcome{
		"":                  {},
		"{\"verdict\":3}\n": {verdict: &three},
		"{\"begun\":\"a\"}\n{\"begun\":\"a\"}\n{\"begun\":\"b\"}\n{\"ended\":\"b\"}\n{\"ended\":\"a\"}\n": {tasks: map[string]int{"a": 1}},
		"{\"place\":{\"local\":true,\"prefix\":\"p\"}}\n{\"verdict\":0}\n":                                {verdict: &zero, place: &jobPlace{Local: true, Prefix: "p"}},
		"panic: of\n\t{\"verdict\":0}\n\ngoroutine 1 [running]:\n":                                        {},
		strings.Repeat("x", 3*crashKept):                                                                  {},
	} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		go func() { defer w.Close(); _, _ = w.WriteString(text) }()
		o := outcome{tasks: map[string]int{}}
		o.listen(r)
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if want.tasks == nil {
			want.tasks = map[string]int{}
		}
		if d := cmp.Diff([]any{want.verdict, want.place, want.tasks}, []any{o.verdict, o.place, o.tasks}); d != "" || o.crash.Len() > crashKept {
			t.Errorf("%.80q: kept %d bytes, %s", text, o.crash.Len(), d)
		}
	}
}

// TestSignalsOfBothWays: a signal that a process gets itself and from its
// parent counts once, in whichever order; a second one counts again.
func TestSignalsOfBothWays(t *testing.T) {
	type step struct {
		passed bool
		signal os.Signal
		counts bool
	}
	const own, passed = false, true
	for name, steps := range map[string][]step{
		"to the parent alone": {{passed, os.Interrupt, true}, {passed, os.Interrupt, true}},
		"to the child alone":  {{own, os.Interrupt, true}, {own, syscall.SIGTERM, true}},
		"to both":             {{own, os.Interrupt, true}, {passed, os.Interrupt, false}, {passed, os.Interrupt, true}, {own, os.Interrupt, false}},
		"of two kinds":        {{own, os.Interrupt, true}, {passed, syscall.SIGTERM, true}, {passed, os.Interrupt, false}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mine, others := make(chan os.Signal), make(chan os.Signal)
				all := make(chan os.Signal, len(steps))
				go join(mine, others, all)
				for i, s := range steps {
					if s.passed {
						others <- s.signal
					} else {
						mine <- s.signal
					}
					synctest.Wait()
					if got := len(all) == 1; got != s.counts || got && <-all != s.signal {
						t.Errorf("step %d: counts: %t, want %t", i, got, s.counts)
					}
				}
				close(mine)
			})
		})
	}
}

// TestNeedsProcess: an app of the program runs in its process; one that is
// another under the same name, and every app of a user, does not.
func TestNeedsProcess(t *testing.T) {
	p := &Process{}
	for _, app := range apps.Table() {
		if p.neededBy(app) {
			t.Errorf("app %s has a process of its own", app.Name)
		}
	}
	for _, app := range []mr.App{{Name: "own"}, {Name: "wc", Help: "my own"}} {
		if !p.neededBy(app) {
			t.Errorf("app %s has no process of its own", app.Name)
		}
		if (*Process)(nil).neededBy(app) || (&Process{to: os.Stderr}).neededBy(app) {
			t.Errorf("app %s has one process too many", app.Name)
		}
	}
}
