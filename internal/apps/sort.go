package apps

import (
	"fmt"
	"iter"
	"strconv"

	"github.com/mraws/mraws/mr"
)

// sortLines sorts lines by their bytes. The outputs one after the other are
// the sorted input.
func sortLines() mr.App {
	return mr.App{
		Name:    "sort",
		Help:    "sort lines by their bytes, over all outputs",
		Version: "1",
		Params: []mr.Param{
			{Name: "key-bytes", Help: "compare only so many bytes, 0 is all; ties stay in input order", Default: "0", Check: func(v string) error {
				if _, err := strconv.ParseUint(v, 10, 31); err != nil {
					return fmt.Errorf("%q is no number of bytes", v)
				}
				return nil
			}},
			{Name: "unique", Help: "of lines with the same key keep the first", Default: "false", Check: mr.CheckBool},
		},
		Ordered:    true,
		NewMapper:  newSortMapper,
		NewReducer: newSortReducer,
	}
}

func newSortMapper(t *mr.Task) (mr.Mapper, error) {
	n, err := strconv.Atoi(t.Params["key-bytes"])
	if err != nil {
		return nil, fmt.Errorf("parameter key-bytes: %w", err)
	}
	return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
		if n == 0 || n > len(rec.Data) {
			out.Emit(rec.Data, nil)
		} else {
			out.Emit(rec.Data[:n], rec.Data[n:])
		}
		return nil
	}), nil
}

func newSortReducer(t *mr.Task) (mr.Reducer, error) {
	unique, err := t.Bool("unique")
	if err != nil {
		return nil, err
	}
	var line []byte
	return mr.ReducerFunc(func(key []byte, values iter.Seq[[]byte], out mr.Output) error {
		for v := range values {
			if len(v) == 0 {
				out.WriteLine(key)
			} else {
				line = append(append(line[:0], key...), v...)
				out.WriteLine(line)
			}
			if unique {
				break
			}
		}
		return nil
	}), nil
}
