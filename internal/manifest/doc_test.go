package manifest

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// TestDocumented holds docs/formats.md to name every field of the golden
// files in backquotes, and to show the files.
func TestDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/formats.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range samples() {
		data, err := Encode(v)
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(data, &fields); err != nil {
			t.Fatal(err)
		}
		_, section, ok := strings.Cut(string(doc), "\n### `"+fields["schema"].(string)+"`\n")
		if !ok {
			t.Errorf("docs/formats.md has no section for %s", fields["schema"])
			continue
		}
		section, _, _ = strings.Cut(section, "\n### ")
		if !strings.Contains(section, string(data)) {
			t.Errorf("docs/formats.md does not show the golden file of %s", name)
		}
		for f := range fields {
			if !strings.Contains(section, "`"+f+"`") {
				t.Errorf("docs/formats.md does not name `%s` of %s", f, name)
			}
		}
	}
}

// TestDocumentedBadRecord holds docs/formats.md to show a line of a
// quarantine list.
func TestDocumentedBadRecord(t *testing.T) {
	doc, err := os.ReadFile("../../docs/formats.md")
	if err != nil {
		t.Fatal(err)
	}
	line, err := EncodeLine(nil, samples()["map"].(*Map).Bad.First[0])
	if err != nil || !strings.Contains(string(doc), "\n```json\n"+string(line)+"```\n") {
		t.Errorf("docs/formats.md does not show %s (%v)", line, err)
	}
}
