package main

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mraws/mraws/mr"
	"github.com/mraws/mraws/mr/mrtest"
)

// want has the output of each application for these files of testdata, sorted.
var want = map[string]struct {
	files string
	args  map[string]string
	lines []string
}{
	"wordcount": {"moon.txt sea.txt", nil, []string{"and 1", "man 1", "moon 1", "old 1", "sea 1", "the 3"}},
	"index": {"moon.txt sea.txt", nil, []string{
		"and 1 sea.txt", "man 1 sea.txt", "moon 1 moon.txt", "old 1 sea.txt", "sea 1 sea.txt", "the 2 moon.txt,sea.txt",
	}},
	"sessions": {"events.txt", map[string]string{"gap": "30m"}, []string{"ann 1000 60 2", "ann 4860 140 2", "bob 100 1800 2"}},
	"join":     {"customers.txt orders.txt", nil, []string{"7 Ann ink", "8 Bob nib", "8 Bob pen"}},
	"topk":     {"scores.txt", nil, []string{"top old man 2", "top sea 2", "top the 3"}},
	"changes":  {"readings.txt", nil, []string{"t1\t0000000005 12 +0", "t1\t0000000020 15 +3", "t1\t0000000100 9 -6", "t2\t0000000010 3 +0"}},
	"distinct": {"moon.txt sea.txt moon.txt", nil, []string{"and the sea", "the moon", "the old man"}},
	"histogram": {"numbers.txt", map[string]string{"width": "10"}, []string{
		"000000000 2", "000000010 2", "000000020 1", "000000100 1",
	}},
	"keywords": {"moon.txt sea.txt", nil, []string{"man 1", "moon 1", "old 1", "sea 1"}},
}

// TestPatterns runs each application in memory.
func TestPatterns(t *testing.T) {
	for _, app := range table() {
		w := want[app.Name]
		inputs := map[string]string{}
		for _, name := range strings.Fields(w.files) {
			text, err := os.ReadFile(filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			inputs[name] += string(text)
		}
		res, err := mrtest.Job{App: app, NReduce: 3, Params: w.args, Inputs: inputs, Files: os.DirFS("testdata")}.Run(t.Context())
		if err != nil {
			t.Errorf("%s: %v", app.Name, err)
		} else if got := res.Lines(); !app.Ordered && !slices.Equal(got, w.lines) || app.Ordered && !sameLines(res, w.lines) {
			t.Errorf("%s: got %q, want %q", app.Name, got, w.lines)
		}
		if n := res.Counters["lines without a partner"]; app.Name == "join" && n != 2 {
			t.Errorf("%d lines without a partner, want 2", n)
		}
	}
}

// sameLines reports whether the outputs one after the other are these lines.
func sameLines(res mrtest.Result, lines []string) bool {
	return strings.Join(res.Partitions, "") == strings.Join(lines, "\n")+"\n"
}

// TestBadLines: a line of another form fails the attempt and is named.
func TestBadLines(t *testing.T) {
	apps := map[string]mr.App{}
	for _, app := range table() {
		apps[app.Name] = app
	}
	for name, line := range map[string]string{"sessions": "ann", "join": "7", "topk": "the", "changes": "t1 5", "histogram": "x"} {
		_, err := mrtest.Job{App: apps[name], Inputs: map[string]string{"a": line + "\n"}}.Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), "record at byte 0 of a") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, width := range []string{"0", "-1", "x"} {
		if _, err := apps["histogram"].Resolve(map[string]string{"width": width}); err == nil {
			t.Errorf("a width of %s is taken", width)
		}
	}
	if _, err := (scores{}).Parse(scores{}.Append(nil, []score{{"item", 1}})[:11]); err == nil {
		t.Error("half a list of scores is taken")
	}
}

// asProgram in the environment lets the test binary be the program.
const asProgram = "PATTERNS_IS_THE_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// TestDocumentedLines runs the command lines of docs/own-go.md over the embedded
// server, with --verify, and checks their output.
func TestDocumentedLines(t *testing.T) {
	text, err := os.ReadFile("../../docs/own-go.md")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "examples/patterns/testdata"), os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	missing := maps.Clone(want)
	for _, m := range regexp.MustCompile(`(?m)^go run \./examples/patterns run (.*--app (\w+) .*)$`).FindAllStringSubmatch(string(text), -1) {
		args, _, _ := strings.Cut(m[1], "#")
		name := m[2]
		delete(missing, name)
		words := strings.Fields(args)
		for i, word := range words {
			words[i] = strings.Trim(word, `'`)
		}
		run := exec.CommandContext(t.Context(), program, append([]string{"run", "--verify", "--out", name}, words...)...)
		run.Dir = dir
		run.Env = append(os.Environ(), asProgram+"=1", "XDG_DATA_HOME="+filepath.Join(dir, ".data"), "XDG_CONFIG_HOME="+dir)
		if out, err := run.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", m[0], err, out)
			continue
		}
		parts, err := filepath.Glob(filepath.Join(dir, name, "mr-out-*"))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, part := range parts {
			content, err := os.ReadFile(part)
			if err != nil {
				t.Fatal(err)
			}
			got = slices.AppendSeq(got, strings.Lines(string(content)))
		}
		slices.Sort(got)
		if wanted := strings.Join(want[name].lines, "\n") + "\n"; strings.Join(got, "") != wanted {
			t.Errorf("%s: got %q, want %q", m[0], got, wanted)
		}
	}
	for name := range missing {
		t.Errorf("docs/own-go.md shows no line for %s", name)
	}
}
