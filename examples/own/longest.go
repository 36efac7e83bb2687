package main

import (
	"iter"
	"slices"

	"github.com/mraws/mraws/mr"
)

// longest finds the length of the longest line of each object, in bytes.
func longest() mr.App {
	pairs := mr.PairsOf(mr.Text{}, mr.Int64{})
	return mr.App{
		Name:    "longest",
		Help:    "find the length of the longest line of each object",
		Version: "1",
		NewMapper: pairs.Map(func(line string, out *mr.Out[string, int64]) error {
			out.Emit(mr.EscapeName(out.Record.Object, ""), int64(len(line)))
			return nil
		}),
		Combine: pairs.Combine(func(acc, next int64) int64 { return max(acc, next) }),
		NewReducer: pairs.Reduce(func(_ string, lengths iter.Seq[int64], out *mr.Printer) error {
			out.PrintInt(slices.Max(slices.Collect(lengths)))
			return nil
		}),
	}
}
