package s3fault

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	s, err := Parse(strings.NewReader(`
# the store is busy for a minute
*           *                   p=0.3 for=1m  503
GetObject   *intermediate/mr-?-* nth=2        flip 17   # one bit
ListObjectsV2 * after=1 first=3 drop-page
PutObject   a#b  every=4 delay 200ms
*	*	reset
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Rule{
		{3, "*", "*", When{P: 0.3, For: time.Minute}, Fault{"503", -1, 0}},
		{4, "GetObject", "*intermediate/mr-?-*", When{Nth: 2}, Fault{"flip", 17, 0}},
		{5, "ListObjectsV2", "*", When{After: 1, First: 3}, Fault{"drop-page", -1, 0}},
		{6, "PutObject", "a#b", When{Every: 4}, Fault{"delay", -1, 200 * time.Millisecond}},
		{7, "*", "*", When{}, Fault{"reset", -1, 0}},
	}
	if d := cmp.Diff(want, s.Rules); d != "" {
		t.Error(d)
	}
}

// TestParseErrors: an error names the line, what is wrong there, and what
// may stand in its place.
func TestParseErrors(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"PutObjct * 503", `unknown operation "PutObjct"; allowed are * and PutObject, GetObject,`},
		{"PutObject", "1 words are too few for OPERATION KEY-GLOB"},
		{"PutObject *", "2 words are too few"},
		{"* * 505", `unknown fault "505"; allowed are 503, 500,`},
		{"* * nth=1", "no fault at the end; allowed are 503"},
		{"* * nth=0 503", `nth="0" is no whole number from 1 on`},
		{"* * every=x 503", `every="x" is no whole number`},
		{"* * nth=1 nth=2 503", "nth= stands twice"},
		{"* * p=.5 p=.5 503", "p= stands twice"},
		{"* * for=1s for=1s 503", "for= stands twice"},
		{"* * p=1.1 503", `p="1.1" is no probability`},
		{"* * p=0 503", `p="0" is no probability`},
		{"* * p=NaN 503", `p="NaN" is no probability`},
		{"* * for=60 503", `for="60" is no length of time above 0, such as 60s`},
		{"* * when=1 503", `unknown condition "when"; allowed are nth=N, every=N,`},
		{"* * 503 1", `"1" behind 503 is too much; at most 0 arguments`},
		{"* * flip 1 2", `"2" behind flip is too much; at most 1`},
		{"* * flip -1", `"-1" behind flip is no whole number`},
		{"* * delay", "delay wants a length of time, such as 200ms"},
		{"* * delay 5", `"5" behind delay is no length of time`},
		{"GetObject * drop-page", "drop-page does not happen to GetObject; allowed are * and ListObjectsV2"},
		{"* \x82 503", "not in UTF-8"},
		{"DeleteObjects * ignore-condition", "ignore-condition does not happen to DeleteObjects; allowed are * and PutObject,"},
	} {
		_, err := Parse(strings.NewReader("# first\n\n" + tt.line + "\n"))
		if err == nil || !strings.HasPrefix(err.Error(), "line 3: ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.line, err, tt.want)
		}
	}
	if _, err := Parse(strings.NewReader(strings.Repeat("x", 1<<17))); err == nil {
		t.Error("an endless line is taken")
	}
}

// FuzzParse: no text makes the parser panic, and a rule that it takes is
// written and read again as the same rule.
func FuzzParse(f *testing.F) {
	f.Add("* * p=0.3 for=60s 503\nGetObject *a nth=1 every=2 first=3 after=4 flip 5")
	f.Add("PutObject ? delay 1ms # why\n\n#")
	f.Add("* * p=NaN 503")
	for _, k := range kinds() {
		f.Add("* * " + k.name)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(strings.NewReader(text))
		if err != nil {
			return
		}
		newState(s, 1)
		for _, r := range s.Rules {
			again, err := Parse(strings.NewReader(r.String()))
			if err != nil || len(again.Rules) != 1 {
				t.Fatalf("%q: %v", r, err)
			}
			r.Line = 1
			if d := cmp.Diff(r, again.Rules[0]); d != "" {
				t.Fatalf("%q: %s", r, d)
			}
		}
	})
}
