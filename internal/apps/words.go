package apps

import (
	"unicode"
	"unicode/utf8"
)

// What a byte is to a scanner of words.
const (
	other  = iota // ASCII that is no letter: ends a word
	letter        // ASCII letter
	wide          // part of a longer rune: has to be decoded
)

// classes gives the class of each byte.
type classes [256]uint8

func newClasses() *classes {
	var c classes
	for b := range c {
		switch {
		case b >= utf8.RuneSelf:
			c[b] = wide
		case unicode.IsLetter(rune(b)):
			c[b] = letter
		}
	}
	return &c
}

// next returns the bounds of the first word of text at or behind from;
// start is len(text) when there is none. A word is a maximal run of Unicode
// letters, as strings.FieldsFunc of the lab's wc finds them; bytes that are
// no UTF-8 are no letters. from must not be inside a rune.
func (c *classes) next(text []byte, from int) (start, end int) {
	i := from
	for i < len(text) {
		k := c[text[i]]
		if k == other {
			i++
			continue
		}
		if k == letter {
			break
		}
		r, n := utf8.DecodeRune(text[i:])
		if unicode.IsLetter(r) {
			break
		}
		i += n
	}
	start = i
	for i < len(text) {
		k := c[text[i]]
		if k == letter {
			i++
			continue
		}
		if k == other {
			break
		}
		r, n := utf8.DecodeRune(text[i:])
		if !unicode.IsLetter(r) {
			break
		}
		i += n
	}
	return start, i
}
