package mrtest

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mraws/mraws/mr"
)

// rows cuts an object into rows: CSV with a header if its name ends in .csv, so with
// tabs for .tsv, else JSON lines.
func (r *run) rows(object string) ([]mr.Record, error) {
	var columns []string
	if r.App.Columns != nil {
		var err error
		if columns, err = r.App.Columns(r.params); err != nil {
			return nil, fmt.Errorf("columns: %w", err)
		}
	}
	text := r.Inputs[object]
	switch {
	case strings.HasSuffix(object, ".csv"):
		return csvRows(object, text, ',', columns)
	case strings.HasSuffix(object, ".tsv"):
		return csvRows(object, text, '\t', columns)
	}
	var recs []mr.Record
	for _, rec := range records(mr.Lines, object, text) {
		if len(bytes.TrimSpace(rec.Data)) == 0 {
			continue
		}
		fields, err := jsonFields(rec.Data, columns)
		if err != nil {
			return nil, fmt.Errorf("line at byte %d of %s: %w", rec.Offset, object, err)
		}
		recs = append(recs, mr.Record{Object: object, Offset: rec.Offset, Fields: fields})
	}
	return recs, nil
}

func csvRows(object, text string, comma rune, columns []string) ([]mr.Record, error) {
	in := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "\uFEFF")))
	in.Comma = comma
	header, err := in.Read()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("header of %s: %w", object, err)
	}
	if columns == nil {
		columns = header
	}
	all := mr.NewFields(header...)
	var recs []mr.Record
	for {
		off := in.InputOffset()
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			return recs, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", object, err)
		}
		f := mr.NewFields(columns...)
		for i, name := range columns {
			switch from := all.Index(name); {
			case from < 0:
				return nil, fmt.Errorf("%s has no column %q", object, name)
			case row[from] != "":
				f.SetText(i, []byte(row[from]))
			}
		}
		recs = append(recs, mr.Record{Object: object, Offset: off, Fields: f})
	}
}

// jsonFields are columns of a JSON object, or all members.
func jsonFields(line []byte, columns []string) (*mr.Fields, error) {
	if columns != nil {
		paths := make([][]string, len(columns))
		names := make([]string, len(columns))
		for i, path := range columns {
			paths[i] = splitPath(path)
			names[i] = strings.Join(paths[i], ".")
		}
		f := mr.NewFields(names...)
		for i, path := range paths {
			raw := json.RawMessage(line)
			for _, name := range path {
				var members map[string]json.RawMessage
				if err := json.Unmarshal(raw, &members); err != nil && len(raw) == len(line) {
					return nil, err
				}
				if raw = members[name]; raw == nil {
					break
				}
			}
			if err := setJSON(f, i, raw); err != nil {
				return nil, err
			}
		}
		return f, nil
	}
	f := mr.NewFields()
	in := json.NewDecoder(bytes.NewReader(line))
	if t, err := in.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.Join(err, errors.New("it is no JSON object"))
	}
	for in.More() {
		name, err := in.Token()
		if err != nil {
			return nil, err
		}
		var raw json.RawMessage
		if err := in.Decode(&raw); err != nil {
			return nil, err
		}
		i := f.Index(name.(string))
		if i < 0 {
			i = f.Add(name.(string))
		}
		if err := setJSON(f, i, raw); err != nil {
			return nil, err
		}
	}
	_, err := in.Token()
	return f, err
}

// splitPath cuts a.b into the names of members. A dot or a backslash of a name has a
// backslash before it.
func splitPath(path string) (names []string) {
	name := ""
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '\\' && i+1 < len(path) && (path[i+1] == '.' || path[i+1] == '\\'):
			i++
			name += path[i : i+1]
		case c == '.':
			names, name = append(names, name), ""
		default:
			name += path[i : i+1]
		}
	}
	return append(names, name)
}

// setJSON sets a column to a JSON value, nil for none.
func setJSON(f *mr.Fields, i int, raw json.RawMessage) error {
	if len(raw) == 0 {
		f.SetNull(i)
		return nil
	}
	switch raw[0] {
	case 'n':
		f.SetNull(i)
	case 't', 'f':
		f.SetBool(i, raw[0] == 't')
	case '"':
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return err
		}
		f.SetText(i, []byte(text))
	case '{', '[':
		f.SetNested(i, raw)
	default:
		f.SetNumber(i, raw)
	}
	return nil
}
