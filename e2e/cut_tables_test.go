package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/testkit"
)

// TestCutTables: tables in compressed objects that are cut give what their text gives,
// and the verifier agrees on each map task: quoted line breaks over the ends of blocks,
// rows of the table within a field, a mark at the start, and bad records that are
// skipped.
func TestCutTables(t *testing.T) {
	var csv, lines strings.Builder
	csv.WriteString("\xef\xbb\xbfid,text\r\n")
	lines.WriteString("\xef\xbb\xbf")
	for i := range 3000 {
		fmt.Fprintf(&csv, "%d,\"word%d\n7,\"\"in\"\"\r\n%s\"\r\n", i, i%50, strings.Repeat("8,quotes\n", i%9))
		fmt.Fprintf(&lines, "{\"id\":%d,\"text\":\"word%d in\"}\n", i, i%50)
		if i%1000 == 500 {
			csv.WriteString("one field\n")
			lines.WriteString("{\"id\":\n\n")
		}
	}
	plain := func(text string, size int) (frames []byte) {
		for len(text) > 0 {
			n := min(size, len(text))
			frames, text = append(frames, zstandard(t, text[:n])...), text[n:]
		}
		return frames
	}
	text, packed := testkit.Packed(t)
	for name, tt := range map[string]struct {
		text  string
		files map[string][]byte
		flags []string
		code  int
	}{
		"csv":  {csv.String(), map[string][]byte{"a.zst": plain(csv.String(), 7001), "b.bgz": testkit.BGZF(t, csv.String(), 5003)}, []string{"--format", "csv", "--max-bad-records", "6"}, 3},
		"json": {lines.String(), map[string][]byte{"a.zst": plain(lines.String(), 7001), "b.bgz": testkit.BGZF(t, lines.String(), 5003)}, []string{"--format", "json", "--max-bad-records", "6"}, 3},
		"bzip2": {text, map[string][]byte{"text.bz2": packed["text.bz2"], "streams.bz2": packed["streams.bz2"]},
			[]string{"--format", "csv", "--csv-header", "no", "--csv-quote", "none"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := newPlainFixture(t)
			whole := map[string][]byte{}
			for name := range tt.files {
				whole[name] = []byte(tt.text)
			}
			line := append([]string{"run", "--app", "wc", "--nreduce", "2", "--split-size", "32KiB", "--verify"}, tt.flags...)
			b.upload(whole)
			b.run(tt.code, line...)
			want := b.outputs()
			b.run(0, "reset", "--yes", "--input")
			b.upload(tt.files)
			_, stderr := b.run(tt.code, line...)
			if d := cmp.Diff(want, b.outputs()); d != "" {
				t.Errorf("not the output of the plain text:\n%s", d)
			}
			if n := b.success().Map.Tasks; n < 2*len(tt.files) || strings.Contains(stderr, "cannot be split") {
				t.Errorf("%d map tasks", n)
			}
			_, stderr = b.run(0, "replay", "map-1")
			wants(t, stderr, "equal to what attempt")
		})
	}
}
