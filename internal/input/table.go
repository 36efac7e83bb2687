package input

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mraws/mraws/mr"
)

// The options that all tables have.
const (
	optColumns = "columns" // a row of CSV, see ParseColumns
	optAs      = "as"      // asJSON or asTSV
)

// How a row becomes a line.
const (
	asJSON = "json"
	asTSV  = "tsv"
)

// mostColumns bounds the columns of a job, in number and in bytes.
const mostColumns = 64 << 10

// tables are the names of the formats whose records are rows.
var tables = []string{"csv", "tsv", "json", "parquet"}

// RowsOf is the name that an application with [mr.Rows] declares, which leaves it to
// the job which format of rows it reads.
const RowsOf = "rows"

// IsTable tells whether the records of a format are rows.
func IsTable(name string) bool { return slices.Contains(tables, name) }

// Table says which columns of a row are wanted and what becomes of them.
type Table struct {
	Columns []string // names, or paths, see [SplitPath]; nil is all
	TSV     bool     // a row becomes a line of TSV in place of JSON
	AsIs    bool     // a row becomes the line that it is, if it is one of JSON
}

// newTable reads the options that all tables have.
func newTable(options map[string]string) (t Table, err error) {
	if list, ok := options[optColumns]; ok {
		if t.Columns, err = ParseColumns(list); err != nil {
			return t, err
		}
	}
	switch as := options[optAs]; as {
	case "", asJSON:
		t.AsIs = as == "" && t.Columns == nil
	case asTSV:
		t.TSV = true
	default:
		return t, fmt.Errorf("rows as %.200q, which is neither %s nor %s", as, asJSON, asTSV)
	}
	return t, nil
}

// ParseColumns reads the names of columns: a row of CSV, so that a name with a comma
// stands in quotes.
func ParseColumns(list string) ([]string, error) {
	if len(list) > mostColumns {
		return nil, fmt.Errorf("columns of %d bytes, more than %d", len(list), mostColumns)
	}
	in := csv.NewReader(strings.NewReader(list))
	names, err := in.Read()
	if err == nil {
		if _, more := in.Read(); more != io.EOF {
			err = fmt.Errorf("more than one line")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("columns %.200q: %w", list, err)
	}
	return names, CheckColumns(names)
}

// CheckColumns returns an error unless a row can have columns of these names.
func CheckColumns(names []string) error {
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		called := pathName(name)
		if name == "" || seen[called] {
			return fmt.Errorf("the column %.200q has no name, or is there twice", name)
		}
		seen[called] = true
	}
	return nil
}

// SplitPath cuts the path of a column of JSON or Parquet into the names of members:
// a.b is the member b of a. A dot of a name has a backslash before it, and so has a
// backslash before a dot or another backslash.
func SplitPath(path string) (names []string) {
	var name []byte
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '\\' && i+1 < len(path) && (path[i+1] == '.' || path[i+1] == '\\'):
			i++
			name = append(name, path[i])
		case c == '.':
			names = append(names, string(name))
			name = name[:0]
		default:
			name = append(name, c)
		}
	}
	return append(names, string(name))
}

// pathName is what a column with a path is called in its row.
func pathName(path string) string { return strings.Join(SplitPath(path), ".") }

// Rows says whether records are rows, how the application gets them, and what else a
// reader of rows needs to know.
type Rows struct {
	// Fields says that the application reads [mr.Record.Fields], and no Data.
	Fields bool
	// Columns are those that the application reads; nil leaves it to the format.
	Columns []string
	// Sound says that records which cannot be read are skipped: of a row group that
	// is not sound no row may be given.
	Sound bool
	// Parquet reads Parquet; nil in a program without that part.
	Parquet ParquetReader
}

// ParquetReader reads the rows of a piece of Parquet. It opens nothing before the
// first call of Next.
type ParquetReader func(p Piece, t Table) (*PieceReader, error)

// with are the columns and the form of rows of a table that is read so.
func (t Table) with(r Rows) Table {
	if r.Columns != nil {
		t.Columns, t.AsIs = r.Columns, false
	}
	return t
}

// Row is what readers of rows have in common.
type Row struct {
	Fields *mr.Fields
	rec    mr.Record
	size   int64 // of the record in its object
	text   []byte
	table  Table
	give   bool // the application reads Fields
	batch  mr.Batch
}

// NewRow returns the row of a reader whose columns have names.
func NewRow(p Piece, t Table) Row {
	return Row{Fields: mr.NewFields(t.Columns...), rec: mr.Record{Object: p.Object}, table: t, give: p.Rows.Fields}
}

// NewPathRow returns the row of a reader whose columns have paths.
func NewPathRow(p Piece, t Table) Row {
	r := NewRow(p, t)
	names := make([]string, len(t.Columns))
	for i, path := range t.Columns {
		names[i] = pathName(path)
	}
	r.Fields = mr.NewFields(names...)
	return r
}

// Took says that the fields are those of the record of size bytes at offset, of which
// line is the number, or 0.
func (r *Row) Took(offset, size, line int64) {
	r.rec.Offset, r.size, r.rec.Line = offset, size, line
	switch {
	case r.give:
		r.rec.Fields = r.Fields
		return
	case r.table.TSV:
		r.text = r.Fields.AppendTSV(r.text[:0])
	default:
		r.text = r.Fields.AppendJSON(r.text[:0])
	}
	r.rec.Data = r.text
}

// Record implements [Reader].
func (r *Row) Record() mr.Record { return r.rec }

// Size implements [SizedReader].
func (r *Row) Size() int64 { return r.size }

// left is the record that is left out.
func (r *Row) left(offset int64) mr.Record {
	r.rec.Offset, r.rec.Data, r.rec.Fields = offset, nil, nil
	return r.rec
}

// SizedReader is a [Reader] whose records have another size in their object than
// their Data.
type SizedReader interface {
	Reader
	// Size is how many bytes of the object the record is.
	Size() int64
}

// Size is how many bytes of its object the record at hand is.
func (r *PieceReader) Size() int64 {
	if s, ok := r.Reader.(SizedReader); ok {
		return s.Size()
	}
	return int64(len(r.Record().Data))
}

// Weigher is a [Reader] that tells beforehand how much it is going to read. It is asked
// before the first call of Next.
type Weigher interface {
	// Weigh returns how many bytes of the object the columns that are wanted are taken
	// for: as many as their values have, decompressed, and at least [LeastGroup] for each
	// row group. An error is of the object, an [*ObjectError], or of the store.
	Weigh() (int64, error)
}

// LeastGroup is what a row group weighs at least, in bytes: it takes a request.
const LeastGroup = 1 << 20

var bom = []byte("\xef\xbb\xbf")

// Bytes of a line that are not those of a record: a mark of the order of bytes at the
// start of an object.
func skipBOM(offset int64, line []byte) (int64, []byte) {
	if offset == 0 && bytes.HasPrefix(line, bom) {
		return int64(len(bom)), line[len(bom):]
	}
	return offset, line
}
