package mr_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mraws/mraws/mr"
	"github.com/mraws/mraws/mr/mrtest"
)

// Word count over typed pairs.
func ExamplePairs() {
	pairs := mr.PairsOf(mr.Text{}, mr.Int64{})
	app := mr.App{
		Name: "wordcount",
		NewMapper: pairs.Map(func(line string, out *mr.Out[string, int64]) error {
			for word := range strings.FieldsSeq(line) {
				out.Emit(word, 1)
			}
			return nil
		}),
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

// A function that is made for each attempt reads parameters; numbers as keys
// have zeros in front.
func ExamplePairs_MapTask() {
	pairs := mr.PairsOf(mr.Decimal(3), mr.Text{})
	app := mr.App{
		Name:   "lengths",
		Params: []mr.Param{{Name: "least", Default: "4", Check: mr.CheckInt}},
		NewMapper: pairs.MapTask(func(t *mr.Task) (mr.MapFunc[int64, string], error) {
			least, err := t.Int("least")
			return func(line string, out *mr.Out[int64, string]) error {
				if len(line) >= least {
					out.Emit(int64(len(line)), out.Record.Object)
				}
				return nil
			}, err
		}),
		NewReducer: pairs.Reduce(func(_ int64, objects iter.Seq[string], out *mr.Printer) error {
			out.Print(strings.Join(slices.Collect(objects), ","))
			return nil
		}),
	}
	print(app, 1, map[string]string{"least": "9"})
	// Output:
	// 011 sea.txt,sea.txt
}

// sameOrder checks that a codec gives back what it was given, and that the
// encodings of two values have their order.
func sameOrder[T comparable](codec mr.Codec[T], gen *rapid.Generator[T], compare func(a, b T) int) func(*rapid.T) {
	return func(t *rapid.T) {
		a, b := gen.Draw(t, "a"), gen.Draw(t, "b")
		ea, eb := codec.Append([]byte("before"), a)[len("before"):], codec.Append(nil, b)
		if got, err := codec.Parse(ea); err != nil || got != a {
			t.Errorf("%v becomes %q and then %v, %v", a, ea, got, err)
		}
		if compare != nil && bytes.Compare(ea, eb) != compare(a, b) {
			t.Errorf("%v and %v become %q and %q, in another order", a, b, ea, eb)
		}
		if bytes.IndexByte(ea, '\n') >= 0 && compare != nil {
			t.Errorf("%v becomes %q with a line break", a, ea)
		}
	}
}

func TestCodecs(t *testing.T) {
	words := rapid.StringMatching(`[ -~äöé]*`)
	t.Run("text", rapid.MakeCheck(sameOrder(mr.Codec[string](mr.Text{}), words, strings.Compare)))
	t.Run("int64", rapid.MakeCheck(sameOrder(mr.Codec[int64](mr.Int64{}), rapid.Int64(), nil)))
	t.Run("decimal", rapid.MakeCheck(sameOrder(mr.Codec[int64](mr.Decimal(19)), rapid.Int64Min(0), cmp.Compare[int64])))
	t.Run("hex64", rapid.MakeCheck(sameOrder(mr.Codec[int64](mr.Hex64{}), rapid.Int64(), cmp.Compare[int64])))
	type tuple = mr.Tuple[string, int64]
	tuples := rapid.Custom(func(t *rapid.T) tuple { return tuple{words.Draw(t, "A"), rapid.Int64().Draw(t, "B")} })
	t.Run("tuple", rapid.MakeCheck(sameOrder(mr.TupleOf(mr.Text{}, mr.Hex64{}), tuples, func(a, b tuple) int {
		return cmp.Or(strings.Compare(a.A, b.A), cmp.Compare(a.B, b.B))
	})))
	given := []byte("a\x00b")
	got, err := mr.Bytes{}.Parse(mr.Bytes{}.Append(nil, given))
	if given[0] = 'X'; err != nil || string(got) != "a\x00b" {
		t.Errorf("bytes become %q, %v", got, err)
	}
}

// TestCodecRefusals: what a codec cannot encode is a panic, and what it has not
// encoded an error.
func TestCodecRefusals(t *testing.T) {
	for name, f := range map[string]func(){
		"-1 is no number of at most 3 digits":   func() { mr.Decimal(3).Append(nil, -1) },
		"1000 is no number of at most 3 digits": func() { mr.Decimal(3).Append(nil, 1000) },
		"has a byte up to that of a tab": func() {
			mr.TupleOf(mr.Text{}, mr.Text{}).Append(nil, mr.Tuple[string, string]{A: "a\tb"})
		},
	} {
		func() {
			defer func() {
				if v := recover(); !strings.Contains(fmt.Sprint(v), name) {
					t.Errorf("panic %v, want %s", v, name)
				}
			}()
			f()
		}()
	}
	refused := func(what string, err error) {
		t.Helper()
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	_, err := mr.Int64{}.Parse([]byte("1"))
	refused("int64", err)
	for _, text := range []string{"12", "0012", "-12", "+12", "1x2"} {
		_, err = mr.Decimal(3).Parse([]byte(text))
		refused(text, err)
	}
	for _, text := range []string{"", "800000000000000", "800000000000000g"} {
		_, err = mr.Hex64{}.Parse([]byte(text))
		refused(text, err)
	}
	for _, text := range []string{"a", "a\tb"} {
		_, err = mr.TupleOf(mr.Text{}, mr.Int64{}).Parse([]byte(text))
		refused(text, err)
	}
}

// TestTypedKeeps: a typed app may keep what it is given. mrtest overwrites the
// bytes behind it.
func TestTypedKeeps(t *testing.T) {
	pairs := mr.PairsOf(mr.Text{}, mr.Bytes{})
	long := strings.Repeat("x", 20<<10) // more than a block
	app := mr.App{
		Name: "keeps",
		NewMapper: pairs.MapTask(func(*mr.Task) (mr.MapFunc[string, []byte], error) {
			var lines []string
			return func(line string, out *mr.Out[string, []byte]) error {
				lines = append(lines, line)
				for _, l := range lines {
					out.Emit(l, []byte(l))
				}
				return nil
			}, nil
		}),
		NewReducer: pairs.ReduceTask(func(*mr.Task) (mr.ReduceFunc[string, []byte], error) {
			var keys []string
			return func(key string, values iter.Seq[[]byte], out *mr.Printer) error {
				keys = append(keys, key)
				for _, v := range slices.Collect(values) {
					if string(v) != key {
						return fmt.Errorf("value %q", v)
					}
				}
				out.Printf("%d %t", len(keys), slices.IsSorted(keys))
				return nil
			}, nil
		}),
	}
	got := mrtest.Run(t, app, 1, map[string]string{"a": "b\na\n\n" + long + "\n"})
	if want := []string{" 1 true", "a 2 true", "b 3 true", long + " 4 true"}; !slices.Equal(got, want) {
		t.Errorf("%.200q", got)
	}
}

// TestTypedCombine: a function of values as combiner.
func TestTypedCombine(t *testing.T) {
	pairs := mr.PairsOf(mr.Text{}, mr.Decimal(5))
	app := mr.App{
		Name: "longest",
		NewMapper: pairs.Map(func(line string, out *mr.Out[string, int64]) error {
			out.Emit(line[:1], int64(len(line)))
			return nil
		}),
		Combine: pairs.Combine(func(acc, next int64) int64 { return max(acc, next) }),
		NewReducer: pairs.Reduce(func(_ string, lengths iter.Seq[int64], out *mr.Printer) error {
			out.PrintInt(slices.Max(slices.Collect(lengths)))
			return nil
		}),
	}
	got := mrtest.Run(t, app, 2, map[string]string{"a": "ab\nabc\nb\n", "b": "a\nbcde\n"})
	if want := []string{"a 3", "b 4"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestTypedErrors: what the functions and the codecs say fails the attempt.
func TestTypedErrors(t *testing.T) {
	boom := errors.New("boom")
	text, numbers := mr.PairsOf(mr.Text{}, mr.Text{}), mr.PairsOf(mr.Text{}, mr.Int64{})
	app := mr.App{
		Name: "fails",
		NewMapper: text.Map(func(line string, out *mr.Out[string, string]) error {
			out.Emit(line, line)
			return nil
		}),
		NewReducer: text.Reduce(func(string, iter.Seq[string], *mr.Printer) error { return nil }),
	}
	for _, tc := range []struct {
		want string
		edit func(*mr.App)
	}{
		{"record at byte 0 of a: boom", func(a *mr.App) {
			a.NewMapper = text.Map(func(string, *mr.Out[string, string]) error { return boom })
		}},
		{"map task 0: boom", func(a *mr.App) {
			a.NewMapper = text.MapTask(func(*mr.Task) (mr.MapFunc[string, string], error) { return nil, boom })
		}},
		{`key "x": boom`, func(a *mr.App) {
			a.NewReducer = text.Reduce(func(string, iter.Seq[string], *mr.Printer) error { return boom })
		}},
		{"reduce task 0: boom", func(a *mr.App) {
			a.NewReducer = text.ReduceTask(func(*mr.Task) (mr.ReduceFunc[string, string], error) { return nil, boom })
		}},
		{`key "x": value: 1 bytes are no number`, func(a *mr.App) {
			a.NewReducer = numbers.Reduce(func(_ string, values iter.Seq[int64], _ *mr.Printer) error {
				for range values {
					t.Error("a value")
				}
				return nil
			})
		}},
		{`key "x": key: "x" is no number`, func(a *mr.App) {
			a.NewReducer = mr.PairsOf(mr.Decimal(1), mr.Text{}).Reduce(func(int64, iter.Seq[string], *mr.Printer) error { return nil })
		}},
	} {
		failing := app
		tc.edit(&failing)
		_, err := mrtest.Job{App: failing, Inputs: map[string]string{"a": "x\n"}}.Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want %q", err, tc.want)
		}
	}
}

// TestPartitionFirst: keys of one first part go to one task, and all tasks get
// keys.
func TestPartitionFirst(t *testing.T) {
	codec := mr.TupleOf(mr.Text{}, mr.Hex64{})
	used := map[int]bool{}
	for i := range 100 {
		user := fmt.Sprintf("user%d", i)
		want := mr.Partition([]byte(user), 7)
		used[want] = true
		for _, n := range []int64{math.MinInt64, 0, 5} {
			if got := mr.PartitionFirst(codec.Append(nil, mr.Tuple[string, int64]{A: user, B: n}), 7); got != want {
				t.Errorf("%s %d: partition %d, want %d", user, n, got, want)
			}
		}
	}
	if len(used) != 7 {
		t.Errorf("%d partitions of 7 are used", len(used))
	}
}
