package apps

import (
	"bufio"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/mr"
	"github.com/mraws/mraws/mr/mrtest"
)

func TestGrep(t *testing.T) {
	for _, tc := range []struct {
		params map[string]string
		want   []string
	}{
		{map[string]string{"pattern": "quick"}, []string{"a.txt 1:The quick brown fox.\r", "a.txt 2:It's the quick one!"}},
		{map[string]string{"pattern": "quick (one|two)"}, []string{"a.txt 2:It's the quick one!"}},
		{map[string]string{"pattern": "^THE"}, []string{"c.txt 1:THE the The"}},
		{map[string]string{"pattern": "the end", "ignore-case": "true"}, []string{"b/a.txt 3:the end"}},
		{map[string]string{"pattern": "THE |end$", "ignore-case": "1"}, []string{
			"a.txt 1:The quick brown fox.\r", "a.txt 2:It's the quick one!", "b/a.txt 3:the end", "c.txt 1:THE the The"}},
		{map[string]string{"pattern": "the|The", "invert": "true"}, []string{
			"a.txt 3:", "b/a.txt 1:caf\u00e9 \u8a9e caf\u00e9", "b/a.txt 2:bad \xffbytes\xc3"}},
		{map[string]string{"pattern": "absent"}, []string{}},
		{map[string]string{"pattern": `\.\r$`}, []string{"a.txt 1:The quick brown fox.\r"}},
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

func BenchmarkGrep(b *testing.B) {
	text := goText(b)
	for _, pattern := range []string{"ResponseController", "Response[A-Z][a-z]+er", "[a-z]+Controller"} {
		b.Run(pattern, func(b *testing.B) {
			m, err := newGrepMapper(&mr.Task{Params: map[string]string{"pattern": pattern, "ignore-case": "0", "invert": "0"}})
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				lines := bufio.NewScanner(strings.NewReader(text))
				for lines.Scan() {
					if err := m.Map(mr.Record{Object: "go", Data: lines.Bytes()}, discard{}); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
