package failpoint

import (
	"context"
	"fmt"
	"io"
	"iter"
	"path"
	"strings"

	"github.com/mraws/mraws/internal/object"
)

// Objects is the union of the store methods that the roles need.
type Objects interface {
	Bucket() string
	Stat(ctx context.Context, key string) (object.Info, error)
	Get(ctx context.Context, key string) ([]byte, object.Info, error)
	Reach(n, chunk int64) (reach, held int64)
	Stream(ctx context.Context, key, etag string, off, n int64) (object.Stream, error)
	OpenChunks(ctx context.Context, key, etag string, off, n, chunk int64, window int) (io.ReadCloser, error)
	Put(ctx context.Context, key string, data []byte, o object.PutOptions) (object.Info, error)
	PutFile(ctx context.Context, key string, r io.ReaderAt, size int64, o object.PutOptions) (object.Info, error)
	Create(ctx context.Context, key string, o object.PutOptions) (object.Writer, error)
	Copy(ctx context.Context, src, srcETag, dst string, o object.PutOptions) (object.Info, error)
	CopyFrom(ctx context.Context, bucket string, from object.Info, dst string, o object.PutOptions) (object.Info, error)
	List(ctx context.Context, prefix string) iter.Seq2[object.Info, error]
	ListDirs(ctx context.Context, prefix string) iter.Seq2[string, error]
	Preflight(ctx context.Context, dir string) error
	Traffic() object.Traffic
}

// Store returns s with a point before each read, and points before and after each
// write. The error after a write is that of a lost reply: the write took place.
func Store(role string, s Objects) Objects {
	if !Enabled {
		return s
	}
	return &store{Objects: s, role: role, hit: hit}
}

type store struct {
	Objects
	role string
	hit  func(Point) error
}

// at returns the point of an operation on a key.
func (s *store) at(op, key, when string) error {
	p := Point(s.role + "." + op + "." + thing(key) + when)
	if err := s.hit(p); err != nil {
		return fmt.Errorf("%s s3://%s/%s: %w: %w", op, s.Objects.Bucket(), key, err, object.ErrUnreachable)
	}
	return nil
}

// around runs a write between its two points.
func (s *store) around(op, key string, write func() (object.Info, error)) (object.Info, error) {
	if err := s.at(op, key, ".before"); err != nil {
		return object.Info{}, err
	}
	info, err := write()
	if err == nil {
		err = s.at(op, key, ".after")
	}
	if err != nil {
		return object.Info{}, err
	}
	return info, nil
}

func (s *store) Stat(ctx context.Context, key string) (object.Info, error) {
	if err := s.at("stat", key, ""); err != nil {
		return object.Info{}, err
	}
	return s.Objects.Stat(ctx, key)
}

func (s *store) Get(ctx context.Context, key string) ([]byte, object.Info, error) {
	if err := s.at("get", key, ""); err != nil {
		return nil, object.Info{}, err
	}
	return s.Objects.Get(ctx, key)
}

func (s *store) Put(ctx context.Context, key string, data []byte, o object.PutOptions) (object.Info, error) {
	return s.around("put", key, func() (object.Info, error) { return s.Objects.Put(ctx, key, data, o) })
}

func (s *store) PutFile(ctx context.Context, key string, r io.ReaderAt, size int64, o object.PutOptions) (object.Info, error) {
	return s.around("put", key, func() (object.Info, error) { return s.Objects.PutFile(ctx, key, r, size, o) })
}

func (s *store) Copy(ctx context.Context, src, srcETag, dst string, o object.PutOptions) (object.Info, error) {
	return s.around("copy", dst, func() (object.Info, error) { return s.Objects.Copy(ctx, src, srcETag, dst, o) })
}

func (s *store) CopyFrom(ctx context.Context, bucket string, from object.Info, dst string, o object.PutOptions) (object.Info, error) {
	return s.around("copy", dst, func() (object.Info, error) { return s.Objects.CopyFrom(ctx, bucket, from, dst, o) })
}

func (s *store) List(ctx context.Context, prefix string) iter.Seq2[object.Info, error] {
	return func(yield func(object.Info, error) bool) {
		if err := s.at("list", prefix, ""); err != nil {
			yield(object.Info{}, err)
			return
		}
		s.Objects.List(ctx, prefix)(yield)
	}
}

func (s *store) ListDirs(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := s.hit(Point(s.role + ".list.prefixes")); err != nil {
			yield("", fmt.Errorf("list folders below %q: %w: %w", prefix, err, object.ErrUnreachable))
			return
		}
		s.Objects.ListDirs(ctx, prefix)(yield)
	}
}

func (s *store) Preflight(ctx context.Context, dir string) error {
	_, err := s.around("try", dir, func() (object.Info, error) { return object.Info{}, s.Objects.Preflight(ctx, dir) })
	return err
}

func (s *store) OpenChunks(ctx context.Context, key, etag string, off, n, chunk int64, window int) (io.ReadCloser, error) {
	if err := s.at("open", key, ""); err != nil {
		return nil, err
	}
	r, err := s.Objects.OpenChunks(ctx, key, etag, off, n, chunk, window)
	if err != nil {
		return nil, err
	}
	return &body{r, s.middle(key, n)}, nil
}

func (s *store) Stream(ctx context.Context, key, etag string, off, n int64) (object.Stream, error) {
	if err := s.at("open", key, ""); err != nil {
		return nil, err
	}
	r, err := s.Objects.Stream(ctx, key, etag, off, n)
	if err != nil {
		return nil, err
	}
	return &stream{r, s.middle(key, n)}, nil
}

// middle is a point in the middle of n bytes.
func (s *store) middle(key string, n int64) middle { return middle{s, key, max(n/2, 1)} }

type middle struct {
	s    *store
	key  string
	left int64 // bytes until the point; 0 behind it
}

// most returns how many of n bytes may be read before the point.
func (m *middle) most(n int) int {
	if m.left > 0 {
		return int(min(m.left, int64(n)))
	}
	return n
}

// pass records that n bytes were read, at most those of most.
func (m *middle) pass(n int) error {
	if m.left == 0 {
		return nil
	}
	if m.left -= int64(n); m.left > 0 {
		return nil
	}
	return m.s.at("read", m.key, "")
}

// body has a point in its middle.
type body struct {
	io.ReadCloser
	middle middle
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:b.middle.most(len(p))])
	if failed := b.middle.pass(n); failed != nil {
		err = failed
	}
	return n, err
}

// stream has a point in its middle too. It does not copy the bytes.
type stream struct {
	object.Stream
	middle middle
}

func (b *stream) Peek() ([]byte, error) {
	view, err := b.Stream.Peek()
	return view[:b.middle.most(len(view))], err
}

func (b *stream) Discard(n int) error {
	if err := b.middle.pass(n); err != nil {
		return err
	}
	return b.Stream.Discard(n)
}

func (b *stream) WriteTo(w io.Writer) (int64, error) {
	return b.Stream.WriteTo(&passing{w, &b.middle})
}

// passing is a writer whose middle is that of a stream.
type passing struct {
	w      io.Writer
	middle *middle
}

func (w *passing) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var k int
		k, err = w.w.Write(p[n:][:w.middle.most(len(p)-n)])
		if n += k; err == nil {
			err = w.middle.pass(k)
		}
	}
	return n, err
}

func (s *store) Create(ctx context.Context, key string, o object.PutOptions) (object.Writer, error) {
	if err := s.at("create", key, ""); err != nil {
		return nil, err
	}
	w, err := s.Objects.Create(ctx, key, o)
	if err != nil {
		return nil, err
	}
	return &writer{w, s, key}, nil
}

type writer struct {
	object.Writer
	s   *store
	key string
}

func (w *writer) Write(p []byte) (int, error) {
	if err := w.s.at("write", w.key, ""); err != nil {
		return 0, err
	}
	return w.Writer.Write(p)
}

// Commit ends the writer even if the point fails it.
func (w *writer) Commit(ctx context.Context) (object.Info, error) {
	tried := false
	info, err := w.s.around("commit", w.key, func() (object.Info, error) {
		tried = true
		return w.Writer.Commit(ctx)
	})
	if !tried {
		_ = w.Writer.Abort() // the error of the point is returned
	}
	return info, err
}

// Abort that the point fails leaves the upload in the bucket.
func (w *writer) Abort() error {
	if err := w.s.at("abort", w.key, ""); err != nil {
		return err
	}
	return w.Writer.Abort()
}

// things names the objects of a job by the start of their key below the prefix.
// The first match counts.
func things() [][2]string {
	return [][2]string{
		{"input/", "input"},
		{"intermediate/_job.json", "job"},
		{"intermediate/_coordinator.json", "announcement"},
		{"intermediate/_commit/", "map-record"},
		{"intermediate/_attempts/reduce-", "reduce-record"},
		{"intermediate/_attempts/map-", "displaced"},
		{"intermediate/_attempts/named-", "named"},
		{"intermediate/_preflight/", "preflight"},
		{"intermediate/_side/", "side"},
		{"intermediate/_events/", "events"},
		{"intermediate/_", "control"},
		{"intermediate/mr-", "partition"},
		{"output/_SUCCESS", "success"},
		{"output/_bad/", "bad"},
		{"output/_named/", "named"},
		{"output/", "output"},
	}
}

// placedThings names the objects in a place of its own for the output of a job by the
// start of their names.
func placedThings() [][2]string {
	return [][2]string{{"_SUCCESS", "success"}, {"_owner.json", "owner"}, {"_preflight", "preflight"}, {"mr-out-", "output"}, {"_mr-out-", "output"}}
}

// thing names the object of a key under any prefix, since a worker that searches
// for a job does not know its prefix. The last folder of a job in the key counts.
func thing(key string) string {
	at := -1
	if strings.Contains(path.Base(path.Dir(key)), "=") && strings.HasPrefix(path.Base(key), "mr-out-") {
		return "named" // a partition of the output
	}
	for _, folder := range []string{"input/", "intermediate/", "output/"} {
		at = max(at, strings.LastIndex("/"+key, "/"+folder))
	}
	if at >= 0 {
		for _, t := range things() {
			if strings.HasPrefix(key[at:], t[0]) {
				return t[1]
			}
		}
		if ok, _ := path.Match("intermediate/??/mr-*", key[at:]); ok {
			return "partition"
		}
	}
	if strings.Contains(key, "/_named/") {
		return "named"
	}
	for _, t := range placedThings() {
		if strings.HasPrefix(path.Base(key), t[0]) {
			return t[1]
		}
	}
	if strings.Trim(key, "/") != "" && strings.HasSuffix(key, "/") {
		return "output"
	}
	return "unknown(" + key + ")"
}
