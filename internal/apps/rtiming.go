package apps

import (
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/mraws/mraws/mr"
)

// rtiming shows that two workers really run reduce tasks at the same time:
// for each of the keys a to j it writes how many workers its reduce call saw
// running, itself among them ([rendezvous] says how).
func rtiming() mr.App {
	return mr.App{
		Name:        "rtiming",
		Help:        "show that two workers run reduce tasks at the same time",
		Version:     "1",
		SideEffects: true,
		Input:       mr.WholeObjects,
		Params:      []mr.Param{timeoutParam()},
		NewMapper: func(*mr.Task) (mr.Mapper, error) {
			return mr.MapperFunc(func(_ mr.Record, out mr.Emitter) error {
				for key := byte('a'); key <= 'j'; key++ {
					out.Emit([]byte{key}, []byte("1"))
				}
				return nil
			}), nil
		},
		NewReducer: func(t *mr.Task) (mr.Reducer, error) {
			met, err := newRendezvous(t, "rtiming/")
			if err != nil {
				return nil, err
			}
			return mr.ReducerFunc(func(_ []byte, _ iter.Seq[[]byte], out mr.Output) error {
				n, err := met.meet()
				if err != nil {
					return err
				}
				out.Write(strconv.AppendInt(nil, int64(n), 10))
				return nil
			}), nil
		},
		Check: checkRtiming,
	}
}

// checkRtiming wants the keys a to j, and at least two of them reduced while
// another worker was reducing.
func checkRtiming(lines iter.Seq2[mr.Line, error], info mr.CheckInfo) error {
	keys, parallel := 0, 0
	for line, err := range lines {
		if err != nil {
			return err
		}
		key, value, _ := strings.Cut(line.Text, " ")
		n, err := strconv.Atoi(value)
		if len(key) != 1 || key < "a" || key > "j" || err != nil || n < 1 {
			return fmt.Errorf("line %q is not one of a to j and a number of workers", line.Text)
		}
		if keys++; n >= 2 {
			parallel++
		}
	}
	if keys != 10 && info.Maps > 0 {
		return fmt.Errorf("output has %d keys, want 10", keys)
	}
	if parallel < 2 {
		return fmt.Errorf("%d reduce calls saw another worker at the same time, want at least 2", parallel)
	}
	return nil
}
