package apps

import (
	"iter"
	"path"
	"time"

	"github.com/mraws/mraws/mr"
)

// earlyExit has reduce tasks of very different duration, so that some workers run out
// of tasks long before others. A worker or coordinator that takes this for the end of
// the job exits before all output is there. The application counts how often each
// base name occurs, escaped as [mr.EscapeName] says.
func earlyExit() mr.App {
	app := namesApp("early_exit", "run some reduce tasks for long: no process may exit before all output is final")
	ref := namesApp(app.Name, app.Help)
	app.Reference = &ref
	app.Params = []mr.Param{{
		Name: "stall", Default: "2s", Check: mr.CheckDuration,
		Help: "time that reduce takes for about a third of the keys",
	}}
	app.NewReducer = func(t *mr.Task) (mr.Reducer, error) {
		stall, err := t.Duration("stall")
		if err != nil {
			return nil, err
		}
		return &slowReducer{task: t, stall: stall}, nil
	}
	return app
}

// namesApp is early_exit without the stalls.
func namesApp(name, help string) mr.App {
	return mr.App{
		Name: name, Help: help, Version: "2",
		Input: mr.WholeObjects,
		NewMapper: func(*mr.Task) (mr.Mapper, error) {
			one := mr.AppendInt64(nil, 1)
			return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
				out.Emit([]byte(mr.EscapeName(path.Base(rec.Object), "")), one)
				return nil
			}), nil
		},
		NewReducer: mr.SumReducer,
	}
}

// slowReducer sums like mr.SumReducer, and takes its time over some keys.
type slowReducer struct {
	task  *mr.Task
	stall time.Duration
}

func (r *slowReducer) Reduce(key []byte, values iter.Seq[[]byte], out mr.Output) error {
	if slow(key) {
		if err := wait(r.task.Context, r.stall); err != nil {
			return err
		}
	}
	sum, err := mr.SumReducer(r.task)
	if err != nil {
		return err
	}
	return sum.Reduce(key, values, out)
}

// slow selects about a third of the keys, always the same: of the eight books of the
// lab some, but not all.
func slow(key []byte) bool { return mr.Partition(key, 3) == 0 }
