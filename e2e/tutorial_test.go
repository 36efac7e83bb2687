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

// TestTutorial runs each command of docs/tutorial-own-code.md, in one shell as a
// reader would, and compares what it prints with what the document shows.
func TestTutorial(t *testing.T) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	all := blocks(t, filepath.Join(root, "docs", "tutorial-own-code.md"))
	if len(all) < 15 {
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
