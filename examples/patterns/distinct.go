package main

import (
	"iter"

	"github.com/mraws/mraws/mr"
)

// distinct writes each line once, as sort -u does. Ordered asks for outputs that
// are sorted one after the other, and lets a line of output be the key alone.
func distinct() mr.App {
	pairs := mr.PairsOf(mr.Text{}, mr.Text{})
	return mr.App{
		Name:    "distinct",
		Help:    "write each line once, sorted",
		Version: "1",
		Ordered: true,
		NewMapper: pairs.Map(func(line string, out *mr.Out[string, string]) error {
			out.Emit(line, "")
			return nil
		}),
		Combine: pairs.Combine(func(acc, _ string) string { return acc }),
		NewReducer: pairs.Reduce(func(line string, _ iter.Seq[string], out *mr.Printer) error {
			out.PrintLine(line)
			return nil
		}),
	}
}
