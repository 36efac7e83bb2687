package mr

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// EscapeName returns the name of an object as it can stand in a line of
// output, whatever bytes it has: a line break in it would end the line, which
// [Output] refuses. A line feed becomes \n, a carriage return \r, a tab \t, a
// backslash \\. Of any other control character, a line or paragraph separator
// of Unicode, what is not UTF-8, and the ASCII characters in also, each byte
// becomes \xNN with two lower-case hexadecimal digits. All else stays as it
// is, so that most names do. Two names never become one; `printf %b` of the
// shell gives the name back.
func EscapeName(name, also string) string {
	escaped := func(r rune) bool {
		return r == '\\' || r == utf8.RuneError || unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp) || strings.ContainsRune(also, r)
	}
	if strings.IndexFunc(name, escaped) < 0 {
		return name
	}
	var b strings.Builder
	for rest := name; rest != ""; {
		r, n := utf8.DecodeRuneInString(rest)
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\\':
			b.WriteString(`\\`)
		case escaped(r) && (r != utf8.RuneError || n == 1):
			for _, c := range []byte(rest[:n]) {
				fmt.Fprintf(&b, `\x%02x`, c)
			}
		default:
			b.WriteString(rest[:n])
		}
		rest = rest[n:]
	}
	return b.String()
}
