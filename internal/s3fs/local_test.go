package s3fs_test

import (
	"strings"
	"testing"

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

func TestConformanceOfEmbeddedServer(t *testing.T) {
	l := startLocal(t)
	s3conform.Run(t, s3conform.Target{Options: l.options(), Restart: func(t *testing.T) {
		l.stop(t)
		l.start(t)
	}})
}
