package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mraws/mraws/internal/object"
)

// errInjected is what an injected fault returns: an error that tells nothing.
var errInjected = errors.New("injected fault")

// fault is what happens to one call of the fake.
type fault int

const (
	fine       fault = iota
	notDone          // the call does nothing and returns an error
	doneFailed       // the write takes place and returns an error
	doneExists       // the write takes place and its retry finds it: fs.ErrExist
	later            // an error now; the write arrives when the next attempt starts
	denied           // the call does nothing and returns fs.ErrPermission
	torn             // a body breaks in the middle
)

// fake is a Store in memory that polices its callers: conditional writes are
// atomic, versions get new ETags, nothing that was created may be replaced
// except side files, and every body and writer must be closed.
type fake struct {
	mu         sync.Mutex
	objects    map[string]fakeObject
	version    int
	calls      []string
	fault      func(n int, op, key string) fault
	hook       func(op, key string) // before each call, unlocked
	late       []func()
	open       int // bodies and writers
	bodies     int64
	maxBodies  int64 // peak of bytes asked for by open bodies
	violations []string
}

type fakeObject struct {
	data []byte
	info object.Info
	// spoiled says that data is not what the store has a checksum of: whoever
	// reads all of it is told so.
	spoiled bool
}

func newFake() *fake { return &fake{objects: make(map[string]fakeObject)} }

var _ Store = (*fake)(nil)

// begin notes a call and decides its fate.
func (f *fake) begin(ctx context.Context, op, key string) (fault, error) {
	if f.hook != nil {
		f.hook(op, key)
	}
	if err := ctx.Err(); err != nil {
		return notDone, fmt.Errorf("%s %s: %w", op, key, context.Cause(ctx))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, op+" "+key)
	what := fine
	if f.fault != nil {
		what = f.fault(len(f.calls)-1, op, key)
	}
	switch what {
	case notDone:
		return what, fmt.Errorf("%s %s: %w", op, key, errInjected)
	case denied:
		return what, fmt.Errorf("%s %s: %w", op, key, fs.ErrPermission)
	}
	return what, nil
}

// arrive lets late writes arrive.
func (f *fake) arrive() {
	for _, w := range f.late {
		w()
	}
	f.late = nil
}

// write is the end of every write.
func (f *fake) write(what fault, op, key string, data []byte, o object.PutOptions) (object.Info, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if what == later {
		f.late = append(f.late, func() { _, _ = f.write(fine, op, key, data, o) })
		return object.Info{}, fmt.Errorf("%s %s: %w", op, key, errInjected)
	}
	old, exists := f.objects[key]
	if exists && o.IfAbsent {
		return object.Info{}, fmt.Errorf("%s %s: %w", op, key, fs.ErrExist)
	}
	if o.IfMatch != "" && o.IfMatch != old.info.ETag {
		return object.Info{}, fmt.Errorf("%s %s: %w", op, key, object.ErrPrecondition)
	}
	if exists && o.IfMatch == "" && !strings.Contains(key, "/_side/") && !bytes.Equal(old.data, data) {
		f.violations = append(f.violations, "replaced "+key)
	}
	f.version++
	info := object.Info{Key: key, Size: int64(len(data)), ETag: fmt.Sprintf("%q", fmt.Sprint(f.version)), Meta: maps.Clone(o.Meta)}
	f.objects[key] = fakeObject{data: bytes.Clone(data), info: info}
	switch {
	case what == doneFailed, what == doneExists && !o.IfAbsent && o.IfMatch == "":
		return object.Info{}, fmt.Errorf("%s %s: %w", op, key, errInjected)
	case what == doneExists && o.IfMatch != "":
		return object.Info{}, fmt.Errorf("%s %s: %w", op, key, object.ErrPrecondition)
	case what == doneExists:
		return object.Info{}, fmt.Errorf("%s %s: %w", op, key, fs.ErrExist)
	}
	return info, nil
}

func (f *fake) get(key string) (fakeObject, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o, ok := f.objects[key]
	if !ok {
		return o, fmt.Errorf("get %s: %w", key, fs.ErrNotExist)
	}
	return o, nil
}

func (f *fake) Stat(ctx context.Context, key string) (object.Info, error) {
	if _, err := f.begin(ctx, "stat", key); err != nil {
		return object.Info{}, err
	}
	o, err := f.get(key)
	return o.info, err
}

func (f *fake) Get(ctx context.Context, key string) ([]byte, object.Info, error) {
	if _, err := f.begin(ctx, "get", key); err != nil {
		return nil, object.Info{}, err
	}
	o, err := f.get(key)
	if err == nil && o.spoiled {
		return nil, object.Info{}, fmt.Errorf("get %s: %w", key, object.ErrDamaged)
	}
	return bytes.Clone(o.data), o.info, err
}

func (f *fake) OpenChunks(ctx context.Context, key, etag string, off, n, _ int64, _ int) (io.ReadCloser, error) {
	what, err := f.begin(ctx, "open", key)
	if err != nil {
		return nil, err
	}
	o, err := f.get(key)
	switch {
	case err != nil:
		return nil, err
	case etag != o.info.ETag:
		return nil, fmt.Errorf("get %s: %w", key, object.ErrPrecondition)
	case o.spoiled && off == 0 && n == int64(len(o.data)):
		return nil, fmt.Errorf("get %s: %w", key, object.ErrDamaged)
	case o.spoiled && off+n > int64(len(o.data)):
		return nil, fmt.Errorf("get %s: %d bytes: %w: %w", key, len(o.data), object.ErrDamaged, io.ErrUnexpectedEOF)
	case off < 0 || n <= 0 || off+n > int64(len(o.data)):
		return nil, fmt.Errorf("get %s: range [%d,%d) of %d", key, off, off+n, len(o.data))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open++
	f.bodies += n
	f.maxBodies = max(f.maxBodies, f.bodies)
	b := &fakeBody{f: f, n: n, Reader: bytes.NewReader(o.data[off : off+n])}
	if what == torn {
		b.Reader = io.MultiReader(bytes.NewReader(o.data[off:off+n/2]), errReader{fmt.Errorf("read %s: %w", key, errInjected)})
	}
	return b, nil
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

type fakeBody struct {
	f *fake
	n int64
	io.Reader
}

func (b *fakeBody) Close() error {
	b.f.mu.Lock()
	defer b.f.mu.Unlock()
	b.f.open--
	b.f.bodies -= b.n
	return nil
}

func (f *fake) Put(ctx context.Context, key string, data []byte, o object.PutOptions) (object.Info, error) {
	what, err := f.begin(ctx, "put", key)
	if err != nil {
		return object.Info{}, err
	}
	return f.write(what, "put", key, data, o)
}

func (f *fake) PutFile(ctx context.Context, key string, r io.ReaderAt, size int64, o object.PutOptions) (object.Info, error) {
	data := make([]byte, size)
	if n, err := r.ReadAt(data, 0); int64(n) < size {
		return object.Info{}, fmt.Errorf("put %s: %w", key, err)
	}
	return f.Put(ctx, key, data, o)
}

func (f *fake) List(ctx context.Context, prefix string) iter.Seq2[object.Info, error] {
	return func(yield func(object.Info, error) bool) {
		if _, err := f.begin(ctx, "list", prefix); err != nil {
			yield(object.Info{}, err)
			return
		}
		f.mu.Lock()
		keys := slices.Sorted(maps.Keys(f.objects))
		f.mu.Unlock()
		for _, k := range keys {
			if o, err := f.get(k); strings.HasPrefix(k, prefix) && !yield(o.info, err) {
				return
			}
		}
	}
}

func (f *fake) Create(ctx context.Context, key string, o object.PutOptions) (object.Writer, error) {
	if _, err := f.begin(ctx, "create", key); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open++
	return &fakeWriter{f: f, ctx: ctx, key: key, o: o}, nil
}

type fakeWriter struct {
	f     *fake
	ctx   context.Context
	key   string
	o     object.PutOptions
	buf   bytes.Buffer
	ended bool
}

func (w *fakeWriter) Write(p []byte) (int, error) {
	if _, err := w.f.begin(w.ctx, "write", w.key); err != nil {
		return 0, err
	}
	return w.buf.Write(p)
}

func (w *fakeWriter) end() {
	w.f.mu.Lock()
	defer w.f.mu.Unlock()
	if w.ended {
		w.f.violations = append(w.f.violations, "writer of "+w.key+" ended twice")
	}
	w.ended = true
	w.f.open--
}

func (w *fakeWriter) Commit(ctx context.Context) (object.Info, error) {
	w.end()
	what, err := w.f.begin(ctx, "commit", w.key)
	if err != nil {
		return object.Info{}, err
	}
	return w.f.write(what, "commit", w.key, w.buf.Bytes(), w.o)
}

func (w *fakeWriter) Abort() error {
	w.end()
	return nil
}

// check fails the test over what the fake caught.
func (f *fake) check(t fataler) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.violations) > 0 {
		t.Fatalf("violations: %q", f.violations)
	}
	if f.open != 0 || f.bodies != 0 {
		t.Fatalf("%d bodies or writers left open", f.open)
	}
}

// fataler is what testing.T and rapid.T share.
type fataler interface {
	Helper()
	Fatalf(string, ...any)
}

var _ fataler = (*testing.T)(nil)
