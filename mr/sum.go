package mr

import (
	"encoding/binary"
	"fmt"
	"iter"
	"strconv"
)

// AppendInt64 appends n to b in the form that [Sum] adds up: eight
// bytes, the highest first, so that a sum fits where its parts were.
func AppendInt64(b []byte, n int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(n)) }

// ParseInt64 reads what [AppendInt64] wrote. It panics on a value of another
// length, which is a mistake of the app that emitted it.
func ParseInt64(value []byte) int64 {
	if len(value) != 8 {
		panic(fmt.Sprintf("mr: value of %d bytes is no number of AppendInt64", len(value)))
	}
	return int64(binary.BigEndian.Uint64(value))
}

// Sum is the [Combiner] that adds up values of [AppendInt64]. Sums wrap around
// at 64 bits. The engine knows it, and adds up without calling it.
type Sum struct{}

// Combine adds next to acc in place.
func (Sum) Combine(acc, next []byte) []byte {
	binary.BigEndian.PutUint64(acc, uint64(ParseInt64(acc)+ParseInt64(next)))
	return acc
}

// SumReducer is a NewReducer of an [App] whose values come from
// [AppendInt64]: the output of a key is the decimal sum of its values.
func SumReducer(*Task) (Reducer, error) { return new(sumReducer), nil }

type sumReducer struct{ buf []byte }

func (r *sumReducer) Reduce(_ []byte, values iter.Seq[[]byte], out Output) error {
	var sum int64
	for v := range values {
		sum += ParseInt64(v)
	}
	r.buf = strconv.AppendInt(r.buf[:0], sum, 10)
	out.Write(r.buf)
	return nil
}
