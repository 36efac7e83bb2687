package main

import (
	"errors"
	"strconv"

	"github.com/mraws/mraws/mr"
)

// histogram counts whole numbers from 0 on, one on each line, in buckets of equal
// width. The key is the least number of a bucket, with zeros in front so that
// the order of the bytes is that of the numbers.
func histogram() mr.App {
	pairs := mr.PairsOf(mr.Decimal(9), mr.Int64{})
	return mr.App{
		Name:    "histogram",
		Help:    "count numbers in buckets of equal width",
		Version: "1",
		Params: []mr.Param{{Name: "width", Help: "of a bucket", Default: "10", Check: func(v string) error {
			if n, err := strconv.Atoi(v); err != nil || n < 1 {
				return errors.New("not a whole number from 1 on")
			}
			return nil
		}}},
		NewMapper: pairs.MapTask(func(t *mr.Task) (mr.MapFunc[int64, int64], error) {
			width, err := t.Int("width")
			return func(line string, out *mr.Out[int64, int64]) error {
				n, err := strconv.ParseInt(line, 10, 64)
				if err != nil {
					return err
				}
				out.Emit(n-n%int64(width), 1)
				return nil
			}, err
		}),
		NewReducer: mr.SumReducer,
		Combine:    mr.Sum{},
	}
}
