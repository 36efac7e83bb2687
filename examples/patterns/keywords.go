package main

import (
	"fmt"
	"io/fs"
	"strings"

	"github.com/mraws/mraws/mr"
)

// keywords counts how often each word occurs, but for those of a list. The job ships the
// list as stopwords.txt, a word a line; each mapper reads it once.
func keywords() mr.App {
	pairs := mr.PairsOf(mr.Text{}, mr.Int64{})
	return mr.App{
		Name:    "keywords",
		Help:    "count words but those of the file stopwords.txt, which --file ships",
		Version: "1",
		NewMapper: pairs.MapTask(func(t *mr.Task) (mr.MapFunc[string, int64], error) {
			list, err := fs.ReadFile(t.Files, "stopwords.txt")
			if err != nil {
				return nil, fmt.Errorf("read the words to leave out, which --file ships: %w", err)
			}
			stop := map[string]bool{}
			for word := range strings.FieldsSeq(string(list)) {
				stop[word] = true
			}
			return func(line string, out *mr.Out[string, int64]) error {
				for word := range strings.FieldsSeq(line) {
					if !stop[word] {
						out.Emit(word, 1)
					}
				}
				return nil
			}, nil
		}),
		NewReducer: mr.SumReducer,
		Combine:    mr.Sum{},
	}
}
