package s3fault

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const root = "../.."

func document(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, "docs", "faults.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestDocumented: docs/faults.md knows every word of the language, and its
// examples can be parsed.
func TestDocumented(t *testing.T) {
	doc := document(t)
	for _, op := range Operations() {
		if !strings.Contains(doc, "`"+op+"`") {
			t.Errorf("no word on %s", op)
		}
	}
	for _, k := range kinds() {
		if !regexp.MustCompile("(?m)^\\|.*`" + k.name + "[` ].*\\|").MatchString(doc) {
			t.Errorf("no row for %s", k.name)
		}
	}
	language, _, _ := strings.Cut(doc, "## 2.")
	_, examples, _ := strings.Cut(language, "### Examples")
	n := 0
	for line := range strings.Lines(examples) {
		if code, ok := strings.CutPrefix(line, "    "); ok {
			s, err := Parse(strings.NewReader(code))
			if err != nil {
				t.Errorf("example %q: %v", code, err)
				continue
			}
			n += len(s.Rules)
		}
	}
	if n < 3 {
		t.Errorf("%d rules in the examples", n)
	}
}

// TestTable: the table has every row once, each names a test or says "open",
// and every test that it names is there, in the folder that it names.
func TestTable(t *testing.T) {
	tests := testNames(t)
	row := regexp.MustCompile(`(?m)^\| (\d+) \|.*\|.*\| (.*) \|$`)
	named := regexp.MustCompile("`([a-z0-9/]+)` |\\b((?:Test|Fuzz)[A-Za-z0-9]+)")
	rows := row.FindAllStringSubmatch(document(t), -1)
	if len(rows) < 49 {
		t.Errorf("%d rows, want 49 and more", len(rows))
	}
	for i, r := range rows {
		if r[1] != strconv.Itoa(i+1) {
			t.Errorf("row %d is number %s", i+1, r[1])
		}
		folder, found := "", false
		for _, m := range named.FindAllStringSubmatch(r[2], -1) {
			if m[1] != "" {
				folder = m[1]
				continue
			}
			found = true
			if !tests[folder+" "+m[2]] {
				t.Errorf("row %s: there is no test %s in %s", r[1], m[2], folder)
			}
		}
		if !found && !strings.Contains(r[2], "open") {
			t.Errorf("row %s names no test and does not say that it is open", r[1])
		}
	}
}

// testNames lists the tests of the module as "folder Name".
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	test := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9]+)\(`)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		for _, m := range test.FindAllStringSubmatch(string(data), -1) {
			names[filepath.ToSlash(folder)+" "+m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
