package failpoint

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/object"
)

// log is a store, and what it was asked and which points were passed.
type log struct {
	did  []string
	fail Point
}

func (l *log) hit(p Point) error {
	l.did = append(l.did, string(p))
	if p == l.fail {
		return &Error{p}
	}
	return nil
}

func (l *log) note(op string) error { l.did = append(l.did, op); return nil }

func (l *log) Bucket() string          { return "b" }
func (l *log) Traffic() object.Traffic { return object.Traffic{} }
func (l *log) Stat(context.Context, string) (object.Info, error) {
	return object.Info{}, l.note("STAT")
}
func (l *log) Get(context.Context, string) ([]byte, object.Info, error) {
	return nil, object.Info{}, l.note("GET")
}
func (l *log) OpenChunks(context.Context, string, string, int64, int64, int64, int) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader([]byte("123456"))), l.note("OPEN")
}
func (l *log) Reach(n, chunk int64) (reach, held int64) { return n, chunk }
func (l *log) Stream(context.Context, string, string, int64, int64) (object.Stream, error) {
	return &view{rest: []byte("123456")}, l.note("STREAM")
}
func (l *log) Put(context.Context, string, []byte, object.PutOptions) (object.Info, error) {
	return object.Info{ETag: "e"}, l.note("PUT")
}
func (l *log) PutFile(context.Context, string, io.ReaderAt, int64, object.PutOptions) (object.Info, error) {
	return object.Info{ETag: "e"}, l.note("PUT")
}
func (l *log) CopyFrom(context.Context, string, object.Info, string, object.PutOptions) (object.Info, error) {
	return object.Info{}, l.note("COPY")
}
func (l *log) Copy(context.Context, string, string, string, object.PutOptions) (object.Info, error) {
	return object.Info{}, l.note("COPY")
}
func (l *log) Create(context.Context, string, object.PutOptions) (object.Writer, error) {
	return l, l.note("CREATE")
}
func (l *log) Write(p []byte) (int, error)                 { return len(p), l.note("WRITE") }
func (l *log) Commit(context.Context) (object.Info, error) { return object.Info{}, l.note("COMMIT") }
func (l *log) Abort() error                                { return l.note("ABORT") }
func (l *log) Preflight(context.Context, string) error     { return l.note("TRY") }
func (l *log) List(context.Context, string) iter.Seq2[object.Info, error] {
	return func(yield func(object.Info, error) bool) { yield(object.Info{}, l.note("LIST")) }
}
func (l *log) ListDirs(context.Context, string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) { yield("", l.note("DIRS")) }
}

// TestStore: points stand in front of reads and on both sides of writes; the
// error behind a write leaves it done.
func TestStore(t *testing.T) {
	ctx := t.Context()
	lay := layout.New("a/input/b") // such a prefix must not deceive
	for _, c := range []struct {
		do   func(Objects) error
		want []string
	}{
		{func(s Objects) error { _, err := s.Stat(ctx, lay.Output(3)); return err }, []string{"r.stat.output", "STAT"}},
		{func(s Objects) error { _, _, err := s.Get(ctx, lay.MapCommit(3)); return err }, []string{"r.get.map-record", "GET"}},
		{func(s Objects) error { _, err := s.Put(ctx, lay.Success(), nil, object.PutOptions{}); return err },
			[]string{"r.put.success.before", "PUT", "r.put.success.after"}},
		{func(s Objects) error {
			_, err := s.PutFile(ctx, lay.MapAttempt(1, "x", 2), nil, 0, object.PutOptions{})
			return err
		},
			[]string{"r.put.displaced.before", "PUT", "r.put.displaced.after"}},
		{func(s Objects) error {
			_, err := s.Copy(ctx, "k", "e", lay.Partition(1, 2), object.PutOptions{})
			return err
		},
			[]string{"r.copy.partition.before", "COPY", "r.copy.partition.after"}},
		{func(s Objects) error {
			_, err := s.PutFile(ctx, lay.NamedAttempt(1, "x", "errors"), nil, 0, object.PutOptions{})
			return err
		},
			[]string{"r.put.named.before", "PUT", "r.put.named.after"}},
		{func(s Objects) error {
			_, err := s.Copy(ctx, "k", "e", lay.Named("errors", 1), object.PutOptions{})
			return err
		},
			[]string{"r.copy.named.before", "COPY", "r.copy.named.after"}},
		{func(s Objects) error {
			_, err := s.CopyFrom(ctx, "b", object.Info{}, lay.WithOutput("b", "results/").Named("errors", 1), object.PutOptions{})
			return err
		},
			[]string{"r.copy.named.before", "COPY", "r.copy.named.after"}},
		{func(s Objects) error {
			_, err := s.PutFile(ctx, lay.Packed(1), nil, 0, object.PutOptions{})
			return err
		},
			[]string{"r.put.partition.before", "PUT", "r.put.partition.after"}},
		{func(s Objects) error { return s.Preflight(ctx, lay.PreflightDir()) },
			[]string{"r.try.preflight.before", "TRY", "r.try.preflight.after"}},
		{func(s Objects) error { return first(s.List(ctx, lay.InputDir())) }, []string{"r.list.input", "LIST"}},
		{func(s Objects) error { return first(s.ListDirs(ctx, "")) }, []string{"r.list.prefixes", "DIRS"}},
		{func(s Objects) error {
			b, err := s.OpenChunks(ctx, lay.Input("f"), "e", 0, 6, 6, 1)
			if err == nil {
				_, err = io.ReadAll(b)
			}
			return err
		}, []string{"r.open.input", "OPEN", "r.read.input"}},
		{func(s Objects) error {
			b, err := s.Stream(ctx, lay.Input("f"), "e", 0, 6)
			if err == nil {
				_, err = b.WriteTo(io.Discard)
			}
			return err
		}, []string{"r.open.input", "STREAM", "r.read.input"}},
		{func(s Objects) error {
			b, err := s.Stream(ctx, lay.Input("f"), "e", 0, 6)
			for err == nil {
				if _, err = b.Peek(); err == nil {
					err = b.Discard(1)
				}
			}
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return err
		}, []string{"r.open.input", "STREAM", "r.read.input"}},
		{func(s Objects) error {
			w, err := s.Create(ctx, lay.Output(1), object.PutOptions{})
			if err != nil {
				return err
			}
			if _, err := w.Write(nil); err != nil {
				return errors.Join(err, w.Abort())
			}
			_, err = w.Commit(ctx)
			return err
		}, []string{"r.create.output", "CREATE", "r.write.output", "WRITE", "r.commit.output.before", "COMMIT", "r.commit.output.after"}},
	} {
		l := &log{}
		if err := c.do(&store{Objects: l, role: "r", hit: l.hit}); err != nil {
			t.Error(err)
		}
		if d := cmp.Diff(c.want, l.did); d != "" {
			t.Error(d)
		}
		for i, p := range c.want {
			if p[:2] != "r." {
				continue
			}
			l := &log{fail: Point(p)}
			err := c.do(&store{Objects: l, role: "r", hit: l.hit})
			var e *Error
			if !errors.As(err, &e) || e.Point != Point(p) || !errors.Is(err, object.ErrUnreachable) && p != "r.list.prefixes" {
				t.Errorf("%s: error %v", p, err)
			}
			if d := cmp.Diff(c.want[:i+1], l.did[:i+1]); d != "" {
				t.Errorf("%s: %s", p, d)
			}
			for _, more := range l.did[i+1:] {
				if more != "ABORT" && more != "r.abort.output" {
					t.Errorf("%s failed, and then %s", p, more)
				}
			}
		}
	}
}

// view is a stream of bytes in memory.
type view struct{ rest []byte }

func (v *view) Peek() ([]byte, error) {
	if len(v.rest) == 0 {
		return nil, io.EOF
	}
	return v.rest, nil
}
func (v *view) Discard(n int) error { v.rest = v.rest[n:]; return nil }
func (v *view) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(v.rest)
	v.rest = v.rest[n:]
	return int64(n), err
}
func (v *view) Close() error { return nil }

// TestStreamIsNotCopied: the reader of an armed program gets the same bytes at
// the same place as that of the shipped one, however far the point is. So the
// crash matrix reads as users do.
func TestStreamIsNotCopied(t *testing.T) {
	data := []byte("0123456789")
	inner := &view{rest: data}
	l := &log{}
	s := &stream{inner, middle{&store{Objects: l, role: "r", hit: l.hit}, "input/f", 5}}
	for at := 0; at < len(data); {
		b, err := s.Peek()
		if err != nil || &b[0] != &data[at] || at < 5 && len(b) != 5-at || at >= 5 && len(b) != 10-at {
			t.Fatalf("at %d: %q, %v", at, b, err)
		}
		if err := s.Discard(1); err != nil {
			t.Fatal(err)
		}
		at++
	}
	if d := cmp.Diff([]string{"r.read.input"}, l.did); d != "" {
		t.Error(d)
	}
}

func first[T any](all iter.Seq2[T, error]) error {
	for _, err := range all {
		return err
	}
	return nil
}

// TestThings: every key of the layout has a name.
func TestThings(t *testing.T) {
	for _, l := range []layout.Layout{layout.New(""), layout.New("output/input")} {
		side, _ := l.Side("mr-0/x")
		got := map[string]string{}
		for _, key := range []string{
			l.Input("x/y"), l.Partition(0, 1), l.Job(), l.Coordinator(), l.MapCommit(3), l.MapAttempt(3, "a", 1),
			l.MapAttemptBad(3, "a"), l.ReduceAttempt(1, "a"), l.PreflightDir() + "x", l.Output(3), l.Bad(3), l.Success(), side,
		} {
			got[thing(key)] = key
		}
		want := []string{"announcement", "bad", "displaced", "input", "job", "map-record", "output", "partition", "preflight", "reduce-record", "side", "success"}
		for _, w := range want {
			if _, ok := got[w]; !ok {
				t.Errorf("no key is %q: %v", w, got)
			}
		}
		if len(got) != len(want) {
			t.Errorf("got %v", got)
		}
	}
}
