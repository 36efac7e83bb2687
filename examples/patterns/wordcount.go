package main

import (
	"strings"

	"github.com/mraws/mraws/mr"
)

// wordCount counts how often each word occurs. Numbers of mr.Int64 are what
// mr.Sum adds up before the shuffle and mr.SumReducer after it.
func wordCount() mr.App {
	pairs := mr.PairsOf(mr.Text{}, mr.Int64{})
	return mr.App{
		Name:    "wordcount",
		Help:    "count words",
		Version: "1",
		NewMapper: pairs.Map(func(line string, out *mr.Out[string, int64]) error {
			for word := range strings.FieldsSeq(line) {
				out.Emit(word, 1)
			}
			return nil
		}),
		NewReducer: mr.SumReducer,
		Combine:    mr.Sum{},
	}
}
