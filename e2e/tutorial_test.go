//go:build tutorial

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// docBlock is a block of a document: commands, and the text with which what they
// print ends, if the document shows it.
type docBlock struct {
	line     int // of the document
	commands string
	prints   *string
}

// blocks reads the blocks of a document in Markdown: sh for commands, text for what
// those before it print.
func blocks(t *testing.T, path string) (all []docBlock) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var kind string
	var text strings.Builder
	begin := 0
	for i, line := range strings.Split(string(data), "\n") {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && kind == "":
			kind, begin = fence, i+1
			text.Reset()
		case isFence:
			switch kind {
			case "sh":
				all = append(all, docBlock{line: begin, commands: text.String()})
			case "text":
				prints := text.String()
				all[len(all)-1].prints = &prints
			case "", "go": // an example, of what is printed from run to run or of code
			default:
				t.Errorf("%s:%d: a block of the unknown kind %q", path, begin, kind)
			}
			kind = ""
		case kind != "":
			text.WriteString(line + "\n")
		}
	}
	return all
}

// TestTutorial runs each command of the tutorials, each in one shell as a reader
// would, and compares what it prints with what the document shows.
func TestTutorial(t *testing.T) {
	for document, least := range map[string]int{"tutorial-own-code.md": 15, "tutorial-data.md": 12} {
		t.Run(document, func(t *testing.T) { runTutorial(t, document, least) })
	}
}

// TestReadme runs the first command of the README as it stands there, from the root
// of the repository. The job has to end well and its result has to be verified.
func TestReadme(t *testing.T) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	first := blocks(t, filepath.Join(root, "README.md"))[0]
	if !strings.Contains(first.commands, "--verify") {
		t.Fatalf("line %d has another command: %s", first.line, first.commands)
	}
	c := exec.Command("bash", "-ec", first.commands)
	c.Dir = root
	c.Env = append(os.Environ(), "XDG_DATA_HOME="+t.TempDir())
	out, err := c.CombinedOutput()
	for _, want := range []string{"SUCCEEDED", "structure  ok", "proof      ok", "reference  ok", "seal       ok"} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Fatalf("%v, want %q in\n%s", err, want, out)
		}
	}
}

// runTutorial runs the blocks of a document, of which there are so many at least.
func runTutorial(t *testing.T, document string, least int) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	all := blocks(t, filepath.Join(root, "docs", document))
	if len(all) < least {
		t.Fatalf("only %d blocks are found", len(all))
	}
	var script strings.Builder
	script.WriteString("set -e\n")
	for i, b := range all {
		fmt.Fprintf(&script, "echo '@@ %d'; echo '@@ %d' >&2\n%s", i, b.line, b.commands)
	}
	dir := t.TempDir()
	var out, errs strings.Builder
	c := exec.Command("bash", "-c", script.String())
	c.Dir, c.Stdout, c.Stderr = dir, &out, &errs
	c.Env = append(os.Environ(), "MRAWS="+root, "XDG_DATA_HOME="+dir, "LC_ALL=C")
	if err := c.Run(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out.String(), errs.String())
	}
	printed := regexp.MustCompile(`(?m)^@@ \d+\n`).Split(out.String(), -1)[1:]
	if len(printed) != len(all) {
		t.Fatalf("%d of %d blocks ran:\n%s", len(printed), len(all), errs.String())
	}
	for i, b := range all {
		if b.prints != nil && !strings.HasSuffix(printed[i], *b.prints) {
			t.Errorf("line %d prints\n%sThe document shows at the end\n%s", b.line, printed[i], *b.prints)
		}
	}
}
