package apps

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/mraws/mraws/mr"
)

// group groups rows by columns and aggregates others, as GROUP BY of SQL does: a line
// "by… aggregate…" for each group.
func group() mr.App {
	columns := func(what string) string { return "columns of which " + what + ", with commas between them" }
	return mr.App{
		Name:    "group",
		Help:    "group the rows of a table by columns, and count them or add up others",
		Version: "2",
		Params: []mr.Param{
			{Name: "by", Help: byHelp, Check: checkColumns},
			{Name: "count", Help: "count the rows of each group; auto does where nothing else is asked for", Default: "auto", Check: func(v string) error {
				if !slices.Contains([]string{"auto", "true", "false"}, v) {
					return fmt.Errorf("%q is none of auto, true and false", v)
				}
				return nil
			}},
			{Name: "sum", Help: columns("the sum is asked for"), Check: checkColumns},
			{Name: "avg", Help: columns("the mean is asked for"), Check: checkColumns},
			{Name: "min", Help: columns("the smallest number is asked for"), Check: checkColumns},
			{Name: "max", Help: columns("the largest number is asked for"), Check: checkColumns},
		},
		Input: mr.Rows,
		Columns: func(params map[string]string) ([]string, error) {
			return newGrouping(params).columns, nil
		},
		NewMapper: func(t *mr.Task) (mr.Mapper, error) {
			g := newGrouping(t.Params)
			m := &groupMapper{grouping: g, value: make([]byte, g.size()), fraction: make([]bool, len(g.columns))}
			if t.MapOnly { // each row is a line of output
				return m, nil
			}
			return newFoldingMapper(m), nil
		},
		NewReducer: func(t *mr.Task) (mr.Reducer, error) {
			return &groupReducer{grouping: newGrouping(t.Params)}, nil
		},
		OutputColumns: func(params map[string]string) []mr.Column {
			return newGrouping(params).written()
		},
		Combine: mr.CombinerFunc(combineGroups),

		ExactCounters: true, // there are none
	}
}

const byHelp = "columns that make a group, with commas between them; empty is one group, all"

// checkColumns refuses a list of columns in which one has no name.
func checkColumns(list string) error {
	if list != "" && slices.Contains(strings.Split(list, ","), "") {
		return fmt.Errorf("a column of %q has no name", list)
	}
	return nil
}

// grouping is what the parameters ask for.
type grouping struct {
	columns []string // that are read: those of by first
	by      int      // how many of them
	count   bool
	slots   []slot // an aggregate each
}

// slot is an aggregate of a column.
type slot struct {
	op     byte
	column int // index in columns
}

// The ops of slots. They stand in the values, so that a combiner knows what to do.
const (
	opSum byte = iota
	opAvg
	opMin
	opMax

	tooLarge byte = 0x80 // is added to the op of a sum that is
)

// A value is the number of rows, then for each slot its op, how many of the rows have
// a number, and what these come to.
const (
	countSize = 8
	slotSize  = 1 + countSize + decimalSize
)

func newGrouping(params map[string]string) *grouping {
	g := &grouping{columns: splitColumns(params["by"])}
	g.by = len(g.columns)
	for op, name := range []string{"sum", "avg", "min", "max"} {
		for _, column := range splitColumns(params[name]) {
			i := slices.Index(g.columns, column)
			if i < 0 {
				i = len(g.columns)
				g.columns = append(g.columns, column)
			}
			g.slots = append(g.slots, slot{byte(op), i})
		}
	}
	g.count = params["count"] == "true" || params["count"] != "false" && len(g.slots) == 0
	return g
}

func splitColumns(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

// written are the columns of the output. Sums are floats there, of which lines have
// all digits.
func (g *grouping) written() []mr.Column {
	columns := groupColumns(g.columns[:g.by])
	if g.count {
		columns = append(columns, mr.Column{Name: "count", Type: mr.IntColumn})
	}
	for _, s := range g.slots {
		name := [...]string{opSum: "sum", opAvg: "avg", opMin: "min", opMax: "max"}[s.op] + "_" + called(g.columns[s.column])
		columns = append(columns, mr.Column{Name: name, Type: mr.FloatColumn})
	}
	return columns
}

// groupColumns are the columns of the output that have the key: those of by, or one
// that says that all rows are in one group.
func groupColumns(by []string) []mr.Column {
	if len(by) == 0 {
		return []mr.Column{{Name: "group"}}
	}
	return textColumns(by)
}

// textColumns are columns of texts that are written by [mr.AppendTSVText].
func textColumns(paths []string) []mr.Column {
	columns := make([]mr.Column, len(paths))
	for i, path := range paths {
		columns[i] = mr.Column{Name: called(path), Type: mr.TextColumn}
	}
	return columns
}

// called is the name of a column with a path: without the backslashes before dots.
func called(path string) string {
	return strings.NewReplacer(`\\`, `\`, `\.`, `.`).Replace(path)
}

// size is how many bytes a value has.
func (g *grouping) size() int { return countSize + slotSize*len(g.slots) }

type groupMapper struct {
	*grouping
	key      []byte
	value    []byte
	fraction []bool // by column: it has had a number that is not whole
}

// number returns the number of a column. That of a whole number takes no digits: of a
// large one of floating point they would be those of another number, since the shortest
// text is not all of its digits.
func (m *groupMapper) number(row *mr.Fields, column int) (decimal, error) {
	if row.Kind(column) == mr.NumberField && (!m.fraction[column] || large(row, column)) {
		if n, err := row.Int(column); err == nil {
			return decimalOfInt(n), nil
		}
		m.fraction[column] = true // the error was not for nothing
	}
	return decimalOf(row, column)
}

// large tells whether a column has a number that has no fraction for its size.
func large(row *mr.Fields, column int) bool {
	x, err := row.Float(column)
	return err == nil && math.Abs(x) >= 1<<53 && math.Abs(x) < 1<<63
}

// Map emits the group of a row with its numbers. A null is no number, as in SQL.
func (m *groupMapper) Map(rec mr.Record, out mr.Emitter) error {
	row := rec.Fields
	m.key = appendGroup(m.key[:0], row, m.by)
	binary.BigEndian.PutUint64(m.value, 1)
	for i, s := range m.slots {
		v := m.value[countSize+i*slotSize:][:slotSize]
		clear(v)
		v[0] = s.op
		if row.Null(s.column) {
			continue
		}
		d, err := m.number(row, s.column)
		if err != nil {
			return err
		}
		v[countSize] = 1
		d.put(v[1+countSize:])
	}
	out.Emit(m.key, m.value)
	return nil
}

// appendGroup appends the key of a row whose first n columns make the group.
func appendGroup(b []byte, row *mr.Fields, n int) []byte {
	if n == 0 {
		return append(b, "all"...) // rows are in one group
	}
	for i := range n {
		if i > 0 {
			b = append(b, '\t')
		}
		b = mr.AppendTSVText(b, row.Text(i))
	}
	return b
}

// combineGroups adds next to acc in place.
func combineGroups(acc, next []byte) []byte {
	addCount(acc, next)
	for a, n := acc[countSize:], next[countSize:]; len(a) > 0; a, n = a[slotSize:], n[slotSize:] {
		combineSlots(a[:slotSize], n[:slotSize])
	}
	return acc
}

// addCount adds the number at the start of next to that of acc.
func addCount(acc, next []byte) {
	binary.BigEndian.PutUint64(acc, binary.BigEndian.Uint64(acc)+binary.BigEndian.Uint64(next))
}

func combineSlots(acc, next []byte) {
	had, has := binary.BigEndian.Uint64(acc[1:]) > 0, binary.BigEndian.Uint64(next[1:]) > 0
	addCount(acc[1:], next[1:])
	a, n := decimalFrom(acc[1+countSize:]), decimalFrom(next[1+countSize:])
	switch {
	case !has:
		return
	case !had:
		a = n
	case acc[0] == opMin && n.less(a), acc[0] == opMax && a.less(n):
		a = n
	case acc[0] == opSum, acc[0] == opAvg:
		var ok bool
		if a, ok = a.add(n); !ok {
			acc[0] |= tooLarge
		}
	}
	acc[0] |= next[0] & tooLarge
	a.put(acc[1+countSize:])
}

type groupReducer struct {
	*grouping
	acc  []byte
	line []byte
}

// Reduce writes the aggregates of a group. That of no number is empty.
func (r *groupReducer) Reduce(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
	r.acc = r.acc[:0]
	for v := range values {
		if len(r.acc) == 0 {
			r.acc = append(r.acc, v...)
			continue
		}
		combineGroups(r.acc, v)
	}
	line := r.line[:0]
	if r.count {
		line = strconv.AppendUint(line, binary.BigEndian.Uint64(r.acc), 10)
	}
	for i := range r.slots {
		if len(line) > 0 || i > 0 {
			line = append(line, '\t')
		}
		v := r.acc[countSize+i*slotSize:]
		n := binary.BigEndian.Uint64(v[1:])
		switch d := decimalFrom(v[1+countSize:]); {
		case v[0]&tooLarge != 0:
			return fmt.Errorf("the sum of column %q of a group %w", r.columns[r.slots[i].column], errLarge)
		case n == 0:
		case v[0] == opAvg:
			line = strconv.AppendFloat(line, d.mean(n), 'f', -1, 64)
		default:
			line = d.append(line)
		}
	}
	r.line = line
	out.Write(line)
	return nil
}
