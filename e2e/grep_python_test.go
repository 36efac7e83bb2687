//go:build interop

package e2e

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mraws/mraws/e2e/patterns"
	"github.com/mraws/mraws/mr/mrtest"
)

// pythonGrep reads cases and writes the numbers of the lines that match.
const pythonGrep = `
import json, re, sys
out = []
for c in json.load(sys.stdin):
    p = re.compile(c["pattern"], re.IGNORECASE if c["ignore_case"] else 0)
    out.append([i + 1 for i, line in enumerate(c["lines"]) if bool(p.search(line)) != c["invert"]])
json.dump(out, sys.stdout)
`

type pythonCase struct {
	Pattern    string   `json:"pattern"`
	Lines      []string `json:"lines"`
	IgnoreCase bool     `json:"ignore_case"`
	Invert     bool     `json:"invert"`
	text       string
}

// askPython returns the numbers of the lines that Python's re finds.
func askPython(t *testing.T, cases []pythonCase) (found [][]int) {
	t.Helper()
	in, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("python3", "-X", "utf8", "-W", "ignore", "-c", pythonGrep)
	var errout bytes.Buffer
	c.Stdin, c.Stderr = bytes.NewReader(in), &errout
	out, err := c.Output()
	if err != nil {
		t.Fatalf("python3: %v\n%s", err, errout.String())
	}
	if err := json.Unmarshal(out, &found); err != nil {
		t.Fatal(err)
	}
	if len(found) != len(cases) {
		t.Fatalf("%d answers to %d cases", len(found), len(cases))
	}
	return found
}

// numbers of the lines in the output of grep, "number:text" each.
func numbers(t *testing.T, lines []string) (found []int) {
	t.Helper()
	for _, line := range lines {
		n, err := strconv.Atoi(line[:max(strings.IndexByte(line, ':'), 0)])
		if err != nil {
			t.Fatalf("%q has no line number", line)
		}
		found = append(found, n)
	}
	return found
}

// TestGrepIsPython: another engine finds the same lines, in whole jobs and in
// many more runs of the application alone.
func TestGrepIsPython(t *testing.T) {
	const jobs, runs = 12, 3000
	source := patterns.New(4, true)
	var cases []pythonCase
	for i := range jobs + runs {
		c := pythonCase{Pattern: source.Pattern(), IgnoreCase: i&1 != 0, Invert: i&2 != 0}
		if i < jobs {
			c.text = patterns.New(5, true).Text(4000)
		} else {
			c.text = source.Text(8)
		}
		c.Lines = patterns.Lines(c.text)
		cases = append(cases, c)
	}
	want := askPython(t, cases)
	b := newPlainFixture(t)
	b.put(map[string]string{"f": cases[0].text})
	for i, c := range cases {
		var got []int
		if i < jobs {
			got = numbers(t, b.grepped(c.Pattern, c.IgnoreCase, c.Invert))
		} else {
			res, err := mrtest.Job{App: app(t, "grep"), Inputs: map[string]string{"f": c.text}, Params: map[string]string{
				"pattern": c.Pattern, "ignore-case": strconv.FormatBool(c.IgnoreCase), "invert": strconv.FormatBool(c.Invert),
			}}.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range patterns.Lines(res.Partitions[0]) {
				got = append(got, numbers(t, []string{strings.TrimPrefix(line, "f ")})...)
			}
		}
		if !slices.Equal(got, want[i]) {
			t.Errorf("pattern %q, ignore case %t, invert %t, text %.200q: lines %v, Python finds %v", c.Pattern, c.IgnoreCase, c.Invert, c.text, got, want[i])
		}
	}
}
