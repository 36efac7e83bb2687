package importrules

import (
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

// advice matches what only cmd says to users: a flag, a setting to be changed, or
// a command of mraws in backquotes.
var advice = regexp.MustCompile("(^|[^-\\w])--[a-z]|`mraws |\\b(set|raise|lower) [a-z]+(-[a-z]+)*:|\\b(set|raise|lower) [a-z]+(-[a-z]+)+")

// TestOnlyCmdAdvises: no string of a package below internal/ names a flag, a setting
// to be changed or a command (decision 0063). A library says facts, with fields and kinds from
// which cmd makes advice.
func TestOnlyCmdAdvises(t *testing.T) {
	const root = ".." // internal
	files, strs := token.NewFileSet(), 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(files, path, src, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if startsProgram(n) {
				return false // what another program is told is said to nobody
			}
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Errorf("%s: %v", files.Position(lit.Pos()), err)
			}
			if strs++; advice.MatchString(text) {
				t.Errorf("%s: %q names a flag, a setting or a command, which only cmd does", files.Position(lit.Pos()), text)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if strs < 1000 {
		t.Errorf("only %d strings were checked", strs)
	}
	for text, want := range map[string]bool{
		"start the worker with --app wc": true, "--coord": true, "see `mraws verify`": true, "(--task-timeout)": true,
		"a -- b": false, "-----BEGIN": false, "mraws worker": false, "x--y": false,
	} {
		if advice.MatchString(text) != want {
			t.Errorf("%q is advice: %v, want %v", text, !want, want)
		}
	}
}

// startsProgram says whether it is a call of exec.Command or exec.CommandContext.
func startsProgram(n ast.Node) bool {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return false
	}
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || f.Sel.Name != "Command" && f.Sel.Name != "CommandContext" {
		return false
	}
	from, ok := f.X.(*ast.Ident)
	return ok && from.Name == "exec"
}
