package events

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDocumented holds docs/events.md to have a row for every type, with its fields, and
// a word on each field of work.
func TestDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile("`([a-z0-9_.]+)`")
	got := map[Type]string{}
	for line := range strings.Lines(string(doc)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.Contains(cells[1], ".") || !strings.HasPrefix(line, "| `") {
			continue
		}
		var fields []string
		for _, m := range names.FindAllStringSubmatch(cells[2], -1) {
			fields = append(fields, m[1])
		}
		if strings.Contains(cells[2], "those of work") {
			fields = append(fields, work)
		}
		got[Type(strings.Trim(cells[1], " `"))] = strings.Join(fields, " ")
	}
	if d := cmp.Diff(Fields(), got); d != "" {
		t.Errorf("types and fields (-program +docs/events.md):\n%s", d)
	}
	for _, field := range append(strings.Fields(work), "type", "at", "seq", "cut", Schema) {
		if !strings.Contains(string(doc), "`"+field+"`") && !strings.Contains(string(doc), `"`+field+`"`) {
			t.Errorf("docs/events.md does not have %s", field)
		}
	}
}
