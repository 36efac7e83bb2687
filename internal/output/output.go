// Package output turns what a reduce task writes into the bytes of its output,
// each [Format] in its way. The package does no I/O of its own: an [Encoder]
// hands the bytes to a writer. The verifier reads outputs with code of its own.
//
//	output.go    formats and their table
//	lines.go     lines of text
//	columns.go   the columns of a table and the types of their values
//	rows.go      lines and pairs as rows; the formats that are tables
//	csv.go       CSV and TSV
//	json.go      lines of JSON
//	compress.go  gzip and zstd
//	named.go     the named outputs of a job
//	partitions.go  folders by the values of columns
package output

import (
	"fmt"
	"io"
	"slices"
)

// Format says how what a reduce task writes becomes bytes. The spec of a job
// names it with its options, and [Resolve] finds it.
type Format interface {
	// ContentType is the type of the object.
	ContentType() string
	// Ending is what the name of an object of the format ends in, such as
	// ".csv.gz"; "" for lines.
	Ending() string
	// Check returns an error unless an output of so many records may have size
	// bytes.
	Check(records, size int64) error
	// Encoder returns an encoder of one output, whose bytes go to w. The error is a
	// [*MissingError] or one of w.
	Encoder(w io.Writer, libs Libraries) (Encoder, error)
}

// Table is a [Format] with columns.
type Table interface {
	Format
	// Columns are those of the table, in order. The slice must not be changed.
	Columns() []Column
}

// Encoder encodes the records of one output. An error is an [*UnfitError] or one
// of the writer.
type Encoder interface {
	// Key is called before the first Value of each key. The key is valid until
	// the next call of Key.
	Key(key []byte) error
	// Value encodes a record of the key and this value.
	Value(value []byte) error
	// Line encodes a record that is a line, which begins with its key.
	Line(line []byte) error
	// Close writes what is held, and what ends the output. It does not close the
	// writer.
	Close() error
}

// UnfitError says that the format cannot represent what the application wrote.
type UnfitError struct {
	What string // such as "line break in the value"
	Data []byte // where, if not in the key
	Key  []byte // of a line, where the encoder knows; nil otherwise
}

// Error shows no data, which may be large.
func (e *UnfitError) Error() string { return e.What }

// Libraries are the encoders that a program may have or not, since they make it
// larger.
type Libraries struct {
	// Parquet writes rows of these columns to w; nil where there is none. The
	// compression is one of none, gzip and zstd.
	Parquet func(w io.Writer, columns []Column, compression string) (RowWriter, error)
}

// MissingError says that the program has no encoder of a format that it knows.
type MissingError struct{ Format string }

// Error names the format.
func (e *MissingError) Error() string {
	return "this program is built without " + e.Format + ", the format of the job's output"
}

// Kind is an entry in the table of formats.
type Kind struct {
	Options []string // that New knows, by name
	// New makes a format of these options; no other is set.
	New func(options map[string]string) (Format, error)
}

// The options of formats.
const (
	ColumnsOption     = "columns"     // of a table, as [FormatColumns] writes them; absent for [DefaultColumns]
	CompressionOption = "compression" // [Gzip] or [Zstd]; absent for none, of Parquet for zstd
	// NamedOption declares the named outputs of a job, as [FormatNamed] writes them.
	// Every format has it, and none looks at it.
	NamedOption = "named"
	// PartitionOption names the columns that name folders, with commas between them.
	// Every format has it; lines have columns with it.
	PartitionOption = "partition"
)

// Formats are the formats by name. Nobody changes the table once the program
// runs; a test may add a format before.
var Formats = map[string]Kind{
	"lines":   {[]string{CompressionOption}, newLines},
	"csv":     {[]string{CompressionOption, ColumnsOption}, newTable(csvFormat)},
	"tsv":     {[]string{CompressionOption, ColumnsOption}, newTable(tsvFormat)},
	"json":    {[]string{CompressionOption, ColumnsOption}, newTable(jsonFormat)},
	"parquet": {[]string{CompressionOption, ColumnsOption}, newParquet},
}

// Resolve returns the format of this name with these options.
func Resolve(name string, options map[string]string) (Format, error) {
	kind, ok := Formats[name]
	if !ok {
		return nil, fmt.Errorf("unknown output %.200q", name)
	}
	_, partitioned := options[PartitionOption]
	for option := range options {
		known := option == NamedOption || option == PartitionOption || partitioned && option == ColumnsOption
		if !known && !slices.Contains(kind.Options, option) {
			return nil, fmt.Errorf("output %s with the unknown option %.200q", name, option)
		}
	}
	if _, err := NamedOf(name, options); err != nil {
		return nil, fmt.Errorf("output %s: %w", name, err)
	}
	f, err := kind.New(options)
	if err == nil && partitioned {
		f, err = newPartitioned(f, options)
	}
	if err != nil {
		return nil, fmt.Errorf("output %s: %w", name, err)
	}
	return f, nil
}
