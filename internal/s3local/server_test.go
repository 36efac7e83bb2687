package s3local

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// run starts a server that ends with the test, if it did not end before.
func run(t testing.TB, dir string, g guards) *Server {
	t.Helper()
	s, err := start(t.Context(), Options{DataDir: dir}, g)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestRestartKeepsObjectsAndCredentials(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := run(t, dir, allGuards)
	c := newClient(t, s.Endpoint())
	c.want(200, "PUT", "/bucket", "")
	c.want(200, "PUT", "/bucket/a/b", "hello", "X-Amz-Meta-Attempt", "1")
	began := time.Now()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("close: %v", time.Since(began))

	began = time.Now()
	again := run(t, dir, allGuards)
	t.Logf("start: %v", time.Since(began))
	want := s.Endpoint()
	want.URL = again.Endpoint().URL
	if diff := cmp.Diff(want, again.Endpoint()); diff != "" {
		t.Errorf("endpoint changed (-before +after):\n%s", diff)
	}
	r := newClient(t, again.Endpoint()).want(200, "GET", "/bucket/a/b", "")
	if r.body != "hello" || r.header.Get("X-Amz-Meta-Attempt") != "1" {
		t.Errorf("object after restart: %q, attempt %q", r.body, r.header.Get("X-Amz-Meta-Attempt"))
	}
}

func TestSecondStartIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := run(t, dir, allGuards)
	if _, err := Start(t.Context(), Options{DataDir: dir}); !errors.Is(err, ErrLocked) {
		t.Errorf("second start: error %v, want ErrLocked", err)
	}
	if _, err := Start(t.Context(), Options{DataDir: t.TempDir()}); !errors.Is(err, ErrLocked) {
		t.Errorf("start on another folder in the same process: error %v, want ErrLocked", err)
	}
	e, err := Find(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.Endpoint(), e); diff != "" {
		t.Errorf("Find (-started +found):\n%s", diff)
	}
	newClient(t, e).want(200, "GET", "/", "")
}

func TestFindWithoutServer(t *testing.T) {
	dir := t.TempDir()
	absent := func(when string) {
		t.Helper()
		if e, err := Find(context.Background(), dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: found %+v, error %v, want fs.ErrNotExist", when, e.URL, err)
		}
	}
	absent("empty folder")
	s := run(t, dir, allGuards)
	left, err := os.ReadFile(filepath.Join(dir, endpointFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	absent("after Close")
	// What kill -9 leaves behind.
	if err := os.WriteFile(filepath.Join(dir, endpointFile), left, 0o600); err != nil {
		t.Fatal(err)
	}
	absent("dead server")
}
