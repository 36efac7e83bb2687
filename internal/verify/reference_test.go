package verify

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mraws/mraws/mr"
)

// TestDifferences: a line too many or too few is one difference, and the
// lines that follow it are equal again.
func TestDifferences(t *testing.T) {
	j := testJob{app: wordCount(), reduces: 1, inputs: map[string]string{
		"in": "b c d e f " + strings.Repeat("x", 300),
	}}
	long := `"` + strings.Repeat("x", 200) + `"...`
	tests := map[string]struct {
		edit func([]string) []string
		want []Different
	}{
		"one too many":   {func(l []string) []string { return slices.Insert(l, 2, "cc 1") }, []Different{{Line: 3, Got: `"cc 1"`}}},
		"one too few":    {func(l []string) []string { return slices.Delete(l, 1, 2) }, []Different{{Line: 2, Expected: `"c 1"`}}},
		"other value":    {func(l []string) []string { l[1] = "c 2"; return l }, []Different{{Line: 2, Expected: `"c 1"`, Got: `"c 2"`}}},
		"first one gone": {func(l []string) []string { return l[1:] }, []Different{{Line: 1, Expected: `"b 1"`}}},
		"last one gone":  {func(l []string) []string { return l[:5] }, []Different{{Line: 6, Expected: long}}},
		"one at the end": {func(l []string) []string { return append(l, "z\x00 1") }, []Different{{Line: 7, Got: `"z\x00 1"`}}},
		"swapped": {func(l []string) []string { l[0], l[1] = l[1], l[0]; return l }, []Different{
			{Line: 1, Expected: `"b 1"`}, {Line: 2, Got: `"b 1"`}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, lay := j.build(t)
			s.rot(lay.Output(0), editLines(tt.edit))
			ref := run(t, s, lay, j.app, Options{Scratch: t.TempDir()}).Reference
			if diff := cmp.Diff(tt.want, ref.Differences); diff != "" {
				t.Errorf("differences (-want +got):\n%s", diff)
			}
			if ref.State != Failed || len(ref.Partitions) != 1 || ref.Partitions[0].Different != int64(len(tt.want)) {
				t.Errorf("reference = %+v", ref)
			}
		})
	}
}

// TestManyDifferences shows ten of them and counts all.
func TestManyDifferences(t *testing.T) {
	j := testJob{app: wordCount(), reduces: 3, inputs: map[string]string{}}
	for i := range 90 {
		j.inputs["in"] += fmt.Sprintf("w%02d\n", i)
	}
	s, lay := j.build(t)
	var all int64
	for r := range 3 {
		s.rot(lay.Output(r), editLines(func(l []string) []string {
			for i := range l {
				l[i] += "0"
				all++
			}
			return l
		}))
	}
	ref := run(t, s, lay, j.app, Options{Scratch: t.TempDir()}).Reference
	var counted int64
	for _, p := range ref.Partitions {
		counted += p.Different
	}
	if len(ref.Differences) != keepDifferences || counted != all || all != 90 {
		t.Errorf("%d differences shown, %d of %d counted", len(ref.Differences), counted, all)
	}
}

// TestSeesAllDifferences: lines that differ are never counted as none,
// whatever the lines are.
func TestSeesAllDifferences(t *testing.T) {
	line := rapid.StringMatching(`[ab \x01]{0,3} [ab]?`)
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(line, 0, 5).Draw(t, "want")
		got := rapid.SliceOfN(line, 0, 5).Draw(t, "got")
		var c comparison
		c.start(0, newOutputReader(openLines, strings.NewReader(text(got))), true)
		for _, l := range want {
			i := strings.LastIndexByte(l, ' ')
			c.key = []byte(l[:i])
			c.Write([]byte(l[i+1:]))
		}
		if err := c.finish(); err != nil {
			t.Fatal(err)
		}
		if equal := slices.Equal(want, got); c.equal() != equal || (c.bad == 0) != equal {
			t.Fatalf("equal = %v with %d differences, want %v", c.equal(), c.bad, equal)
		}
		if c.lines.n != int64(len(got)) || c.n != int64(len(want)) {
			t.Fatalf("counted %d and %d lines", c.n, c.lines.n)
		}
	})
}

func text(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return strings.Join(lines, "\n") + "\n"
}

func TestCheck(t *testing.T) {
	for name, tt := range map[string]struct {
		check func(iter.Seq2[mr.Line, error], mr.CheckInfo) error
		want  string // in the finding; "" is none
	}{
		"good": {func(lines iter.Seq2[mr.Line, error], info mr.CheckInfo) error {
			n := 0
			for l, err := range lines {
				if err != nil || mr.Partition([]byte(strings.Fields(l.Text)[0]), info.Reduces) != l.Partition {
					return fmt.Errorf("line %+v: %w", l, err)
				}
				n++
			}
			if want := []string{"a.txt", "b/c.txt", "empty.txt", "z-last.txt"}; !slices.Equal(info.Objects, want) || n == 0 {
				return fmt.Errorf("%d lines, info %+v", n, info)
			}
			return nil
		}, ""},
		"looks at one line": {func(lines iter.Seq2[mr.Line, error], _ mr.CheckInfo) error {
			for range lines {
				break
			}
			return nil
		}, ""},
		"bad":    {func(iter.Seq2[mr.Line, error], mr.CheckInfo) error { return errors.New("too few") }, "the check of app wc: too few"},
		"panics": {func(iter.Seq2[mr.Line, error], mr.CheckInfo) error { panic("oops") }, "panic: oops"},
	} {
		t.Run(name, func(t *testing.T) {
			j := wcJob()
			s, lay := j.build(t)
			j.app.Check = tt.check
			rep := run(t, s, lay, j.app, Options{Scratch: t.TempDir()})
			if tt.want == "" {
				if !rep.OK() || rep.Reference.State != OK || !rep.Reference.Check {
					t.Errorf("reference = %+v\n%s", rep.Reference, show(rep))
				}
				return
			}
			if rep.Found != 1 || rep.Findings[0].Kind != Mismatch || !strings.Contains(rep.Findings[0].Detail, tt.want) {
				t.Errorf("findings:\n%s", show(rep))
			}
		})
	}
}

// TestReferenceApp: an app that would take the verifier with it names
// another.
func TestReferenceApp(t *testing.T) {
	j := wcJob()
	s, lay := j.build(t)
	other := wordCount()
	other.Name = "calm"
	j.app.Reference = &other
	j.app.NewMapper = func(*mr.Task) (mr.Mapper, error) { panic("the app itself was run") }
	if rep := run(t, s, lay, j.app, Options{Scratch: t.TempDir()}); !rep.OK() || rep.Reference.App != "calm" {
		t.Errorf("reference = %+v\n%s", rep.Reference, show(rep))
	}
}

// TestAppFails: what goes wrong in the application's own code ends the
// verification, with the place.
func TestAppFails(t *testing.T) {
	broken := errors.New("broken")
	mapper := func(f func(mr.Record, mr.Emitter) error) func(*mr.App) {
		return func(a *mr.App) {
			a.NewMapper = func(*mr.Task) (mr.Mapper, error) { return mr.MapperFunc(f), nil }
		}
	}
	reducer := func(f func([]byte, iter.Seq[[]byte], mr.Output) error) func(*mr.App) {
		return func(a *mr.App) {
			a.NewReducer = func(*mr.Task) (mr.Reducer, error) { return mr.ReducerFunc(f), nil }
		}
	}
	for name, tt := range map[string]struct {
		change func(*mr.App)
		want   string
	}{
		"map":           {mapper(func(mr.Record, mr.Emitter) error { return broken }), "near byte 0: map a.txt: broken"},
		"map panics":    {mapper(func(mr.Record, mr.Emitter) error { panic("oops") }), "map a.txt: panic: oops"},
		"make mapper":   {func(a *mr.App) { a.NewMapper = func(*mr.Task) (mr.Mapper, error) { return nil, broken } }, "make mapper: broken"},
		"flush":         {func(a *mr.App) { a.NewMapper = func(*mr.Task) (mr.Mapper, error) { return badFlush{}, nil } }, "flush failed"},
		"make reducer":  {func(a *mr.App) { a.NewReducer = func(*mr.Task) (mr.Reducer, error) { return nil, broken } }, "make reducer: broken"},
		"reduce":        {reducer(func([]byte, iter.Seq[[]byte], mr.Output) error { return broken }), "reduce key \""},
		"reduce panics": {reducer(func([]byte, iter.Seq[[]byte], mr.Output) error { panic("oops") }), "panic: oops"},
		"line break": {reducer(func(_ []byte, _ iter.Seq[[]byte], out mr.Output) error {
			out.Write([]byte("a\nb"))
			return nil
		}), "a line break in the key or the value"},
		"partition": {func(a *mr.App) { a.Partition = func([]byte, int) int { return 3 } }, "into partition 3 of 3"},
	} {
		t.Run(name, func(t *testing.T) {
			j := wcJob()
			s, lay := j.build(t)
			app := j.app
			tt.change(&app)
			rep, err := Run(t.Context(), s, lay, Options{App: "wc", Lookup: func(string) *mr.App { return &app }, Scratch: t.TempDir()})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Run = %v, %v, want %s", rep, err, tt.want)
			}
		})
	}
}

type badFlush struct{}

func (badFlush) Map(mr.Record, mr.Emitter) error { return nil }
func (badFlush) Flush(mr.Emitter) error          { return errors.New("flush failed") }

// TestReducerTakesWhatItWants: values that a reducer leaves belong to no
// other key, and a second loop goes on where the first stopped.
func TestReducerTakesWhatItWants(t *testing.T) {
	for take := range 4 {
		j := placesJob()
		j.app.NewReducer = func(*mr.Task) (mr.Reducer, error) {
			return mr.ReducerFunc(func(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
				n := 0
				if take == 0 {
					return nil
				}
				for v := range values {
					out.Write(v)
					if n++; n == take {
						return nil
					}
				}
				return nil
			}), nil
		}
		s, lay := j.build(t)
		if rep := run(t, s, lay, j.app, Options{Scratch: t.TempDir(), Memory: 200, fanIn: 2}); !rep.OK() {
			t.Errorf("taking %d values:\n%s", take, show(rep))
		}
	}
}
