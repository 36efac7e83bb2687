package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mraws/mraws/internal/recordio"
)

var theJob = samples()["job"].(*Job)

// validate judges a control object as its readers do: samples are of task 1
// of the job "job", of task 0 of the packed one, or of reduce task 0.
func validate(name string, v any) error {
	switch v := v.(type) {
	case *Job:
		return v.Validate(lay)
	case *Map:
		if name == "map" {
			return v.Validate(lay, theJob, 1)
		}
		return v.Validate(lay, packedJob(), 0)
	case *Reduce:
		return v.Validate(lay, theJob, 0, "reduce-0.1")
	case *Success:
		return v.Validate(lay)
	case *Ranges:
		return v.Validate("sort-01kjm5", 3)
	case *Owner:
		return v.Validate()
	}
	return v.(*Coordinator).Validate()
}

// mayName says whether the engine may read, copy or write a key that the
// object of that name gives.
func mayName(name, key string) bool {
	attempt, task := "map-1.2", 1
	if name != "map" {
		attempt, task = "map-0.1", 0
	}
	may := []string{lay.Bad(task), lay.MapAttemptBad(task, attempt), lay.Packed(task), lay.MapAttemptPacked(task, attempt)}
	for r := range 2 {
		may = append(may, lay.Partition(task, r), lay.MapAttempt(task, attempt, r))
	}
	if name == "reduce" || name == "success" {
		may = []string{lay.Output(0), lay.Output(1)}
	}
	return key == "" || slices.Contains(may, key)
}

// believed fails over what no valid control object may say.
func believed(name, path string, v reflect.Value) error {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return believed(name, path, v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				if err := believed(name, path+"."+f.Name, v.Field(i)); err != nil {
					return err
				}
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if err := believed(name, path, v.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Map:
		for k := range v.Seq() {
			if len(k.String()) > MostCounterName {
				return fmt.Errorf("%s has a name of %d bytes", path, len(k.String()))
			}
		}
	case reflect.Int, reflect.Int64:
		if n := v.Int(); n < 0 || n > Most && path != ".MaxBad.Records" && !strings.HasPrefix(path, ".Decompress") && path != ".SplitSize" {
			return fmt.Errorf("%s is %d", path, n)
		}
	case reflect.Float64:
		if v.Float() < 0 {
			return fmt.Errorf("%s is %g", path, v.Float())
		}
	case reflect.String:
		s := v.String()
		switch {
		case strings.HasSuffix(path, ".Key") && !mayName(name, s):
			return fmt.Errorf("%s is %q", path, s)
		case path == ".Attempt" && strings.ContainsAny(s, "/\x00\n"), path == ".Objects.Name" && strings.Contains("/"+s+"/", "/../"):
			return fmt.Errorf("%s is %q", path, s)
		case len(s) > mostPEM:
			return fmt.Errorf("%s has %d bytes", path, len(s))
		}
	}
	return nil
}

// places lists every place of a decoded JSON value, with a function that
// changes what is there.
func places(v any, set func(any)) []func(any) {
	all := []func(any){set}
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			all = append(all, places(v[k], func(x any) { v[k] = x })...)
		}
		all = append(all, func(x any) { v["key"] = x }, func(x any) { v[strings.Repeat("n", 300)] = x })
	case []any:
		for i := range v {
			all = append(all, places(v[i], func(x any) { v[i] = x })...)
		}
	}
	return all
}

// hostile are values that somebody might put into a control object.
func hostile() []any {
	return []any{
		"elsewhere/victim.txt", "p/input/a.txt", "private/secret.txt", "p/intermediate/mr-0-0", "p/intermediate/mr-1-1", "p/intermediate/00/mr-0",
		"p/intermediate/_attempts/map-0/map-0.1/../../x", "p/output/mr-out-1", "p/output/_bad/map-0", "../x", "..", ".", "", "/", "a/../b",
		"a\nb", "\x1b[2J", "\x00", strings.Repeat("x", 1<<17), zeroHash, someHash, strings.ToUpper(someHash), "00ab54a98ceb1f0a", "packed", "gzip",
		-1.0, 0.0, 1.0, 2.0, 333.0, float64(1 << 53), float64(1 << 62), 1e300, nil, true, []any{}, map[string]any{}, []any{0.0, 0.0, 100.0},
		"host", "host:1/x", "a@b:1", "10.0.0.7:1234", "2026-03-01T12:30:00Z", "mraws/map/v1", "mraws/map/v2", "mraws/job/v1",
	}
}

// TestForged changes up to three places of a control object to what somebody
// might want: what is still valid names no key but those of its job, task and
// attempt, and no count, size or name out of bounds.
func TestForged(t *testing.T) {
	like := samples()
	names := slices.Sorted(maps.Keys(like))
	for _, name := range names {
		if err := validate(name, like[name]); err != nil {
			t.Errorf("%s as it is: %v", name, err)
		}
	}
	judge := func(t interface{ Fatalf(string, ...any) }, name string, root any) (refused bool) {
		data, err := json.Marshal(root)
		if err != nil {
			t.Fatalf("%v", err)
		}
		v, err := decode(data, like[name])
		if err != nil || validate(name, v) != nil {
			return true
		}
		if err := believed(name, "", reflect.ValueOf(v)); err != nil {
			t.Fatalf("%s is believed, and %v:\n%s", name, err, data)
		}
		return false
	}
	fresh := func(name string) (root any) {
		data, err := Encode(like[name])
		if err != nil || json.Unmarshal(data, &root) != nil {
			t.Fatal(name, err)
		}
		return root
	}
	cases, refused := 0, 0
	values := hostile()
	for _, name := range names { // each place alone, with each value
		for i := range places(fresh(name), func(any) {}) {
			for _, x := range values {
				root := fresh(name)
				places(root, func(x any) { root = x })[i](x)
				cases++
				if judge(t, name, root) {
					refused++
				}
			}
		}
	}
	if refused < cases/2 {
		t.Errorf("of %d changes %d were refused", cases, refused)
	}
	t.Logf("%d changes, %d refused", cases, refused)
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(names).Draw(t, "object")
		root := fresh(name)
		for range rapid.IntRange(2, 3).Draw(t, "changes") {
			all := places(root, func(x any) { root = x })
			all[rapid.IntRange(0, len(all)-1).Draw(t, "place")](rapid.SampledFrom(values).Draw(t, "value"))
		}
		judge(t, name, root)
	})
}

// FuzzValidate: whatever the bytes, what is believed is in bounds.
func FuzzValidate(f *testing.F) {
	like := samples()
	names := slices.Sorted(maps.Keys(like))
	for i, name := range names {
		data, err := Encode(like[name])
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint(i), data)
	}
	f.Fuzz(func(t *testing.T, i uint, data []byte) {
		name := names[i%uint(len(names))]
		v, err := decode(data, like[name])
		if err != nil || validate(name, v) != nil {
			return
		}
		if err := believed(name, "", reflect.ValueOf(v)); err != nil {
			t.Fatalf("%s is believed, and %v", name, err)
		}
	})
}

// TestValidateMap names what is wrong with a commit record.
func TestValidateMap(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*Map)
		want   string
	}{
		"another job":             {func(m *Map) { m.Job = "wc-2" }, `of job "wc-2"`},
		"another task":            {func(m *Map) { m.Task = 0 }, "of map task 0, not of 1"},
		"partitions":              {func(m *Map) { m.Parts = m.Parts[:1] }, "1 partitions, not 3"},
		"attempt":                 {func(m *Map) { m.Attempt = "../../x" }, `attempt "../../x"`},
		"worker":                  {func(m *Map) { m.Worker = "\x1b[2J" }, `worker "\x1b[2J"`},
		"elsewhere":               {func(m *Map) { m.Parts[0].Key = "elsewhere/victim.txt" }, `"elsewhere/victim.txt", which no attempt at the task writes`},
		"input":                   {func(m *Map) { m.Parts[0].Key = "p/input/a.txt" }, "which no attempt"},
		"another partition":       {func(m *Map) { m.Parts[0].Key = m.Parts[1].Key }, "which no attempt"},
		"another attempt's":       {func(m *Map) { m.Parts[1].Key = lay.MapAttempt(1, "map-1.1", 1) }, "which no attempt"},
		"bad":                     {func(m *Map) { m.Bad.Key = "p/output/mr-out-0" }, "which no attempt"},
		"no records, but a hash":  {func(m *Map) { m.Parts[0].Sum = recordio.Sum{} }, "0 records with the hash 9f86"},
		"records, and no hash":    {func(m *Map) { m.Parts[0].Hash = zeroHash }, "3 records with the hash e3b0"},
		"no records at all":       {func(m *Map) { *m = emptied(m) }, "emitted 12 pairs, and its partitions have 0 records"},
		"more than was emitted":   {func(m *Map) { m.Emitted = 5 }, "emitted 5 pairs, and its partitions have 6 records"},
		"less input":              {func(m *Map) { m.Input.Bytes-- }, "bytes of input, the task has"},
		"more records than bytes": {func(m *Map) { m.Input.Records = 1 << 40 }, "records of the"},
		"time":                    {func(m *Map) { m.Seconds = -1 }, "-1 seconds"},
		"delay":                   {func(m *Map) { m.SpillSeconds = -1 }, "held up by"},
		"replies":                 {func(m *Map) { m.Throttled = -1 }, "held up by"},
		"counter":                 {func(m *Map) { m.Counters[strings.Repeat("x", 257)] = 1 }, "counter with a name of 257 bytes"},
		"counters": {func(m *Map) {
			for i := range mostCounters {
				m.Counters[fmt.Sprint(i)] = 1
			}
		}, "1001 counters"},
	} {
		t.Run(name, func(t *testing.T) {
			m := samples()["map"].(*Map)
			tt.change(m)
			if err := validate("map", m); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	m := samples()["map"].(*Map)
	m.Job = "wc-2"
	var other *OtherJobError
	if err := validate("map", m); !errors.As(err, &other) || other.Got != "wc-2" {
		t.Errorf("another job: %v", err)
	}
}

// TestLinesPerTask: the record of a task says as many lines as the job does, but for the
// last task of an object, which has one at least.
func TestLinesPerTask(t *testing.T) {
	job := &Job{
		Spec: Spec{Input: Choice{Name: Lines, Options: map[string]string{PerTask: "3"}}}, Objects: []Object{{Name: "a", Size: 10}, {Name: "b"}},
		Tasks: [][]Piece{{{Object: 0, Length: 6}}, {{Object: 0, Offset: 6, Length: 4}}, {{Object: 1}}},
	}
	for task, most := range [][2]int64{{3, 3}, {1, 3}, {0, 1}} {
		for n := range int64(5) {
			in := Input{Records: n, Bytes: job.Tasks[task][0].Length}
			err := in.validate(job, task)
			if want := n >= most[0] && n <= most[1]; (err == nil) != want {
				t.Errorf("task %d of %d lines: %v", task, n, err)
			}
		}
	}
}

// emptied is a record that says that nothing is in its partitions.
func emptied(m *Map) Map {
	e := *m
	e.Parts = []Part{{Hash: zeroHash}, {Hash: zeroHash}, {Hash: zeroHash}}
	return e
}
