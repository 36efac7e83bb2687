package cmd

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mraws/mraws/internal/apps"
	"github.com/mraws/mraws/internal/config"
)

// offered are the words that completion offers for the last of args, without their
// descriptions.
func offered(t *testing.T, args ...string) []string {
	t.Helper()
	r := execute(t, apps.Table(), append([]string{"__complete"}, args...)...)
	if r.code != ExitOK || strings.Count(r.err, "\n") != 1 { // cobra says how it ended
		t.Errorf("%q: %+v", args, r)
	}
	lines := strings.Split(strings.TrimSpace(r.out), "\n")
	words := lines[:len(lines)-1] // the last is the directive
	for i := range words {
		words[i], _, _ = strings.Cut(words[i], "\t")
	}
	return words
}

// TestFlagsWithFewValues: each value of a flag that has few is offered, and of a word
// that is nearly one the error says so.
func TestFlagsWithFewValues(t *testing.T) {
	clean(t)
	keys := map[string]config.Key{}
	for _, k := range config.Keys() {
		keys[k.Name] = k
	}
	seen := map[string]bool{}
	for words, c := range leaves() {
		for name, f := range flagNames(c) {
			choices := flagChoices(f, keys)
			if len(choices) == 0 || !applies(c, name) {
				continue
			}
			if got := offered(t, append(strings.Fields(words), "--"+name, "")...); !slices.Equal(got, choices) {
				t.Errorf("%s --%s offers %q, not %q", words, name, got, choices)
			}
			if seen[name] {
				continue
			}
			seen[name] = true
			line := strings.Fields(words)
			if _, isKey := keys[name]; isKey { // checked with the configuration
				line = []string{"config", "show"}
			}
			for _, choice := range choices {
				r := execute(t, apps.Table(), append(slices.Clone(line), "--"+name, choice+"x")...)
				near := config.Nearest(choice+"x", choices)
				if r.code != ExitUsage || !strings.Contains(r.err, `did you mean "`+near+`"?`) {
					t.Errorf("%s --%s %sx: %+v", words, name, choice, r)
				}
			}
		}
	}
	for _, name := range []string{"output", "color", "log-level", "progress", "pack", "as", "csv-header", "encoding", "records", "sort-values", "whole-objects", "output-format", "output-compression", "state"} {
		if !seen[name] {
			t.Errorf("--%s is no flag with few values", name)
		}
	}
}

// TestFilesAreOfferedForFiles: no flag offers the files of the folder unless its value is
// a file or a command, and no argument unless it is input.
func TestFilesAreOfferedForFiles(t *testing.T) {
	clean(t)
	for words, c := range leaves() {
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			value, _ := pflag.UnquoteUsage(f)
			_, done := c.GetFlagCompletionFunc(f.Name)
			if done = done || f.Annotations[cobra.BashCompSubdirsInDir] != nil; !done && f.NoOptDefVal == "" && !slices.Contains([]string{"file", "command", "INPUT"}, value) {
				t.Errorf("%s --%s %s completes as a file", words, f.Name, value)
			}
		})
		if c.ValidArgsFunction == nil && len(c.ValidArgs) == 0 && words != "run" && words != "upload-input" {
			t.Errorf("the arguments of %s complete as files", words)
		}
	}
}

// TestCompletionIsBounded: a store that does not answer offers nothing, soon and in
// silence, and completion creates neither a data folder nor a bucket.
func TestCompletionIsBounded(t *testing.T) {
	clean(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", "a")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "b")
	began := time.Now()
	if got := offered(t, "status", "--endpoint", "http://"+silent.Addr().String(), "--bucket", "some-bucket", ""); len(got) != 0 {
		t.Errorf("%q", got)
	}
	if took := time.Since(began); took > 20*completing { // a loaded machine is slow
		t.Errorf("it took %v", took)
	}
	if got := offered(t, "status", "--config", "absent.yaml", ""); len(got) != 0 {
		t.Errorf("%q", got)
	}
	dir := t.TempDir()
	t.Setenv("XDG_DATA_HOME", dir)
	if got := offered(t, "status", "--local", ""); len(got) != 0 {
		t.Errorf("%q", got)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("completion has left %v, %v", left, err)
	}
	if r := execute(t, nil, "jobs", "--local"); r.code != ExitOK {
		t.Fatalf("%+v", r)
	}
	if got := offered(t, "status", "--local", "--bucket", "other-bucket", ""); len(got) != 0 {
		t.Errorf("%q", got)
	}
	buckets, err := os.ReadDir(filepath.Join(dir, "mraws", "s3"))
	if err != nil || len(buckets) != 1 {
		t.Errorf("buckets %v, %v", buckets, err)
	}
}

// TestCompletionScripts: the scripts of all shells ask the program, and that of bash
// brings what it needs.
func TestCompletionScripts(t *testing.T) {
	clean(t)
	for shell, want := range map[string][]string{
		"bash": {"__complete", "_get_comp_words_by_ref() {"}, "zsh": {"__complete", "#compdef mraws"}, "fish": {"__complete", "complete -c mraws"}, "powershell": {"__complete", "Register-ArgumentCompleter"},
	} {
		r := execute(t, nil, "completion", shell)
		for _, w := range want {
			if r.code != ExitOK || !strings.Contains(r.out, w) {
				t.Errorf("%s lacks %s: code %d, %s", shell, w, r.code, r.err)
			}
		}
	}
}
