package main

import (
	"errors"
	"io/fs"
	"iter"
	"os"
	"strconv"
	"strings"

	"github.com/mraws/mraws/mr"
)

// quits counts words. Some of them end the process: exit0, exit1 and so on with that
// exit code, panic by a panic in another goroutine. "once" leaves it at the
// first time.
func quits() mr.App {
	return mr.App{
		Name:       "quits",
		Help:       "count words, with code that ends its process",
		Version:    "1",
		Params:     []mr.Param{{Name: "once", Default: "false", Check: mr.CheckBool, Help: "only the first attempt that comes there"}},
		NewMapper:  newQuitsMapper,
		NewReducer: newQuitsReducer,
	}
}

func newQuitsMapper(t *mr.Task) (mr.Mapper, error) {
	once, err := t.Bool("once")
	if err != nil {
		return nil, err
	}
	return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
		for word := range strings.FieldsSeq(string(rec.Data)) {
			out.Emit([]byte(word), nil)
			number, exits := strings.CutPrefix(word, "exit")
			if !exits && word != "panic" {
				continue
			}
			if once {
				err := t.Side.Create(t.Context, word, nil)
				if errors.Is(err, fs.ErrExist) {
					continue
				}
				if err != nil {
					return err
				}
			}
			if !exits {
				go panic("a mapper's own goroutine")
				forever()
			}
			code, err := strconv.Atoi(number)
			if err != nil {
				return err
			}
			os.Exit(code)
		}
		return nil
	}), nil
}

func newQuitsReducer(*mr.Task) (mr.Reducer, error) {
	return mr.ReducerFunc(func(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
		n := 0
		for range values {
			n++
		}
		out.Write(strconv.AppendInt(nil, int64(n), 10))
		return nil
	}), nil
}
