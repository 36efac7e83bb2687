package apps

import (
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/mraws/mraws/mr"
)

// mtiming shows that two workers really run map tasks at the same time. Its
// output has two lines for each worker: "times-<worker>" with the start times
// of its map calls, and "parallel-<worker>" with the number of workers that
// each call saw running, itself among them ([rendezvous] says how).
func mtiming() mr.App {
	return mr.App{
		Name:        "mtiming",
		Help:        "show that two workers run map tasks at the same time",
		Version:     "1",
		SideEffects: true,
		Input:       mr.WholeObjects,
		Params:      []mr.Param{timeoutParam()},
		NewMapper: func(t *mr.Task) (mr.Mapper, error) {
			met, err := newRendezvous(t, "mtiming/")
			if err != nil {
				return nil, err
			}
			return mr.MapperFunc(func(_ mr.Record, out mr.Emitter) error {
				start := time.Now()
				n, err := met.meet()
				if err != nil {
					return err
				}
				worker := sideName(t.Worker)
				out.Emit([]byte("times-"+worker), fmt.Appendf(nil, "%.1f", float64(start.UnixMilli())/1000))
				out.Emit([]byte("parallel-"+worker), strconv.AppendInt(nil, int64(n), 10))
				return nil
			}), nil
		},
		NewReducer: func(*mr.Task) (mr.Reducer, error) {
			return mr.ReducerFunc(joinSorted), nil
		},
		Check: checkMtiming,
	}
}

// checkMtiming wants map calls of at least two workers, one of which saw
// another.
func checkMtiming(lines iter.Seq2[mr.Line, error], _ mr.CheckInfo) error {
	workers, parallel := 0, false
	for line, err := range lines {
		if err != nil {
			return err
		}
		key, values, _ := strings.Cut(line.Text, " ")
		switch {
		case strings.HasPrefix(key, "times-"):
			workers++
		case strings.HasPrefix(key, "parallel-"):
			for v := range strings.FieldsSeq(values) {
				n, err := strconv.Atoi(v)
				if err != nil {
					return fmt.Errorf("line %q: %q is no number of workers", line.Text, v)
				}
				parallel = parallel || n >= 2
			}
		default:
			return fmt.Errorf("line %q is neither times- nor parallel-", line.Text)
		}
	}
	if workers < 2 {
		return fmt.Errorf("map tasks ran on %d worker, want at least 2", workers)
	}
	if !parallel {
		return errors.New("no map task saw another worker at the same time")
	}
	return nil
}
