package config

import (
	"os"
	"strings"
	"testing"
)

// TestDocumented holds docs/configuration.md to have a row for every key,
// with its default and all its choices, and for nothing else.
func TestDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for line := range strings.Lines(string(doc)) {
		if cells := strings.Split(line, "|"); len(cells) == 5 && strings.HasPrefix(line, "| `") {
			rows[strings.Trim(cells[1], " `")] = line
		}
	}
	for _, k := range Keys() {
		row, ok := rows[k.Name]
		if !ok {
			t.Errorf("docs/configuration.md has no row for %s", k.Name)
			continue
		}
		delete(rows, k.Name)
		for _, want := range append(k.Choices, k.Default) {
			if want != "" && !strings.Contains(row, "`"+want+"`") {
				t.Errorf("the row of %s does not say `%s`: %s", k.Name, want, row)
			}
		}
	}
	for name := range rows {
		t.Errorf("docs/configuration.md has a row for %s, which is no key", name)
	}
}
