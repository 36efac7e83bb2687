package mr_test

import (
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/mraws/mraws/mr"
)

func TestEscapeName(t *testing.T) {
	for _, tc := range []struct{ name, also, want string }{
		{"", "", ""},
		{"books/pg grimm.txt", ",", "books/pg grimm.txt"},
		{"語/é,\u200d.txt", "", "語/é,\u200d.txt"},
		{"a\nb\rc\td\\n", "", `a\nb\rc\td\\n`},
		{"a,b c", ", ", `a\x2cb\x20c`},
		{"\x00\x1b[2J\x7f", "", `\x00\x1b[2J\x7f`},
		{"a\u0085b\u2028c\u2029", "", `a\xc2\x85b\xe2\x80\xa8c\xe2\x80\xa9`},
		{"latin \xe9 \uFFFD", "", `latin \xe9 ` + "\uFFFD"},
	} {
		if got := mr.EscapeName(tc.name, tc.also); got != tc.want {
			t.Errorf("%q: got %s, want %s", tc.name, got, tc.want)
		}
	}
}

// unescape reads what EscapeName wrote, as Go's own strings are read.
func unescape(t *rapid.T, s string) string {
	var b []byte
	for s != "" {
		r, wide, rest, err := strconv.UnquoteChar(s, 0)
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if s = rest; r < utf8.RuneSelf || !wide {
			b = append(b, byte(r))
		} else {
			b = utf8.AppendRune(b, r)
		}
	}
	return string(b)
}

// TestEscapeNameBack: what is escaped is text without a line break or another
// control character, and gives the name back.
func TestEscapeNameBack(t *testing.T) {
	piece := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"\n", "\\", "\\n", "\\x2c", ",", "\xff", "\xe2\x80", "\u2028", "\x00", "\uFFFD"}))
	rapid.Check(t, func(t *rapid.T) {
		name := strings.Join(rapid.SliceOf(piece).Draw(t, "name"), "")
		escaped := mr.EscapeName(name, ",")
		if strings.ContainsFunc(escaped, func(r rune) bool { return r == ',' || unicode.IsControl(r) }) || !utf8.ValidString(escaped) {
			t.Errorf("%q is escaped as %q", name, escaped)
		}
		if got := unescape(t, escaped); got != name {
			t.Errorf("%q is escaped as %q, which is %q", name, escaped, got)
		}
	})
}
