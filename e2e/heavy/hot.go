package main

import (
	"fmt"
	"iter"
	"strconv"

	"github.com/mraws/mraws/mr"
)

// hot has few keys with very many values. A line of its input is two numbers,
// from and to; it emits every number in between, padded to size bytes. What
// comes out for a key is the count of its values and their sum.
func hot() mr.App {
	return mr.App{
		Name: "hot", Version: "1", Help: "few keys with very many values",
		Params: []mr.Param{
			{Name: "keys", Help: "number of keys", Default: "1", Check: mr.CheckInt},
			{Name: "size", Help: "bytes of a value", Default: "100", Check: mr.CheckInt},
		},
		NewMapper: func(t *mr.Task) (mr.Mapper, error) {
			size, err := t.Int("size")
			value := make([]byte, max(size, digits))
			return numbers(t, err, func(n int) []byte {
				copy(value, fmt.Sprintf("%0*d", digits, n))
				letters(value[digits:], uint64(n))
				return value
			})
		},
		NewReducer: func(*mr.Task) (mr.Reducer, error) { return mr.ReducerFunc(countAndSum), nil },
	}
}

// hotSum is hot with a combiner.
func hotSum() mr.App {
	a := hot()
	a.Name, a.Help = "hotsum", "very many values of few keys or many, summed at once"
	a.Params = a.Params[:1]
	a.NewMapper = func(t *mr.Task) (mr.Mapper, error) {
		var value []byte
		return numbers(t, nil, func(n int) []byte {
			value = mr.AppendInt64(value[:0], int64(n))
			return value
		})
	}
	a.Combine, a.NewReducer = mr.Sum{}, mr.SumReducer
	return a
}

// digits is the length of the number that a padded value begins with.
const digits = 10

// numbers is a mapper that emits what value makes of each number of a line,
// unless err is not nil.
func numbers(t *mr.Task, err error, value func(n int) []byte) (mr.Mapper, error) {
	if err != nil {
		return nil, err
	}
	keys, err := t.Int("keys")
	if err != nil {
		return nil, err
	}
	var key []byte
	return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
		var from, to int
		if _, err := fmt.Sscan(string(rec.Data), &from, &to); err != nil {
			return fmt.Errorf("read a line of two numbers: %w", err)
		}
		for n := from; n < to; n++ {
			key = strconv.AppendInt(append(key[:0], "hot"...), int64(n%keys), 36)
			out.Emit(key, value(n))
		}
		return nil
	}), nil
}

func countAndSum(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
	count, sum := 0, 0
	for v := range values {
		n, err := strconv.Atoi(string(v[:digits]))
		if err != nil {
			return fmt.Errorf("read a value: %w", err)
		}
		count, sum = count+1, sum+n
	}
	out.Write(fmt.Appendf(nil, "%d %d", count, sum))
	return nil
}

// letters fills p with text that depends on seed and does not compress much.
func letters(p []byte, seed uint64) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	x := seed
	for i := range p {
		if i%8 == 0 {
			x = x*6364136223846793005 + 1442695040888963407 // Knuth's MMIX generator
		}
		p[i] = alphabet[x>>(16+6*(i%8))&63]
	}
}
