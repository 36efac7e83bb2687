package apps

import (
	"errors"

	"github.com/mraws/mraws/mr"
)

// histogram counts the numbers of a column by bins of one width: a line "FROM COUNT"
// for each bin that has numbers, from FROM up to FROM+width.
func histogram() mr.App {
	return mr.App{
		Name:    "histogram",
		Help:    "count the numbers of a column of a table by bins of one width",
		Version: "1",
		Params: []mr.Param{
			{Name: "column", Help: "column that has the numbers; rows where it is null are left out", Required: true, Check: checkColumn},
			{Name: "width", Help: "width of a bin, such as 10 or 0.5", Default: "1", Check: func(v string) error {
				if d, err := parseDecimal([]byte(v)); err != nil || !(decimal{}).less(d) {
					return errors.New("the width of a bin is a number above 0, from 1e-38 on")
				}
				return nil
			}},
		},
		Input:   mr.Rows,
		Columns: func(params map[string]string) ([]string, error) { return []string{params["column"]}, nil },
		NewMapper: func(t *mr.Task) (mr.Mapper, error) {
			width, err := parseDecimal([]byte(t.Params["width"]))
			return &histogramMapper{width: width, one: mr.AppendInt64(nil, 1)}, err
		},
		NewReducer: mr.SumReducer,
		OutputColumns: func(map[string]string) []mr.Column {
			return []mr.Column{{Name: "from", Type: mr.FloatColumn}, {Name: "count", Type: mr.IntColumn}}
		},
		Combine: mr.Sum{},

		ExactCounters: true, // there are none
	}
}

// checkColumn refuses a column without a name.
func checkColumn(name string) error {
	if name == "" {
		return errors.New("a column has no name")
	}
	return nil
}

type histogramMapper struct {
	width decimal
	one   []byte
	key   []byte
}

// Map emits the beginning of the bin of a number.
func (m *histogramMapper) Map(rec mr.Record, out mr.Emitter) error {
	if rec.Fields.Null(0) {
		return nil
	}
	d, err := decimalOf(rec.Fields, 0)
	if err != nil {
		return err
	}
	m.key = d.floor(m.width).append(m.key[:0])
	out.Emit(m.key, m.one)
	return nil
}
