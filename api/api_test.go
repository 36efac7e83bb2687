// Package api tests that programs written for the last release still compile:
// the exported API of the public packages has each feature that *.txt lists, a
// line for each. Before the first release the files hold what was agreed on.
//
// What a program cannot notice, such as the name of a parameter, is not in a
// line. What a release adds is in the files once `go test ./api -update` has
// written them, which is part of each release.
package api

import (
	"flag"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the API as it is, for a release")

const module = "github.com/mraws/mraws/"

// public lists the packages whose API is promised, below the module.
var public = []string{"mr", "mr/mrtest", "cli", "cli/embedded", "cli/wasm", "cli/parquet"}

// accepted is the file with the lines that may be missing.
const accepted = "accepted.txt"

const advice = `This breaks programs that were written for the last release. If that is meant,
add each line to api/accepted.txt below a comment that says why, and tell of it
in CHANGELOG.md.`

func TestAPI(t *testing.T) {
	except := readLines(t, accepted)
	used := map[string]bool{}
	for name, pkg := range load(t) {
		file := strings.ReplaceAll(name, "/", "-") + ".txt"
		have := features(pkg)
		if *update {
			if err := os.WriteFile(file, []byte(strings.Join(have, "\n")+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		gone, added := compare(readLines(t, file), have)
		for _, line := range gone {
			if line = name + ": " + line; !slices.Contains(except, line) {
				t.Errorf("no longer in the API: %s", line)
			}
			used[line] = true
		}
		for _, line := range added {
			t.Logf("new in the API: %s: %s", name, line)
		}
	}
	if t.Failed() {
		t.Log(advice)
	}
	for _, line := range except {
		if !used[line] && !*update {
			t.Errorf("api/%s lists what is not missing: %s", accepted, line)
		}
	}
	if *update && len(except) > 0 {
		t.Errorf("remove the lines of api/%s: they were those of the release before", accepted)
	}
}

// compare returns the lines of before that have does not have, and those that
// only have has.
func compare(before, have []string) (gone, added []string) {
	for _, line := range before {
		if !slices.Contains(have, line) {
			gone = append(gone, line)
		}
	}
	for _, line := range have {
		if !slices.Contains(before, line) {
			added = append(added, line)
		}
	}
	return gone, added
}

// readLines returns the lines of a file, without empty ones and comments.
func readLines(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !*update {
		t.Fatal(err)
	}
	return slices.DeleteFunc(strings.Split(string(text), "\n"), func(line string) bool {
		return line == "" || strings.HasPrefix(line, "#")
	})
}

// load returns the types of the public packages, from what the compiler exports.
func load(t *testing.T) map[string]*types.Package {
	t.Helper()
	args := []string{"list", "-export", "-deps", "-f", "{{if .Export}}{{.ImportPath}}={{.Export}}{{end}}"}
	for _, name := range public {
		args = append(args, module+name)
	}
	list := exec.CommandContext(t.Context(), "go", args...)
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "=")
		files[path] = file
	}
	from := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) { return os.Open(files[path]) })
	pkgs := map[string]*types.Package{}
	for _, name := range public {
		if pkgs[name], err = from.Import(module + name); err != nil {
			t.Fatal(err)
		}
	}
	return pkgs
}

// features returns the lines of a package, sorted.
func features(pkg *types.Package) []string {
	p := printer{types.RelativeTo(pkg)}
	var lines []string
	for _, name := range pkg.Scope().Names() {
		if ast.IsExported(name) {
			lines = append(lines, p.object(pkg.Scope().Lookup(name))...)
		}
	}
	slices.Sort(lines)
	return lines
}

type printer struct{ q types.Qualifier }

// object returns the lines of an exported object.
func (p printer) object(o types.Object) []string {
	switch o := o.(type) {
	case *types.Const:
		return []string{fmt.Sprintf("const %s %s = %s", o.Name(), p.text(o.Type()), o.Val())}
	case *types.Var:
		return []string{fmt.Sprintf("var %s %s", o.Name(), p.text(o.Type()))}
	case *types.Func:
		return []string{"func " + o.Name() + p.signature(o.Signature())}
	case *types.TypeName:
		if o.IsAlias() {
			return []string{fmt.Sprintf("type %s = %s", o.Name(), p.text(types.Unalias(o.Type())))}
		}
		return p.named(o.Type().(*types.Named))
	}
	return []string{o.String()}
}

// named returns the lines of a type: its kind, its exported fields and methods.
// An interface is one line, since each new method breaks who implements it.
func (p printer) named(n *types.Named) []string {
	name := n.Obj().Name() + p.params(n.TypeParams())
	var lines []string
	switch u := n.Underlying().(type) {
	case *types.Struct:
		lines = append(lines, "type "+name+" struct")
		for f := range u.Fields() {
			if f.Exported() {
				lines = append(lines, fmt.Sprintf("type %s struct, %s %s", name, f.Name(), p.text(f.Type())))
			}
		}
	case *types.Interface:
		var methods []string
		for m := range u.Methods() {
			methods = append(methods, m.Name()+p.signature(m.Signature()))
		}
		slices.Sort(methods)
		lines = append(lines, "type "+name+" interface { "+strings.Join(methods, "; ")+" }")
	default:
		lines = append(lines, "type "+name+" "+p.text(u))
	}
	for m := range n.Methods() {
		if m.Exported() {
			lines = append(lines, fmt.Sprintf("method (%s) %s%s", p.text(m.Signature().Recv().Type()), m.Name(), p.signature(m.Signature())))
		}
	}
	return lines
}

// text is a type without the names of parameters.
func (p printer) text(t types.Type) string {
	if s, ok := t.(*types.Signature); ok {
		return "func" + p.signature(s)
	}
	return types.TypeString(t, p.q)
}

func (p printer) signature(s *types.Signature) string {
	out := p.params(s.TypeParams()) + p.tuple(s.Params(), s.Variadic())
	switch s.Results().Len() {
	case 0:
		return out
	case 1:
		return out + " " + p.text(s.Results().At(0).Type())
	}
	return out + " " + p.tuple(s.Results(), false)
}

func (p printer) tuple(t *types.Tuple, variadic bool) string {
	var all []string
	for v := range t.Variables() {
		all = append(all, p.text(v.Type()))
	}
	if variadic {
		last := len(all) - 1
		all[last] = "..." + strings.TrimPrefix(all[last], "[]")
	}
	return "(" + strings.Join(all, ", ") + ")"
}

func (p printer) params(list *types.TypeParamList) string {
	var all []string
	for tp := range list.TypeParams() {
		all = append(all, tp.Obj().Name()+" "+p.text(tp.Constraint()))
	}
	if all == nil {
		return ""
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// TestFeatures: what a line has, and what changes a line.
func TestFeatures(t *testing.T) {
	const source = `package p
const A, hidden = 1, 2
var V []func(name string) error
func F[K comparable](key K, f func(n int) (ok bool, err error), more ...string) {}
type S[T any] struct { Field T; hidden int }
func (s *S[T]) Do(x T) error { return nil }
func (S[T]) quiet() {}
type I interface { B(n int); A() }
type D int
type Alias = D
`
	want := []string{
		"const A untyped int = 1",
		"func F[K comparable](K, func(int) (bool, error), ...string)",
		"method (*S[T]) Do(T) error",
		"type Alias = D",
		"type D int",
		"type I interface { A(); B(int) }",
		"type S[T any] struct",
		"type S[T any] struct, Field T",
		"var V []func(name string) error",
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "p.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	pkg, err := new(types.Config).Check("p", fset, []*ast.File{file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := features(pkg)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	gone, added := compare(want, append(slices.Delete(slices.Clone(got), 4, 5), "type E int"))
	if diff := cmp.Diff([][]string{{"type D int"}, {"type E int"}}, [][]string{gone, added}); diff != "" {
		t.Error(diff)
	}
}
