package mrtest

import (
	"errors"
	"io/fs"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/mr"
)

// lines emits (record, object:offset:line) for each record, and "flushed" at
// the end; reduce joins the values.
func lines() mr.App {
	return mr.App{
		Name:      "lines",
		NewMapper: func(*mr.Task) (mr.Mapper, error) { return flusher{}, nil },
		NewReducer: mr.LabReduce(func(_ string, values []string) string {
			return strings.Join(values, ",")
		}),
	}
}

type flusher struct{}

func (flusher) Map(rec mr.Record, out mr.Emitter) error {
	out.Emit(rec.Data, []byte(rec.Object+":"+string(rune('0'+rec.Offset))+":"+string(rune('0'+rec.Line))))
	return nil
}

func (flusher) Flush(out mr.Emitter) error {
	out.Emit([]byte("flushed"), []byte("x"))
	return nil
}

func TestRun(t *testing.T) {
	inputs := map[string]string{"b": "p\r\nq", "a": "q\n\n", "c": ""}
	numbered, whole := lines(), lines()
	numbered.Input, whole.Input = mr.NumberedLines, mr.WholeObjects
	whole.NewMapper = mr.LabMap(func(name, text string) []mr.KeyValue {
		return []mr.KeyValue{{Key: name, Value: strings.ReplaceAll(text, "\n", "$")}}
	})
	for _, tc := range []struct {
		app  mr.App
		want []string
	}{
		{lines(), []string{" a:2:0", "flushed x,x,x", "p\r b:0:0", "q a:0:0,b:3:0"}},
		{numbered, []string{" a:2:2", "flushed x,x,x", "p\r b:0:1", "q a:0:1,b:3:2"}},
		{whole, []string{"a q$$", "b p\r$q", "c "}},
	} {
		for _, r := range []int{0, 1, 7} {
			if diff := cmp.Diff(tc.want, Run(t, tc.app, r, inputs)); diff != "" {
				t.Errorf("input %d, R = %d (-want +got):\n%s", tc.app.Input, r, diff)
			}
		}
	}
	if got := Run(t, lines(), 3, nil); len(got) != 0 {
		t.Errorf("no input gives %q", got)
	}
}

// TestWorkers: tasks of a phase run at the same time on workers with names
// of their own.
func TestWorkers(t *testing.T) {
	app := lines()
	var met atomic.Int32
	both := make(chan struct{})
	app.NewMapper = func(task *mr.Task) (mr.Mapper, error) {
		return mr.MapperFunc(func(_ mr.Record, out mr.Emitter) error {
			if met.Add(1) == 2 {
				close(both)
			}
			<-both
			task.Counters.Add("calls", 1)
			out.Emit([]byte(task.Worker), []byte(task.Attempt))
			return nil
		}), nil
	}
	res, err := Job{App: app, Workers: 2, Inputs: map[string]string{"a": "x", "b": "x"}}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(res.Lines(), ";"); got != "w0 map-0-0;w1 map-1-0" && got != "w0 map-1-0;w1 map-0-0" {
		t.Errorf("got %s", got)
	}
	if diff := cmp.Diff(map[string]int64{"calls": 2}, res.Counters); diff != "" {
		t.Error(diff)
	}
}

// TestMistakes: an app that leans on more than it was promised fails, and
// the error says where.
func TestMistakes(t *testing.T) {
	inputs := map[string]string{"a": "x\ny\n", "b": "x\nx\n"}
	boom := errors.New("boom")
	for _, tc := range []struct {
		name string
		edit func(*mr.App)
		want string
	}{
		{"invalid", func(a *mr.App) { a.NewMapper = nil }, "NewMapper is missing"},
		{"parameter", func(a *mr.App) { a.Params = []mr.Param{{Name: "p", Required: true}} }, "needs parameter p"},
		{"map error", func(a *mr.App) {
			a.NewMapper = func(*mr.Task) (mr.Mapper, error) {
				return mr.MapperFunc(func(rec mr.Record, _ mr.Emitter) error {
					if rec.Offset == 2 && rec.Object == "b" {
						return boom
					}
					return nil
				}), nil
			}
		}, "app lines: map task 1: record at byte 2 of b: boom"},
		{"no mapper", func(a *mr.App) { a.NewMapper = func(*mr.Task) (mr.Mapper, error) { return nil, boom } }, "map task 0: boom"},
		{"flush error", func(a *mr.App) { a.NewMapper = func(*mr.Task) (mr.Mapper, error) { return badFlush{}, nil } }, "map task 0: flush: broken"},
		{"no reducer", func(a *mr.App) { a.NewReducer = func(*mr.Task) (mr.Reducer, error) { return nil, boom } }, "reduce task 0: boom"},
		{"reduce error", func(a *mr.App) {
			a.NewReducer = func(*mr.Task) (mr.Reducer, error) {
				return mr.ReducerFunc(func([]byte, iter.Seq[[]byte], mr.Output) error { return boom }), nil
			}
		}, `reduce task 0: key "flushed": boom`},
		{"line break", func(a *mr.App) { a.NewReducer = mr.LabReduce(func(string, []string) string { return "a\nb" }) }, `line break in the output of key "flushed"`},
		{"partition", func(a *mr.App) { a.Partition = func([]byte, int) int { return 1 } }, `key "x": partition 1 is outside 0..0`},
		{"order matters", func(a *mr.App) {
			a.Combine = mr.CombinerFunc(func(acc, next []byte) []byte { return append(append(acc, '('), next...) })
		}, ""},
		{"not associative", func(a *mr.App) {
			a.Combine = mr.CombinerFunc(func(acc, next []byte) []byte { return append(append(append(acc, '('), next...), ')') })
		}, "the combiner is not associative"},
		{"changes the output", func(a *mr.App) { a.Combine = mr.CombinerFunc(func(acc, _ []byte) []byte { return acc }) }, "the combiner changes the output"},
		{"keeps next", func(a *mr.App) {
			a.Combine = mr.CombinerFunc(func(acc, next []byte) []byte { return next })
			a.NewReducer = mr.LabReduce(func(_ string, values []string) string { return values[len(values)-1] })
		}, "the combiner changes the output"},
		{"keeps values", func(a *mr.App) {
			a.NewReducer = func(*mr.Task) (mr.Reducer, error) {
				return mr.ReducerFunc(func(key []byte, values iter.Seq[[]byte], out mr.Output) error {
					var all [][]byte
					for v := range values {
						all = append(all, v)
					}
					if string(all[0]) != "\xaa" && string(key) == "flushed" {
						return errors.New("value still there")
					}
					return boom
				}), nil
			}
		}, "boom"},
	} {
		app := lines()
		tc.edit(&app)
		if tc.name == "order matters" {
			app.NewReducer = mr.LabReduce(func(_ string, values []string) string { return strings.Join(values, "(") })
		}
		_, err := Job{App: app, Inputs: inputs}.Run(t.Context())
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("%s: %v", tc.name, err)
		case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}
}

// TestReference: an app that names itself in plain code as its reference must
// give the same output; one that stands in for another is not run.
func TestReference(t *testing.T) {
	for _, tc := range []struct {
		name, out string
		err       string
	}{
		{"lines", "same", ""},
		{"lines", "other", "app lines gives another output than its reference"},
		{"stand-in", "other", ""},
	} {
		app, ref := lines(), lines()
		app.NewReducer = mr.LabReduce(func(string, []string) string { return "same" })
		ref.Name, ref.NewReducer = tc.name, mr.LabReduce(func(string, []string) string { return tc.out })
		app.Reference = &ref
		_, err := Job{App: app, NReduce: 2, Inputs: map[string]string{"a": "x\ny\n"}}.Run(t.Context())
		if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
			t.Errorf("%+v: %v", tc, err)
		}
	}
}

type badFlush struct{}

func (badFlush) Map(mr.Record, mr.Emitter) error { return nil }
func (badFlush) Flush(mr.Emitter) error          { return errors.New("broken") }

func TestCheck(t *testing.T) {
	app := lines()
	var got []mr.Line
	var info mr.CheckInfo
	app.Check = func(lines iter.Seq2[mr.Line, error], i mr.CheckInfo) error {
		for l, err := range lines {
			if err != nil {
				return err
			}
			got = append(got, l)
		}
		info = i
		return errors.New("checked")
	}
	app.Params = []mr.Param{{Name: "p", Default: "1"}}
	job := Job{App: app, NReduce: 2, Inputs: map[string]string{"b": "p\n", "a": "q\n"}}
	res, err := job.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := job.Check(res); err == nil || err.Error() != "checked" {
		t.Error(err)
	}
	wantInfo := mr.CheckInfo{Maps: 2, Reduces: 2, Objects: []string{"a", "b"}, Params: map[string]string{"p": "1"}}
	if diff := cmp.Diff(wantInfo, info); diff != "" {
		t.Error(diff)
	}
	if len(got) != 3 {
		t.Errorf("got %v", got)
	}
	for _, l := range got {
		key, _, _ := strings.Cut(l.Text, " ")
		if l.Partition != mr.Partition([]byte(key), 2) {
			t.Errorf("line %q in partition %d", l.Text, l.Partition)
		}
	}
}

func TestSideFiles(t *testing.T) {
	s, ctx := NewSideFiles(), t.Context()
	data := []byte("one")
	if err := s.Create(ctx, "a/b-1_x.Y", data); err != nil {
		t.Fatal(err)
	}
	data[0] = 'X'
	if err := s.Create(ctx, "a/b-1_x.Y", nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second Create: %v", err)
	}
	if got, err := s.Get(ctx, "a/b-1_x.Y"); err != nil || string(got) != "one" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := s.Put(ctx, "a/b-1_x.Y", []byte("two")); err != nil {
		t.Error(err)
	}
	if err := s.Put(ctx, "a/a", nil); err != nil {
		t.Error(err)
	}
	if got, err := s.Get(ctx, "a/b-1_x.Y"); err != nil || string(got) != "two" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := s.Get(ctx, "a/c"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Get of none: %v", err)
	}
	if err := s.Put(ctx, "b", nil); err != nil {
		t.Error(err)
	}
	if got, err := s.List(ctx, "a/"); err != nil || strings.Join(got, " ") != "a/a a/b-1_x.Y" {
		t.Errorf("List: %v, %v", got, err)
	}
	for _, name := range []string{"", ".", "/a", "a/", "a//b", "../a", "a/../b", "a b", "\u00e9", "a\x00"} {
		if err := s.Put(ctx, name, nil); err == nil {
			t.Errorf("name %q is taken", name)
		}
	}
	if err := s.Put(ctx, "big", make([]byte, maxSide+1)); err == nil {
		t.Error("a side file of more than 1 MiB is taken")
	}
}

// TestFiles: mapper, combiner and reducer read the files of a job.
func TestFiles(t *testing.T) {
	read := func(t *mr.Task) (string, error) {
		text, err := fs.ReadFile(t.Files, "words/list.txt")
		return string(text), err
	}
	app := mr.App{
		Name: "files",
		NewMapper: func(t *mr.Task) (mr.Mapper, error) {
			text, err := read(t)
			return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
				out.Emit(rec.Data, []byte(text))
				return nil
			}), err
		},
		Combine: mr.CombinerTask(func(t *mr.Task) (mr.Combiner, error) {
			text, err := read(t)
			return mr.CombinerFunc(func(acc, _ []byte) []byte {
				if string(acc) != text {
					panic("a value from elsewhere")
				}
				return acc
			}), err
		}),
		NewReducer: func(t *mr.Task) (mr.Reducer, error) {
			text, err := read(t)
			return mr.ReducerFunc(func(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
				for range values {
					break
				}
				out.Write([]byte(text))
				return nil
			}), err
		},
	}
	j := Job{App: app, Inputs: map[string]string{"a": "x\nx\n"}, Files: fstest.MapFS{"words/list.txt": {Data: []byte("ab")}}}
	res, err := j.Run(t.Context())
	if err != nil || res.Partitions[0] != "x ab\n" {
		t.Errorf("%q, %v", res.Partitions, err)
	}
	j.Files = nil
	if _, err := j.Run(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no files: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a combiner that was not made for a task combines")
		}
	}()
	app.Combine.Combine(nil, nil)
}
