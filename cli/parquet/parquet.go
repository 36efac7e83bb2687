// Package parquet lets a program of package cli read and write Parquet
// (docs/own-data.md):
//
//	func main() { cli.With(parquet.Files()).Main(app) }
//
// With it jobs take `--format parquet` and `--output-format parquet`.
package parquet

import (
	"io"

	"github.com/mraws/mraws/cli"
	"github.com/mraws/mraws/cmd"
	"github.com/mraws/mraws/internal/output/parquet"
	input "github.com/mraws/mraws/internal/parquet"
)

// Files reads and writes Parquet. It makes a program 4 MB larger.
func Files() cli.Part {
	return cmd.Parquet(input.Read, input.Rows, cmd.ParquetTables{
		Write: parquet.NewWriter,
		Read: func(r io.ReaderAt, size int64) (cmd.ParquetRows, error) {
			rows, err := parquet.Open(r, size)
			if err != nil {
				return nil, err // not rows that hold a nil pointer
			}
			return rows, nil
		},
	})
}
