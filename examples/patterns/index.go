package main

import (
	"iter"
	"slices"
	"strings"

	"github.com/mraws/mraws/mr"
)

// invertedIndex lists for each word the objects that have it. Values come in
// input order, so those of one object follow each other, and the combiner may
// leave out what is there twice.
func invertedIndex() mr.App {
	pairs := mr.PairsOf(mr.Text{}, mr.Text{})
	return mr.App{
		Name:    "index",
		Help:    "list the objects that have each word",
		Version: "1",
		NewMapper: pairs.Map(func(line string, out *mr.Out[string, string]) error {
			name := mr.EscapeName(out.Record.Object, ",")
			for word := range strings.FieldsSeq(line) {
				out.Emit(word, name)
			}
			return nil
		}),
		Combine: pairs.Combine(func(acc, next string) string {
			return strings.Join(merged(strings.Split(acc, ","), next), ",")
		}),
		NewReducer: pairs.Reduce(func(_ string, lists iter.Seq[string], out *mr.Printer) error {
			var all []string
			for list := range lists {
				all = merged(all, list)
			}
			out.Printf("%d %s", len(all), strings.Join(all, ","))
			return nil
		}),
	}
}

// merged appends the names of a list to all, but one that is its last already.
func merged(all []string, list string) []string {
	return slices.Compact(append(all, strings.Split(list, ",")...))
}
