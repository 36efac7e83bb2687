package apps

import (
	"bytes"
	"iter"
	"slices"
	"strconv"

	"github.com/mraws/mraws/mr"
)

// indexer finds the files of each word, as the indexer of the lab: "word n
// file1,file2", sorted and without duplicates. A file has its base name, with as many
// folders as make it unique among the files of the job ([shortNames]). Names are
// escaped as [mr.EscapeName] says, and so are commas.
func indexer() mr.App {
	names, plain := &shortNames{}, plainIndexer()
	return mr.App{
		Name:       "indexer",
		Help:       "list the files of each word: word, number of files, their names",
		Version:    indexerVersion,
		NewMapper:  func(t *mr.Task) (mr.Mapper, error) { return newIndexMapper(t, names), nil },
		NewReducer: newIndexReducer,
		OutputColumns: func(map[string]string) []mr.Column {
			return []mr.Column{{Name: "word"}, {Name: "files"}}
		},
		Combine:   mr.CombinerFunc(union),
		Reference: &plain,
	}
}

const indexerVersion = "2"

// A value is a set of names in byte order. Each name is followed by this byte, which
// no escaped name contains.
const nameEnd = 0

// seenBytes is the maximum size in bytes of the words that an indexMapper remembers.
const seenBytes = 8 << 20

// indexMapper emits (word, {short name of the object}). It remembers the words that it
// has emitted for the current object, up to seenBytes, so that a word costs one pair
// for each object instead of one for each occurrence. A forgotten word costs another
// pair, which the combiner merges.
type indexMapper struct {
	objects []string // all input
	names   *shortNames
	classes *classes
	edges   []uint32
	object  string
	name    []byte // the value: a set of one
	current uint32 // number of the object, from 1
	// index gives each known word a place in last, the number of the object
	// for which it was emitted last: words that many objects share are
	// stored once.
	index map[string]int
	last  []uint32
	size  int // bytes of the words in index, with an allowance for the map
}

func newIndexMapper(t *mr.Task, names *shortNames) *indexMapper {
	return &indexMapper{objects: t.Objects(), names: names, classes: newClasses(), index: map[string]int{}}
}

// Map emits the words of a line that are new in its object.
func (m *indexMapper) Map(rec mr.Record, out mr.Emitter) error {
	if err := m.enter(rec.Object); err != nil {
		return err
	}
	for start, end := m.classes.next(rec.Data, 0); start < end; start, end = m.classes.next(rec.Data, end) {
		if word := rec.Data[start:end]; m.first(word) {
			out.Emit(word, m.name)
		}
	}
	return nil
}

// enter sets the object of the following lines.
func (m *indexMapper) enter(object string) error {
	if object == m.object && m.current > 0 {
		return nil
	}
	name, err := m.names.of(object, m.objects)
	if err != nil {
		return err
	}
	m.object = object
	m.current++
	m.name = append(append(m.name[:0], mr.EscapeName(name, ",")...), nameEnd)
	return nil
}

// MapBlock does what Map does, for many lines at a time.
func (m *indexMapper) MapBlock(rec mr.Record, out mr.Emitter) error {
	if err := m.enter(rec.Object); err != nil {
		return err
	}
	for rest := rec.Data; len(rest) > 0; {
		text := step(rest)
		rest = rest[len(text):]
		m.edges = edges(m.edges[:0], text)
		for at := m.edges; len(at) >= 2; at = at[2:] {
			if word := text[at[0]:at[1]]; m.first(word) {
				out.Emit(word, m.name)
			}
		}
	}
	return nil
}

// first reports whether word has not been seen yet in the current object, as
// far as the mapper remembers.
func (m *indexMapper) first(word []byte) bool {
	if i, ok := m.index[string(word)]; ok {
		seen := m.last[i] == m.current
		m.last[i] = m.current
		return !seen
	}
	const perWord = 64 // map entry, string header and number, about
	if m.size += len(word) + perWord; m.size > seenBytes {
		clear(m.index)
		m.last, m.size = m.last[:0], len(word)+perWord
	}
	m.index[string(word)] = len(m.last)
	m.last = append(m.last, m.current)
	return true
}

// union is the combiner: the union of two sets of names.
func union(acc, next []byte) []byte {
	if len(next) == 0 || len(acc) == 0 {
		return append(acc, next...)
	}
	if one := bytes.IndexByte(next, nameEnd) + 1; one == len(next) {
		at, found := search(acc, next)
		if found {
			return acc
		}
		return slices.Insert(acc, at, next...)
	}
	if bytes.Compare(lastName(acc), firstName(next)) < 0 {
		return append(acc, next...)
	}
	merged := make([]byte, 0, len(acc)+len(next))
	for len(acc) > 0 && len(next) > 0 {
		a, n := firstName(acc), firstName(next)
		c := bytes.Compare(a, n)
		if c <= 0 {
			merged, acc = append(merged, a...), acc[len(a):]
		} else {
			merged = append(merged, n...)
		}
		if c >= 0 {
			next = next[len(n):]
		}
	}
	return append(append(merged, acc...), next...)
}

// firstName and lastName return a name of a set with the byte that ends it.
func firstName(set []byte) []byte { return set[:bytes.IndexByte(set, nameEnd)+1] }
func lastName(set []byte) []byte {
	return set[bytes.LastIndexByte(set[:len(set)-1], nameEnd)+1:]
}

// search returns where in set the name is or belongs. Names come mostly in
// order, so the end is tried first.
func search(set, name []byte) (at int, found bool) {
	if bytes.Compare(lastName(set), name) < 0 {
		return len(set), false
	}
	low, high := 0, len(set) // both at the start of a name, or the end
	for low < high {
		mid := (low + high) / 2
		mid = bytes.LastIndexByte(set[low:mid], nameEnd) + 1 + low
		n := firstName(set[mid:])
		switch c := bytes.Compare(n, name); {
		case c == 0:
			return mid, true
		case c < 0:
			low = mid + len(n)
		default:
			high = mid
		}
	}
	return low, false
}

func newIndexReducer(*mr.Task) (mr.Reducer, error) {
	var set, line []byte
	return mr.ReducerFunc(func(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
		set = set[:0]
		for v := range values {
			set = union(set, v)
		}
		line = strconv.AppendInt(line[:0], int64(bytes.Count(set, []byte{nameEnd})), 10)
		for rest, sep := set, byte(' '); len(rest) > 0; sep = ',' {
			n := firstName(rest)
			line = append(append(line, sep), n[:len(n)-1]...)
			rest = rest[len(n):]
		}
		out.Write(line)
		return nil
	}), nil
}
