// Package escape makes text that comes from outside safe to show: names of
// files and keys, records, output, what a server or an announcement says. A
// terminal obeys control characters, so that such text could set its title,
// move the cursor, hide a line or write one that was never there. All of it is
// replaced by the escapes of a Go string: \x1b, \r, \u009b, \u202e.
//
// Backslashes stay as they are, so the result is for people and cannot be
// turned back.
package escape

import (
	"io"
	"unicode/utf8"
)

// Line returns s as part of one line: line breaks and tabs are escaped too.
func Line(s string) string { return escaped(s, false) }

// Lines returns s with its line breaks and tabs. A carriage return stays in
// front of a line break. Valid JSON stays valid JSON with the same meaning.
func Lines(s string) string { return escaped(s, true) }

func escaped(s string, lines bool) string {
	i := 0
	for i < len(s) && s[i] >= ' ' && s[i] < 0x7f || i < len(s) && lines && (s[i] == '\n' || s[i] == '\t') {
		i++
	}
	if i == len(s) {
		return s
	}
	b := make([]byte, i, len(s)+16)
	copy(b, s)
	for i < len(s) {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b = appendByte(b, s[i])
		case lines && (r == '\n' || r == '\t' || r == '\r' && i+1 < len(s) && s[i+1] == '\n'):
			b = append(b, s[i])
		case unsafe(r):
			b = appendRune(b, r)
		default:
			b = append(b, s[i:i+n]...)
		}
		i += n
	}
	return string(b)
}

// unsafe tells whether a terminal may obey r instead of showing it: control
// characters of both ranges, separators of lines, and marks that change the
// direction of the text.
func unsafe(r rune) bool {
	switch {
	case r < ' ', r >= 0x7f && r < 0xa0:
		return true
	case r == 0x061c, r == 0x200e, r == 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return true
	}
	return false
}

const hex = "0123456789abcdef"

func appendByte(b []byte, c byte) []byte { return append(b, '\\', 'x', hex[c>>4], hex[c&15]) }

func appendRune(b []byte, r rune) []byte {
	switch r {
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	}
	if r < ' ' {
		return appendByte(b, byte(r))
	}
	return append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}

// Writer escapes what is written to it as [Lines] does. Close writes what it
// had to keep back to know how it goes on; it does not close W.
type Writer struct {
	W    io.Writer
	rest []byte // of a character, or a carriage return
}

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	data := append(w.rest, p...)
	keep := incomplete(data)
	w.rest = append([]byte(nil), data[len(data)-keep:]...)
	if _, err := io.WriteString(w.W, Lines(string(data[:len(data)-keep]))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close implements io.Closer.
func (w *Writer) Close() error {
	_, err := io.WriteString(w.W, Lines(string(w.rest)))
	w.rest = nil
	return err
}

// incomplete returns how many bytes at the end of data cannot be judged
// without what follows.
func incomplete(data []byte) int {
	if n := len(data); n > 0 && data[n-1] == '\r' {
		return 1
	}
	for n := 1; n < utf8.UTFMax && n <= len(data); n++ {
		if tail := data[len(data)-n:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				return n
			}
			return 0
		}
	}
	return 0
}

// Short is [Line] of the beginning of s, cut between two characters to at
// most most bytes, with "…" in place of what is left out.
func Short(s string, most int) string {
	if len(s) <= most {
		return Line(s)
	}
	cut := most
	for n := 0; n < utf8.UTFMax && cut > 0 && !utf8.RuneStart(s[cut]); n++ {
		cut--
	}
	return Line(s[:cut]) + "…"
}
