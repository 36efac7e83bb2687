package cmd

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mraws/mraws/internal/apps"
	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/manifest"
)

// everyCommand calls do with each command and the words that call it, "" for none.
func everyCommand(do func(words string, c *cobra.Command)) {
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		do(strings.Join(strings.Fields(c.CommandPath())[1:], " "), c)
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk((&frame{printer: newPrinter(IO{}), commandLine: &commandLine{name: "mraws"}, apps: apps.Table(), start: noServer}).root())
}

// called finds the command lines of mraws in a line for a shell.
var called = regexp.MustCompile(`(?:^|[ ('])mraws((?: (?:'[^']*'|[^ ()#;|>&]*[^ ()#;|>&"'])+)*)`)

// TestExamples: each help has examples, with commands and flags that there are, and with
// arguments that these take. What needs nothing runs.
func TestExamples(t *testing.T) {
	clean(t)
	everyCommand(func(words string, _ *cobra.Command) {
		r := execute(t, apps.Table(), append(strings.Fields(words), "--help")...)
		_, text, ok := strings.Cut(r.out, "\nExamples:\n")
		if text, _, _ = strings.Cut(text, "\n\n"); !ok || r.code != ExitOK || strings.TrimSpace(text) == "" {
			t.Errorf("%q: help without examples: %+v", words, r)
			return
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
			found := called.FindAllStringSubmatch(line, -1)
			if !strings.HasPrefix(line, "  ") || len(found) == 0 {
				t.Errorf("%q: the example %q does not call the program", words, line)
			}
			for _, match := range found {
				checkExample(t, match[1])
			}
		}
	})
}

// checkExample checks the words behind mraws of an example.
func checkExample(t *testing.T, line string) {
	t.Helper()
	var args []string
	if line != "" {
		var err error
		if args, err = manifest.SplitCommand(line); err != nil {
			t.Errorf("%q: %v", line, err)
			return
		}
	}
	root := (&frame{printer: newPrinter(IO{}), commandLine: &commandLine{name: "mraws"}, apps: apps.Table(), start: noServer}).root()
	c, rest, err := root.Find(args)
	if err == nil {
		err = c.ParseFlags(rest)
	}
	if err == nil {
		err = c.ValidateArgs(c.Flags().Args())
	}
	if err != nil || c == root && line != "" {
		t.Errorf("mraws%s: %v", line, err)
		return
	}
	switch first := strings.Fields(c.CommandPath() + " x")[1]; {
	case strings.Contains(line, "configs/"):
	case slices.Contains([]string{"apps", "config", "version", "completion", "help"}, first):
		if r := execute(t, apps.Table(), args...); r.code != ExitOK || r.out == "" || r.err != "" {
			t.Errorf("mraws%s: %+v", line, r)
		}
	}
}

// TestHelpShowsWhatApplies: the help of a command has the flags that have an effect on it,
// each in one section, and no others.
func TestHelpShowsWhatApplies(t *testing.T) {
	clean(t)
	only := map[string][]string{ // the commands that have a flag of a group of keys, besides config
		string(config.Job):   {"run", "coordinator", "hadoop"},
		string(config.Serve): {"run", "coordinator"},
		string(config.Net):   {"run", "coordinator", "worker", "status", "s3", "doctor"},
		string(config.Work):  {"run", "worker", "hadoop", "verify", "replay", "doctor"},
		"http":               {"run", "coordinator", "ui"},
		"progress":           {"run", "coordinator", "upload-input", "verify", "reset", "jobs prune"},
		"task-timeout":       {"run", "coordinator", "hadoop", "worker", "verify"},
	}
	alone := []string{"", "apps", "version", "help", "man", "config", "config init", "config schema"} // without a store
	everyCommand(func(words string, c *cobra.Command) {
		shown := map[string]bool{}
		for _, s := range sections(c) {
			s.flags.VisitAll(func(f *pflag.Flag) {
				if shown[f.Name] {
					t.Errorf("%q shows --%s twice", words, f.Name)
				}
				shown[f.Name] = true
			})
		}
		all := words == "config show" || words == "config validate"
		for _, k := range config.Keys() {
			commands, ok := only[k.Name]
			if !ok {
				commands, ok = only[string(k.Group)]
			}
			switch {
			case ok && shown[k.Name] && !all && !slices.Contains(commands, words):
				t.Errorf("%q shows --%s", words, k.Name)
			case all && !shown[k.Name]:
				t.Errorf("%q does not show --%s", words, k.Name)
			case k.Group == config.Common && shown[k.Name] && k.Name != "pager" && (slices.Contains(alone, words) || strings.HasPrefix(words, "completion")):
				t.Errorf("%q shows --%s and needs no store", words, k.Name)
			}
		}
		c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden && !shown[f.Name] {
				t.Errorf("%q does not show its own --%s", words, f.Name)
			}
		})
		r := execute(t, apps.Table(), append(strings.Fields(words), "--help")...)
		for name := range shown {
			if !strings.Contains(r.out, "--"+name+" ") && !strings.Contains(r.out, "--"+name+"\n") {
				t.Errorf("the help of %q lacks --%s", words, name)
			}
		}
	})
}

// TestCommandsAreGrouped: the help of the program shows each command in a group.
func TestCommandsAreGrouped(t *testing.T) {
	clean(t)
	r := execute(t, apps.Table(), "--help")
	if strings.Contains(r.out, "\nCommands:\n") {
		t.Errorf("a command is in no group:\n%s", r.out)
	}
	everyCommand(func(words string, c *cobra.Command) {
		if c.HasParent() && !c.Parent().HasParent() && !strings.Contains(r.out, "\n  "+words+" ") {
			t.Errorf("%s is missing", words)
		}
	})
}
