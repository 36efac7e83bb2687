package apps

import (
	"bytes"
	"fmt"
	"iter"
	"slices"
	"strconv"

	"github.com/mraws/mraws/mr"
)

// topk finds the rows of each group with the largest numbers in a column: lines
// "by… number shown…", the largest first. Of equal numbers the row whose shown
// columns are less in byte order comes first.
func topk() mr.App {
	return mr.App{
		Name:    "topk",
		Help:    "find the rows of a table, or of each group of it, with the largest numbers",
		Version: "1",
		Params: []mr.Param{
			{Name: "column", Help: "column that has the numbers; rows where it is null are left out", Required: true, Check: checkColumn},
			{Name: "k", Help: "number of rows of a group", Default: "10", Check: func(v string) error {
				if n, err := strconv.ParseUint(v, 10, 16); err != nil || n == 0 {
					return fmt.Errorf("%q is no number of rows from 1 to 65535", v)
				}
				return nil
			}},
			{Name: "by", Help: byHelp, Check: checkColumns},
			{Name: "show", Help: "more columns of the rows, with commas between them", Check: checkColumns},
			{Name: "smallest", Help: "find the smallest numbers", Default: "false", Check: mr.CheckBool},
		},
		Input: mr.Rows,
		Columns: func(params map[string]string) ([]string, error) {
			columns := append(splitColumns(params["by"]), splitColumns(params["show"])...)
			columns = append(columns, params["column"])
			for i, name := range columns {
				if slices.Contains(columns[:i], name) {
					return nil, fmt.Errorf("the column %q is there twice: those of by and column are shown anyway", name)
				}
			}
			return columns, nil
		},
		OutputColumns: func(params map[string]string) []mr.Column {
			columns := append(groupColumns(splitColumns(params["by"])), mr.Column{Name: called(params["column"]), Type: mr.FloatColumn})
			return append(columns, textColumns(splitColumns(params["show"]))...)
		},
		NewMapper: func(t *mr.Task) (mr.Mapper, error) {
			b, err := newBest(t)
			return &topMapper{best: b, rows: map[string]*ranking{}}, err
		},
		NewReducer: func(t *mr.Task) (mr.Reducer, error) {
			b, err := newBest(t)
			return &topReducer{best: b}, err
		},

		ExactCounters: true, // there are none
	}
}

// best is what the parameters ask for.
type best struct {
	k        int
	by       int // columns of the group; the last column has the number
	smallest bool
}

func newBest(t *mr.Task) (best, error) {
	k, err := strconv.Atoi(t.Params["k"])
	if err != nil {
		return best{}, fmt.Errorf("parameter k: %w", err)
	}
	smallest, err := t.Bool("smallest")
	return best{k: k, by: len(splitColumns(t.Params["by"])), smallest: smallest}, err
}

// ranking are the best rows of a group, the best first. A row is the rank of
// its number, then the shown columns.
type ranking struct{ rows [][]byte }

// add adds a row, of which it keeps a copy, if it is one of the best k. It returns by
// how many there are more.
func (r *ranking) add(row []byte, k int) (more int) {
	i, _ := slices.BinarySearchFunc(r.rows, row, bytes.Compare)
	if i == k {
		return 0
	}
	before := len(r.rows)
	var place []byte
	if len(r.rows) == k {
		place = r.rows[k-1]
		r.rows = r.rows[:k-1]
	}
	r.rows = slices.Insert(r.rows, i, append(place[:0], row...))
	return len(r.rows) - before
}

// rank appends bytes that are less for the numbers that come first.
func (b best) rank(to []byte, d decimal) []byte {
	from := len(to)
	to = append(to, make([]byte, decimalSize)...)
	d.put(to[from:])
	b.turn(to[from:])
	return to
}

// number is the opposite of rank.
func (b best) number(rank []byte) decimal {
	var bytes [decimalSize]byte
	copy(bytes[:], rank)
	b.turn(bytes[:])
	return decimalFrom(bytes[:])
}

// turn makes the order of bytes that of the rows.
func (b best) turn(bytes []byte) {
	if !b.smallest {
		for i := range bytes {
			bytes[i] = ^bytes[i]
		}
	}
}

// mostRows bounds the rows that a map attempt holds. Beyond, it emits what it has and
// begins again.
const mostRows = 100_000

type topMapper struct {
	best
	rows     map[string]*ranking
	held     int // rows of them
	key, row []byte
}

// Map keeps a row if it is one of the best so far of its group in this split.
func (m *topMapper) Map(rec mr.Record, out mr.Emitter) error {
	f := rec.Fields
	column := f.Len() - 1
	if f.Null(column) {
		return nil
	}
	d, err := decimalOf(f, column)
	if err != nil {
		return err
	}
	m.row = m.rank(m.row[:0], d)
	for i := m.by; i < column; i++ {
		m.row = mr.AppendTSVText(append(m.row, '\t'), f.Text(i))
	}
	m.key = appendGroup(m.key[:0], f, m.by)
	r := m.rows[string(m.key)]
	if r == nil {
		r = new(ranking)
		m.rows[string(m.key)] = r
	}
	if m.held += r.add(m.row, m.k); m.held >= mostRows {
		return m.Flush(out)
	}
	return nil
}

// Flush emits the best rows of each group.
func (m *topMapper) Flush(out mr.Emitter) error {
	for key, r := range m.rows {
		for _, row := range r.rows {
			out.Emit([]byte(key), row)
		}
	}
	clear(m.rows)
	m.held = 0
	return nil
}

type topReducer struct {
	best
	line []byte
}

// Reduce writes the best rows of a group.
func (r *topReducer) Reduce(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
	var all ranking
	for row := range values {
		all.add(row, r.k)
	}
	for _, row := range all.rows {
		r.line = append(r.number(row).append(r.line[:0]), row[decimalSize:]...)
		out.Write(r.line)
	}
	return nil
}
