package cmd

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/layout"
)

func TestGoRun(t *testing.T) {
	for _, tt := range []struct{ argv, parent, want string }{
		{"/tmp/exe/mraws run a b", "go run . run a b", "go run ."},
		{"/tmp/exe/mraws run a b", "/usr/lib/go/bin/go -C dir run -race ./x run a b", "/usr/lib/go/bin/go -C dir run -race ./x"},
		{"/tmp/exe/mraws", "go run .", "go run ."},
		{"/tmp/exe/mraws apps", "go tool mraws apps", "go tool mraws"},
		{"./mraws run a", "bash", ""},
		{"./mraws run a", "gone run . run a", ""},
		{"./mraws run a", "go test ./cmd run a", ""},
		{"./mraws run a", "go run . run b", ""},
		{"./mraws run a", "", ""},
	} {
		got := strings.Join(goRun(strings.Fields(tt.argv), strings.Split(tt.parent, " ")), " ")
		if got != tt.want {
			t.Errorf("%q of %q was started with %q, want %q", tt.argv, tt.parent, got, tt.want)
		}
	}
}

// TestPasted: a program prints lines that start it as it was started.
func TestPasted(t *testing.T) {
	t.Chdir("..")
	dir := t.TempDir()
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	program := filepath.Join(dir, "counts-words")
	if out, err := exec.Command("go", "build", "-o", program, "./examples/wordlen").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	relative, err := filepath.Rel(mustGetwd(t), program)
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(t.TempDir(), "it's here")
	run := func(words ...string) (string, int) {
		c := exec.Command(words[0], words[1:]...)
		out, err := c.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return string(out), c.ProcessState.ExitCode()
	}
	for _, started := range [][]string{{"go", "run", "./examples/wordlen"}, {program}, {relative}, {"counts-words"}} {
		out, code := run(append(started, "reset", "--local", "--data-dir", data, "--prefix", "p")...)
		_, hint, ok := strings.Cut(out, "hint: add --yes: `")
		hint, _, _ = strings.Cut(hint, "`")
		if code == 0 || !ok || !strings.HasPrefix(hint, strings.Join(started, " ")+" reset --yes --local ") {
			t.Fatalf("%q has exit code %d and printed:\n%s", started, code, out)
		}
		if out, code = run("sh", "-c", hint); code != 0 || !strings.Contains(out, "nothing to delete in s3://mapreducedata/p\n") {
			t.Errorf("%s\nhas exit code %d and printed:\n%s", hint, code, out)
		}
	}
}

func mustGetwd(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestLines: what a line names is what was set, and nothing that contradicts
// the store that was chosen.
func TestLines(t *testing.T) {
	for _, tt := range []struct {
		name, flags, env string
		chosen, local    bool
		words, want      string
	}{
		{name: "nothing set", words: "reset --yes", want: "mraws reset --yes"},
		{name: "embedded by default", chosen: true, local: true, words: "reset", want: "mraws reset --local"},
		{name: "a bucket by default", chosen: true, words: "reset", want: "mraws reset --bucket mapreducedata"},
		{name: "not chosen yet", flags: "--local --data-dir=/d", words: "reset", want: "mraws reset --local --data-dir /d"},
		{name: "endpoint of the environment under --local", env: "MRAWS_ENDPOINT=http://h:1", chosen: true, local: true, words: "reset", want: "mraws reset --local"},
		{
			name: "everything", flags: "--bucket=bbb --endpoint=http://h:1 --region=r --profile=p;q --prefix=x/y --insecure", chosen: true,
			words: "coordinator", want: "mraws coordinator --bucket bbb --region r --endpoint http://h:1 --profile 'p;q' --prefix x/y --insecure",
		},
		{name: "no store", flags: "--prefix=x", words: "apps", want: "mraws apps"},
		{name: "help", flags: "--prefix=x", words: "run --help", want: "mraws run --help"},
		{name: "tokens are between coordinator and workers", flags: "--token-file=/t --prefix=x", words: "reset", want: "mraws reset --prefix x"},
		{name: "a token file", flags: "--token-file=/t --prefix=x", words: "status", want: "mraws status --prefix x --token-file /t"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clean(t)
			if name, value, ok := strings.Cut(tt.env, "="); ok {
				t.Setenv(name, value)
			}
			flags := pflag.NewFlagSet("", pflag.ContinueOnError)
			config.AddFlags(flags, config.Names(config.Common, config.Net)...)
			if err := flags.Parse(strings.Fields(tt.flags)); err != nil {
				t.Fatal(err)
			}
			conf, err := config.Load(config.Options{Flags: flags})
			if err != nil {
				t.Fatal(err)
			}
			l := &commandLine{name: "mraws", at: &target{conf: conf, layout: layout.New(conf.Prefix), chosen: tt.chosen, local: tt.local}}
			if got := l.line(strings.Fields(tt.words)...); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if got := l.paste("see `mraws " + tt.words + "` and `aws s3 ls`"); got != "see `"+tt.want+"` and `aws s3 ls`" {
				t.Errorf("in a hint: %s", got)
			}
		})
	}
}

// TestShellQuote: the shell takes every word apart as it was.
func TestShellQuote(t *testing.T) {
	words := []string{"", "a", "a b", "it's", "$HOME", "`id`", "*", "~", "a\nb", `\`, `"`, "#x", "&", "ä", "-n", "\x01"}
	out, err := exec.CommandContext(context.Background(), "sh", "-c", `printf '%s\0' `+quoteAll(words)).Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"); !slices.Equal(got, words) {
		t.Errorf("got %q, want %q", got, words)
	}
}

// TestAgainReplaces: a flag that a hint gives another value is on the line once.
func TestAgainReplaces(t *testing.T) {
	for _, args := range [][]string{
		{"run", "--max-usd", "1", "--app", "wc", "a.txt"}, {"run", "--app", "wc", "--max-usd=1", "a.txt"}, {"run", "--app", "wc", "a.txt"},
	} {
		l := &commandLine{name: "mraws", args: args, at: &target{verb: "run"}}
		if got, want := l.paste(l.again("--max-usd", "2")), "`mraws run --max-usd 2 --app wc a.txt`"; got != want {
			t.Errorf("%q: %s, want %s", args, got, want)
		}
	}
}
