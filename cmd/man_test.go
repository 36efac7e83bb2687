package cmd

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mraws/mraws/internal/apps"
)

// TestMan: each command has a manual page, with its flags, its examples and all exit
// codes, in requests that man(7) knows.
func TestMan(t *testing.T) {
	clean(t)
	if r := execute(t, apps.Table(), "man", "pages/man1"); r.code != ExitOK || r.out+r.err != "" {
		t.Fatalf("%+v", r)
	}
	known := regexp.MustCompile(`^(\.(TH|SH|SS|TP|PP|nf|fi|br)( .*)?|[^.'].*|)$`)
	everyCommand(func(words string, c *cobra.Command) {
		text, err := os.ReadFile(filepath.Join("pages", "man1", pageName(c)+".1"))
		if err != nil {
			t.Fatal(err)
		}
		page := string(text)
		for _, title := range []string{"NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES", "OPTIONS", "EXIT STATUS", "ENVIRONMENT", "FILES", "SEE ALSO"} {
			if strings.Count(page, "\n.SH "+title+"\n") != 1 {
				t.Errorf("%q has not one section %s", words, title)
			}
		}
		for i, line := range strings.Split(page, "\n") {
			if !known.MatchString(line) {
				t.Errorf("%q, line %d: %q", words, i+1, line)
			}
		}
		if strings.Count(page, "\n.nf\n") != strings.Count(page, "\n.fi\n") {
			t.Errorf("%q does not end what it leaves as it is", words)
		}
		for _, s := range sections(c) {
			s.flags.VisitAll(func(f *pflag.Flag) {
				if !strings.Contains(page, strings.ReplaceAll(`\fB--`+f.Name, "-", `\-`)) {
					t.Errorf("%q lacks --%s", words, f.Name)
				}
			})
		}
		for _, e := range exitCodes() {
			if !strings.Contains(page, "\n\\fB"+strconv.Itoa(e.code)+"\\fR\n") {
				t.Errorf("%q lacks exit code %d", words, e.code)
			}
		}
	})
	for text, want := range map[string]string{".x": `\&.x`, "a\n.b\n'c": "a\n\\&.b\n\\&'c", `\t -o`: `\et \-o`} {
		if got := roffText(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if r := execute(t, nil, "man"); r.code != ExitUsage {
		t.Errorf("%+v", r)
	}
}

// TestExitCodes: the tables of the documents have the exit codes of the program, and a
// test of processes ends with each.
func TestExitCodes(t *testing.T) {
	var want []int
	for _, e := range exitCodes() {
		want = append(want, e.code)
	}
	row := regexp.MustCompile(`(?m)^\| ([0-9]+)(?:, ([0-9]+))? \| `)
	for _, file := range []string{"docs/troubleshooting.md", "docs/operations.md"} {
		text, err := os.ReadFile(filepath.Join(sources, file))
		if err != nil {
			t.Fatal(err)
		}
		_, table, ok := strings.Cut(string(text), "\n| code |")
		if table, _, _ = strings.Cut(table, "\n\n"); !ok {
			t.Errorf("%s has no table of exit codes", file)
		}
		var got []int
		for _, m := range row.FindAllStringSubmatch(table, -1) {
			for _, number := range m[1:] {
				if n, err := strconv.Atoi(number); err == nil {
					got = append(got, n)
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", file, diff)
		}
	}
	scripts, err := filepath.Glob(filepath.Join(sources, "cmd", "testdata", "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var tested strings.Builder
	for _, file := range append(scripts, filepath.Join(sources, "e2e", "cancel_test.go")) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tested.Write(text)
	}
	for _, e := range exitCodes() {
		how := regexp.MustCompile(`(?m)^code ` + strconv.Itoa(e.code) + ` |^stops (INT|TERM) ` + strconv.Itoa(e.code) + ` |code != ` + strconv.Itoa(e.code) + ` `)
		if e.code != ExitOK && !how.MatchString(tested.String()) {
			t.Errorf("no script ends with exit code %d", e.code)
		}
	}
}
