package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write NOTICE instead of comparing it")

// licenseFile matches the names of files with a licence or with what has to be
// passed on with it.
var licenseFile = regexp.MustCompile(`(?i)^((?:un)?licen[cs]e|copying|notice|patents)([-_.].*)?$`)

// linked is a module that is part of the program, and the folders of it that are.
type linked struct {
	name    string // path and version
	root    string
	folders map[string]bool
}

// linkedModules returns what `go list` says of the program and of Go itself.
func linkedModules(t *testing.T) []linked {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f",
		"{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}\t{{.Dir}}\t{{$.Dir}}{{end}}{{end}}", ".")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0", "GOFLAGS=-mod=readonly")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	modules := map[string]linked{}
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		if len(f) != 3 {
			continue
		}
		m, ok := modules[f[0]]
		if !ok {
			m = linked{name: f[0], root: f[1], folders: map[string]bool{}}
			modules[f[0]] = m
		}
		// Some folders have a licence of their own, also for those below.
		for dir := f[2]; len(dir) >= len(f[1]); dir = filepath.Dir(dir) {
			m.folders[dir] = true
		}
	}
	if len(modules) < 10 {
		t.Fatalf("go list tells of %d modules:\n%s", len(modules), out)
	}
	return slices.SortedFunc(maps.Values(modules), func(a, b linked) int { return strings.Compare(a.name, b.name) })
}

// texts returns the licences of a module, by the names of their files.
func (m linked) texts(t *testing.T) (names, texts []string) {
	t.Helper()
	for _, dir := range slices.Sorted(maps.Keys(m.folders)) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.IsDir() || !licenseFile.MatchString(e.Name()) || strings.HasSuffix(e.Name(), ".go") {
				continue
			}
			data, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			name, err := filepath.Rel(m.root, filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, name)
			texts = append(texts, strings.TrimSpace(strings.ReplaceAll(string(data), "\r\n", "\n")))
		}
	}
	if len(names) == 0 {
		t.Fatalf("%s has no file with a licence", m.name)
	}
	return names, texts
}

// vendored is what the program contains that is no module of Go, with the files of the licences.
func vendored() []struct{ name, license string } {
	return []struct{ name, license string }{{"uPlot 1.6.32 (JavaScript)", "internal/dashboard/page/assets/uplot.LICENSE"}}
}

// notice is the content of NOTICE: each module with the numbers of its texts,
// and each text once.
func notice(t *testing.T) string {
	t.Helper()
	var list, all strings.Builder
	numbers := map[string]int{}
	for _, m := range linkedModules(t) {
		names, texts := m.texts(t)
		fmt.Fprintf(&list, "%s\n", m.name)
		for i, text := range texts {
			n := numbers[text]
			if n == 0 {
				n = len(numbers) + 1
				numbers[text] = n
				fmt.Fprintf(&all, "\n%s\n[%d]\n\n%s\n", strings.Repeat("-", 72), n, text)
			}
			fmt.Fprintf(&list, "    %s: [%d]\n", names[i], n)
		}
	}
	for _, v := range vendored() {
		text, err := os.ReadFile(v.license)
		if err != nil {
			t.Fatal(err)
		}
		n := len(numbers) + 1
		numbers[string(text)] = n
		fmt.Fprintf(&list, "%s\n    LICENSE: [%d]\n", v.name, n)
		fmt.Fprintf(&all, "\n%s\n[%d]\n\n%s\n", strings.Repeat("-", 72), n, strings.TrimSpace(string(text)))
	}
	return "The program mraws contains these modules, under the licences whose texts\n" +
		"follow. It also contains the standard library of Go, which has the licence of\n" +
		"the modules golang.org/x. scripts/notice.sh writes this file.\n\n" + list.String() + all.String()
}

// TestNotice: NOTICE has the licences of all modules that are linked.
func TestNotice(t *testing.T) {
	want := notice(t)
	if *update {
		if err := os.WriteFile("NOTICE", []byte(want), 0o644); err != nil { //nolint:gosec // it is for everybody
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("NOTICE")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("NOTICE does not name what is linked: run scripts/notice.sh")
	}
}
