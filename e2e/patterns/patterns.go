// Package patterns draws regular expressions and text for tests of grep. The
// same seed draws the same.
package patterns

import (
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
)

// Source draws from a seed. With Portable it draws only what RE2, Python's re
// and PCRE define alike, and text that is UTF-8.
type Source struct {
	rng      *rand.Rand
	Portable bool
}

// New returns a source.
func New(seed uint64, portable bool) *Source {
	return &Source{rng: rand.New(rand.NewPCG(seed, 1)), Portable: portable}
}

// What patterns and text are made of.
var (
	letters = []string{"a", "b", "c", "ab", "abc", "é", "É", "世", "A", "B", " ", "1"}
	atoms   = []string{".", "[ab]", "[^a]", "[a-c]", "[é世]", `\.`, `\d`, `\r`, `\t`, "[^世\r]", `\\`}
	goAtoms = []string{`\pL`, `\w`, `\W`, `\b`, `\B`, `\z`, `[[:alpha:]]`, `\Qa.b\E`, `\Q`, "\uFFFD", `\x{FFFD}`, `\n`, "(?i)", "(?s)", "(?U)", "k", `\C`}
	anchors = []string{"^", "$", `\A`}
	dense   = []string{"a", "b", "c", "abc", "é", "É", "世", "A", "ABC", "k", "K", ".", " ", "1", "\t", "\\", "\r"}
	odd     = []string{"\xff", "\uFFFD", "\xe4\xb8", "\x00", "\u2028", "\u212a"}
)

func (s *Source) pick(from ...[]string) string {
	n := 0
	for _, f := range from {
		n += len(f)
	}
	i := s.rng.IntN(n)
	for _, f := range from {
		if i < len(f) {
			return f[i]
		}
		i -= len(f)
	}
	return ""
}

// Pattern returns a pattern that [regexp.Compile] takes.
func (s *Source) Pattern() string {
	for {
		p := s.alternatives(3)
		switch {
		case s.rng.IntN(40) == 0:
			p = ""
		case s.rng.IntN(12) == 0:
			p = "(?i)" + p
		case s.rng.IntN(12) == 0:
			p = "^" + p + "$"
		}
		if _, err := regexp.Compile(p); err == nil {
			return p
		}
	}
}

func (s *Source) alternatives(depth int) string {
	p := s.sequence(depth)
	for s.rng.IntN(5) == 0 {
		p += "|" + s.sequence(depth)
	}
	return p
}

func (s *Source) sequence(depth int) string {
	var b strings.Builder
	for range s.rng.IntN(4) {
		b.WriteString(s.part(depth))
	}
	return b.String()
}

func (s *Source) part(depth int) string {
	switch n := s.rng.IntN(20); {
	case n < 9:
		return s.pick(letters)
	case n < 12:
		if s.Portable {
			return s.pick(atoms)
		}
		return s.pick(atoms, goAtoms)
	case n < 14:
		return s.pick(anchors)
	case depth == 0:
		return "b"
	case n < 17:
		return s.pick([]string{"(", "(?:", "(?i:", "(?m:"}) + s.alternatives(depth-1) + ")"
	}
	return "(?:" + s.alternatives(depth-1) + ")" + s.pick([]string{"*", "+", "?", "{2}", "{0,2}", "*?", "??"})
}

// Line returns a line without its end.
func (s *Source) Line() string {
	var b strings.Builder
	for range s.rng.IntN(7) {
		if !s.Portable && s.rng.IntN(8) == 0 {
			b.WriteString(s.pick(odd))
			continue
		}
		b.WriteString(s.pick(dense))
	}
	return b.String()
}

// Text returns n lines; the last of them may have no end.
func (s *Source) Text(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(s.Line())
		if i+1 < n || s.rng.IntN(2) == 0 {
			b.WriteString(s.pick([]string{"\n", "\n", "\n", "\r\n"}))
		}
	}
	return b.String()
}

// Lines cuts text into the lines that grep is to see.
func Lines(text string) []string {
	lines := strings.Split(text, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// Grep returns "number:line" of the lines for which match gives want.
func Grep(text string, match func(string) bool, want bool) []string {
	found := []string{}
	for i, line := range Lines(text) {
		if match(line) == want {
			found = append(found, strconv.Itoa(i+1)+":"+line)
		}
	}
	return found
}
