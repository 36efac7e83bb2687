package input

import (
	"errors"
	"fmt"
	"math"
)

// parquetTable makes a record of each row of Parquet. A piece owns the row groups whose
// middle lies in it, so that no footer is read to plan. What reads them is a part of
// the program ([Rows.Parquet]).
type parquetTable struct {
	OnePiece
	table Table
}

func newParquet(options map[string]string) (Format, error) {
	t, err := newTable(options)
	if err != nil {
		return nil, fmt.Errorf("input Parquet: %w", err)
	}
	return parquetTable{table: t}, nil
}

// Grouped tells whether the records of a format have the place of their row group:
// [Position.Within] of one is then its number in that, from 0.
func Grouped(name string) bool { return name == "parquet" }

// smallestParquet is an object without rows: marks, the length of the footer, and that.
const smallestParquet = 12

// Check implements [Format].
func (parquetTable) Check(size int64) error {
	if size < smallestParquet {
		return fmt.Errorf("its %d bytes are too few to be Parquet: leave it out of the input", size)
	}
	return nil
}

// Cut implements [Format].
func (parquetTable) Cut(_, at int64) int64 { return at }

// Decompresses implements [Format].
func (parquetTable) Decompresses() bool { return false }

// First implements [Format]: the footer comes first.
func (parquetTable) First(off, _ int64) (from, length int64) { return off, 0 }

// Count implements [Format]: rows that are alike may take no bytes at all.
func (parquetTable) Count(int64, int64) (least, most int64) { return 0, math.MaxInt64 }

// Read implements [Format].
func (f parquetTable) Read(p Piece, _ int) (*PieceReader, error) {
	if p.Rows.Parquet == nil {
		return nil, errors.New("this program has no reader of Parquet")
	}
	return p.Rows.Parquet(p, f.table.with(p.Rows))
}
