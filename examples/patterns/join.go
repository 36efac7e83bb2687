package main

import (
	"errors"
	"iter"
	"path"
	"strings"

	"github.com/mraws/mraws/mr"
)

// join joins two inputs, whose lines are "ID TEXT", by the id: each line of an
// object named customers* with each line of the others, such as orders. The
// mapper marks the side of a value with its first byte. Lines without a partner
// are counted and left out.
func join() mr.App {
	pairs := mr.PairsOf(mr.Text{}, mr.Text{})
	return mr.App{
		Name:    "join",
		Help:    "join lines \"ID TEXT\" of objects customers* with those of the others",
		Version: "1",
		NewMapper: pairs.Map(func(line string, out *mr.Out[string, string]) error {
			id, text, found := strings.Cut(line, " ")
			if !found {
				return errors.New("a line without a space")
			}
			side := "R"
			if strings.HasPrefix(path.Base(out.Record.Object), "customers") {
				side = "L"
			}
			out.Emit(id, side+text)
			return nil
		}),
		NewReducer: pairs.Reduce(func(_ string, rows iter.Seq[string], out *mr.Printer) error {
			var left, right []string
			for row := range rows {
				if row[0] == 'L' {
					left = append(left, row[1:])
				} else {
					right = append(right, row[1:])
				}
			}
			for _, l := range left {
				for _, r := range right {
					out.Print(l + " " + r)
				}
			}
			if len(left) == 0 || len(right) == 0 {
				out.Task.Counters.Add("lines without a partner", int64(len(left)+len(right)))
			}
			return nil
		}),
		ExactCounters: true,
	}
}
