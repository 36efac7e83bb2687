package coordinator

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
	"time"

	"github.com/mraws/mraws/internal/object"
)

// errInjected is an error that tells nothing of what happened.
var errInjected = errors.New("injected fault")

// fault is what happens to one call of the fake.
type fault int

const (
	fine       fault = iota
	notDone          // the call does nothing and returns errInjected
	doneFailed       // the write takes place and returns errInjected: the reply was lost
	doneExists       // the write takes place and its retry finds it: fs.ErrExist or object.ErrPrecondition
)

// fake is a Store in memory that polices its caller: what was created under
// the condition that it be absent is replaced by nobody, and every write of a
// control object is conditional.
type fake struct {
	hidden     string                 // a key that listings leave out, as no store should
	rotten     map[string]bool        // keys whose bytes do not match the store's checksum
	harmed     map[string]bool        // keys that others have deleted or damaged: they may be put back
	heads      map[string]object.Info // what Stat says, where it says more than a listing
	mu         sync.Mutex
	objects    map[string]stored
	version    int
	faults     func(op, key string) fault
	preflight  error
	violations []string
	puts       map[string]int
}

type stored struct {
	data []byte
	info object.Info
}

var _ Store = (*fake)(nil)

func newFake() *fake { return &fake{objects: map[string]stored{}, puts: map[string]int{}} }

func (f *fake) Bucket() string { return "bucket" }

func (f *fake) Preflight(context.Context, string) error { return f.preflight }

func (f *fake) Traffic() object.Traffic {
	return object.Traffic{Requests: map[string]int64{"PutObject": 1}}
}

// begin decides the fate of a call. The fake is locked from then on.
func (f *fake) begin(ctx context.Context, op, key string) (fault, error) {
	f.mu.Lock()
	if err := ctx.Err(); err != nil {
		return notDone, fmt.Errorf("%s %s: %w", op, key, context.Cause(ctx))
	}
	what := fine
	if f.faults != nil {
		what = f.faults(op, key)
	}
	if what == notDone {
		return what, fmt.Errorf("%s %s: %w", op, key, errInjected)
	}
	return what, nil
}

// inject makes the first n calls of op for keys that end so go wrong.
func (f *fake) inject(op, suffix string, n int, what fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	next := f.faults
	f.faults = func(o, key string) fault {
		if o == op && strings.HasSuffix(key, suffix) && n > 0 {
			n--
			return what
		}
		if next != nil {
			return next(o, key)
		}
		return fine
	}
}

func (f *fake) Stat(ctx context.Context, key string) (object.Info, error) {
	_, info, err := f.read(ctx, "stat", key)
	if head, ok := f.heads[key]; ok {
		return head, err
	}
	return info, err
}

func (f *fake) Get(ctx context.Context, key string) ([]byte, object.Info, error) {
	return f.read(ctx, "get", key)
}

func (f *fake) OpenChunks(ctx context.Context, key, etag string, off, n, _ int64, _ int) (io.ReadCloser, error) {
	data, info, err := f.read(ctx, "open", key)
	if err == nil && info.ETag != etag && etag != "" {
		err = fmt.Errorf("open %s: %w", key, object.ErrPrecondition)
	}
	if err != nil {
		return nil, err
	}
	if n < 0 {
		n = int64(len(data)) - off
	}
	return io.NopCloser(bytes.NewReader(data[off : off+n])), nil
}

func (f *fake) read(ctx context.Context, op, key string) ([]byte, object.Info, error) {
	_, err := f.begin(ctx, op, key)
	defer f.mu.Unlock()
	if err != nil {
		return nil, object.Info{}, err
	}
	o, ok := f.objects[key]
	if !ok {
		return nil, object.Info{}, fmt.Errorf("%s %s: %w", op, key, fs.ErrNotExist)
	}
	if op == "get" && f.rotten[key] {
		return nil, object.Info{}, fmt.Errorf("%s %s: %w", op, key, object.ErrDamaged)
	}
	return bytes.Clone(o.data), o.info, nil
}

func (f *fake) Put(ctx context.Context, key string, data []byte, o object.PutOptions) (object.Info, error) {
	what, err := f.begin(ctx, "put", key)
	defer f.mu.Unlock()
	if err != nil {
		return object.Info{}, err
	}
	f.puts[key]++
	if o.IfMatch == "" && !o.IfAbsent {
		f.violations = append(f.violations, "unconditional put of "+key)
	}
	old, exists := f.objects[key]
	switch {
	case o.IfAbsent && exists:
		return object.Info{}, fmt.Errorf("put %s: %w", key, fs.ErrExist)
	case o.IfMatch != "" && !exists:
		return object.Info{}, fmt.Errorf("put %s: %w", key, fs.ErrNotExist)
	case o.IfMatch != "" && o.IfMatch != old.info.ETag:
		return object.Info{}, fmt.Errorf("put %s: %w", key, object.ErrPrecondition)
	case exists && !strings.HasSuffix(key, "_coordinator.json") && !f.harmed[key]:
		f.violations = append(f.violations, "replaced "+key)
	}
	info := f.store(key, data, o.Meta)
	delete(f.rotten, key)
	switch {
	case what == doneFailed:
		return object.Info{}, fmt.Errorf("put %s: %w", key, errInjected)
	case what == doneExists && o.IfAbsent:
		return object.Info{}, fmt.Errorf("put %s: %w", key, fs.ErrExist)
	case what == doneExists:
		return object.Info{}, fmt.Errorf("put %s: %w", key, object.ErrPrecondition)
	}
	return info, nil
}

// store writes without any condition; f is locked.
func (f *fake) store(key string, data []byte, meta map[string]string) object.Info {
	f.version++
	info := object.Info{Key: key, Size: int64(len(data)), ETag: fmt.Sprintf("%q", fmt.Sprint("v", f.version)), Meta: maps.Clone(meta),
		Modified: time.Unix(int64(f.version), 0)} // the store's clock
	f.objects[key] = stored{bytes.Clone(data), info}
	return info
}

// set is what others than the coordinator write.
func (f *fake) set(key string, data []byte, meta map[string]string) object.Info {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.store(key, data, meta)
}

func (f *fake) remove(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.objects, key)
}

// harm is what others than the job do to an object: it is deleted, replaced by
// other bytes, or damaged at rest, where the version and all else stay.
func (f *fake) harm(t *testing.T, how, key string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	o, there := f.objects[key]
	if !there {
		t.Fatalf("%s is not there", key)
	}
	if f.harmed == nil {
		f.harmed, f.rotten = map[string]bool{}, map[string]bool{}
	}
	f.harmed[key] = true
	switch how {
	case "deleted":
		delete(f.objects, key)
	case "replaced":
		f.store(key, append(bytes.Clone(o.data), 'x'), o.info.Meta)
	case "flipped":
		f.rotten[key] = true
	case "cut":
		f.rotten[key] = true
		o.data = o.data[:len(o.data)/2]
		o.info.Size = int64(len(o.data))
		f.objects[key] = o
	}
}

func (f *fake) data(key string) (string, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o, ok := f.objects[key]
	return string(o.data), ok
}

func (f *fake) Copy(ctx context.Context, src, srcETag, dst string, _ object.PutOptions) (object.Info, error) {
	what, err := f.begin(ctx, "copy", dst)
	defer f.mu.Unlock()
	if err != nil {
		return object.Info{}, err
	}
	o, ok := f.objects[src]
	switch {
	case !ok:
		return object.Info{}, fmt.Errorf("copy %s: %w", src, fs.ErrNotExist)
	case o.info.ETag != srcETag:
		return object.Info{}, fmt.Errorf("copy %s: %w", src, object.ErrPrecondition)
	case !strings.Contains(dst, "/mr-") && !strings.Contains(dst, "output/_bad/map-"):
		f.violations = append(f.violations, "copied over "+dst)
	}
	info := f.store(dst, o.data, o.info.Meta)
	if what == doneFailed {
		return object.Info{}, fmt.Errorf("copy %s: %w", src, errInjected)
	}
	return info, nil
}

func (f *fake) CopyFrom(ctx context.Context, _ string, from object.Info, dst string, o object.PutOptions) (object.Info, error) {
	return f.Copy(ctx, from.Key, from.ETag, dst, o)
}

func (f *fake) List(ctx context.Context, prefix string) iter.Seq2[object.Info, error] {
	return func(yield func(object.Info, error) bool) {
		_, err := f.begin(ctx, "list", prefix)
		var found []object.Info
		for _, key := range slices.Sorted(maps.Keys(f.objects)) {
			if strings.HasPrefix(key, prefix) && key != f.hidden {
				info := f.objects[key].info
				info.Meta = nil // as in a listing
				found = append(found, info)
			}
		}
		f.mu.Unlock()
		if err != nil {
			yield(object.Info{}, err)
			return
		}
		for _, info := range found {
			if !yield(info, nil) {
				return
			}
		}
	}
}

// check fails the test over what the fake caught.
func (f *fake) check(t *testing.T) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.violations) > 0 {
		t.Errorf("violations: %q", f.violations)
	}
}
