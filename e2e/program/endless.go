package main

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"strconv"
	"strings"

	"github.com/mraws/mraws/mr"
)

// endless counts words. Code that meets the word "hang" never returns, whatever
// its context says: in the place that a parameter names, and there each time
// or the first time only.
func endless() mr.App {
	app := mr.App{
		Name:    "endless",
		Help:    "count words, with code that does not return",
		Version: "1",
		Params: []mr.Param{
			{Name: "place", Default: "map", Help: "map, combine, reduce or check"},
			{Name: "once", Default: "false", Check: mr.CheckBool, Help: "only the first attempt that comes there"},
		},
		NewMapper:  newEndlessMapper,
		NewReducer: newEndlessReducer,
		Combine: mr.CombinerFunc(func(acc, next []byte) []byte {
			if string(acc) == "hang" {
				forever()
			}
			return append(acc, next...)
		}),
	}
	app.Check = func(lines iter.Seq2[mr.Line, error], info mr.CheckInfo) error {
		if info.Params["place"] == "check" {
			fmt.Fprintln(os.Stderr, "the check hangs")
			forever()
		}
		for _, err := range lines {
			if err != nil {
				return err
			}
		}
		return nil
	}
	return app
}

// forever is a call that never returns.
func forever() { select {} }

// hangs says whether the attempt is to hang in a place.
func hangs(t *mr.Task, place string) (bool, error) {
	if t.Params["place"] != place {
		return false, nil
	}
	once, err := t.Bool("once")
	if err != nil || !once {
		return true, err
	}
	err = t.Side.Create(t.Context, "hung", nil)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	return err == nil, err
}

func newEndlessMapper(t *mr.Task) (mr.Mapper, error) {
	return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
		for word := range strings.FieldsSeq(string(rec.Data)) {
			value := "x"
			if word == "hang" {
				inMap, err := hangs(t, "map")
				inCombine, cerr := hangs(t, "combine")
				switch {
				case err != nil || cerr != nil:
					return errors.Join(err, cerr)
				case inMap:
					forever()
				case inCombine:
					value = "hang"
					out.Emit([]byte(word), []byte(value))
				}
			}
			out.Emit([]byte(word), []byte(value))
		}
		return nil
	}), nil
}

func newEndlessReducer(t *mr.Task) (mr.Reducer, error) {
	return mr.ReducerFunc(func(key []byte, values iter.Seq[[]byte], out mr.Output) error {
		if string(key) == "hang" {
			hang, err := hangs(t, "reduce")
			switch {
			case err != nil:
				return err
			case hang:
				forever()
			}
		}
		n := 0
		for v := range values {
			n += len(v)
		}
		out.Write(strconv.AppendInt(nil, int64(n), 10))
		return nil
	}), nil
}
