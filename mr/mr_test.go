package mr_test

import (
	"hash/fnv"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mraws/mraws/mr"
	"github.com/mraws/mraws/mr/mrtest"
)

// labPartition is ihash of the MIT lab, modulo n.
func labPartition(key []byte, n int) int {
	h := fnv.New32a()
	h.Write(key)
	return int(h.Sum32()&0x7fffffff) % n
}

func FuzzPartition(f *testing.F) {
	f.Add([]byte(""), 1)
	f.Add([]byte("the"), 10)
	f.Add([]byte{0, 255}, math.MaxInt)
	f.Fuzz(func(t *testing.T, key []byte, n int) {
		if n <= 0 {
			return
		}
		if got, want := mr.Partition(key, n), labPartition(key, n); got != want {
			t.Errorf("Partition(%q, %d) = %d, want %d", key, n, got, want)
		}
	})
}

func TestPartition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key, n := rapid.SliceOf(rapid.Byte()).Draw(t, "key"), rapid.IntRange(1, 1<<40).Draw(t, "n")
		if got, want := mr.Partition(key, n), labPartition(key, n); got != want {
			t.Fatalf("got %d, want %d", got, want)
		}
	})
}

// TestSum: sums are those of int64, in the memory of acc.
func TestSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int64().Draw(t, "a"), rapid.Int64().Draw(t, "b")
		acc := mr.AppendInt64(nil, a)
		sum := mr.Sum{}.Combine(acc, mr.AppendInt64([]byte("x"), b)[1:])
		if got := mr.ParseInt64(sum); got != a+b {
			t.Fatalf("%d + %d = %d, got %d", a, b, a+b, got)
		}
		if &sum[0] != &acc[0] {
			t.Fatal("the sum is not in place")
		}
	})
	acc, next := mr.AppendInt64(nil, 1), mr.AppendInt64(nil, 2)
	if n := testing.AllocsPerRun(100, func() { acc = mr.Sum{}.Combine(acc, next) }); n != 0 {
		t.Errorf("%v allocations for a sum", n)
	}
	defer func() {
		if r := recover(); r == nil || !strings.Contains(r.(string), "3 bytes") {
			t.Errorf("value of another length: %v", r)
		}
	}()
	mr.ParseInt64([]byte("abc"))
}

func app() mr.App {
	return mr.App{Name: "a-1_b", NewMapper: fields, NewReducer: mr.SumReducer}
}

func TestValidate(t *testing.T) {
	for _, tc := range []struct {
		name string
		edit func(*mr.App)
		want string // part of the error; "" for none
	}{
		{"good", func(*mr.App) {}, ""},
		{"good reference", func(a *mr.App) { r := app(); a.Reference = &r }, ""},
		{"good params", func(a *mr.App) {
			a.Params = []mr.Param{{Name: "n", Required: true, Check: mr.CheckInt}, {Name: "m", Default: "1", Check: mr.CheckInt}}
		}, ""},
		{"no name", func(a *mr.App) { a.Name = "" }, `the name ""`},
		{"upper case", func(a *mr.App) { a.Name = "WC" }, `the name "WC"`},
		{"like a flag", func(a *mr.App) { a.Name = "-w" }, `the name "-w"`},
		{"no mapper", func(a *mr.App) { a.NewMapper = nil }, "NewMapper is missing"},
		{"no reducer", func(a *mr.App) { a.NewReducer = nil }, "NewReducer is missing"},
		{"input", func(a *mr.App) { a.Input = 7 }, "Input is 7"},
		{"param name", func(a *mr.App) { a.Params = []mr.Param{{Name: "a=b"}} }, `parameter name "a=b"`},
		{"twice", func(a *mr.App) { a.Params = []mr.Param{{Name: "p"}, {Name: "p"}} }, "p is declared twice"},
		{"required", func(a *mr.App) { a.Params = []mr.Param{{Name: "p", Required: true, Default: "1"}} }, "required and has a default"},
		{"default", func(a *mr.App) { a.Params = []mr.Param{{Name: "p", Default: "x", Check: mr.CheckBool}} }, "not true or false"},
		{"reference input", func(a *mr.App) { r := app(); r.Input = mr.WholeObjects; a.Reference = &r }, "reads other records"},
		{"reference bad", func(a *mr.App) { r := app(); r.NewMapper = nil; a.Reference = &r }, "reference: app a-1_b: NewMapper"},
		{"reference chain", func(a *mr.App) { r, s := app(), app(); r.Reference = &s; a.Reference = &r }, "has a reference itself"},
	} {
		a := app()
		tc.edit(&a)
		switch err := a.Validate(); {
		case tc.want == "" && err != nil:
			t.Errorf("%s: %v", tc.name, err)
		case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}
	err := mr.App{}.Validate()
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("an empty app has three mistakes, got %v", err)
	}
}

func TestResolve(t *testing.T) {
	a := app()
	a.Params = []mr.Param{
		{Name: "pattern", Help: "what to find", Required: true},
		{Name: "wait", Default: "2s", Check: mr.CheckDuration},
		{Name: "deep", Default: "false", Check: mr.CheckBool},
	}
	for _, tc := range []struct {
		params, want map[string]string
		err          []string
	}{
		{params: map[string]string{"pattern": "x"}, want: map[string]string{"pattern": "x", "wait": "2s", "deep": "false"}},
		{params: map[string]string{"pattern": "x", "wait": "0"}, want: map[string]string{"pattern": "x", "wait": "0", "deep": "false"}},
		{params: nil, err: []string{"app a-1_b needs parameter pattern (what to find)"}},
		{params: map[string]string{"pattern": ""}, want: map[string]string{"pattern": "", "wait": "2s", "deep": "false"}},
		{params: map[string]string{"wait": "-1s", "deep": "", "zoo": "1", "ape": "2"}, err: []string{
			"needs parameter pattern", "wait=-1s: not a duration", "deep=: not true or false",
			"no parameter ape (known: pattern, wait, deep)", "no parameter zoo"}},
	} {
		before := maps.Clone(tc.params)
		got, err := a.Resolve(tc.params)
		if diff := cmp.Diff(tc.want, got); diff != "" || (err != nil) != (tc.err != nil) {
			t.Errorf("%v: error %v (-want +got):\n%s", tc.params, err, diff)
		}
		for _, part := range tc.err {
			if err != nil && !strings.Contains(err.Error(), part) {
				t.Errorf("%v: %q does not say %q", tc.params, err, part)
			}
		}
		if diff := cmp.Diff(before, tc.params); diff != "" {
			t.Errorf("the argument changed: %s", diff)
		}
	}
	if _, err := app().Resolve(map[string]string{"x": "1"}); err == nil || !strings.Contains(err.Error(), "it takes none") {
		t.Errorf("got %v", err)
	}
}

func TestTaskParams(t *testing.T) {
	task := &mr.Task{Params: map[string]string{"n": "12", "b": "t", "d": "1m30s", "bad": "-x"}}
	n, err1 := task.Int("n")
	b, err2 := task.Bool("b")
	d, err3 := task.Duration("d")
	if n != 12 || !b || d != 90*time.Second || err1 != nil || err2 != nil || err3 != nil {
		t.Error(n, b, d, err1, err2, err3)
	}
	_, err1 = task.Int("bad")
	_, err2 = task.Bool("bad")
	_, err3 = task.Duration("missing")
	for err, want := range map[error]string{
		err1: "parameter bad=-x is not a whole number",
		err2: "parameter bad=-x is not true or false",
		err3: "parameter missing is not declared by the app",
	} {
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestPhase(t *testing.T) {
	if mr.MapPhase.String() != "map" || mr.ReducePhase.String() != "reduce" {
		t.Error(mr.MapPhase, mr.ReducePhase)
	}
}

// theirs is what a lab's own package has in place of [mr.KeyValue].
type theirs struct {
	Key   string
	Value string
}

// TestLabOfTheirs: the functions of a lab run with the type of their own package.
func TestLabOfTheirs(t *testing.T) {
	mapf := func(file, contents string) []theirs { return []theirs{{contents, file}} }
	got := mrtest.Run(t, mr.Lab("theirs", mapf, func(_ string, files []string) string { return strings.Join(files, ",") }), 1, map[string]string{"a": "x", "b": "x"})
	if want := []string{"x a,b"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
