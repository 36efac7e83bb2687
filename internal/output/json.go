package output

import (
	"math"

	"github.com/mraws/mraws/mr"
)

// jsonFormat is a line with an object of JSON for each row.
func jsonFormat() tableFormat {
	return tableFormat{
		ending: ".json", contentType: "application/x-ndjson",
		header: func([]Column) []byte { return nil },
		writer: func(columns []Column, to block) RowWriter { return newJSONRows(columns, to) },
	}
}

// NewJSON returns what writes rows to w as lines of JSON.
func NewJSON(w interface{ Write([]byte) (int, error) }, columns []Column) RowWriter {
	return newJSONRows(columns, block{to: w})
}

type jsonRows struct {
	block
	columns []Column
	names   [][]byte // of the columns, with what stands before and behind them
}

func newJSONRows(columns []Column, to block) *jsonRows {
	w := &jsonRows{block: to, columns: columns}
	for i, c := range columns {
		before := byte(',')
		if i == 0 {
			before = '{'
		}
		w.names = append(w.names, append(mr.AppendJSONText([]byte{before}, []byte(c.Name)), ':'))
	}
	return w
}

// Row implements [RowWriter].
func (w *jsonRows) Row(fields [][]byte) (err error) {
	line := w.buf
	for i, c := range w.columns {
		line = append(line, w.names[i]...)
		switch f := fields[i]; {
		case c.null(f):
			line = append(line, "null"...)
		case c.Type == String:
			var text []byte
			text, err = c.Text(f)
			line = mr.AppendJSONText(line, text)
		case c.Type == Float:
			var x float64
			if x, err = c.Float(f); err == nil && (math.IsNaN(x) || math.IsInf(x, 0)) {
				err = c.unfit(f, "a number of JSON")
			}
			line = AppendFloat(line, x)
		default:
			line, err = c.appendValue(line, f)
		}
		if err != nil {
			return err
		}
	}
	w.buf = append(line, '}', '\n')
	return w.full()
}
