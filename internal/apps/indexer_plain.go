package apps

import (
	"bytes"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/mraws/mraws/mr"
)

// plainIndexer is indexer in the fewest words, for the verifier: it looks at
// one character at a time, emits every occurrence of a word, does not combine,
// and has a way of its own to shorten names.
func plainIndexer() mr.App {
	return mr.App{
		Name:    "indexer",
		Version: indexerVersion,
		NewMapper: func(t *mr.Task) (mr.Mapper, error) {
			objects := t.Objects()
			starts := plainStarts(objects)
			last, name := "", []byte(nil)
			return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
				if rec.Object != last || name == nil {
					i, ok := slices.BinarySearch(objects, rec.Object)
					if !ok {
						return noInput(rec.Object)
					}
					last, name = rec.Object, []byte(mr.EscapeName(rec.Object[starts[i]:], ","))
				}
				for word := range bytes.FieldsFuncSeq(rec.Data, func(r rune) bool { return !unicode.IsLetter(r) }) {
					out.Emit(word, name)
				}
				return nil
			}), nil
		},
		NewReducer: func(*mr.Task) (mr.Reducer, error) {
			return mr.ReducerFunc(func(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
				names := map[string]bool{}
				for v := range values {
					if !names[string(v)] {
						names[string(v)] = true
					}
				}
				out.Write([]byte(strconv.Itoa(len(names)) + " " + strings.Join(slices.Sorted(maps.Keys(names)), ",")))
				return nil
			}), nil
		},
	}
}

// plainStarts is shortStarts by counting: of names with the same last element
// the last two count, and so on.
func plainStarts(objects []string) []int {
	starts := make([]int, len(objects))
	open := make([]int, len(objects)) // which have no short name yet
	for i, name := range objects {
		open[i], starts[i] = i, len(strings.TrimRight(name, "/"))
	}
	for len(open) > 0 {
		seen := map[string]int{}
		for _, i := range open {
			starts[i] = strings.LastIndexByte(objects[i][:max(starts[i]-1, 0)], '/') + 1
			seen[objects[i][starts[i]:]]++
		}
		open = slices.DeleteFunc(open, func(i int) bool { return starts[i] == 0 || seen[objects[i][starts[i]:]] == 1 })
	}
	return starts
}
