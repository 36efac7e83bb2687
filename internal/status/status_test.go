package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/mr"
)

// fake is a bucket at a time of its own, which is not that of this machine.
type fake struct {
	objects map[string]string
	now     time.Time
	changed map[string]time.Time
	fail    map[string]error // by key or listed prefix
}

var noon = time.Date(2020, 1, 1, 12, 0, 0, 0, time.UTC)

func newFake() *fake {
	return &fake{objects: map[string]string{}, now: noon, changed: map[string]time.Time{}, fail: map[string]error{}}
}

func (f *fake) Bucket() string { return "bucket" }

func (f *fake) Get(_ context.Context, key string) ([]byte, object.Info, error) {
	if err := f.fail[key]; err != nil {
		return nil, object.Info{}, err
	}
	data, ok := f.objects[key]
	if !ok {
		return nil, object.Info{}, fs.ErrNotExist
	}
	return []byte(data), object.Info{Key: key, Size: int64(len(data)), Modified: f.changed[key], Served: f.now}, nil
}

func (f *fake) List(_ context.Context, prefix string) iter.Seq2[object.Info, error] {
	return func(yield func(object.Info, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(f.objects)) {
			if strings.HasPrefix(key, prefix) && !yield(object.Info{Key: key, Size: int64(len(f.objects[key]))}, nil) {
				return
			}
		}
		if err := f.fail[prefix]; err != nil {
			yield(object.Info{}, err)
		}
	}
}

func (f *fake) put(t *testing.T, key string, v any) {
	t.Helper()
	data, err := manifest.Encode(v)
	if s, ok := v.(manifest.Success); ok {
		data, err = manifest.EncodeSealed(&s)
	}
	if err != nil {
		t.Fatal(err)
	}
	f.objects[key], f.changed[key] = string(data), f.now
}

var lay = layout.New("p")

const token = "c0ffee00c0ffee00c0ffee00c0ffee00"

func job(maps, reduces int) manifest.Job {
	j := manifest.Job{Schema: manifest.JobSchema, ID: "wc-1", Created: noon, Spec: *wire.DescribeApp(mr.App{Name: "wc", Version: "1"}, nil).Spec(nil), NReduce: reduces}
	for i := range maps {
		j.Objects = append(j.Objects, manifest.Object{Name: fmt.Sprintf("f%03d", i), ETag: "e", Size: 1})
		j.Tasks = append(j.Tasks, []manifest.Piece{{Object: i, Length: 1}})
	}
	return j
}

func announcement(change func(*manifest.Coordinator)) manifest.Coordinator {
	a := manifest.Coordinator{
		Schema: manifest.CoordinatorSchema, Version: "v", Epoch: "e", Addresses: []string{"127.0.0.1:1"},
		CertPEM: "CERTIFICATE", Token: token, App: "wc", Started: noon, Renewed: noon, LeaseMS: 10_000,
	}
	if change != nil {
		change(&a)
	}
	return a
}

// put is what lies in the bucket of a row below.
type put func(t *testing.T, f *fake)

func spec(maps, reduces int) put {
	return func(t *testing.T, f *fake) { f.put(t, lay.Job(), job(maps, reduces)) }
}

func announced(change func(*manifest.Coordinator)) put {
	return func(t *testing.T, f *fake) { f.put(t, lay.Coordinator(), announcement(change)) }
}

func later(d time.Duration) put { return func(_ *testing.T, f *fake) { f.now = f.now.Add(d) } }

func text(key, data string) put { return func(_ *testing.T, f *fake) { f.objects[key] = data } }

func refused(key string) put {
	return func(_ *testing.T, f *fake) { f.fail[key] = fmt.Errorf("get %s: %w", key, fs.ErrPermission) }
}

func committed(maps ...int) put {
	return func(_ *testing.T, f *fake) {
		for _, m := range maps {
			f.objects[lay.MapCommit(m)] = "{}"
		}
	}
}

func written(reduces ...int) put {
	return func(_ *testing.T, f *fake) {
		for _, r := range reduces {
			f.objects[lay.Output(r)] = "a 1\n"
		}
	}
}

func success(id string) put {
	return func(t *testing.T, f *fake) {
		f.put(t, lay.Success(), manifest.Success{
			Schema: manifest.SuccessSchema, Job: id, App: manifest.App{Kind: manifest.Go, Name: "wc"}, NReduce: 1, Finished: noon, Seconds: 3, Skipped: 2, Input: manifest.Input{Records: 9},
			Map: manifest.Attempts{Tasks: 2}, Reduce: manifest.Attempts{Tasks: 1}, Outputs: []manifest.Output{{Key: lay.Output(0), Size: 28, Lines: 7, Hash: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}},
		})
	}
}

// TestStates: what lies in the bucket, and what that makes of the job.
func TestStates(t *testing.T) {
	released := func(failure string) put {
		return announced(func(a *manifest.Coordinator) { a.Released, a.Failure, a.Token = true, failure, "" })
	}
	for _, tt := range []struct {
		name  string
		in    []put
		want  string // state, done of tasks twice, state of the coordinator
		notes []string
	}{
		{"announced", []put{announced(nil)}, "preparing 0/0 0/0 active", nil},
		{"planned", []put{announced(nil), spec(3, 2)}, "map 0/3 0/2 active", nil},
		{"in map", []put{announced(nil), spec(3, 2), committed(0, 2), later(5 * time.Second)}, "map 2/3 0/2 active", nil},
		{"in reduce", []put{announced(nil), spec(3, 2), committed(0, 1, 2), written(1)}, "reduce 3/3 1/2 active", nil},
		{"no input", []put{announced(nil), spec(0, 2), written(1)}, "reduce 0/0 1/2 active", nil},
		{"no summary yet", []put{announced(nil), spec(1, 1), committed(0), written(0)}, "finishing 1/1 1/1 active", nil},
		{"no coordinator", []put{spec(2, 1), committed(1)}, "map 1/2 0/1 -", nil},
		{"a coordinator that died", []put{announced(nil), spec(2, 1), later(time.Minute)}, "map 0/2 0/1 silent", nil},
		{"one that left", []put{released(""), spec(2, 1), later(time.Minute)}, "map 0/2 0/1 ended", nil},
		{"failed", []put{released("map task 1: oops"), spec(2, 1)}, "failed 0/2 0/1 ended", nil},
		{"failed, then done", []put{released("map task 1: oops"), spec(2, 1), committed(0, 1), written(0), success("wc-1")}, "done 2/2 1/1 ended", nil},
		{"done", []put{announced(nil), spec(2, 1), committed(0, 1), written(0), success("wc-1")}, "done 2/2 1/1 active", nil},
		{"done, and deleted from", []put{spec(2, 1), committed(0), written(0), success("wc-1")}, "done 1/2 1/1 - incomplete", nil},
		{"done, without its spec", []put{committed(0, 1), written(0), success("wc-1")}, "done 2/2 1/1 -", []string{"no s3://bucket/p/intermediate/_job.json any more", "belong to no job"}},
		{"another's summary", []put{spec(2, 1), success("wc-0")}, "map 0/2 0/1 -", []string{"of another job, wc-0"}},
		{"another's records", []put{spec(2, 1), committed(1, 2, 77), written(0, 1)}, "map 1/2 1/1 -", []string{"2 commit records do not belong", "1 output does not belong"}},
		{"records of nobody", []put{announced(nil), committed(1)}, "preparing 0/0 0/0 active", []string{"belong to no job"}},
		{"bad lists are no outputs", []put{spec(1, 1), text(lay.Bad(0), "x"), text(lay.OutputDir()+"_x", "x")}, "map 0/1 0/1 -", nil},
		{"no right to join", []put{spec(2, 1), announced(nil), refused(lay.Coordinator())}, "map 0/2 0/1 -", []string{"no right to read s3://bucket/p/intermediate/_coordinator.json"}},
		{"half an announcement", []put{spec(2, 1), text(lay.Coordinator(), `{"schema": "mraws/coord`)}, "map 0/2 0/1 -", []string{"_coordinator.json cannot be read"}},
		{"a newer announcement", []put{spec(2, 1), text(lay.Coordinator(), `{"schema": "mraws/coordinator/v9"}`)}, "map 0/2 0/1 -", []string{"another version"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake()
			for _, p := range tt.in {
				p(t, f)
			}
			r, err := Read(t.Context(), Options{Store: f, Layout: lay})
			if err != nil {
				t.Fatal(err)
			}
			c := "-"
			if r.Coordinator != nil {
				c = string(r.Coordinator.State)
			}
			got := fmt.Sprintf("%s %d/%d %d/%d %s", r.State, r.Map.Done, r.Map.Tasks, r.Reduce.Done, r.Reduce.Tasks, c)
			if r.Incomplete() {
				got += " incomplete"
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if len(r.Notes) != len(tt.notes) {
				t.Errorf("notes %q, want %q", r.Notes, tt.notes)
			}
			for i := range min(len(r.Notes), len(tt.notes)) {
				if !strings.Contains(strings.Join(r.Notes, "\n"), tt.notes[i]) {
					t.Errorf("notes %q, want %q", r.Notes, tt.notes)
				}
			}
			if data, err := json.Marshal(r); err != nil || strings.Contains(string(data), token) || strings.Contains(string(data), "CERTIFICATE") {
				t.Errorf("%s, %v", data, err)
			}
		})
	}
}

// TestNoAnswer: what leaves nothing to tell.
func TestNoAnswer(t *testing.T) {
	broken := errors.New("broken")
	is := func(want error) func(error) bool { return func(err error) bool { return errors.Is(err, want) } }
	unreadable := func(err error) bool {
		var u *UnreadableError
		return errors.As(err, &u) && strings.HasPrefix(u.Key, "s3://bucket/p/")
	}
	for name, tt := range map[string]struct {
		in   []put
		want func(error) bool
	}{
		"nothing":               {nil, func(err error) bool { var none *NoJobError; return errors.As(err, &none) }},
		"the job denied":        {[]put{announced(nil), refused(lay.Job())}, is(fs.ErrPermission)},
		"the summary denied":    {[]put{spec(1, 1), refused(lay.Success())}, is(fs.ErrPermission)},
		"a list denied":         {[]put{spec(1, 1), refused(lay.CommitDir())}, is(fs.ErrPermission)},
		"a page missing":        {[]put{spec(1, 1), func(_ *testing.T, f *fake) { f.fail[lay.OutputDir()] = broken }}, is(broken)},
		"half a job":            {[]put{text(lay.Job(), `{"schema": "mraws/job/v1", "id"`)}, unreadable},
		"an empty job":          {[]put{text(lay.Job(), "")}, unreadable},
		"a job of no sense":     {[]put{text(lay.Job(), `{"schema": "mraws/job/v1"}`)}, unreadable},
		"a newer job":           {[]put{text(lay.Job(), `{"schema": "mraws/job/v9"}`)}, unreadable},
		"a job that rots":       {[]put{spec(1, 1), func(_ *testing.T, f *fake) { f.fail[lay.Job()] = object.ErrDamaged }}, unreadable},
		"a summary that is not": {[]put{spec(1, 1), text(lay.Success(), "[]")}, unreadable},
	} {
		f := newFake()
		for _, p := range tt.in {
			p(t, f)
		}
		if r, err := Read(t.Context(), Options{Store: f, Layout: lay}); r != nil || !tt.want(err) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// TestReport: the details of a job that is done, and that names out of the
// bucket cannot play tricks on a terminal.
func TestReport(t *testing.T) {
	f := newFake()
	for _, p := range []put{
		announced(func(a *manifest.Coordinator) { a.Addresses = []string{"host:1"} }),
		func(t *testing.T, f *fake) {
			j := job(2, 1)
			j.App.Params = map[string]string{"pattern": "\x1b[31m"}
			f.put(t, lay.Job(), j)
		},
		committed(0, 1), written(0), later(2500 * time.Millisecond),
	} {
		p(t, f)
	}
	r, err := Read(t.Context(), Options{Store: f, Layout: lay})
	if err != nil {
		t.Fatal(err)
	}
	if data, err := json.Marshal(r); err != nil || strings.Contains(string(data), `\u001b`) {
		t.Errorf("%s, %v", data, err)
	}
	created := noon
	want := &Report{
		Schema: Schema, Bucket: "bucket", Prefix: "p", State: Finishing, Job: "wc-1", Created: &created,
		App: &manifest.App{Kind: manifest.Go, Name: "wc", Version: "1", SHA256: wire.DescribeApp(mr.App{}, nil).Sha256, Params: map[string]string{"pattern": `\x1b[31m`}},
		Map: Phase{2, 2}, Reduce: Phase{1, 1}, MapBytes: &Reading{2, 2}, OutputBytes: 4,
		Coordinator: &Coordinator{State: Active, Addresses: []string{"host:1"}, Version: "v", Epoch: "e", Started: noon, AgeSeconds: 2.5, LeaseSeconds: 10},
	}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Error(diff)
	}
	success("wc-1")(t, f)
	if r, err = Read(t.Context(), Options{Store: f, Layout: lay}); err != nil {
		t.Fatal(err)
	}
	done := &Finished{At: noon, Seconds: 3, Map: manifest.Attempts{Tasks: 2}, Reduce: manifest.Attempts{Tasks: 1}, Skipped: 2, Lines: 7, Input: manifest.Input{Records: 9}}
	if diff := cmp.Diff(done, r.Finished); diff != "" || !r.Over() {
		t.Error(diff)
	}
}
