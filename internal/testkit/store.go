package testkit

import (
	"bufio"
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

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// ErrInjected is what an injected fault returns: an error that tells nothing.
var ErrInjected = errors.New("injected fault")

// Fault is what happens to one call of a [Store].
type Fault int

// What may happen.
const (
	Fine       Fault = iota
	NotDone          // the call does nothing and returns an error
	DoneFailed       // the write takes place and returns an error
	DoneExists       // the write takes place and its retry finds it: fs.ErrExist
	Later            // an error now; the write arrives when the next attempt starts
	Denied           // the call does nothing and returns fs.ErrPermission
	Torn             // a body breaks in the middle
)

// Store is a store in memory that polices its callers: conditional writes are
// atomic, versions get new ETags, nothing that was created may be replaced
// except side files, and every body and writer must be closed.
type Store struct {
	mu         sync.Mutex
	Objects    map[string]Object
	version    int
	Calls      []string
	Fault      func(n int, op, key string) Fault // nil is Fine
	Hook       func(op, key string)              // before each call, unlocked
	late       []func()
	open       int // bodies and writers
	bodies     int64
	MaxBodies  int64 // peak of bytes asked for by open bodies
	Violations []string
}

// Object is an object in a [Store].
type Object struct {
	Data []byte
	Info object.Info
	// Spoiled says that Data is not what the store has a checksum of: whoever
	// reads all of it is told so.
	Spoiled bool
}

// NewStore returns an empty store.
func NewStore() *Store { return &Store{Objects: make(map[string]Object)} }

// begin notes a call and decides its fate.
func (f *Store) begin(ctx context.Context, op, key string) (Fault, error) {
	if f.Hook != nil {
		f.Hook(op, key)
	}
	if err := ctx.Err(); err != nil {
		return NotDone, fmt.Errorf("%s %s: %w", op, key, context.Cause(ctx))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Calls = append(f.Calls, op+" "+key)
	what := Fine
	if f.Fault != nil {
		what = f.Fault(len(f.Calls)-1, op, key)
	}
	switch what {
	case NotDone:
		return what, fmt.Errorf("%s %s: %w", op, key, ErrInjected)
	case Denied:
		return what, fmt.Errorf("%s %s: %w", op, key, fs.ErrPermission)
	}
	return what, nil
}

// Arrive lets late writes arrive.
func (f *Store) Arrive() {
	for _, w := range f.late {
		w()
	}
	f.late = nil
}

// write is the end of every write.
func (f *Store) write(what Fault, op, key string, data []byte, o object.PutOptions) (object.Info, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if what == Later {
		f.late = append(f.late, func() { _, _ = f.write(Fine, op, key, data, o) })
		return object.Info{}, fmt.Errorf("%s %s: %w", op, key, ErrInjected)
	}
	old, exists := f.Objects[key]
	if exists && o.IfAbsent {
		return object.Info{}, fmt.Errorf("%s %s: %w", op, key, fs.ErrExist)
	}
	if o.IfMatch != "" && o.IfMatch != old.Info.ETag {
		return object.Info{}, fmt.Errorf("%s %s: %w", op, key, object.ErrPrecondition)
	}
	if exists && o.IfMatch == "" && !strings.Contains(key, "/_side/") && !bytes.Equal(old.Data, data) {
		f.Violations = append(f.Violations, "replaced "+key)
	}
	f.version++
	info := object.Info{Key: key, Size: int64(len(data)), ETag: fmt.Sprintf("%q", fmt.Sprint(f.version)), Meta: maps.Clone(o.Meta)}
	f.Objects[key] = Object{Data: bytes.Clone(data), Info: info}
	switch {
	case what == DoneFailed, what == DoneExists && !o.IfAbsent && o.IfMatch == "":
		return object.Info{}, fmt.Errorf("%s %s: %w", op, key, ErrInjected)
	case what == DoneExists && o.IfMatch != "":
		return object.Info{}, fmt.Errorf("%s %s: %w", op, key, object.ErrPrecondition)
	case what == DoneExists:
		return object.Info{}, fmt.Errorf("%s %s: %w", op, key, fs.ErrExist)
	}
	return info, nil
}

// Write creates or replaces an object as o says.
func (f *Store) Write(key string, data []byte, o object.PutOptions) (object.Info, error) {
	return f.write(Fine, "put", key, data, o)
}

// Replace writes an object over whatever is there.
func (f *Store) Replace(key string, data []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.version++
	f.Objects[key] = Object{Data: data, Info: object.Info{Key: key, Size: int64(len(data)), ETag: `"x"`}}
}

// Remove deletes an object.
func (f *Store) Remove(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.Objects, key)
}

// PutJSON writes a control object over whatever is there.
func (f *Store) PutJSON(t TB, key string, v any) {
	t.Helper()
	data, err := manifest.Encode(v)
	if s, ok := v.(manifest.Success); ok {
		data, err = manifest.EncodeSealed(&s)
	}
	if err != nil {
		t.Fatalf("%v", err)
	}
	f.Replace(key, data)
}

// Object returns an object.
func (f *Store) Object(key string) (Object, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o, ok := f.Objects[key]
	if !ok {
		return o, fmt.Errorf("get %s: %w", key, fs.ErrNotExist)
	}
	return o, nil
}

// Stat implements the store of a role.
func (f *Store) Stat(ctx context.Context, key string) (object.Info, error) {
	if _, err := f.begin(ctx, "stat", key); err != nil {
		return object.Info{}, err
	}
	o, err := f.Object(key)
	return o.Info, err
}

// Get implements the store of a role.
func (f *Store) Get(ctx context.Context, key string) ([]byte, object.Info, error) {
	if _, err := f.begin(ctx, "get", key); err != nil {
		return nil, object.Info{}, err
	}
	o, err := f.Object(key)
	if err == nil && o.Spoiled {
		return nil, object.Info{}, fmt.Errorf("get %s: %w", key, object.ErrDamaged)
	}
	return bytes.Clone(o.Data), o.Info, err
}

// OpenChunks implements the store of a role.
func (f *Store) OpenChunks(ctx context.Context, key, etag string, off, n, _ int64, _ int) (io.ReadCloser, error) {
	what, err := f.begin(ctx, "open", key)
	if err != nil {
		return nil, err
	}
	o, err := f.Object(key)
	switch {
	case err != nil:
		return nil, err
	case etag != o.Info.ETag:
		return nil, fmt.Errorf("get %s: %w", key, object.ErrPrecondition)
	case o.Spoiled && off == 0 && n == int64(len(o.Data)):
		return nil, fmt.Errorf("get %s: %w", key, object.ErrDamaged)
	case o.Spoiled && off+n > int64(len(o.Data)):
		return nil, fmt.Errorf("get %s: %d bytes: %w: %w", key, len(o.Data), object.ErrDamaged, io.ErrUnexpectedEOF)
	case off < 0 || n <= 0 || off+n > int64(len(o.Data)):
		return nil, fmt.Errorf("get %s: range [%d,%d) of %d", key, off, off+n, len(o.Data))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open++
	f.bodies += n
	f.MaxBodies = max(f.MaxBodies, f.bodies)
	b := &body{f: f, n: n, Reader: bytes.NewReader(o.Data[off : off+n])}
	if what == Torn {
		b.Reader = io.MultiReader(bytes.NewReader(o.Data[off:off+n/2]), errReader{fmt.Errorf("read %s: %w", key, ErrInjected)})
	}
	return b, nil
}

// Stream implements the store of a role.
func (f *Store) Stream(ctx context.Context, key, etag string, off, n int64) (object.Stream, error) {
	return Stream(f.OpenChunks(ctx, key, etag, off, n, n, 1))
}

// Reach implements the store of a role: a stream is a chunk.
func (f *Store) Reach(n, chunk int64) (reach, held int64) { return min(n, chunk), min(n, chunk) }

// stream is a body as a stream.
type stream struct {
	*bufio.Reader
	io.Closer
}

// Stream is what a store returns as a stream that has opened a body.
func Stream(body io.ReadCloser, err error) (object.Stream, error) {
	if err != nil {
		return nil, err
	}
	return stream{bufio.NewReaderSize(body, 32<<10), body}, nil
}

func (s stream) Peek() ([]byte, error) {
	if _, err := s.Reader.Peek(1); err != nil {
		return nil, err
	}
	return s.Reader.Peek(s.Buffered())
}

func (s stream) Discard(n int) error {
	_, err := s.Reader.Discard(n)
	return err
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

type body struct {
	f *Store
	n int64
	io.Reader
}

func (b *body) Close() error {
	b.f.mu.Lock()
	defer b.f.mu.Unlock()
	b.f.open--
	b.f.bodies -= b.n
	return nil
}

// Put implements the store of a role.
func (f *Store) Put(ctx context.Context, key string, data []byte, o object.PutOptions) (object.Info, error) {
	what, err := f.begin(ctx, "put", key)
	if err != nil {
		return object.Info{}, err
	}
	return f.write(what, "put", key, data, o)
}

// PutFile implements the store of a role.
func (f *Store) PutFile(ctx context.Context, key string, r io.ReaderAt, size int64, o object.PutOptions) (object.Info, error) {
	data := make([]byte, size)
	if n, err := r.ReadAt(data, 0); int64(n) < size {
		return object.Info{}, fmt.Errorf("put %s: %w", key, err)
	}
	return f.Put(ctx, key, data, o)
}

// List implements the store of a role.
func (f *Store) List(ctx context.Context, prefix string) iter.Seq2[object.Info, error] {
	return func(yield func(object.Info, error) bool) {
		if _, err := f.begin(ctx, "list", prefix); err != nil {
			yield(object.Info{}, err)
			return
		}
		f.mu.Lock()
		keys := slices.Sorted(maps.Keys(f.Objects))
		f.mu.Unlock()
		for _, k := range keys {
			if o, err := f.Object(k); strings.HasPrefix(k, prefix) && !yield(o.Info, err) {
				return
			}
		}
	}
}

// Create implements the store of a role.
func (f *Store) Create(ctx context.Context, key string, o object.PutOptions) (object.Writer, error) {
	if _, err := f.begin(ctx, "create", key); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open++
	return &writer{f: f, ctx: ctx, key: key, o: o}, nil
}

type writer struct {
	f     *Store
	ctx   context.Context
	key   string
	o     object.PutOptions
	buf   bytes.Buffer
	ended bool
}

func (w *writer) Write(p []byte) (int, error) {
	if _, err := w.f.begin(w.ctx, "write", w.key); err != nil {
		return 0, err
	}
	return w.buf.Write(p)
}

func (w *writer) end() {
	w.f.mu.Lock()
	defer w.f.mu.Unlock()
	if w.ended {
		w.f.Violations = append(w.f.Violations, "writer of "+w.key+" ended twice")
	}
	w.ended = true
	w.f.open--
}

func (w *writer) Commit(ctx context.Context) (object.Info, error) {
	w.end()
	what, err := w.f.begin(ctx, "commit", w.key)
	if err != nil {
		return object.Info{}, err
	}
	return w.f.write(what, "commit", w.key, w.buf.Bytes(), w.o)
}

func (w *writer) Abort() error {
	w.end()
	return nil
}

// Check fails the test over what the store caught.
func (f *Store) Check(t TB) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.Violations) > 0 {
		t.Fatalf("violations: %q", f.Violations)
	}
	if f.open != 0 || f.bodies != 0 {
		t.Fatalf("%d bodies or writers left open", f.open)
	}
}

// TB is what testing.T, testing.B and rapid.T share.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
}
