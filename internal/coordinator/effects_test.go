package coordinator

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// parse returns the declarations of a file.
func parse(t *testing.T, file string) []ast.Decl {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return f.Decls
}

// TestEffectsAreHandled: the loop has a case for every effect of the scheduler.
func TestEffectsAreHandled(t *testing.T) {
	if d := cmp.Diff(receivers(t, "effect"), cases(t, "loop.go", "step")); d != "" {
		t.Errorf("effects and those that are handled (-there +handled):\n%s", d)
	}
}
