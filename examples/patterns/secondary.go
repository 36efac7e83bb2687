package main

import (
	"fmt"
	"iter"

	"github.com/mraws/mraws/mr"
)

// secondarySort shows for each reading of a sensor the change since the one
// before, of any number of readings in little memory. A line is "SENSOR SECONDS
// VALUE", in any order. The key is sensor and time: the engine sorts the keys,
// and the partitioner brings all times of a sensor to the same reduce task.
func secondarySort() mr.App {
	type key = mr.Tuple[string, int64]
	pairs := mr.PairsOf(mr.TupleOf(mr.Text{}, mr.Decimal(10)), mr.Int64{})
	return mr.App{
		Name:    "changes",
		Help:    "show the changes between readings \"SENSOR SECONDS VALUE\"",
		Version: "1",
		NewMapper: pairs.Map(func(line string, out *mr.Out[key, int64]) error {
			var k key
			var value int64
			if _, err := fmt.Sscan(line, &k.A, &k.B, &value); err != nil {
				return fmt.Errorf("not SENSOR SECONDS VALUE: %w", err)
			}
			out.Emit(k, value)
			return nil
		}),
		Partition: mr.PartitionFirst,
		NewReducer: pairs.ReduceTask(func(*mr.Task) (mr.ReduceFunc[key, int64], error) {
			var sensor string // of the reading before
			var last int64    // its value
			return func(k key, values iter.Seq[int64], out *mr.Printer) error {
				for v := range values {
					if k.A != sensor {
						sensor, last = k.A, v
					}
					out.Printf("%d %+d", v, v-last)
					last = v
				}
				return nil
			}, nil
		}),
	}
}
