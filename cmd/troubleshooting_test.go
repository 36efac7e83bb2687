package cmd

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// literals are the texts of the program: its string literals but those of tests.
func literals(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, dir := range []string{"cmd", "internal", "cli", "mr"} {
		err := filepath.WalkDir(filepath.Join("..", dir), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if s, ok := n.(*ast.BasicLit); ok && s.Kind == token.STRING {
					text, _ := strconv.Unquote(s.Value)
					all.WriteString(text + "\n")
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return regexp.MustCompile(`"?%[-+#.0-9]*[a-z]"?`).ReplaceAllString(all.String(), "…")
}

// says tells whether a part of a message is in a text, as a whole or as two parts that
// the program puts together.
func says(said, part string) bool {
	if strings.Contains(said, part) {
		return true
	}
	for i, c := range part {
		if a, b := part[:i], part[i:]; c == ' ' && len(a) > 7 && len(b) > 5 && strings.Contains(said, a) && strings.Contains(said, b) {
			return true
		}
	}
	return false
}

// TestTroubleshooting: the program has each message of docs/troubleshooting.md, and
// the page has each exit code with the meaning that it has here.
func TestTroubleshooting(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	said, doc := literals(t), string(data)
	messages := regexp.MustCompile("(?m)^### `(.*)`$").FindAllStringSubmatch(doc, -1)
	if len(messages) < 40 {
		t.Errorf("the page has only %d messages", len(messages))
	}
	for _, m := range messages {
		for part := range strings.SplitSeq(m[1], "…") {
			if part = strings.Trim(part, ` "`); len(part) > 3 && !says(said, part) {
				t.Errorf("the program never says %q of %q", part, m[1])
			}
		}
	}
	for _, c := range exitCodes() {
		if row := fmt.Sprintf("\n| %d | %s |", c.code, c.text); !strings.Contains(doc, row) {
			t.Errorf("docs/troubleshooting.md has no row %q", row)
		}
	}
}

// TestGlossary: docs/glossary.md has the glossary of docs/ARCHITECTURE.md.
func TestGlossary(t *testing.T) {
	t.Parallel()
	architecture, err := os.ReadFile("../docs/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../docs/glossary.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(architecture), "\n## Glossary\n")
	words, _, found := strings.Cut(rest, "\n## ")
	if want := "# Glossary\n" + strings.TrimRight(words, "\n") + "\n"; !found || string(page) != want {
		t.Errorf("docs/glossary.md is not the section of docs/ARCHITECTURE.md; it should be\n%s", want)
	}
}
