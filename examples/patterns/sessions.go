package main

import (
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/mraws/mraws/mr"
)

// sessions cuts the events of each user into sessions, which end when the user
// does nothing for longer than the gap. A line is "USER SECONDS", in any order;
// the times of one user are sorted in memory. The output has a line for each
// session: the time of its first event, its length in seconds, and its events.
func sessions() mr.App {
	pairs := mr.PairsOf(mr.Text{}, mr.Int64{})
	return mr.App{
		Name:    "sessions",
		Help:    "cut events \"USER SECONDS\" into sessions",
		Version: "1",
		Params:  []mr.Param{{Name: "gap", Help: "what ends a session if nothing happens for longer", Default: "30m", Check: mr.CheckDuration}},
		NewMapper: pairs.Map(func(line string, out *mr.Out[string, int64]) error {
			user, at, _ := strings.Cut(line, " ")
			seconds, err := strconv.ParseInt(at, 10, 64)
			if err != nil {
				return fmt.Errorf("not USER SECONDS: %w", err)
			}
			out.Emit(user, seconds)
			return nil
		}),
		NewReducer: pairs.ReduceTask(func(t *mr.Task) (mr.ReduceFunc[string, int64], error) {
			gap, err := t.Duration("gap")
			return func(_ string, times iter.Seq[int64], out *mr.Printer) error {
				rest := slices.Sorted(times)
				for len(rest) > 0 {
					n := 1
					for n < len(rest) && float64(rest[n]-rest[n-1]) <= gap.Seconds() {
						n++
					}
					out.Printf("%d %d %d", rest[0], rest[n-1]-rest[0], n)
					rest = rest[n:]
				}
				return nil
			}, err
		}),
	}
}
