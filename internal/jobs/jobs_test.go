package jobs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/internal/testkit"
)

// now is the time of the store.
var now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// bucket is a bucket in memory.
type bucket struct {
	objects map[string][]byte
	age     map[string]time.Duration // since an object was written; 0 is now
	denied  string                   // beginning of keys that may not be read or listed
	unread  bool                     // no key may be read
	gets    atomic.Int64
	lists   atomic.Int64
}

func (b *bucket) Bucket() string { return "bkt" }

func (b *bucket) Get(ctx context.Context, key string) ([]byte, object.Info, error) {
	if ctx.Err() != nil {
		return nil, object.Info{}, ctx.Err()
	}
	b.gets.Add(1)
	data, ok := b.objects[key]
	switch {
	case b.unread, b.denied != "" && strings.HasPrefix(key, b.denied):
		return nil, object.Info{}, fs.ErrPermission
	case !ok:
		return nil, object.Info{}, fs.ErrNotExist
	}
	return data, object.Info{Key: key, Modified: now.Add(-b.age[key]), Served: now}, nil
}

func (b *bucket) Dirs(_ context.Context, prefix string, _ int) (dirs []string, more bool, err error) {
	b.lists.Add(1)
	if b.denied != "" && strings.HasPrefix(prefix, b.denied) {
		return nil, false, fs.ErrPermission
	}
	for _, key := range slices.Sorted(maps.Keys(b.objects)) {
		rest, ok := strings.CutPrefix(key, prefix)
		name, _, isDir := strings.Cut(rest, "/")
		if dir := prefix + name + "/"; ok && isDir && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs, false, nil
}

func (b *bucket) options(base string) Options {
	return Options{Store: b, Base: base, Ended: func(p manifest.Process) bool { return p.PID == 99 }, Buckets: func(string) Store { return b }}
}

func (b *bucket) put(t *testing.T, key string, v any) {
	t.Helper()
	data, err := manifest.Encode(v)
	if s, ok := v.(*manifest.Success); ok {
		data, err = manifest.EncodeSealed(s)
	}
	if err != nil {
		t.Fatal(key, err)
	}
	b.objects[key] = data
}

// id is that of a job which was made so many hours before now.
func id(hours int) string {
	const crockford = "0123456789abcdefghjkmnpqrstvwxyz"
	ms := now.Add(-time.Duration(hours) * time.Hour).UnixMilli()
	text := make([]byte, 26)
	for i := range text {
		text[i] = '0'
	}
	for i := 9; i >= 0; i-- {
		text[i] = crockford[ms&31]
		ms >>= 5
	}
	return "wc-" + string(text)
}

func (b *bucket) success(t *testing.T, lay layout.Layout, id string) {
	t.Helper()
	b.put(t, lay.Success(), &manifest.Success{
		Schema: manifest.SuccessSchema, Job: id, App: manifest.App{Kind: manifest.Go, Name: "wc"}, NReduce: 1, Finished: now, Seconds: 60,
		Input: manifest.Input{Records: 3, Bytes: 30}, Shuffled: recordio.Sum{}, Read: recordio.Sum{},
		Outputs: []manifest.Output{{Key: lay.Output(0), Size: 7, Lines: 1, Hash: strings.Repeat("0", 64), Attempt: "e.r0.1"}},
	})
}

func (b *bucket) spec(t *testing.T, lay layout.Layout, id string, change func(*manifest.Job)) {
	t.Helper()
	job := testkit.NewJob(testkit.App("wc", nil, nil, nil), 1, 10, 1, testkit.File{Name: "a", Text: "12345"}).Spec
	job.ID, job.Created = id, createdBy(id)
	if change != nil {
		change(job)
	}
	b.put(t, lay.Job(), job)
}

func (b *bucket) announce(t *testing.T, lay layout.Layout, age time.Duration, change func(*manifest.Coordinator)) {
	t.Helper()
	a := manifest.Coordinator{Schema: manifest.CoordinatorSchema, Epoch: "e", App: "wc", LeaseMS: 10_000, Addresses: []string{"10.0.0.1:1"}, Started: now.Add(-time.Hour)}
	if change != nil {
		change(&a)
	}
	b.put(t, lay.Coordinator(), a)
	b.age[lay.Coordinator()] = age
}

// jobs of every state, and what is none.
func filled(t *testing.T) *bucket {
	t.Helper()
	b := &bucket{objects: map[string][]byte{}, age: map[string]time.Duration{}}
	b.success(t, layout.New("done"), id(9))
	b.spec(t, layout.New("done"), id(9), nil)
	b.spec(t, layout.New("running"), id(1), func(j *manifest.Job) {
		j.Objects[0] = manifest.Object{Name: layout.Place("bkt", "done/output/mr-out-0"), Bucket: "bkt", Key: "done/output/mr-out-0", ETag: "e", Size: 5}
	})
	b.announce(t, layout.New("running"), 5*time.Second, nil)
	b.announce(t, layout.New("starting"), 5*time.Second, nil)
	b.spec(t, layout.New("runs/killed"), id(2), nil)
	b.announce(t, layout.New("runs/killed"), time.Minute, nil)
	b.spec(t, layout.New("runs/gone"), id(3), nil)
	b.announce(t, layout.New("runs/gone"), 0, func(a *manifest.Coordinator) { a.Process.PID = 99 })
	b.spec(t, layout.New("stopped"), id(4), nil)
	b.announce(t, layout.New("stopped"), time.Hour, func(a *manifest.Coordinator) { a.Released = true })
	b.spec(t, layout.New("failed"), id(5), nil)
	b.announce(t, layout.New("failed"), time.Hour, func(a *manifest.Coordinator) { a.Released, a.Failure = true, "map task 3: no" })
	b.spec(t, layout.New("cancelled"), id(5), nil)
	b.announce(t, layout.New("cancelled"), time.Hour, func(a *manifest.Coordinator) {
		a.Released, a.Cancelled = true, &manifest.Cancel{At: now, By: "ann@host"}
	})
	b.spec(t, layout.New("elsewhere"), id(6), func(j *manifest.Job) { j.OutputAt = manifest.Place{Bucket: "other", Dir: "out/"} })
	b.success(t, layout.New("elsewhere").WithOutput("other", "out/"), id(6))
	b.objects["broken/intermediate/_job.json"] = []byte("{}")
	b.objects["spark/output/_SUCCESS"] = nil
	b.objects["data/2026/11/30/a.gz"] = []byte("x")
	b.objects["done/input/deeper/intermediate/_job.json"] = []byte("input of a job")
	return b
}

func TestFind(t *testing.T) {
	b := filled(t)
	list, err := Find(t.Context(), b.options(""))
	if err != nil || list.Partial != "" {
		t.Fatal(list, err)
	}
	var got []string
	for _, j := range list.Jobs {
		got = append(got, fmt.Sprintf("%s %s %s %d %d", j.Name, j.App, j.State, j.InputBytes, j.OutputBytes))
	}
	want := []string{
		"running wc running 5 -1",
		"starting wc running -1 -1",
		"runs/killed wc abandoned 5 -1",
		"runs/gone wc abandoned 5 -1",
		"stopped wc stopped 5 -1",
		"cancelled wc cancelled 5 -1",
		"failed wc failed 5 -1",
		"elsewhere wc done 30 7",
		"done wc done 30 7",
		"broken  unreadable -1 -1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s\n%+v", diff, list.Jobs)
	}
	if reads := list.Jobs[0].Reads; !slices.Equal(reads, []string{"s3://bkt/done/output/"}) {
		t.Errorf("the running job reads %q", reads)
	}
	if list.Jobs[6].Failure != "map task 3: no" || list.Jobs[7].OutputAt.Bucket != "other" {
		t.Errorf("%+v\n%+v", list.Jobs[6], list.Jobs[7])
	}
}

// TestRequests: a job that is done costs one request, whatever else there is of it; one
// that is called by its name costs no other any.
func TestRequests(t *testing.T) {
	b := &bucket{objects: map[string][]byte{}, age: map[string]time.Duration{}}
	const many = 1000
	for i := range many {
		lay := layout.New(fmt.Sprint("job-", i))
		b.success(t, lay, id(i))
		b.spec(t, lay, id(i), nil)
		b.announce(t, lay, 0, nil)
	}
	list, err := Find(t.Context(), b.options(""))
	if err != nil || len(list.Jobs) != many {
		t.Fatal(list, err)
	}
	requests := func(what string, gets, lists int64) {
		t.Helper()
		if g, l := b.gets.Swap(0), b.lists.Swap(0); g != gets || l != lists {
			t.Errorf("%s: %d GETs and %d listings, want %d and %d", what, g, l, gets, lists)
		}
	}
	requests("all jobs, three GETs at the root", many+3, 1)
	for word, gets := range map[string]int64{"job-500": 1, Last: many + 3, "job-0": 1} {
		j, err := Resolve(t.Context(), b.options(""), word)
		if err != nil || word != Last && j.Name != word {
			t.Fatal(word, j, err)
		}
		requests(word, gets, min(gets-1, 1))
	}
}

func TestBelowABase(t *testing.T) {
	b := filled(t)
	b.spec(t, layout.New("runs"), id(7), nil)
	list, err := Find(t.Context(), b.options("runs"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, j := range list.Jobs {
		names = append(names, j.Name)
	}
	if want := []string{"killed", "gone", "runs"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}

// TestOfOthers: where the rights end there is no job, and that is no error; the list says
// that it is not whole.
func TestOfOthers(t *testing.T) {
	b := filled(t)
	b.denied = "failed/"
	list, err := Find(t.Context(), b.options(""))
	if err != nil || slices.ContainsFunc(list.Jobs, func(j Job) bool { return j.Name == "failed" }) || len(list.Jobs) == 0 || list.Partial != "failed/" {
		t.Fatal(list, err)
	}
}

// TestUnread: where folders can be listed and nothing in them be read, it is not known
// whether there are jobs, and that is an error. "There is no job" would be untrue.
func TestUnread(t *testing.T) {
	b := filled(t)
	b.unread = true
	if list, err := Find(t.Context(), b.options("")); !errors.Is(err, fs.ErrPermission) {
		t.Error(list, err)
	}
	for _, word := range []string{Last, "done"} {
		if j, err := Resolve(t.Context(), b.options(""), word); !errors.Is(err, fs.ErrPermission) {
			t.Error(word, j, err)
		}
	}
}

func TestResolve(t *testing.T) {
	b := filled(t)
	for word, want := range map[string]string{
		"last": "running", "done": "done", "done/": "done", "runs/killed": "runs/killed", "killed": "runs/killed", "kill": "runs/killed",
		id(4): "stopped", "sto": "stopped", "elsewhere": "elsewhere", "br": "broken",
	} {
		j, err := Resolve(t.Context(), b.options(""), word)
		if err != nil || j.Prefix != want {
			t.Errorf("%s is %+v, %v, want %s", word, j, err, want)
		}
	}
	if j, err := Resolve(t.Context(), b.options("runs"), "gone"); err != nil || j.Prefix != "runs/gone" {
		t.Errorf("below runs: %+v, %v", j, err)
	}
	for word, want := range map[string]NoMatchError{
		"st":  {Word: "st", Many: true, Among: []string{"starting", "stopped"}},
		"wc-": {Word: "wc-", Many: true, Among: []string{"running", "runs/killed", "runs/gone", "stopped", "cancelled", "failed", "elsewhere", "done"}},
	} {
		_, err := Resolve(t.Context(), b.options(""), word)
		var got *NoMatchError
		if !errors.As(err, &got) || cmp.Diff(want, *got) != "" {
			t.Errorf("%s: %v", word, err)
		}
	}
	for _, word := range []string{"nope", "input", "../x", ""} {
		var none *NoMatchError
		if _, err := Resolve(t.Context(), b.options(""), word); !errors.As(err, &none) || none.Many || !slices.Contains(none.Among, "killed") {
			t.Errorf("%q: %v", word, err)
		}
	}
	empty := &bucket{}
	if _, err := Resolve(t.Context(), empty.options(""), Last); err == nil || err.Error() != "there is no job" {
		t.Errorf("of none the last: %v", err)
	}
}

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{"counts": true, "a.b-c_1": true, "last": false, "input": false, "a/b": false, "": false, "..": false, strings.Repeat("x", 129): false} {
		if err := CheckName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}
