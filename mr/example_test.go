package mr_test

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/mraws/mraws/mr"
	"github.com/mraws/mraws/mr/mrtest"
)

// print runs app over two small objects and prints the output of each
// partition.
func print(app mr.App, nreduce int, params map[string]string) mrtest.Result {
	res, err := mrtest.Job{App: app, NReduce: nreduce, Params: params, Inputs: map[string]string{
		"sea.txt":  "the old man\nand the sea\n",
		"moon.txt": "the moon\n",
	}}.Run(context.Background())
	if err != nil {
		fmt.Println("error:", err)
	}
	for _, p := range res.Partitions {
		fmt.Print(p)
	}
	return res
}

// A streaming app: map sees one line at a time, reduce one value at a time.
// The longest line of each file comes out.
func ExampleApp() {
	app := mr.App{
		Name: "longest",
		Help: "the longest line of each file",
		NewMapper: func(*mr.Task) (mr.Mapper, error) {
			return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
				out.Emit([]byte(rec.Object), rec.Data)
				return nil
			}), nil
		},
		NewReducer: func(*mr.Task) (mr.Reducer, error) {
			var longest []byte // the attempt's own, used again for each key
			return mr.ReducerFunc(func(_ []byte, lines iter.Seq[[]byte], out mr.Output) error {
				longest = longest[:0]
				for line := range lines {
					if len(line) > len(longest) {
						longest = append(longest[:0], line...) // line is valid until the next
					}
				}
				out.Write(longest)
				return nil
			}), nil
		},
	}
	print(app, 1, nil)
	// Output:
	// moon.txt the moon
	// sea.txt the old man
}

// fields emits (word, 1) for each word of a line.
func fields(*mr.Task) (mr.Mapper, error) {
	one := mr.AppendInt64(nil, 1)
	return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
		for word := range bytes.FieldsSeq(rec.Data) {
			out.Emit(word, one)
		}
		return nil
	}), nil
}

// A combiner merges the values of a key before they are shuffled. Sum
// does so for numbers; this app counts words.
func ExampleCombiner() {
	app := mr.App{
		Name:       "count",
		NewMapper:  fields,
		NewReducer: mr.SumReducer,
		Combine:    mr.Sum{},
	}
	print(app, 1, nil)
	// Output:
	// and 1
	// man 1
	// moon 1
	// old 1
	// sea 1
	// the 3
}

// A partitioner says which keys go into which mr-out-<r>: here by their first
// letter, so that the outputs one after the other are sorted as a whole.
func ExampleApp_partition() {
	app := mr.App{
		Name:       "sorted",
		NewMapper:  fields,
		NewReducer: mr.SumReducer,
		Combine:    mr.Sum{},
		Partition: func(key []byte, n int) int {
			if len(key) == 0 {
				return 0
			}
			return int(key[0]) * n / 256
		},
	}
	print(app, 50, nil)
	// Output:
	// and 1
	// man 1
	// moon 1
	// old 1
	// sea 1
	// the 3
}

// Counters add up over all attempts that committed.
func ExampleCounters() {
	app := mr.App{
		Name: "short",
		NewMapper: func(t *mr.Task) (mr.Mapper, error) {
			return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
				if len(rec.Data) > 9 {
					t.Counters.Add("lines left out", 1)
					return nil
				}
				out.Emit(rec.Data, mr.AppendInt64(nil, 1))
				return nil
			}), nil
		},
		NewReducer: mr.SumReducer,
	}
	res := print(app, 1, nil)
	fmt.Println(res.Counters)
	// Output:
	// the moon 1
	// map[lines left out:2]
}

// Side files carry what is no output between tasks, whatever machines they
// run on. Here each map task leaves the name of its object behind.
func ExampleSideFiles() {
	app := mr.App{
		Name:  "seen",
		Input: mr.WholeObjects,
		NewMapper: func(t *mr.Task) (mr.Mapper, error) {
			return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
				out.Emit([]byte("objects"), nil)
				return t.Side.Put(t.Context, "seen/"+path.Base(rec.Object), nil)
			}), nil
		},
		NewReducer: func(t *mr.Task) (mr.Reducer, error) {
			return mr.ReducerFunc(func(_ []byte, _ iter.Seq[[]byte], out mr.Output) error {
				names, err := t.Side.List(t.Context, "seen/")
				out.Write([]byte(strings.Join(names, " ")))
				return err
			}), nil
		},
	}
	print(app, 1, nil)
	// Output:
	// objects seen/moon.txt seen/sea.txt
}

// Parameters are set with --app-arg name=value. What Check refuses is an
// error before anything runs.
func ExampleParam() {
	app := mr.App{
		Name: "count",
		Params: []mr.Param{
			{Name: "word", Help: "regular expression of the words to count", Default: ".", Check: func(v string) error {
				_, err := regexp.Compile(v)
				return err
			}},
			{Name: "least", Help: "leave out words seen less often", Default: "1", Check: mr.CheckInt},
		},
		NewMapper: func(t *mr.Task) (mr.Mapper, error) {
			re, err := regexp.Compile(t.Params["word"])
			if err != nil {
				return nil, err
			}
			return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
				for word := range bytes.FieldsSeq(rec.Data) {
					if re.Match(word) {
						out.Emit(word, mr.AppendInt64(nil, 1))
					}
				}
				return nil
			}), nil
		},
		NewReducer: func(t *mr.Task) (mr.Reducer, error) {
			least, err := t.Int("least")
			return mr.ReducerFunc(func(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
				var n int64
				for v := range values {
					n += mr.ParseInt64(v)
				}
				if n >= int64(least) {
					out.Write(strconv.AppendInt(nil, n, 10))
				}
				return nil
			}), err
		},
		Combine: mr.Sum{},
	}
	print(app, 1, map[string]string{"word": "^[mo]"})
	print(app, 1, map[string]string{"least": "2"})
	print(app, 1, map[string]string{"least": "two"})
	print(app, 1, map[string]string{"most": "2"})
	// Output:
	// man 1
	// moon 1
	// old 1
	// the 3
	// error: app count: parameter least=two: not a whole number
	// error: app count has no parameter most (known: word, least)
}

// The word count of the MIT lab runs as it is.
func ExampleLab() {
	mapf := func(filename, contents string) []mr.KeyValue {
		var kva []mr.KeyValue
		for _, w := range strings.FieldsFunc(contents, func(r rune) bool { return !unicode.IsLetter(r) }) {
			kva = append(kva, mr.KeyValue{Key: w, Value: "1"})
		}
		return kva
	}
	reducef := func(key string, values []string) string {
		return strconv.Itoa(len(values))
	}
	print(mr.Lab("wc", mapf, reducef), 1, nil)
	// Output:
	// and 1
	// man 1
	// moon 1
	// old 1
	// sea 1
	// the 3
}

// A lab's map function, with a reducer that takes one value at a time.
func ExampleLabMap() {
	app := mr.App{
		Name:  "size",
		Input: mr.WholeObjects,
		NewMapper: mr.LabMap(func(filename, contents string) []mr.KeyValue {
			return []mr.KeyValue{{Key: path.Ext(filename), Value: strconv.Itoa(len(contents))}}
		}),
		NewReducer: func(*mr.Task) (mr.Reducer, error) {
			return mr.ReducerFunc(func(_ []byte, sizes iter.Seq[[]byte], out mr.Output) error {
				sum := 0
				for s := range sizes {
					n, err := strconv.Atoi(string(s))
					if err != nil {
						return err
					}
					sum += n
				}
				out.Write(fmt.Appendf(nil, "%d bytes", sum))
				return nil
			}), nil
		},
	}
	print(app, 1, nil)
	// Output:
	// .txt 33 bytes
}

// A streaming mapper, with a lab's reduce function.
func ExampleLabReduce() {
	app := mr.App{
		Name: "after",
		Help: "which words follow each word",
		NewMapper: func(*mr.Task) (mr.Mapper, error) {
			return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
				words := bytes.Fields(rec.Data)
				for i, w := range words[min(1, len(words)):] {
					out.Emit(words[i], w)
				}
				return nil
			}), nil
		},
		NewReducer: mr.LabReduce(func(key string, values []string) string {
			slices.Sort(values)
			return strings.Join(slices.Compact(values), ",")
		}),
	}
	print(app, 1, nil)
	// Output:
	// and the
	// old man
	// the moon,old,sea
}

// A name may hold what a line of output cannot.
func ExampleEscapeName() {
	fmt.Println(mr.EscapeName("books/pg-grimm.txt", ""))
	fmt.Println(mr.EscapeName("a\nb, c.txt", ","))
	// Output:
	// books/pg-grimm.txt
	// a\nb\x2c c.txt
}
