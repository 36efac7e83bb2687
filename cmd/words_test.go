package cmd

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// banned are words and phrases that a user must not read in a message or in a
// document: they are verse, or name no subject, where a plain word exists.
var banned = regexp.MustCompile(`(?i)\bmend(s|ed|ing)?\b|\bdear(er|ly)?\b|\ba (third|fourth|fifth|tenth) as\b|\bgood-?bye\b|\bwithout a word\b` +
	`|\b(stand|stands|stood|standing) still\b|\bis forgotten\b|\bno understanding\b|\bwant it in\b|\bwhere (a|the) job stands\b` +
	`|\bat work\b|\blooks\b|\blook (again|into|once|whether)\b|\banew\b|\bwhoever\b|\bnobody\b|\bsomebody\b|\bin trouble\b` +
	`|\balive, but sick\b|\bheeds?\b|\bas ever\b|\bpassed over\b|\bfails? over (a|the|rubbish)\b|\bgoes on from there\b|\bspeaks of\b`)

// userDocuments are what a user reads.
var userDocuments = []string{
	"README.md", "docs/operations.md", "docs/configuration.md", "docs/events.md", "docs/explain.md", "docs/faults.md", "docs/formats.md", "docs/protocol.md", "docs/own-wasm.md",
	"docs/README.md", "docs/tutorial.md", "docs/concepts.md", "docs/troubleshooting.md", "docs/faq.md",
	"configs/aws.yaml", "configs/laptop.yaml", "configs/minio.yaml",
}

// TestBannedWords: no string of the program and no user document has a banned
// word. The names of tests in a document are not words.
func TestBannedWords(t *testing.T) {
	t.Parallel()
	root := ".."
	read := 0
	for _, name := range userDocuments {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		read++
		for i, line := range strings.Split(string(text), "\n") {
			for _, word := range banned.FindAllString(line, -1) {
				t.Errorf("%s:%d: %q", name, i+1, word)
			}
		}
	}
	for _, dir := range []string{"cmd", "internal", "cli", "mr"} {
		if err := filepath.WalkDir(filepath.Join(root, dir), func(path string, e fs.DirEntry, err error) error {
			if err == nil && path == filepath.Join(root, "internal", "protocol") {
				return fs.SkipDir // its strings are the steps of the model, and no part of the program
			}
			if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			read++
			return bannedIn(t, path)
		}); err != nil {
			t.Fatal(err)
		}
	}
	if read < 100 {
		t.Errorf("only %d files were read", read)
	}
}

// bannedIn reports the banned words in the string literals of a Go file.
func bannedIn(t *testing.T, path string) error {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, 0)
	if err != nil {
		return err
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.BasicLit); ok && s.Kind == token.STRING {
			for _, word := range banned.FindAllString(s.Value, -1) {
				t.Errorf("%v: %q", files.Position(s.Pos()), word)
			}
		}
		return true
	})
	return nil
}
