package apps

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"time"

	"github.com/mraws/mraws/mr"
)

// crash is nocrash with failing workers. Before each map and reduce call the process
// exits with probability 1/3, and stalls with probability 1/3. The output must be
// that of nocrash.
func crash() mr.App { return crashWith(os.Exit, rand.IntN) }

// crashWith is crash with the function that ends the process, and the source of random
// numbers, which is rand.IntN except in tests.
func crashWith(exit func(int), dice func(int) int) mr.App {
	app, ref := nocrash(), nocrash()
	app.Name = "crash"
	app.Help = "nocrash, in workers that exit or stall at random"
	app.NeedsProcesses = true
	app.Reference = &ref
	app.Params = []mr.Param{{
		Name: "max-stall", Default: "2s", Check: mr.CheckDuration,
		Help: "the longest stall",
	}}
	app.NewMapper = func(t *mr.Task) (mr.Mapper, error) {
		trouble, err := newTrouble(t, exit, dice)
		return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
			if err := trouble(); err != nil {
				return err
			}
			return describe(rec, out)
		}), err
	}
	app.NewReducer = func(t *mr.Task) (mr.Reducer, error) {
		trouble, err := newTrouble(t, exit, dice)
		return mr.ReducerFunc(func(key []byte, values iter.Seq[[]byte], out mr.Output) error {
			if err := trouble(); err != nil {
				return err
			}
			return joinSorted(key, values, out)
		}), err
	}
	return app
}

// newTrouble returns a function that in equal shares exits, stalls, and does
// nothing. It says on stderr that it exits on purpose.
func newTrouble(t *mr.Task, exit func(int), dice func(int) int) (func() error, error) {
	longest, err := t.Duration("max-stall")
	if err != nil {
		return nil, err
	}
	return func() error {
		switch dice(3) {
		case 0:
			fmt.Fprintf(os.Stderr, "crash: exiting in %s task %d, as this app does\n", t.Phase, t.Index)
			exit(1)
			return fmt.Errorf("the process was to exit")
		case 1:
			return wait(t.Context, time.Duration(dice(int(longest/time.Millisecond)+1))*time.Millisecond)
		}
		return nil
	}, nil
}
