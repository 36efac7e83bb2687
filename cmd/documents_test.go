package cmd

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/mraws/mraws/internal/apps"
	"github.com/mraws/mraws/internal/escape"
)

// sources is the folder of the module, for tests that change theirs.
var sources = func() string {
	dir, err := filepath.Abs("..")
	if err != nil {
		panic(err)
	}
	return dir
}()

// leaves are the commands that do something, by the words that call them.
func leaves() map[string]*cobra.Command {
	all := map[string]*cobra.Command{}
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if !c.HasSubCommands() || c.Name() == "jobs" {
			all[strings.Join(strings.Fields(c.CommandPath())[1:], " ")] = c
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	f := &frame{printer: newPrinter(IO{}), commandLine: &commandLine{name: "mraws"}, apps: apps.Table(), start: noServer}
	walk(f.root())
	return all
}

// TestFormats: each command with -o writes the same document as JSON and as YAML, and as
// lines of JSON each thing of a list on its own.
func TestFormats(t *testing.T) {
	clean(t)
	if err := os.WriteFile("in.txt", []byte("a b a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("jobs.yaml", []byte("steps:\n- {name: words, app: wc, input: in.txt, nreduce: 1}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := []string{"run", "--app", "wc", "--name", "first", "--nreduce", "2", "in.txt"}
	if r := execute(t, apps.Table(), run...); r.code != ExitOK {
		t.Fatalf("%+v", r)
	}
	// What is left out prints data of other forms, or none: its errors are documents.
	// What doctor measures differs between runs (testdata/doctor.txt).
	data := []string{"cat", "trace", "worker", "hadoop", "s3", "doctor"}
	table := map[string][]struct{ args, list string }{ // list is the field that has the things
		"apps":            {{"", "apps"}},
		"version":         {{"", ""}},
		"jobs":            {{"", "jobs"}, {"--state failed", "jobs"}},
		"jobs prune":      {{"--older 0s --dry-run", "jobs"}},
		"status":          {{"first", ""}},
		"cancel":          {{"first", "error"}},
		"events":          {{"first", "-"}},
		"logs":            {{"all first", "attempts"}, {"failed first", "attempts"}},
		"explain":         {{"first", "findings"}},
		"verify":          {{"first --app wc", ""}},
		"replay":          {{"map-0 first", ""}},
		"upload-input":    {{"--dry-run in.txt", "files"}, {"in.txt", ""}},
		"reset":           {{"first --dry-run", "dirs"}},
		"config show":     {{"", "keys"}},
		"config validate": {{"", ""}},
		"run":             {{strings.Join(run[1:], " "), ""}, {"-f jobs.yaml --plan", "jobs"}, {"-f jobs.yaml", "steps"}},
		"coordinator":     {{"--local --prefix first --app wc --nreduce 2 --port 0", ""}},
	}
	for words, c := range leaves() {
		switch rows := table[words]; {
		case slices.Contains(data, words) || !applies(c, "output"):
			if rows != nil {
				t.Errorf("%s: has no documents, but is in the table", words)
			}
		case rows == nil:
			t.Errorf("%s: is not in the table", words)
		default:
			for _, row := range rows {
				compareFormats(t, append(strings.Fields(words), strings.Fields(row.args)...), row.list)
			}
		}
	}
	for _, words := range []string{"cat none", "trace none", "worker --job x --coord-timeout 1ms", "hadoop", "s3 --show-credentials", "status none", "nope"} {
		compareFormats(t, strings.Fields(words), "error")
	}
}

// compareFormats runs a line with each format. list is the field of the document that
// has the things of a list, "" for none, "-" where things are written one after the
// other, and "error" where the document is the error.
func compareFormats(t *testing.T, args []string, list string) {
	t.Helper()
	written := func(format string) string {
		t.Helper()
		r := execute(t, apps.Table(), append(slices.Clone(args), "-q", "-o", format)...)
		if (r.code == ExitOK) != (list != "error") || list == "error" && r.out != "" || list != "error" && r.err != "" {
			t.Fatalf("%q -o %s: %+v", args, format, r)
		}
		return r.out + r.err
	}
	decode := func(next func(any) error) (docs []any) {
		t.Helper()
		for {
			var v any
			err := next(&v)
			if errors.Is(err, io.EOF) {
				return docs
			}
			if err != nil {
				t.Fatalf("%q: %v", args, err)
			}
			docs = append(docs, v)
		}
	}
	execute(t, apps.Table(), args...) // what is done once is done
	plain := decode(json.NewDecoder(strings.NewReader(written("json"))).Decode)
	inYAML := decode(yaml.NewDecoder(strings.NewReader(written("yaml"))).Decode)
	text := written("jsonl")
	lines := decode(json.NewDecoder(strings.NewReader(text)).Decode)
	if strings.Count(text, "\n") != len(lines) {
		t.Errorf("%q: %d lines of %d documents", args, strings.Count(text, "\n"), len(lines))
	}
	if diff := cmp.Diff(steady(plain), steady(inYAML)); diff != "" || len(plain) == 0 {
		t.Errorf("%q: JSON and YAML:\n%s", args, diff)
	}
	operations, err := os.ReadFile(filepath.Join(sources, "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	if schema, _ := plain[0].(map[string]any)["schema"].(string); !strings.Contains(string(operations), schema) || schema == "" {
		t.Errorf("%q: docs/operations.md has no schema %q", args, schema)
	}
	want := plain
	if list != "" && list != "-" && list != "error" {
		want, _ = plain[0].(map[string]any)[list].([]any)
	}
	if diff := cmp.Diff(steady(want), steady(lines)); diff != "" && len(want)+len(lines) > 0 {
		t.Errorf("%q: JSON and lines of JSON:\n%s", args, diff)
	}
}

// steady is a document in one form: numbers as float64, and without what differs between
// two runs of a command.
func steady(v any) any {
	switch v := v.(type) {
	case []any:
		all := make([]any, len(v))
		for i := range v {
			all[i] = steady(v[i])
		}
		return all
	case map[string]any:
		all := map[string]any{}
		for name := range v {
			switch name {
			case "seconds", "age_seconds", "origin", "value": // -o itself is none of the keys, but -q is
			default:
				all[name] = steady(v[name])
			}
		}
		return all
	case int:
		return float64(v)
	}
	return v
}

// TestYAML: any text comes through YAML as it does through JSON, and on a terminal too.
func TestYAML(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := map[string]any{}
		for _, text := range rapid.SliceOf(rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
			"", "\x7f", "\u2028", "\ufeff", "\uffff", "yes", "null", "~", "1e3", "0x1", "2026-01-02", "- a", "a: b", "a\r\nb", "a\n b\n", " a", "\x1b[1m", "\u202e", "#", "{{", "\t",
		}))).Draw(t, "texts") {
			want[strings.ToValidUTF8(text, "?")] = []any{strings.ToValidUTF8(text, "?"), true, nil, map[string]any{}}
		}
		b, err := encodeDoc(formatYAML, want)
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := yaml.Unmarshal([]byte(escape.Lines(string(b))), &got); err != nil {
			t.Fatalf("%v in\n%s", err, b)
		}
		if len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("%s\n%s", cmp.Diff(want, got), b)
		}
	})
}
