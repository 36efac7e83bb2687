package apps

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/mraws/mraws/mr"
)

// jobcount counts how many times map tasks were run, on whatever machines:
// each map attempt leaves a side file of its own behind, and reduce counts
// them. Without failures its output is "a M" for M map tasks; more means
// that tasks were run again.
func jobcount() mr.App {
	return mr.App{
		Name:        "jobcount",
		Help:        "count the runs of map tasks on all machines",
		Version:     "1",
		SideEffects: true,
		Input:       mr.WholeObjects,
		Params: []mr.Param{{
			Name: "stall", Default: "300ms", Check: mr.CheckDuration,
			Help: "each map attempt takes between this and twice this time",
		}},
		NewMapper:  newCountMapper,
		NewReducer: newCountReducer,
		Check:      checkJobcount,
	}
}

// countDir is where the side files of map attempts lie.
const countDir = "jobcount/"

func newCountMapper(t *mr.Task) (mr.Mapper, error) {
	stall, err := t.Duration("stall")
	if err != nil {
		return nil, err
	}
	// Put and not Create: the name is the attempt's own, and a request that
	// is sent again must not make two runs of one.
	if err := t.Side.Put(t.Context, fmt.Sprintf("%s%d-%s", countDir, t.Index, sideName(t.Attempt)), nil); err != nil {
		return nil, err
	}
	if stall > 0 {
		stall += rand.N(stall)
	}
	return mr.MapperFunc(func(_ mr.Record, out mr.Emitter) error {
		if err := wait(t.Context, stall); err != nil {
			return err
		}
		stall = 0 // once for each attempt, however many objects it maps
		out.Emit([]byte("a"), []byte("x"))
		return nil
	}), nil
}

func newCountReducer(t *mr.Task) (mr.Reducer, error) {
	return mr.ReducerFunc(func(_ []byte, _ iter.Seq[[]byte], out mr.Output) error {
		runs, err := t.Side.List(t.Context, countDir)
		if err != nil {
			return err
		}
		out.Write(strconv.AppendInt(nil, int64(len(runs)), 10))
		return nil
	}), nil
}

// checkJobcount wants one line "a N" with N at least the number of map
// tasks. It cannot know how many attempts failed; where none did, N is M.
func checkJobcount(lines iter.Seq2[mr.Line, error], info mr.CheckInfo) error {
	var got []string
	for line, err := range lines {
		if err != nil {
			return err
		}
		got = append(got, line.Text)
	}
	if len(got) == 0 && info.Maps == 0 {
		return nil
	}
	if len(got) != 1 {
		return fmt.Errorf("output has %d lines, want one, \"a <runs>\"", len(got))
	}
	runs, ok := strings.CutPrefix(got[0], "a ")
	n, err := strconv.Atoi(runs)
	if !ok || err != nil {
		return fmt.Errorf("output is %q, want \"a <runs>\"", got[0])
	}
	if n < info.Maps {
		return fmt.Errorf("%d runs of %d map tasks: some were never run", n, info.Maps)
	}
	return nil
}
