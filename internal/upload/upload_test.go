package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/object"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a bucket in memory.
type fake struct {
	mu      sync.Mutex
	objects map[string]fakeObject
	calls   map[string]int
	fail    map[string]error
	midway  func(key string) // called in the middle of PutFile
}

type fakeObject struct {
	data string
	meta map[string]string
}

func newFake() *fake {
	return &fake{objects: map[string]fakeObject{}, calls: map[string]int{}, fail: map[string]error{}}
}

func (f *fake) called(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[name]++
}

func (f *fake) Stat(_ context.Context, key string) (object.Info, error) {
	f.called("stat")
	f.mu.Lock()
	defer f.mu.Unlock()
	o, ok := f.objects[key]
	if !ok {
		return object.Info{}, fmt.Errorf("stat %s: %w", key, fs.ErrNotExist)
	}
	return object.Info{Key: key, Size: int64(len(o.data)), Meta: o.meta}, nil
}

func (f *fake) List(_ context.Context, prefix string) iter.Seq2[object.Info, error] {
	f.called("list")
	return func(yield func(object.Info, error) bool) {
		if err := f.fail["list"]; err != nil {
			yield(object.Info{}, err)
			return
		}
		for _, k := range slices.Sorted(maps.Keys(f.objects)) {
			if strings.HasPrefix(k, prefix) && !yield(object.Info{Key: k, Size: int64(len(f.objects[k].data))}, nil) {
				return
			}
		}
	}
}

func (f *fake) Put(_ context.Context, key string, data []byte, o object.PutOptions) (object.Info, error) {
	f.called("put")
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.fail[key]; err != nil {
		return object.Info{}, err
	}
	f.objects[key] = fakeObject{string(data), o.Meta}
	return object.Info{}, nil
}

func (f *fake) PutFile(ctx context.Context, key string, r io.ReaderAt, size int64, o object.PutOptions) (object.Info, error) {
	f.called("putfile")
	half := size / 2
	a, err := io.ReadAll(io.NewSectionReader(r, 0, half))
	if err != nil {
		return object.Info{}, fmt.Errorf("send %s: %w", key, err)
	}
	if f.midway != nil {
		f.midway(key)
	}
	b, err := io.ReadAll(io.NewSectionReader(r, half, size-half))
	if err != nil {
		return object.Info{}, fmt.Errorf("send %s: body read broke", key) // as net/http: the cause is lost
	}
	if err := ctx.Err(); err != nil {
		return object.Info{}, err
	}
	return f.Put(ctx, key, append(a, b...), o)
}

func plan(t *testing.T, args ...string) *Plan {
	t.Helper()
	p, err := Find(args, Search{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func large(t *testing.T, name string, seed byte) string {
	t.Helper()
	data := make([]byte, small+1234567)
	for i := range data {
		data[i] = byte(i>>3) * seed
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestRunTwice(t *testing.T) {
	tree(t, "d/a", "d/b/c", "d/empty")
	if err := os.Truncate("d/empty", 0); err != nil {
		t.Fatal(err)
	}
	big := large(t, "d/big", 3)
	f := newFake()
	l := layout.New("p")
	p := plan(t, "d")
	var last Progress
	r, err := Run(t.Context(), f, l, p, Options{Progress: func(p Progress) { last = p }})
	if err != nil || r.Uploaded != 4 || r.UploadedBytes != p.Bytes || r.Same != 0 || r.Duration <= 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	if last != (Progress{4, p.Bytes}) {
		t.Errorf("progress %+v, want %+v", last, Progress{4, p.Bytes})
	}
	got := map[string]string{}
	for k, o := range f.objects {
		got[k] = o.data
		if len(o.meta["mraws-hash"]) != 64 {
			t.Errorf("metadata of %s: %v", k, o.meta)
		}
	}
	want := map[string]string{"p/input/d/a": "d/a", "p/input/d/b/c": "d/b/c", "p/input/d/empty": "", "p/input/d/big": big}
	if !cmp.Equal(got, want) {
		t.Errorf("keys %q", slices.Sorted(maps.Keys(got)))
	}

	r, err = Run(t.Context(), f, l, p, Options{Progress: func(p Progress) { last = p }})
	if err != nil || r.Uploaded != 0 || r.Same != 4 || r.SameBytes != p.Bytes || last != (Progress{4, p.Bytes}) {
		t.Errorf("again: %+v, %v, %+v", r, err, last)
	}
	// Same size, other content; and an object without our metadata.
	if err := os.WriteFile("d/a", []byte("d/x"), 0o644); err != nil {
		t.Fatal(err)
	}
	large(t, "d/big", 5)
	f.objects["p/input/d/b/c"] = fakeObject{data: "d/b/c"}
	if r, err = Run(t.Context(), f, l, p, Options{}); err != nil || r.Uploaded != 3 || r.Same != 1 {
		t.Errorf("after changes: %+v, %v", r, err)
	}
}

func TestManyFilesAreListedOnce(t *testing.T) {
	var names []string
	for i := range 3 * StatUpTo {
		names = append(names, fmt.Sprintf("d/%03d", i))
	}
	tree(t, names...)
	f := newFake()
	p := plan(t, "d")
	if r, err := Run(t.Context(), f, layout.New(""), p, Options{}); err != nil || r.Uploaded != len(names) || f.calls["stat"] != 0 || f.calls["list"] != 1 {
		t.Errorf("%+v, %v, calls %v", r, err, f.calls)
	}
	if r, err := Run(t.Context(), f, layout.New(""), p, Options{}); err != nil || r.Same != len(names) {
		t.Errorf("again: %+v, %v", r, err)
	}
	f.fail["list"] = errors.New("no connection")
	if _, err := Run(t.Context(), f, layout.New(""), p, Options{}); !errors.Is(err, f.fail["list"]) {
		t.Errorf("listing failed: %v", err)
	}
}

func TestAFileThatChangesIsNotUploaded(t *testing.T) {
	for name, change := range map[string]func(t *testing.T){
		"grows": func(t *testing.T) {
			f, err := os.OpenFile("big", os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteString("x")
				err = errors.Join(err, f.Close())
			}
			if err != nil {
				t.Error(err)
			}
		},
		"other time": func(t *testing.T) {
			if err := os.Chtimes("big", time.Time{}, time.Unix(1, 0)); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			tree(t)
			large(t, "big", 3)
			f := newFake()
			f.midway = func(string) { change(t) }
			_, err := Run(t.Context(), f, layout.New(""), plan(t, "big"), Options{})
			if !errors.Is(err, ErrChanged) || !strings.Contains(err.Error(), "/big: ") {
				t.Errorf("got %v", err)
			}
			if len(f.objects) != 0 {
				t.Error("it was uploaded nevertheless")
			}
		})
	}
}

func TestErrorsNameTheFile(t *testing.T) {
	dir := tree(t, "d/a", "d/b", "d/c")
	f := newFake()
	f.fail["input/d/b"] = errors.New("no space")
	p := plan(t, "d")
	if _, err := Run(t.Context(), f, layout.New(""), p, Options{Concurrency: 1}); err == nil || err.Error() != "upload "+dir+"/d/b: no space" {
		t.Errorf("got %v", err)
	}
	if err := os.Remove("d/c"); err != nil {
		t.Fatal(err)
	}
	delete(f.fail, "input/d/b")
	if _, err := Run(t.Context(), f, layout.New(""), p, Options{}); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "d/c") {
		t.Errorf("got %v", err)
	}
}

func TestCancel(t *testing.T) {
	tree(t)
	large(t, "big", 3)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("enough")
	f := newFake()
	f.midway = func(string) { cancel(stop) }
	if _, err := Run(ctx, f, layout.New(""), plan(t, "big"), Options{}); err == nil {
		t.Error("no error")
	}
	if _, err := Run(ctx, f, layout.New(""), plan(t, "big"), Options{}); !errors.Is(err, stop) && !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if len(f.objects) != 0 {
		t.Error("it was uploaded nevertheless")
	}
}
