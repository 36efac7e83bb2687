package cmd

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mraws/mraws/internal/apps"
	"github.com/mraws/mraws/mr"
)

// TestMisspelt: a word that is none is named, with the nearest that is one.
func TestMisspelt(t *testing.T) {
	clean(t)
	if err := os.WriteFile("in", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	one := testApp("one")
	one.Params = []mr.Param{{Name: "pattern", Required: true}, {Name: "ignore-case"}}
	for _, tt := range []struct {
		args string
		want string
	}{
		{"rum --app one in", `unknown command "rum" for "mraws", did you mean "run"?`},
		{"--bucket some-bucket rum --app one", `unknown command "rum" for "mraws", did you mean "run"?`},
		{"--app one rum --verify in", `unknown command "rum" for "mraws", did you mean "run"?`},
		{"-q wroker --slots 2", `unknown command "wroker" for "mraws", did you mean "worker"?`},
		{"-o json nope --app one", `unknown command \"nope\" for \"mraws\"`},
		{"config shwo --nreduce 2", `unknown command "shwo" for "mraws config", did you mean "show"?`},
		{"config --nreduce 2 shwo", `unknown command "shwo" for "mraws config", did you mean "show"?`},
		{"config shwo --bogus", `unknown command "shwo" for "mraws config", did you mean "show"?`},
		{"run --nreduces 2 in", "unknown flag: --nreduces, did you mean --nreduce?"},
		{"run --app-args pattern=x in", "unknown flag: --app-args, did you mean --app-arg?"},
		{"worker --coords h:1", "unknown flag: --coords, did you mean --coord?"},
		{"worker --port 1", "unknown flag: --port: a flag of coordinator, run, not of worker"},
		{"coordinator --slots 1", "unknown flag: --slots: a flag of worker, not of coordinator"},
		{"run --app one --app-arg patern=x in", "app one has no parameter patern (known: pattern, ignore-case)\n  hint: did you mean pattern?"},
		{"run --app one --app-arg pattern", `--app-arg "pattern" is not name=value`},
		{"run --app one in", "app one needs parameter pattern"},
		{"coordinator --app one", "app one needs parameter pattern"},
		{"run --app noe in", "did you mean one?"},
		{"verify --app oen", "did you mean one?"},
		{"jobs --older 7d", "unknown flag: --older: a flag of jobs prune, not of jobs"},
		{"--colour never jobs", "unknown flag: --colour, did you mean --color?"},
		{"logs map0", "hint: did you mean map-0?"},
		{"logs al", "hint: did you mean all?"},
		{"replay rdeuce-12", "hint: did you mean reduce-12?"},
		{"hadoop jra", "hint: did you mean jar?"},
		{"run --app one --app-arg pattern=x --format cvs in", "hint: did you mean csv?"},
		{"run --app one --app-arg pattern=x --output-format json --output-columns a,n:itn in", "hint: did you mean int?"},
		{"config schema setings", `did you mean "settings"?`},
		{"completion bsh", `did you mean "bash"?`},
		{"help jobs prnue", `did you mean "prune"?`},
		{"cat --partition=-2", "there is no partition -2\n  hint: partitions are numbered from 0; -1 is all"},
		{"cat --head=-5", "invalid --head -5\n  hint: -1 is all"},
		{"run --app one --app-arg pattern=x --head=-5 in", "invalid --head -5"},
		{"run --app one --app-arg pattern=x --workers=-5 in", "invalid --workers -5"},
	} {
		r := execute(t, []mr.App{one}, strings.Fields(tt.args)...)
		if r.code != ExitUsage || !strings.Contains(r.err, tt.want) || r.out != "" {
			t.Errorf("%s: code %d, stdout %q, want %q in:\n%s", tt.args, r.code, r.out, tt.want, r.err)
		}
	}
}

// TestMisspeltVariable: every command that reads the configuration names the
// variable that was meant for it.
func TestMisspeltVariable(t *testing.T) {
	clean(t)
	t.Setenv("MRAWS_NREDUCES", "2")
	t.Setenv("MRAWS_OF_SOMEBODY_ELSE", "2")
	const warning = "warning: environment variable MRAWS_NREDUCES is unknown, did you mean MRAWS_NREDUCE?\n"
	for _, args := range [][]string{{"status", "--local"}, {"config", "show"}, {"config", "validate"}, {"reset", "--yes", "--local"}} {
		r := execute(t, nil, args...)
		if strings.Count(r.err, warning) != 1 || strings.Contains(r.err, "SOMEBODY") != slices.Contains(args, "validate") {
			t.Errorf("%v: %s", args, r.err)
		}
	}
	if r := execute(t, nil, "config", "show", "-q"); r.err != "" {
		t.Errorf("-q: %s", r.err)
	}
}

// TestHelpOfFlags: the help of a command shows the flags that it heeds, and a
// switch as one that takes no value.
func TestHelpOfFlags(t *testing.T) {
	clean(t)
	for _, tt := range []struct{ args, with, without string }{
		{"worker", "--coord --slots --tls-ca --metrics --bucket --log-level", "--port --listen --advertise --nreduce --lease --progress"},
		{"coordinator", "--port --listen --advertise --nreduce --lease --metrics --bucket --progress", "--coord --slots --scratch --drain-timeout"},
		{"status", "--bucket --json --token-file", "--progress --nreduce --coord"},
		{"s3", "--data-dir --bucket --region --address", "--prefix --endpoint --profile --progress --s3-concurrency"},
		{"apps", "--output", "--bucket --log-level --config --progress"},
		{"version", "--output", "--bucket --data-dir"},
		{"config init", "", "--bucket --output"},
		{"run", "--app --nreduce --bucket --progress --port", "--coord --advertise"},
	} {
		r := execute(t, apps.Table(), append(strings.Fields(tt.args), "--help")...)
		for _, flag := range strings.Fields(tt.with) {
			if !strings.Contains(r.out, flag+" ") {
				t.Errorf("the help of %s lacks %s:\n%s", tt.args, flag, r.out)
			}
		}
		for _, flag := range strings.Fields(tt.without) {
			if strings.Contains(r.out, "  "+flag+" ") {
				t.Errorf("the help of %s has %s:\n%s", tt.args, flag, r.out)
			}
		}
	}
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for name, flag := range flagNames(c) {
			value, usage := pflag.UnquoteUsage(flag)
			if flag.NoOptDefVal == "true" && value != "" {
				t.Errorf("%s --%s looks as if it took a value: %s %s", c.CommandPath(), name, value, usage)
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk((&frame{printer: newPrinter(IO{}), commandLine: &commandLine{name: "mraws"}, apps: apps.Table(), start: noServer}).root())
}
