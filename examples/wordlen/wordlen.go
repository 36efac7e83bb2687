package main

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/mraws/mraws/mr"
)

// app counts words by their length in letters, shortest first: the keys are
// numbers with leading zeros, since output is sorted by bytes.
func app() mr.App {
	return mr.App{
		Name:    "wordlen",
		Help:    "count words by their length",
		Version: "1",
		Params: []mr.Param{
			{Name: "least", Help: "leave out words of fewer letters", Default: "1", Check: mr.CheckInt},
		},
		NewMapper:  newMapper,
		NewReducer: mr.SumReducer,
		Combine:    mr.Sum{},

		ExactCounters: true,
	}
}

func newMapper(t *mr.Task) (mr.Mapper, error) {
	least, err := t.Int("least")
	if err != nil {
		return nil, err
	}
	one := mr.AppendInt64(nil, 1)
	var key []byte
	return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
		for word := range bytes.FieldsSeq(rec.Data) {
			n := utf8.RuneCount(word)
			if n < least {
				t.Counters.Add("words left out", 1)
				continue
			}
			key = fmt.Appendf(key[:0], "%04d", n)
			out.Emit(key, one)
		}
		return nil
	}), nil
}
