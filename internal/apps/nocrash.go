package apps

import (
	"iter"
	"path"
	"slices"
	"strconv"

	"github.com/mraws/mraws/mr"
)

// nocrash is the lab's: four pairs for each object, whose values reduce sorts
// and joins. It is what crash computes when it does not crash.
func nocrash() mr.App {
	return mr.App{
		Name:      "nocrash",
		Help:      "names and sizes of the input files: the output of crash, without crashes",
		Version:   "2",
		Input:     mr.WholeObjects,
		NewMapper: func(*mr.Task) (mr.Mapper, error) { return mr.MapperFunc(describe), nil },
		NewReducer: func(*mr.Task) (mr.Reducer, error) {
			return mr.ReducerFunc(joinSorted), nil
		},
	}
}

// describe emits the base name, its length, and the length of the object. The
// name is escaped, spaces as well, since spaces stand between names.
func describe(rec mr.Record, out mr.Emitter) error {
	name := path.Base(rec.Object)
	out.Emit([]byte("a"), []byte(mr.EscapeName(name, " ")))
	out.Emit([]byte("b"), strconv.AppendInt(nil, int64(len(name)), 10))
	out.Emit([]byte("c"), strconv.AppendInt(nil, int64(len(rec.Data)), 10))
	out.Emit([]byte("d"), []byte("xyzzy"))
	return nil
}

// joinSorted writes the sorted values of a key with spaces between them. It
// holds them in memory.
func joinSorted(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
	var all []string
	size := 0
	for v := range values {
		all = append(all, string(v))
		size += len(v) + 1
	}
	slices.Sort(all)
	line := make([]byte, 0, size)
	for i, v := range all {
		if i > 0 {
			line = append(line, ' ')
		}
		line = append(line, v...)
	}
	out.Write(line)
	return nil
}
