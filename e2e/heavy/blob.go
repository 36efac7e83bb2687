package main

import (
	"fmt"
	"hash/crc32"
	"iter"

	"github.com/mraws/mraws/mr"
)

// blob has huge pairs. A line of its input is three numbers: it emits one
// pair with a key and a value of so many bytes, of a text that depends on the
// third. What comes out for a key is the length and checksum of each value,
// or the value itself.
func blob() mr.App {
	return mr.App{
		Name: "blob", Version: "1", Help: "huge keys and values",
		Params: []mr.Param{{Name: "echo", Help: "put out the values themselves", Default: "false", Check: mr.CheckBool}},
		NewMapper: func(*mr.Task) (mr.Mapper, error) {
			var key, value []byte // the application's own memory: one pair
			return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
				var k, v int
				var seed uint64
				if _, err := fmt.Sscan(string(rec.Data), &k, &v, &seed); err != nil {
					return fmt.Errorf("read a line of three numbers: %w", err)
				}
				key, value = text(key, k, seed), text(value, v, seed)
				out.Emit(key, value)
				return nil
			}), nil
		},
		NewReducer: func(t *mr.Task) (mr.Reducer, error) {
			echo, err := t.Bool("echo")
			return mr.ReducerFunc(func(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
				for v := range values {
					if !echo {
						v = fmt.Appendf(nil, "%d %08x", len(v), crc32.ChecksumIEEE(v))
					}
					out.Write(v)
				}
				return nil
			}), err
		},
	}
}

// text returns n letters in the memory of p, if that is large enough.
func text(p []byte, n int, seed uint64) []byte {
	if cap(p) < n {
		p = make([]byte, n)
	}
	letters(p[:n], seed)
	return p[:n]
}
