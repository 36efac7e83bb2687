package mr

import "iter"

// KeyValue is what the map functions of the MIT 6.824 lab return.
type KeyValue struct {
	Key   string
	Value string
}

// Lab makes an app of the two functions of the MIT lab
// (https://pdos.csail.mit.edu/6.824/labs/lab-mr.html): mapf is called once
// for each input object with its name below input/ and its whole contents,
// reducef once for each key with all its values. Both hold all that they are
// given in memory; [LabMap] and [LabReduce] can be mixed with streaming code.
// KV is [KeyValue], or the type of that name in the package mr of a lab's
// solution, so that its applications compile as they are. Set further fields of
// the App as needed.
func Lab[KV ~struct{ Key, Value string }](name string, mapf func(filename, contents string) []KV, reducef func(key string, values []string) string) App {
	return App{Name: name, Input: WholeObjects, NewMapper: LabMap(mapf), NewReducer: LabReduce(reducef)}
}

// LabMap makes the NewMapper of an [App] of a lab's map function. The App
// needs [WholeObjects], or filename and contents are of one line only.
func LabMap[KV ~struct{ Key, Value string }](mapf func(filename, contents string) []KV) func(*Task) (Mapper, error) {
	return func(*Task) (Mapper, error) {
		var key, value []byte
		return MapperFunc(func(rec Record, out Emitter) error {
			for _, pair := range mapf(rec.Object, string(rec.Data)) {
				kv := KeyValue(pair)
				key, value = append(key[:0], kv.Key...), append(value[:0], kv.Value...)
				out.Emit(key, value)
			}
			return nil
		}), nil
	}
}

// LabReduce makes the NewReducer of an [App] of a lab's reduce function. The
// values come in input order (object, then order of emission).
func LabReduce(reducef func(key string, values []string) string) func(*Task) (Reducer, error) {
	return func(*Task) (Reducer, error) {
		return ReducerFunc(func(key []byte, values iter.Seq[[]byte], out Output) error {
			var all []string
			for v := range values {
				all = append(all, string(v))
			}
			out.Write([]byte(reducef(string(key), all)))
			return nil
		}), nil
	}
}
