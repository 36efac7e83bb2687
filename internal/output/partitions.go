package output

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
)

// Partitioned is a [Format] whose rows lie in folders by the values of some columns,
// such as "year=2026/month=01", as those of Hive, Spark and DuckDB do. These columns are
// no part of the objects in the folders. Columns are all of them.
type Partitioned struct {
	tabular
	by, rest []int // numbers of the columns that name folders, in their order, and of all others
	part     partFormat
}

// partFormat is a format of the objects in the folders.
type partFormat interface {
	Table
	// rows returns what writes rows of the columns to w.
	rows(w io.Writer, libs Libraries, columns []Column) (RowWriter, error)
}

const (
	// MostPartitions bounds in how many partitions a task may have rows.
	MostPartitions = 1000
	// mostPath bounds the names of the folders of a partition together, bytes: keys of
	// S3 have 1,024, and names of files 255.
	mostPath = 255
	// nullPartition is the value of a folder whose rows have none, or an empty text.
	nullPartition = "__HIVE_DEFAULT_PARTITION__"
)

// partitionBy returns the numbers of the columns that by names, and of all others.
func partitionBy(columns []Column, text string) (by, rest []int, err error) {
	for name := range strings.SplitSeq(text, ",") {
		i := slices.IndexFunc(columns, func(c Column) bool { return c.Name == name })
		switch {
		case i < 0:
			return nil, nil, fmt.Errorf("there is no column %.200q to partition by; there are %s", name, FormatColumns(columns))
		case slices.Contains(by, i):
			return nil, nil, fmt.Errorf("column %s is named twice to partition by", name)
		case columns[i].Type == JSON:
			return nil, nil, fmt.Errorf("column %s has the type json, which names no folder", name)
		}
		by = append(by, i)
	}
	for i := range columns {
		if !slices.Contains(by, i) {
			rest = append(rest, i)
		}
	}
	if len(rest) == 0 {
		return nil, nil, fmt.Errorf("all columns are named to partition by, and none is left for the rows: %s", FormatColumns(columns))
	}
	return by, rest, nil
}

// newPartitioned returns the format of a partitioned output whose objects are of this one.
func newPartitioned(f Format, options map[string]string) (*Partitioned, error) {
	columns, given, err := tableColumns(options)
	if err != nil {
		return nil, err
	}
	p := &Partitioned{tabular: tabular{columns, given}}
	if p.by, p.rest, err = partitionBy(columns, options[PartitionOption]); err != nil {
		return nil, err
	}
	rest := tabular{given: true}
	for _, i := range p.rest {
		rest.columns = append(rest.columns, columns[i])
	}
	switch f := f.(type) {
	case table:
		f.tabular = rest
		p.part = f
	case parquet:
		f.tabular = rest
		p.part = f
	case lines:
		for _, c := range columns {
			if c.Type == Text {
				return nil, fmt.Errorf("column %s: lines have no columns of type text, but of string", c.Name)
			}
		}
		p.part = table{fieldLines(), rest, f.compression}
	default:
		return nil, errors.New("it cannot be partitioned")
	}
	return p, nil
}

// ContentType implements [Format]: that of the list of what a task has, see
// [PartitionEntry].
func (p *Partitioned) ContentType() string { return jsonFormat().contentType }

// Ending implements [Format].
func (p *Partitioned) Ending() string { return "" }

// Check implements [Format].
func (p *Partitioned) Check(records, size int64) error {
	if (records == 0) != (size == 0) {
		return fmt.Errorf("%d bytes and %d rows", size, records)
	}
	return nil
}

// Encoder implements [Format]: nothing writes such rows to one object.
func (p *Partitioned) Encoder(io.Writer, Libraries) (Encoder, error) {
	return nil, errors.New("the output is partitioned")
}

// Part is the format of the objects in the folders.
func (p *Partitioned) Part() Format { return p.part }

// PartitionEntry is a line of the list of what a task has in partitions.
type PartitionEntry struct {
	Partition string `json:"partition"`
	Size      int64  `json:"size"` // bytes
	Lines     int64  `json:"lines"`
	Hash      string `json:"hash"` // hex SHA-256 of the object's bytes
}

// Split returns an encoder that cuts records into rows and hands them to put: the folders
// of the row and the fields of the other columns, both valid during the call. Fields are
// in the one form that their type has.
func (p *Partitioned) Split(put func(partition []byte, fields [][]byte) error) (Encoder, error) {
	return newRowEncoder(p.tabular, func(columns []Column) (RowWriter, error) {
		s := &splitter{columns: columns, of: p, put: put}
		for _, i := range p.by {
			s.folders = append(s.folders, folderOf(columns[i].Name)+"=")
		}
		_, text := p.part.(table)
		s.bytes = text && !strings.HasPrefix(p.part.Ending(), ".json")
		return s, nil
	})
}

// Rows returns what writes to w the rows of a partition that Split has cut.
func (p *Partitioned) Rows(w io.Writer, libs Libraries) (RowWriter, error) {
	return p.part.rows(w, libs, textless(p.part.Columns()))
}

// splitter is the [RowWriter] that hands rows on.
type splitter struct {
	columns []Column
	of      *Partitioned
	put     func(partition []byte, fields [][]byte) error
	folders []string // "column=" of each
	bytes   bool     // text need not be UTF-8
	path    []byte
	fields  [][]byte
	text    []byte // of fields
}

// Row implements [RowWriter].
func (s *splitter) Row(fields [][]byte) (err error) {
	s.path, s.text, s.fields = s.path[:0], s.text[:0], s.fields[:0]
	for n, i := range s.of.by {
		if n > 0 {
			s.path = append(s.path, '/')
		}
		s.path = append(s.path, s.folders[n]...)
		if s.path, err = s.columns[i].appendFolder(s.path, fields[i]); err != nil {
			return err
		}
		if len(s.path) > mostPath {
			return &UnfitError{What: fmt.Sprintf("the names of the folders have more than %d bytes, that of column %q of", mostPath, s.columns[i].Name), Data: fields[i]}
		}
	}
	for _, i := range s.of.rest {
		f, c := fields[i], s.columns[i]
		switch {
		case c.null(f):
		case c.Type != String:
			from := len(s.text)
			if s.text, err = c.appendValue(s.text, f); err != nil {
				return err
			}
			f = s.text[from:]
		case !s.bytes:
			if _, err := c.Text(f); err != nil {
				return err
			}
		}
		s.fields = append(s.fields, f)
	}
	return s.put(s.path, s.fields)
}

// Close implements [RowWriter].
func (s *splitter) Close() error { return nil }

// appendFolder appends a field as the name of a folder has it.
func (c Column) appendFolder(dst, field []byte) (_ []byte, err error) {
	var value []byte
	switch {
	case len(field) == 0:
		return append(dst, nullPartition...), nil
	case c.Type == String:
		value, err = c.Text(field)
	default:
		value, err = c.appendValue(nil, field)
	}
	return append(dst, folderOf(string(value))...), err
}

// folderOf escapes a text as Hive and Spark do, so that it is one element of a key.
func folderOf(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		if c < ' ' || c == 0x7f || strings.IndexByte("\"#%'*/:=?\\{[]^", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// Has tells whether rows can lie in a partition of this name.
func (p *Partitioned) Has(partition string) bool {
	folders := strings.Split(partition, "/")
	if len(partition) > mostPath || len(folders) != len(p.by) {
		return false
	}
	for n, i := range p.by {
		c := p.columns[i]
		text, ok := strings.CutPrefix(folders[n], folderOf(c.Name)+"=")
		value, err := url.PathUnescape(text)
		if !ok || err != nil || value == "" {
			return false
		}
		if value == nullPartition {
			continue
		}
		if c.Type == Text {
			c.Type = String
		}
		if is, err := c.appendFolder(nil, []byte(value)); err != nil || string(is) != text {
			return false
		}
	}
	return true
}

// fieldLines is a line for each row, with tabs between its fields.
func fieldLines() tableFormat {
	return tableFormat{
		contentType: lines{}.ContentType(), bare: true,
		header: func([]Column) []byte { return nil },
		writer: func(columns []Column, to block) RowWriter { return &fieldRows{to, columns} },
	}
}

// fieldRows writes rows as lines.
type fieldRows struct {
	block
	columns []Column
}

// Row implements [RowWriter].
func (w *fieldRows) Row(fields [][]byte) error {
	for i, c := range w.columns {
		if strings.IndexByte(string(fields[i]), '\n') >= 0 {
			return c.unfit(fields[i], "text without a line break")
		}
		if i > 0 {
			w.buf = append(w.buf, '\t')
		}
		w.add(fields[i])
	}
	w.buf = append(w.buf, '\n')
	return w.full()
}
