package escape_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mraws/mraws/internal/escape"
)

func TestForms(t *testing.T) {
	for _, tt := range []struct{ in, line, lines string }{
		{"", "", ""},
		{"plain é 日本 \\n", "plain é 日本 \\n", "plain é 日本 \\n"},
		{"a\x1b[31mb", `a\x1b[31mb`, `a\x1b[31mb`},
		{"\x1b]0;title\a", `\x1b]0;title\x07`, `\x1b]0;title\x07`},
		{"a\nb\tc\rd\r\n", `a\nb\tc\rd\r\n`, "a\nb\tc\\rd\r\n"},
		{"\u009b31m\x7f", `\u009b31m\u007f`, `\u009b31m\u007f`},
		{"\x9b31m\xff", `\x9b31m\xff`, `\x9b31m\xff`},
		{"exe.\u202etxt\u2066\u200f\u061c\u2028", `exe.\u202etxt\u2066\u200f\u061c\u2028`, `exe.\u202etxt\u2066\u200f\u061c\u2028`},
		{"👩\u200d🔬", "👩\u200d🔬", "👩\u200d🔬"},
	} {
		if got := escape.Line(tt.in); got != tt.line {
			t.Errorf("Line(%q) = %q, want %q", tt.in, got, tt.line)
		}
		if got := escape.Lines(tt.in); got != tt.lines {
			t.Errorf("Lines(%q) = %q, want %q", tt.in, got, tt.lines)
		}
	}
}

func TestShort(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"12345", "12345"}, {"123456", "12345…"}, {"1234é", "1234…"}, {"123日本", "123…"}, {"12é45", "12é4…"}, {"\x1b2345", `\x1b2345`}, {"\xff\xff\xff\xff\xff\xff", `\xff\xff\xff\xff\xff…`},
	} {
		if got := escape.Short(tt.in, 5); got != tt.want {
			t.Errorf("Short(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

// text draws any bytes, with many of those that matter.
func text(t *rapid.T, label string) string {
	return strings.Join(rapid.SliceOf(rapid.OneOf(
		rapid.String(), rapid.StringOf(rapid.RuneFrom(nil, unicode.Cc, unicode.Cf)),
		rapid.SampledFrom([]string{"\x1b[2J", "\r\n", "\r", "\n", "\t", "\x9b", "\xe2\x80", "\xc2", "\u009b", "\u202e", "abc"}),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
	)).Draw(t, label), "")
}

// TestNothingIsObeyed: no text leaves a byte that a terminal obeys, whatever
// pieces it is written in, and text of visible characters stays as it is.
func TestNothingIsObeyed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := text(t, "s")
		line, lines := escape.Line(s), escape.Lines(s)
		if strings.ContainsAny(line, "\n\t\r") {
			t.Fatalf("Line(%q) = %q", s, line)
		}
		for _, got := range []string{line, strings.NewReplacer("\r\n", "", "\n", "", "\t", "").Replace(lines)} {
			if !utf8.ValidString(got) || strings.IndexFunc(got, unicode.IsControl) >= 0 || strings.ContainsAny(got, "\u202e\u2066\u2028") {
				t.Fatalf("%q became %q", s, got)
			}
		}
		if again := escape.Lines(lines); again != lines {
			t.Fatalf("%q is escaped again: %q", lines, again)
		}
		visible := strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
		if visible && utf8.ValidString(s) && line != s {
			t.Fatalf("%q became %q", s, line)
		}
		var out bytes.Buffer
		w := &escape.Writer{W: &out}
		for rest := s; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "n")
			if k, err := w.Write([]byte(rest[:n])); k != n || err != nil {
				t.Fatal(k, err)
			}
			rest = rest[n:]
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(lines, out.String()); diff != "" {
			t.Fatalf("written in pieces (-whole +pieces):\n%s", diff)
		}
	})
}

// TestJSONStays: escaped JSON means the same.
func TestJSONStays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := map[string]string{"a": text(t, "s")}
		data, err := json.MarshalIndent(want, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		var first, second map[string]string
		if err := json.Unmarshal(data, &first); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(escape.Lines(string(data))), &second); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, second); diff != "" {
			t.Fatal(diff)
		}
	})
}
