package main

import (
	"strconv"
	"strings"
	"unicode"

	"github.com/mraws/mraws/mr"
)

// Map is called once for each input file.
func Map(_, contents string) []mr.KeyValue {
	notLetter := func(r rune) bool { return !unicode.IsLetter(r) }
	var kva []mr.KeyValue
	for _, w := range strings.FieldsFunc(contents, notLetter) {
		kva = append(kva, mr.KeyValue{Key: w, Value: "1"})
	}
	return kva
}

// Reduce is called once for each word, with a "1" for each occurrence.
func Reduce(_ string, values []string) string {
	return strconv.Itoa(len(values))
}
