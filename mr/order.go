package mr

import (
	"bytes"
	"cmp"
)

// ValueOrder is an order of the values of a key. Values that are equal in it come in
// input order.
type ValueOrder string

// The orders of values. A number is what a value begins with, behind spaces and tabs:
// a minus sign or none, digits, a point and digits or none; without digits it is 0.
const (
	ByBytes      ValueOrder = "bytes"
	ByBytesDown  ValueOrder = "bytes-reverse"
	ByNumber     ValueOrder = "numeric"
	ByNumberDown ValueOrder = "numeric-reverse"

	byInput ValueOrder = ""
)

// Compare returns a negative number if value a comes before b, a positive one if it
// comes after b, and 0 if they come in input order.
func (o ValueOrder) Compare(a, b []byte) int {
	switch o {
	case ByBytes:
		return bytes.Compare(a, b)
	case ByBytesDown:
		return bytes.Compare(b, a)
	case ByNumber:
		return compareNumbers(a, b)
	case ByNumberDown:
		return compareNumbers(b, a)
	}
	return 0
}

// compareNumbers compares the numbers that two texts begin with, of any length.
func compareNumbers(a, b []byte) int {
	signA, wholeA, restA := numberOf(a)
	signB, wholeB, restB := numberOf(b)
	if c := cmp.Compare(signA, signB); c != 0 {
		return c
	}
	return signA * cmp.Or(cmp.Compare(len(wholeA), len(wholeB)), bytes.Compare(wholeA, wholeB), bytes.Compare(restA, restB))
}

// numberOf returns the sign of a number, 0 for zero, and its digits before and behind
// the point, without zeros at the outer ends.
func numberOf(text []byte) (sign int, whole, decimals []byte) {
	text = bytes.TrimLeft(text, " \t")
	text, negative := bytes.CutPrefix(text, []byte{'-'})
	digits := func(text []byte) []byte {
		n := 0
		for n < len(text) && '0' <= text[n] && text[n] <= '9' {
			n++
		}
		return text[:n]
	}
	whole = digits(text)
	if rest, point := bytes.CutPrefix(text[len(whole):], []byte{'.'}); point {
		decimals = bytes.TrimRight(digits(rest), "0")
	}
	whole = bytes.TrimLeft(whole, "0")
	switch {
	case len(whole)+len(decimals) == 0:
		return 0, nil, nil
	case negative:
		return -1, whole, decimals
	}
	return 1, whole, decimals
}
