package cmd

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/apps"
)

// runOnTerminal runs a command line with stdout on a terminal.
func runOnTerminal(t *testing.T, args ...string) (r result) {
	t.Helper()
	var errs bytes.Buffer
	r.out = strings.ReplaceAll(onTerminal(t, func(tty *os.File) {
		r.code = Execute(t.Context(), "mraws", nil, args, IO{In: strings.NewReader(""), Out: tty, Err: &errs}, apps.Table(), embeddedServer)
	}), "\r\n", "\n")
	r.err = errs.String()
	return r
}

// TestPager: long output on a terminal goes through the pager that is set, and nothing
// else does. Its early end is no error.
func TestPager(t *testing.T) {
	clean(t)
	t.Setenv("TERM", "xterm")
	t.Setenv("PAGER", "sed s/^/paged:/")
	if err := os.WriteFile("in.txt", []byte("a b a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := execute(t, apps.Table(), "run", "--app", "wc", "--name", "first", "--nreduce", "1", "in.txt"); r.code != ExitOK {
		t.Fatalf("%+v", r)
	}
	for _, line := range []string{"help run", "run --help", "jobs", "jobs -o yaml", "events first", "logs all first", "cat first", "apps", "config show", "config init", "config schema"} {
		args := strings.Fields(line)
		if r := runOnTerminal(t, args...); r.code != ExitOK || !strings.HasPrefix(r.out, "paged:") {
			t.Errorf("%s: %+v", line, r)
		}
		if r := runOnTerminal(t, append(args, "--no-pager")...); r.code != ExitOK || strings.Contains(r.out, "paged:") || r.out == "" {
			t.Errorf("%s --no-pager: %+v", line, r)
		}
		if r := execute(t, apps.Table(), args...); r.code != ExitOK || strings.Contains(r.out, "paged:") {
			t.Errorf("%s off a terminal: %+v", line, r)
		}
	}
	for _, line := range []string{"version", "status first", "events first -f", "verify first"} {
		if r := runOnTerminal(t, strings.Fields(line)...); r.code != ExitOK || strings.Contains(r.out, "paged:") {
			t.Errorf("%s: %+v", line, r)
		}
	}
	for _, none := range []struct{ name, value string }{{"PAGER", ""}, {"PAGER", "cat"}, {"MRAWS_PAGER", "never"}, {"TERM", "dumb"}, {"TERM", ""}} {
		t.Run(none.name+"="+none.value, func(t *testing.T) {
			t.Setenv(none.name, none.value)
			for _, line := range []string{"apps", "help"} {
				if r := runOnTerminal(t, line); r.code != ExitOK || strings.Contains(r.out, "paged:") || r.out == "" {
					t.Errorf("%s: %+v", line, r)
				}
			}
		})
	}
}

// TestPagerThatEnds: whatever a pager does, the exit code and the messages are those of
// the command.
func TestPagerThatEnds(t *testing.T) {
	clean(t)
	t.Setenv("TERM", "xterm")
	if err := os.WriteFile("in.txt", bytes.Repeat([]byte("a line of text that is long enough\n"), 50_000), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := execute(t, apps.Table(), "run", "--app", "sort", "--name", "first", "--nreduce", "1", "in.txt"); r.code != ExitOK {
		t.Fatalf("%+v", r)
	}
	for _, c := range []struct {
		pager, line string
		code        int
		out, err    string
	}{
		{"head -1", "cat first -q", ExitOK, "a line of text that is long enough\n", ""}, // 1.7 MB are left
		{"head -1; exit 5", "cat first -q", ExitOK, "a line of text that is long enough\n", ""},
		{"true", "help run", ExitOK, "", ""},
		{"cat >/dev/null; echo end", "cat first", ExitOK, "end\n", "store: "},
		{"cat", "cat none", ExitUsage, "", `there is no job "none"`},
		{"sed s/^/x/", "cat none", ExitUsage, "", `there is no job "none"`},
		{"no-such-pager", "apps", ExitUsage, "", "hint: --no-pager shows the output without one"},
	} {
		t.Setenv("MRAWS_PAGER", c.pager)
		r := runOnTerminal(t, strings.Fields(c.line)...)
		if r.code != c.code || r.out != c.out || !strings.Contains(r.err, c.err) || strings.Contains(r.err, "pipe") {
			t.Errorf("%s with %s: %+v", c.line, c.pager, r)
		}
	}
}
