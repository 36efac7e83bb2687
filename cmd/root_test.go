package cmd

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/mr"
)

// result is what a command line did.
type result struct {
	code     int
	out, err string
}

func execute(t *testing.T, apps []mr.App, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	code := Execute(t.Context(), "mraws", nil, args, IO{In: strings.NewReader(""), Out: &out, Err: &errs}, apps, embeddedServer)
	return result{code, out.String(), errs.String()}
}

func testApp(name string) mr.App {
	return mr.App{
		Name: name, Help: "help of " + name,
		NewMapper:  func(*mr.Task) (mr.Mapper, error) { return nil, nil },
		NewReducer: func(*mr.Task) (mr.Reducer, error) { return nil, nil },
	}
}

func TestUsageErrors(t *testing.T) {
	clean(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"nope"}, `unknown command "nope" for "mraws"`},
		{[]string{"confg", "show"}, `did you mean "config"?`},
		{[]string{"config", "shwo"}, `unknown command "shwo" for "mraws config", did you mean "show"?`},
		{[]string{"completion", "bsh"}, `did you mean "bash"?`},
		{[]string{"help", "nope"}, `unknown command "nope"`},
		{[]string{"help", "config", "nope"}, `unknown command "nope" for "mraws config"`},
		{[]string{"--nope"}, "unknown flag: --nope"},
		{[]string{"version", "--nope"}, "unknown flag: --nope"},
		{[]string{"apps", "-z"}, "unknown shorthand flag"},
		{[]string{"apps", "too", "many"}, `unknown command "too"`},
		{[]string{"upload-input"}, "requires at least 1 arg"},
		{[]string{"apps", "-o", "xml"}, "must be one of text, json"},
		{[]string{"apps", "-q", "-v"}, "quiet verbose"},
		{[]string{"config", "show", "--port"}, "flag needs an argument"},
		{[]string{"config", "show", "--port=x"}, "the configuration is not valid\n  cause: port = \"x\" (flag --port)"},
		{[]string{"config", "show", "--config=absent.yaml"}, "absent.yaml"},
		{[]string{"reset"}, "stdin is not a terminal\n  hint: add --yes"},
		{[]string{"upload-input", "absent.txt"}, "absent.txt: no such file"},
		{[]string{"upload-input", "*.absent"}, "nothing matches"},
		{[]string{"s3", "--local=perhaps"}, `invalid argument "perhaps" for --local: it is neither true nor false`},
		{[]string{"run", "--lines-per-task", "x"}, `invalid argument "x" for --lines-per-task: it is no whole number`},
		{[]string{"run", "--lines-per-task", "99999999999999999999"}, "for --lines-per-task: the number is too large"},
		{[]string{"run", "--local", "--app", "wc", "--sort", "-k1", "--key-fields=2"}, "--key-fields: only jobs with --mapper take that\n  hint: --mapper CMD"},
		{[]string{"run", "--local", "--mapper", "cat", "--records", "binary", "--key-fields", "2"}, "where there are records\n  hint: leave out --records, or --key-fields"},
		{[]string{"run", "--local", "--mapper", "cat", "--records", "binary", "--sort", "-k1"}, "in the order of its input\n  hint: leave out --sort, or have reduce tasks"},
		{[]string{"run", "--local", "--mapper", "cat", "--records", "json"}, "must be one of binary"},
		{[]string{"run", "--local", "--mapper", "cat", "--whole-objects", "x"}, "must be one of bytes, path"},
		{[]string{"run", "--local", "--mapper", "cat", "--combiner", "cat"}, "and no reducer\n  hint: give a --reducer too"},
		{[]string{"run", "--local", "--mapper", "cat", "--sort", "-k1", "--partition-fields", "1"}, "hint: give a --reducer, such as --reducer cat, or leave out --partition-fields and --sort"},
		{[]string{"run", "--local", "--mapper", "cat", "--reducer", "cat", "--partition-fields", "2"}, "hint: --key-fields says"},
		{[]string{"run", "--local", "--mapper", "cat", "--key-fields", "-1"}, "a key of -1 fields: it may have 1 to 1000\n  hint: --key-fields 2"},
		{[]string{"run", "--local", "--mapper", "cat", "--field-separator", "\xff\xfe"}, "at most 16 bytes of UTF-8 without a line break\n  hint: give --field-separator"},
		{[]string{"run", "--local", "--mapper", "cat", "--key-field-separator", "a\nb"}, "hint: give --key-field-separator"},
	} {
		r := execute(t, nil, c.args...)
		if r.code != ExitUsage || !strings.HasPrefix(r.err, "mraws: error: ") || !strings.Contains(r.err, c.want) || r.out != "" {
			t.Errorf("%q: code %d, stdout %q, stderr:\n%s", c.args, r.code, r.out, r.err)
		}
		r = execute(t, nil, append(c.args, "-o", "json")...)
		if c.args[0] != "apps" && c.want != "flag needs an argument" && !strings.HasPrefix(r.err, `{"schema":"mraws/error/v1","code":2,"error":"`) {
			t.Errorf("%q -o json: %s", c.args, r.err)
		}
	}
}

func TestHelpIsNoError(t *testing.T) {
	clean(t)
	for _, args := range [][]string{{}, {"--help"}, {"help"}, {"config"}, {"config", "-h"}, {"help", "config", "show"}, {"version", "--help"}, {"completion", "bash"}, {"--version"}} {
		r := execute(t, nil, args...)
		if r.code != ExitOK || r.err != "" || r.out == "" {
			t.Errorf("%q: code %d, stdout %q, stderr %q", args, r.code, r.out, r.err)
		}
	}
}

// Help and what writes configurations must work while the one in force is
// broken.
func TestABrokenConfiguration(t *testing.T) {
	clean(t)
	t.Setenv("MRAWS_PORT", "x")
	for _, args := range [][]string{{"version"}, {"apps"}, {"config", "init"}, {"help"}, {"config", "show", "--help"}} {
		if r := execute(t, nil, args...); r.code != ExitOK || r.err != "" {
			t.Errorf("%q: %+v", args, r)
		}
	}
	if r := execute(t, nil, "config", "validate"); r.code != ExitUsage || !strings.Contains(r.err, "env MRAWS_PORT") {
		t.Errorf("%+v", r)
	}
}

// Every command has a line of help, refuses flags that it does not know, and
// either takes arguments or refuses them.
func TestEveryCommand(t *testing.T) {
	clean(t)
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		path := strings.Fields(c.CommandPath())[1:]
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%q: the line of help is %q", path, c.Short)
		}
		if c.Args == nil && c.Name() != "help" && !strings.ContainsAny(c.Use, "[.") {
			t.Errorf("%q does not say what arguments it takes", path)
		}
		if r := execute(t, nil, append(path, "--no-such-flag")...); r.code != ExitUsage {
			t.Errorf("%q --no-such-flag: code %d", path, r.code)
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk((&frame{printer: newPrinter(IO{}), commandLine: &commandLine{name: "mraws"}, start: noServer}).root())
}

func TestQuietAndVerbose(t *testing.T) {
	clean(t)
	for flag, want := range map[string]string{"-v": "\nlog-level: debug  # flag -v\n", "-q": "\nlog-level: error  # flag -q\n"} {
		if r := execute(t, nil, "config", "show", flag); !strings.Contains(r.out, want) {
			t.Errorf("%s: %+v", flag, r)
		}
	}
	if r := execute(t, nil, "config", "show", "--origin", "-v", "--log-level=trace"); !strings.Contains(r.out, "flag --log-level") {
		t.Errorf("%+v", r)
	}
}

func TestApps(t *testing.T) {
	clean(t)
	app := testApp("one")
	app.Params = []mr.Param{{Name: "pattern", Help: "what to find", Required: true}, {Name: "n", Help: "how many", Default: "3"}}
	r := execute(t, []mr.App{app, testApp("two")}, "apps")
	for _, want := range []string{"one", "help of two", "--app-arg pattern=…  what to find (required)", "how many (default 3)"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("%q is missing in\n%s", want, r.out)
		}
	}
	r = execute(t, []mr.App{app}, "apps", "-o", "json")
	if !strings.Contains(r.out, `"schema": "mraws/apps/v1"`) || !strings.Contains(r.out, `"required": true`) {
		t.Error(r.out)
	}
	if r = execute(t, []mr.App{app, app}, "apps"); r.code != ExitInternal || !strings.Contains(r.err, "name one") {
		t.Errorf("twice: %+v", r)
	}
	if r = execute(t, []mr.App{{Name: "Not valid"}}, "apps"); r.code != ExitInternal || !strings.Contains(r.err, "NewMapper is missing") {
		t.Errorf("not valid: %+v", r)
	}
	table := appTable{app, testApp("two")}
	for name, want := range map[string]string{"": "one, two", "tow": "did you mean two?"} {
		if _, err := table.find(name); err == nil || !strings.Contains(explain(context.Background(), err).Hint, want) {
			t.Errorf("--app %q: %v", name, err)
		}
	}
}

func TestCompletion(t *testing.T) {
	clean(t)
	for want, args := range map[string][]string{
		"upload-input": {""}, "validate": {"config", ""}, "never": {"apps", "--color", ""}, "debug": {"reset", "--log-level", ""},
	} {
		if r := execute(t, nil, append([]string{"__complete"}, args...)...); !strings.Contains(r.out, want) {
			t.Errorf("%q: %+v", args, r)
		}
	}
}
