package apps

import (
	"bytes"
	"fmt"
	"iter"
	"math"
	"strconv"

	"github.com/mraws/mraws/mr"
)

// sortLines sorts lines by their bytes. The outputs one after the other are
// the sorted input.
func sortLines() mr.App {
	return mr.App{
		Name:    "sort",
		Help:    "sort lines by their bytes across all outputs",
		Version: "2",
		Params: []mr.Param{
			{Name: "key-bytes", Help: "compare only this many bytes, 0 compares all; equal keys stay in input order", Default: "0", Check: func(v string) error {
				if _, err := strconv.ParseUint(v, 10, 31); err != nil {
					return fmt.Errorf("%q is not a number of bytes", v)
				}
				return nil
			}},
			{Name: "unique", Help: "keep only the first line of each key", Default: "false", Check: mr.CheckBool},
		},
		Ordered:       true,
		NewMapper:     newSortMapper,
		NewReducer:    newSortReducer,
		OutputColumns: func(map[string]string) []mr.Column { return []mr.Column{{Name: "line"}} },

		ExactCounters: true, // there are none
	}
}

// sortMapper emits each line, cut into what is compared and the rest.
type sortMapper struct{ keyBytes int }

func newSortMapper(t *mr.Task) (mr.Mapper, error) {
	n, err := strconv.Atoi(t.Params["key-bytes"])
	if err != nil {
		return nil, fmt.Errorf("parameter key-bytes: %w", err)
	}
	if n == 0 {
		n = math.MaxInt
	}
	return &sortMapper{keyBytes: n}, nil
}

// Map emits a line.
func (m *sortMapper) Map(rec mr.Record, out mr.Emitter) error {
	n := min(m.keyBytes, len(rec.Data))
	out.Emit(rec.Data[:n], rec.Data[n:])
	return nil
}

// MapBlock emits all lines of a block.
func (m *sortMapper) MapBlock(block mr.Record, out mr.Emitter) error {
	for data, more := block.Data, true; more; more = len(data) > 0 { // an empty block is an empty line
		var line []byte
		line, data, _ = bytes.Cut(data, lineEnd)
		n := min(m.keyBytes, len(line))
		out.Emit(line[:n], line[n:])
	}
	return nil
}

// sortReducer writes lines as they come.
type sortReducer struct {
	unique bool
	key    []byte
	out    mr.Output
	line   []byte
	write  func(value []byte) bool // a method value, made once and not for every key
}

func newSortReducer(t *mr.Task) (mr.Reducer, error) {
	unique, err := t.Bool("unique")
	if err != nil {
		return nil, err
	}
	r := &sortReducer{unique: unique}
	r.write = r.writeLine
	return r, nil
}

// Reduce writes the lines of a key.
func (r *sortReducer) Reduce(key []byte, values iter.Seq[[]byte], out mr.Output) error {
	r.key, r.out = key, out
	values(r.write)
	return nil
}

// writeLine writes the line of a value and tells whether more are wanted.
func (r *sortReducer) writeLine(value []byte) bool {
	if len(value) == 0 {
		r.out.WriteLine(r.key)
	} else {
		r.line = append(append(r.line[:0], r.key...), value...)
		r.out.WriteLine(r.line)
	}
	return !r.unique
}
