package reset

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/object"
)

// fake is a bucket that notes what is done to it.
type fake struct {
	objects map[string]int64
	uploads []object.Upload
	log     []string // "abort KEY" and "delete KEY"
	failAt  int      // length of log at which a call fails; 0 = never
	write   string   // appears when _job.json is deleted
}

var errFake = errors.New("no connection")

func (f *fake) List(_ context.Context, prefix string) iter.Seq2[object.Info, error] {
	return func(yield func(object.Info, error) bool) {
		for _, k := range slices.Sorted(maps.Keys(f.objects)) {
			if strings.HasPrefix(k, prefix) && !yield(object.Info{Key: k, Size: f.objects[k]}, nil) {
				return
			}
		}
	}
}

func (f *fake) Uploads(_ context.Context, prefix string) iter.Seq2[object.Upload, error] {
	return func(yield func(object.Upload, error) bool) {
		for _, u := range f.uploads {
			if strings.HasPrefix(u.Key, prefix) && !yield(u, nil) {
				return
			}
		}
	}
}

func (f *fake) step(what string) error {
	f.log = append(f.log, what)
	if len(f.log) == f.failAt {
		return errFake
	}
	return nil
}

func (f *fake) Delete(_ context.Context, keys ...string) error {
	if len(keys) == 0 || len(keys) > 1000 {
		return fmt.Errorf("%d keys in one request", len(keys))
	}
	for _, k := range keys {
		if err := f.step("delete " + k); err != nil {
			return err
		}
		delete(f.objects, k)
		if strings.HasSuffix(k, "_job.json") && f.write != "" {
			f.objects[f.write] = 7
		}
	}
	return nil
}

func (f *fake) AbortUpload(_ context.Context, u object.Upload) error {
	if err := f.step("abort " + u.Key); err != nil {
		return err
	}
	f.uploads = slices.DeleteFunc(f.uploads, func(o object.Upload) bool { return o == u })
	return nil
}

func job() *fake {
	return &fake{
		objects: map[string]int64{
			"p/input/a": 10, "p/intermediate/_job.json": 1, "p/intermediate/_commit/map-0": 2, "p/intermediate/mr-0-0": 3,
			"p/output/mr-out-0": 4, "p/output/_SUCCESS": 5, "input/a": 6, "p/intermediate2/x": 7, "output/x": 8, "p/output2": 9,
		},
		uploads: []object.Upload{{Key: "p/output/mr-out-1", ID: "1"}, {Key: "p/input/b", ID: "2"}, {Key: "output/x", ID: "3"}},
	}
}

func TestRun(t *testing.T) {
	f := job()
	l := layout.New("p")
	want := []Count{{Dir: "p/output/", Objects: 2, Bytes: 9, Uploads: 1}, {Dir: "p/intermediate/", Objects: 3, Bytes: 6}}
	look, err := Look(t.Context(), f, l, Options{})
	if diff := cmp.Diff(want, look); diff != "" || err != nil {
		t.Error(diff, err)
	}
	var progress []int64
	done, err := Run(t.Context(), f, l, Options{Progress: func(n int64) { progress = append(progress, n) }})
	if diff := cmp.Diff(want, done); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if diff := cmp.Diff([]string{
		"abort p/output/mr-out-1", "delete p/output/_SUCCESS", "delete p/intermediate/_commit/map-0",
		"delete p/output/mr-out-0", "delete p/intermediate/mr-0-0", "delete p/intermediate/_job.json",
	}, f.log); diff != "" {
		t.Error(diff)
	}
	if want := []int64{1, 2, 3, 4, 5}; !cmp.Equal(progress, want) {
		t.Errorf("progress %v, want %v", progress, want)
	}
	left := slices.Sorted(maps.Keys(f.objects))
	if diff := cmp.Diff([]string{"input/a", "output/x", "p/input/a", "p/intermediate2/x", "p/output2"}, left); diff != "" {
		t.Error(diff)
	}
	if len(f.uploads) != 2 {
		t.Errorf("uploads left: %v", f.uploads)
	}
}

func TestInputToo(t *testing.T) {
	f := job()
	done, err := Run(t.Context(), f, layout.New("p"), Options{Input: true})
	if err != nil || Total(done) != (Count{Objects: 6, Bytes: 25, Uploads: 2}) {
		t.Errorf("%+v, %v", done, err)
	}
	if _, ok := f.objects["p/input/a"]; ok {
		t.Error("the input is still there")
	}
}

func TestManyObjectsGoInBatches(t *testing.T) {
	f := &fake{objects: map[string]int64{}}
	for i := range 2500 {
		f.objects[fmt.Sprintf("intermediate/mr-%d-0", i)] = 1
	}
	done, err := Run(t.Context(), f, layout.New(""), Options{})
	if err != nil || Total(done).Objects != 2500 || len(f.objects) != 0 {
		t.Errorf("%+v, %v, %d left", done, err, len(f.objects))
	}
}

// An interruption anywhere leaves no commit record of a missing partition,
// no _SUCCESS of a missing output, and a job spec while anything is left;
// and a second reset finishes.
func TestInterruptions(t *testing.T) {
	for at := 1; ; at++ {
		f := job()
		f.failAt = at
		_, err := Run(t.Context(), f, layout.New("p"), Options{})
		if err == nil {
			break
		}
		if !errors.Is(err, errFake) {
			t.Fatal(err)
		}
		has := func(k string) bool { _, ok := f.objects[k]; return ok }
		if has("p/intermediate/_commit/map-0") && !has("p/intermediate/mr-0-0") {
			t.Errorf("after %q: a commit record without its partition", f.log)
		}
		if has("p/output/_SUCCESS") && !has("p/output/mr-out-0") {
			t.Errorf("after %q: done without output", f.log)
		}
		if !has("p/intermediate/_job.json") {
			t.Errorf("after %q: the job spec went before the rest", f.log)
		}
		f.failAt = 0
		if _, err := Run(t.Context(), f, layout.New("p"), Options{}); err != nil {
			t.Errorf("second reset: %v", err)
		}
	}
}

func TestRemains(t *testing.T) {
	f := job()
	f.write = "p/intermediate/mr-9-9"
	_, err := Run(t.Context(), f, layout.New("p"), Options{})
	var remains *RemainsError
	if !errors.As(err, &remains) || !strings.Contains(err.Error(), "1 objects and 0 uploads below p/intermediate/") {
		t.Errorf("got %v", err)
	}
}

func TestNothing(t *testing.T) {
	f := &fake{}
	done, err := Run(t.Context(), f, layout.New(""), Options{})
	if err != nil || !Total(done).Empty() || len(f.log) != 0 {
		t.Errorf("%+v, %v, %q", done, err, f.log)
	}
}
