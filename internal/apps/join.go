package apps

import (
	"errors"
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"

	"github.com/mraws/mraws/mr"
)

// join joins the rows of two tables that have the same values in some columns: lines
// "on… left… right…". The rows of one key are held in memory.
func join() mr.App {
	return mr.App{
		Name:    "join",
		Help:    "join the rows of two tables by columns that both have",
		Version: "1",
		Params: []mr.Param{
			{Name: "left", Help: "objects of the left table, such as 'customers*.csv'; a pattern without a slash is for the end of the name", Required: true, Check: checkPattern},
			{Name: "right", Help: "objects of the right table, of those that are not left", Default: "*", Check: checkPattern},
			{Name: "on", Help: "columns that both have, with commas between them; a row where one is null has no partner", Required: true, Check: func(v string) error {
				if v == "" {
					return errors.New("no column is named")
				}
				return checkColumns(v)
			}},
			{Name: "type", Help: "inner, or left for left rows without a partner too", Default: "inner", Check: func(v string) error {
				if v != "inner" && v != "left" {
					return fmt.Errorf("%q is neither inner nor left", v)
				}
				return nil
			}},
			{Name: "left-show", Help: "columns of the left table to show; empty is all others", Check: checkColumns},
			{Name: "right-show", Help: "columns of the right table to show; empty is all others, for an inner join", Check: checkColumns},
		},
		Input: mr.Rows,
		Columns: func(params map[string]string) ([]string, error) {
			if params["type"] == "left" && params["right-show"] == "" {
				return nil, errors.New("a left join needs right-show: a row without a partner has as many columns as others")
			}
			return nil, nil // those that each object has
		},
		NewMapper: func(t *mr.Task) (mr.Mapper, error) {
			return &joinMapper{
				sides: [2]joinSide{
					{pattern: t.Params["left"], show: splitColumns(t.Params["left-show"])},
					{pattern: t.Params["right"], show: splitColumns(t.Params["right-show"])},
				},
				on: splitColumns(t.Params["on"]), outer: t.Params["type"] == "left", counters: t.Counters,
			}, nil
		},
		NewReducer: func(t *mr.Task) (mr.Reducer, error) {
			r := &joinReducer{counters: t.Counters}
			if t.Params["type"] == "left" {
				r.outer = true
				r.none = slices.Repeat([]byte{'\t'}, len(splitColumns(t.Params["right-show"])))
			}
			return r, nil
		},
		OutputColumns: func(params map[string]string) []mr.Column {
			left, right := splitColumns(params["left-show"]), splitColumns(params["right-show"])
			if left == nil || right == nil {
				return nil // they are known once the tables are read
			}
			columns := textColumns(append(splitColumns(params["on"]), left...))
			for _, c := range textColumns(right) {
				if slices.Contains(columns, c) {
					c.Name = "right_" + c.Name
				}
				columns = append(columns, c)
			}
			return columns
		},

		ExactCounters: true,
	}
}

// checkPattern refuses what is no pattern of names.
func checkPattern(pattern string) error {
	if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
		return fmt.Errorf("%q is no pattern of names of objects", pattern)
	}
	return nil
}

// joinSide is one of the two tables.
type joinSide struct {
	pattern string
	show    []string
	rows    int64
	seen    map[string]bool // columns of on that a row has had
	object  string          // the last
}

// has tells whether an object is of the table.
func (s *joinSide) has(object string) bool {
	if !strings.Contains(s.pattern, "/") {
		object = path.Base(object)
	}
	ok, _ := path.Match(s.pattern, object) // it has been checked
	return ok
}

type joinMapper struct {
	sides [2]joinSide
	on    []string
	outer bool

	counters mr.Counters
	object   string // of the last row
	side     int    // 0 is left, 1 right
	names    []string
	keys     []int // indexes of on, of what is shown
	shown    []int
	key      []byte
	value    []byte
}

// Map emits a row as its side and the shown columns, each behind a tab.
func (m *joinMapper) Map(rec mr.Record, out mr.Emitter) error {
	if err := m.look(rec); err != nil {
		return err
	}
	m.sides[m.side].rows++
	row := rec.Fields
	m.key, m.value = m.key[:0], append(m.value[:0], byte('0'+m.side))
	for n, i := range m.keys {
		if n > 0 {
			m.key = append(m.key, '\t')
		}
		if i < 0 || row.Null(i) {
			if m.side == 1 || !m.outer {
				return nil
			}
			m.value[0] = '2' // left, without a partner
		}
		if i >= 0 {
			m.key = mr.AppendTSVText(m.key, row.Text(i))
		}
	}
	for _, i := range m.shown {
		m.value = append(m.value, '\t')
		if i >= 0 {
			m.value = mr.AppendTSVText(m.value, row.Text(i))
		}
	}
	out.Emit(m.key, m.value)
	return nil
}

// look finds the side of a row, and its columns, unless they are those of the last row.
func (m *joinMapper) look(rec mr.Record) error {
	row := rec.Fields
	same := rec.Object == m.object && len(m.names) == row.Len() && m.object != ""
	for i := 0; same && i < len(m.names); i++ {
		same = m.names[i] == row.Name(i)
	}
	if same {
		return nil
	}
	m.object = strings.Clone(rec.Object)
	m.side = slices.IndexFunc(m.sides[:], func(s joinSide) bool { return s.has(rec.Object) })
	if m.side < 0 {
		return fmt.Errorf("object %q is of neither table: it matches neither left=%s nor right=%s", rec.Object, m.sides[0].pattern, m.sides[1].pattern)
	}
	m.names, m.keys, m.shown = m.names[:0], m.keys[:0], m.shown[:0]
	for i := range row.Len() {
		m.names = append(m.names, strings.Clone(row.Name(i)))
	}
	side := &m.sides[m.side]
	side.object = m.object
	for _, name := range m.on {
		i := slices.Index(m.names, name)
		m.keys = append(m.keys, i)
		if i >= 0 {
			if side.seen == nil {
				side.seen = map[string]bool{}
			}
			side.seen[name] = true
		}
	}
	if show := m.sides[m.side].show; show != nil {
		for _, name := range show {
			m.shown = append(m.shown, slices.Index(m.names, name))
		}
		return nil
	}
	for i, name := range m.names {
		if !slices.Contains(m.on, name) {
			m.shown = append(m.shown, i)
		}
	}
	return nil
}

// Flush counts the rows of the tables. A column that no row has is a mistake.
func (m *joinMapper) Flush(mr.Emitter) error {
	for i, name := range []string{"left rows", "right rows"} {
		side := &m.sides[i]
		for _, column := range m.on {
			if side.rows > 0 && !side.seen[column] {
				return fmt.Errorf("on=%s: no row of object %q has the column %q", strings.Join(m.on, ","), side.object, column)
			}
		}
		m.counters.Add(name, side.rows)
	}
	return nil
}

type joinReducer struct {
	counters mr.Counters
	outer    bool
	none     []byte // what stands for a right row where there is none
	line     []byte
}

// Reduce writes each left row with each right row, both in input order.
func (r *joinReducer) Reduce(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
	var left, right [][]byte
	for v := range values {
		if v[0] == '1' {
			right = append(right, slices.Clone(v[1:]))
		} else {
			left = append(left, slices.Clone(v))
		}
	}
	switch {
	case len(right) == 0:
		r.counters.Add("left rows without a partner", int64(len(left)))
	case len(left) == 0:
		r.counters.Add("right rows without a partner", int64(len(right)))
	}
	for _, l := range left {
		if l[0] == '0' {
			for _, row := range right {
				r.write(l[1:], row, out)
			}
		}
		if r.outer && (l[0] == '2' || len(right) == 0) {
			r.write(l[1:], r.none, out)
		}
	}
	return nil
}

func (r *joinReducer) write(left, right []byte, out mr.Output) {
	r.line = append(append(r.line[:0], left...), right...)
	if len(r.line) > 0 {
		out.Write(r.line[1:]) // without the tab
		return
	}
	out.Write(nil)
}
