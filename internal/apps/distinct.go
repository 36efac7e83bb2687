package apps

import (
	"iter"

	"github.com/mraws/mraws/mr"
)

// distinct writes each line once. The outputs one after the other are sorted, as
// those of `sort -u`.
func distinct() mr.App {
	return mr.App{
		Name:    "distinct",
		Help:    "write each line once, sorted by bytes across all outputs",
		Version: "1",
		Ordered: true,
		NewMapper: func(*mr.Task) (mr.Mapper, error) {
			return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
				out.Emit(rec.Data, nil)
				return nil
			}), nil
		},
		NewReducer: func(*mr.Task) (mr.Reducer, error) {
			return mr.ReducerFunc(func(key []byte, _ iter.Seq[[]byte], out mr.Output) error {
				out.WriteLine(key)
				return nil
			}), nil
		},
		OutputColumns: func(map[string]string) []mr.Column { return []mr.Column{{Name: "line"}} },
		Combine:       mr.CombinerFunc(func(acc, _ []byte) []byte { return acc }),

		ExactCounters: true, // there are none
	}
}
