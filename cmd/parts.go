package cmd

import (
	"context"
	"io"
	"net"

	"github.com/mraws/mraws/internal/datadir"
	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/output"
	"github.com/mraws/mraws/internal/verify"
)

// Part is a part of the engine that a program may have or not.
type Part func(*frame)

// Server is a running embedded server.
type Server interface {
	// Endpoint tells how to reach the server.
	Endpoint() datadir.Endpoint
	// Dial returns a connection to the server from within this process.
	Dial(ctx context.Context) (net.Conn, error)
	// Close stops the server and frees its data folder.
	Close() error
}

// ServerOptions are those of an embedded server. The zero value of every field
// but DataDir is usable.
type ServerOptions struct {
	DataDir string // created if missing
	Address string // host:port to listen on
	Region  string
	// Front, if not nil, is called with the endpoint of the server. It returns
	// the URL of a proxy in front of it, which clients use instead.
	Front func(datadir.Endpoint) (url string, err error)
}

// ParquetTables is what a program does with outputs that are files of Parquet.
type ParquetTables struct {
	// Write returns what writes rows to w. The compression is that of pages.
	Write func(w io.Writer, columns []output.Column, compression string) (output.RowWriter, error)
	// Read returns the rows of a file of size bytes.
	Read func(r io.ReaderAt, size int64) (ParquetRows, error)
}

// ParquetRows are the rows of a file of Parquet.
type ParquetRows interface {
	Columns() []output.Column
	// Next returns the fields of a row as text, valid until the next call; io.EOF
	// follows the last. A field that is no value is empty.
	Next() ([][]byte, error)
	Close() error
}

// startServer runs an embedded server on a data folder and returns when it
// answers. The error wraps [datadir.ErrLocked] if another server runs there.
type startServer func(ctx context.Context, o ServerOptions) (Server, error)

// EmbeddedServer is the part with the embedded server, which start starts. The
// context bounds only the start. The error of start wraps [datadir.ErrLocked] if
// another server runs on the folder.
func EmbeddedServer(start func(ctx context.Context, o ServerOptions) (Server, error)) Part {
	return func(f *frame) { f.start = start }
}

// parquetFiles read Parquet; nil in a program without that part.
type parquetFiles struct {
	read   input.ParquetReader
	verify verify.ParquetReader
}

// Parquet is the part that reads and writes Parquet: read as workers do, verify as
// verify does, and output is for outputs.
func Parquet(read input.ParquetReader, verify verify.ParquetReader, output ParquetTables) Part {
	return func(f *frame) { f.parquet, f.parquetOut = parquetFiles{read, verify}, output }
}

// noServer starts no server: the program has none.
func noServer(context.Context, ServerOptions) (Server, error) {
	return nil, &Error{Code: ExitUsage, What: "no server runs there, and this program has no embedded server",
		Hint: "name a bucket with --bucket; or give the program the server: cli.With(embedded.Server()).Main(app)"}
}
