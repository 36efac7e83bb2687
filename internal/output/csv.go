package output

import "bytes"

// csvFormat is CSV by RFC 4180 with lines that end in "\n": the first row has the
// names of the columns. A field of text that is empty has quotes, a field that is no
// value has none.
func csvFormat() tableFormat { return separated(',', ".csv", "text/csv; charset=utf-8") }

// tsvFormat is the same with tabs for commas.
func tsvFormat() tableFormat {
	return separated('\t', ".tsv", "text/tab-separated-values; charset=utf-8")
}

func separated(comma byte, ending, contentType string) tableFormat {
	return tableFormat{
		ending: ending, contentType: contentType,
		header: func(columns []Column) (line []byte) {
			for i, c := range columns {
				if i > 0 {
					line = append(line, comma)
				}
				line = appendField(line, []byte(c.Name), comma)
			}
			return append(line, '\n')
		},
		writer: func(columns []Column, to block) RowWriter { return &csvRows{to, columns, comma} },
	}
}

type csvRows struct {
	block
	columns []Column
	comma   byte
}

// Row implements [RowWriter].
func (w *csvRows) Row(fields [][]byte) (err error) {
	line := w.buf
	for i, c := range w.columns {
		if i > 0 {
			line = append(line, w.comma)
		}
		switch f := fields[i]; {
		case c.null(f):
			if len(w.columns) == 1 { // an empty line is no row for readers
				line = append(line, `""`...)
			}
		case c.Type == String:
			line = appendField(line, f, w.comma)
		case c.Type == JSON:
			var text []byte
			if text, err = c.AppendJSON(nil, f); err == nil {
				line = appendField(line, text, w.comma)
			}
		default:
			line, err = c.appendValue(line, f)
		}
		if err != nil {
			return err
		}
	}
	w.buf = append(line, '\n')
	return w.full()
}

// appendField appends a field of text, in quotes where a reader could take it for
// something else.
func appendField(line, f []byte, comma byte) []byte {
	if len(f) > 0 && f[0] != ' ' && f[len(f)-1] != ' ' && bytes.IndexByte(f, comma) < 0 && !bytes.ContainsAny(f, "\"\r\n") {
		return append(line, f...)
	}
	line = append(line, '"')
	for {
		i := bytes.IndexByte(f, '"')
		if i < 0 {
			return append(append(line, f...), '"')
		}
		line = append(append(line, f[:i+1]...), '"')
		f = f[i+1:]
	}
}
