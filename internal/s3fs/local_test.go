package s3fs_test

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/s3fs"
	"github.com/mraws/mraws/internal/s3fs/s3conform"
	"github.com/mraws/mraws/internal/s3local"
)

// local is an embedded server that can be restarted in place.
type local struct {
	dir, addr string
	srv       *s3local.Server
}

func startLocal(t testing.TB) *local {
	t.Helper()
	l := &local{dir: t.TempDir(), addr: "127.0.0.1:0"}
	l.start(t)
	l.addr = strings.TrimPrefix(l.srv.Endpoint().URL, "http://")
	t.Cleanup(func() { l.stop(t) })
	return l
}

func (l *local) start(t testing.TB) {
	t.Helper()
	srv, err := s3local.Start(t.Context(), s3local.Options{DataDir: l.dir, Address: l.addr})
	if err != nil {
		t.Fatal(err)
	}
	l.srv = srv
}

func (l *local) stop(t testing.TB) {
	t.Helper()
	if err := l.srv.Close(); err != nil {
		t.Error(err)
	}
}

// options reach the server, in a bucket that is yet to be made.
func (l *local) options() s3fs.Options {
	ep := l.srv.Endpoint()
	return s3fs.Options{
		Bucket: "test", Endpoint: ep.URL, Region: ep.Region,
		AccessKey: ep.AccessKey, SecretKey: ep.SecretKey,
	}
}

// within are options as those of a process that runs the server.
func (l *local) within() s3fs.Options {
	o := l.options()
	o.Server, o.Dial = s3fs.SameProcess, func(ctx context.Context) (net.Conn, error) { return l.srv.Dial(ctx) }
	return o
}

func TestConformanceOfEmbeddedServer(t *testing.T) {
	for name, options := range map[string]func(l *local) s3fs.Options{"by TCP": (*local).options, "within the process": (*local).within} {
		t.Run(name, func(t *testing.T) {
			l := startLocal(t)
			s3conform.Run(t, s3conform.Target{Options: options(l), Restart: func(t *testing.T) {
				l.stop(t)
				l.start(t)
			}})
		})
	}
}

// TestKeysOfEmbeddedServer: keys that XML cannot carry, and those that end
// with a slash, are written, listed, read and deleted through the SDK.
func TestKeysOfEmbeddedServer(t *testing.T) {
	s, err := s3fs.Open(t.Context(), startLocal(t).options())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.EnsureBucket(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{"input/folder/", "input/folder/x", "input/ + &%25.txt"}
	for c := range rune(' ') {
		if c > 0 {
			want = append(want, "input/"+string(c), "input/a"+string(c)+"b")
		}
	}
	want = append(want, "input/\x7f", "input/\ufffd", "input/\ufffe", "input/\uffff")
	for _, key := range want {
		body := []byte(key)
		if strings.HasSuffix(key, "/") {
			body = nil
		}
		if _, err := s.Put(t.Context(), key, body, s3fs.PutOptions{IfAbsent: true}); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(want)
	var got []string
	for info, err := range s.List(t.Context(), "input/") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, info.Key)
		if data, _, err := s.Get(t.Context(), info.Key); err != nil || int64(len(data)) != info.Size || info.Size != 0 && string(data) != info.Key {
			t.Errorf("%q of %d bytes: %q, %v", info.Key, info.Size, data, err)
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("listed (-want +got):\n%s", d)
	}
	if err := s.Delete(t.Context(), want...); err != nil {
		t.Error(err)
	}
	for info, err := range s.List(t.Context(), "") {
		t.Errorf("left: %q, %v", info.Key, err)
	}
}
