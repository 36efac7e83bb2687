package apps

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/e2e/patterns"
	"github.com/mraws/mraws/mr"
	"github.com/mraws/mraws/mr/mrtest"
)

func TestGrep(t *testing.T) {
	for _, tc := range []struct {
		params map[string]string
		want   []string
	}{
		{map[string]string{"pattern": "quick"}, []string{"a.txt 1:The quick brown fox.\r", "a.txt 2:It's the quick one!"}},
		{map[string]string{"pattern": ""}, []string{
			"a.txt 1:The quick brown fox.\r", "a.txt 2:It's the quick one!", "a.txt 3:", "b/a.txt 1:caf\u00e9 \u8a9e caf\u00e9",
			"b/a.txt 2:bad \xffbytes\xc3", "b/a.txt 3:the end", "c.txt 1:THE the The"}},
		{map[string]string{"pattern": "quick (one|two)"}, []string{"a.txt 2:It's the quick one!"}},
		{map[string]string{"pattern": "^THE"}, []string{"c.txt 1:THE the The"}},
		{map[string]string{"pattern": "the end", "ignore-case": "true"}, []string{"b/a.txt 3:the end"}},
		{map[string]string{"pattern": "THE |end$", "ignore-case": "1"}, []string{
			"a.txt 1:The quick brown fox.\r", "a.txt 2:It's the quick one!", "b/a.txt 3:the end", "c.txt 1:THE the The"}},
		{map[string]string{"pattern": "the|The", "invert": "true"}, []string{
			"a.txt 3:", "b/a.txt 1:caf\u00e9 \u8a9e caf\u00e9", "b/a.txt 2:bad \xffbytes\xc3"}},
		{map[string]string{"pattern": "absent"}, []string{}},
		{map[string]string{"pattern": `\.\r$`}, []string{"a.txt 1:The quick brown fox.\r"}},
		{map[string]string{"pattern": `\.$`}, []string{}},
		{map[string]string{"pattern": ")", "ignore-case": "true"}, nil},
		{map[string]string{}, nil},
		{map[string]string{"pattern": "a", "invert": "maybe"}, nil},
	} {
		res, err := mrtest.Job{App: grep(), NReduce: 3, Inputs: texts, Params: tc.params}.Run(t.Context())
		if tc.want == nil {
			if err == nil {
				t.Errorf("%v: no error", tc.params)
			}
			continue
		}
		if err != nil {
			t.Errorf("%v: %v", tc.params, err)
		}
		if diff := cmp.Diff(tc.want, res.Lines()); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tc.params, diff)
		}
	}
}

// TestGrepOrder: within a file the lines keep their order.
func TestGrepOrder(t *testing.T) {
	var text strings.Builder
	var want []string
	for i := range 200 {
		fmt.Fprintf(&text, "line %d\n", i)
		want = append(want, fmt.Sprintf("f %d:line %d", i+1, i))
	}
	res, err := mrtest.Job{App: grep(), Inputs: map[string]string{"f": text.String()}, Params: map[string]string{"pattern": "line"}}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Split(strings.TrimSpace(res.Partitions[0]), "\n"); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// TestGrepRealText compares the fast path with the regexp alone.
func TestGrepRealText(t *testing.T) {
	text := goText(t)[:200_000]
	for _, pattern := range []string{"Header", "func [A-Z]", "^//", "(?i)error", "x*", "[0-9]{3}", "Request\\)"} {
		re := regexp.MustCompile(pattern)
		want := []string{}
		n := 0
		for line := range strings.Lines(text) {
			n++
			if line = strings.TrimSuffix(line, "\n"); re.MatchString(line) {
				want = append(want, fmt.Sprintf("go %d:%s", n, line))
			}
		}
		slices.Sort(want)
		res, err := mrtest.Job{App: grep(), Inputs: map[string]string{"go": text}, Params: map[string]string{"pattern": pattern}}.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := res.Lines(); !slices.Equal(got, want) {
			t.Errorf("%s: %d lines, want %d", pattern, len(got), len(want))
		}
	}
}

// grepCase is a pattern with a text and how it is looked for.
type grepCase struct {
	pattern, text      string
	ignoreCase, invert bool
}

// found returns "number:line" of each line that grep finds, by lines and by
// blocks of some lines, which must be the same, and by one block.
func (c grepCase) found(ctx context.Context) ([]string, error) {
	params := map[string]string{"pattern": c.pattern, "ignore-case": strconv.FormatBool(c.ignoreCase), "invert": strconv.FormatBool(c.invert)}
	res, err := mrtest.Job{App: grep(), Inputs: map[string]string{"f": c.text}, Params: params}.Run(ctx)
	if err != nil {
		return nil, err
	}
	m, err := newGrepMapper(&mr.Task{Params: params})
	if err != nil {
		return nil, err
	}
	lines := patterns.Lines(c.text)
	block := &reduceInput{}
	if c.text != "" {
		if err := m.(mr.BlockMapper).MapBlock(mr.Record{Object: "f", Lines: int64(len(lines)), Data: []byte(c.text)}, block); err != nil {
			return nil, err
		}
	}
	reducer, err := newGrepReducer(nil)
	if err != nil {
		return nil, err
	}
	found := []string{}
	out := (*linesOf)(&found)
	if err := reducer.Reduce([]byte("f"), slices.Values(block.values), out); err != nil {
		return nil, err
	}
	if got := "f " + strings.Join(found, "\nf ") + "\n"; len(found) > 0 && got != res.Partitions[0] || len(found) == 0 && res.Partitions[0] != "" {
		return nil, fmt.Errorf("one block gives %q, lines give %q", got, res.Partitions[0])
	}
	return found, nil
}

type reduceInput struct{ values [][]byte }

func (r *reduceInput) Emit(_, value []byte) { r.values = append(r.values, bytes.Clone(value)) }

type linesOf []string

func (l *linesOf) Write(value []byte) { *l = append(*l, string(value)) }
func (l *linesOf) WriteLine([]byte)   {}

// TestGrepFindsWhatTheEngineFinds: whatever the pattern and the text, grep with
// all its shortcuts finds the lines that the regular expression alone finds.
func TestGrepFindsWhatTheEngineFinds(t *testing.T) {
	fixed := []grepCase{
		{pattern: "^abc$", text: "abc\nxabcx\n"},
		{pattern: "^abc", text: "abc\nxabc\nabcx\n"},
		{pattern: "abc$", text: "abc\nxabc\nabcx\nabc\r\n"},
		{pattern: `\bab\b`, text: "ab\nabc\nx ab\n"},
		{pattern: "(?m)^abc$", text: "abc\nxabcx\n"},
		{pattern: "", text: "a\n\nb"},
		{pattern: "()", text: "a\n\nb"},
		{pattern: "^$", text: "a\n\nb\n\r\n"},
		{pattern: `\r`, text: "a\r\nb\n\rc\n"},
		{pattern: `\Qa.b`, text: "A.B\na.b\naxb\n"},
		{pattern: `\x{FFFD}`, text: "\xff\n\uFFFD\nx\n"},
		{pattern: "a\nb", text: "a\nb\n"},
		{pattern: "\n", text: "a\nb\n\n"},
	}
	const draws = 5000
	source := patterns.New(1, false)
	for range draws {
		fixed = append(fixed, grepCase{pattern: source.Pattern(), text: source.Text(6)})
	}
	for _, c := range fixed {
		for i := range 4 {
			c.ignoreCase, c.invert = i&1 != 0, i&2 != 0
			pattern := c.pattern
			if c.ignoreCase {
				pattern = "(?i)" + pattern
			}
			want := patterns.Grep(c.text, regexp.MustCompile(pattern).MatchString, !c.invert)
			if got, err := c.found(t.Context()); err != nil || !slices.Equal(got, want) {
				t.Fatalf("%#v: got %q, %v, want %q", c, got, err, want)
			}
		}
	}
}

// TestGrepNames: a name with a line break does not end the job, and none looks
// as if it ended before the line number.
func TestGrepNames(t *testing.T) {
	want := []string{
		`a\nb 1:x`, `a\\nb 1:x`, `log 12\x3a30 1:x`, `r\rs\x1b[2J 1:x`, "plain, with 3 spaces: too 1:x",
	}
	slices.Sort(want)
	res, err := mrtest.Job{App: grep(), NReduce: 3, Params: map[string]string{"pattern": "x"}, Inputs: map[string]string{
		"a\nb": "x", `a\nb`: "x", "log 12:30": "x", "r\rs\x1b[2J": "x", "plain, with 3 spaces: too": "x",
	}}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, res.Lines()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func BenchmarkGrep(b *testing.B) {
	text := goText(b)
	for _, pattern := range []string{"ResponseController", "Response[A-Z][a-z]+er", "[a-z]+Controller"} {
		b.Run(pattern, func(b *testing.B) {
			m, err := newGrepMapper(&mr.Task{Params: map[string]string{"pattern": pattern, "ignore-case": "0", "invert": "0"}})
			if err != nil {
				b.Fatal(err)
			}
			block := mr.Record{Object: "go", Lines: int64(strings.Count(text, "\n")), Data: []byte(text)}
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if err := m.(mr.BlockMapper).MapBlock(block, discard{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
