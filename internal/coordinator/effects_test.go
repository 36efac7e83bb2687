package coordinator

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"testing"
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
	missing := map[string]bool{}
	for _, d := range parse(t, "sched/event.go") {
		if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == "effect" {
			missing[f.Recv.List[0].Type.(*ast.Ident).Name] = true
		}
	}
	if len(missing) < 5 {
		t.Fatalf("the effects are %v", missing)
	}
	for _, d := range parse(t, "loop.go") {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Name.Name != "step" {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if c, ok := n.(*ast.CaseClause); ok {
				for _, e := range c.List {
					if sel, ok := e.(*ast.SelectorExpr); ok {
						delete(missing, sel.Sel.Name)
					}
				}
			}
			return true
		})
	}
	if len(missing) > 0 {
		t.Errorf("the loop does not handle %q", slices.Sorted(maps.Keys(missing)))
	}
}
