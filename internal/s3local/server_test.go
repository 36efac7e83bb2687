package s3local

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/datadir"
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

// TestCredentialsRemoved: a store whose credentials were removed gets a new
// secret, and its buckets can be used with that.
func TestCredentialsRemoved(t *testing.T) {
	dir := t.TempDir()
	s := run(t, dir, allGuards)
	before := s.Endpoint()
	c := newClient(t, before)
	c.want(200, "PUT", "/bucket", "")
	c.want(200, "PUT", "/bucket/a", "x")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, datadir.CredentialsFile)); err != nil {
		t.Fatal(err)
	}
	s = run(t, dir, allGuards)
	after := s.Endpoint()
	if after.AccessKey != before.AccessKey || after.SecretKey == before.SecretKey {
		t.Errorf("key id %s, was %s; the same secret: %v", after.AccessKey, before.AccessKey, after.SecretKey == before.SecretKey)
	}
	if r := newClient(t, after).want(200, "GET", "/bucket/a", ""); r.body != "x" {
		t.Errorf("the object is %q", r.body)
	}
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
	if _, err := Start(t.Context(), Options{DataDir: dir}); !errors.Is(err, datadir.ErrLocked) {
		t.Errorf("second start: error %v, want ErrLocked", err)
	}
	e, err := datadir.Find(t.Context(), dir)
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
		if e, err := datadir.Find(context.Background(), dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: found %+v, error %v, want fs.ErrNotExist", when, e.URL, err)
		}
	}
	absent("empty folder")
	s := run(t, dir, allGuards)
	left, err := os.ReadFile(filepath.Join(dir, datadir.EndpointFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	absent("after Close")
	// What kill -9 leaves behind.
	if err := os.WriteFile(filepath.Join(dir, datadir.EndpointFile), left, 0o600); err != nil {
		t.Fatal(err)
	}
	absent("dead server")
}

func TestFolderModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := run(t, dir, allGuards)
	c := newClient(t, s.Endpoint())
	c.want(200, "PUT", "/bucket", "")
	c.want(200, "PUT", "/bucket/a/b", "x")
	for name, want := range map[string]fs.FileMode{
		".": 0o700 | fs.ModeDir, "s3": 0o700 | fs.ModeDir, "s3/bucket": 0o700 | fs.ModeDir, "s3/bucket/a": 0o700 | fs.ModeDir,
		"s3/bucket/a/b": 0o600, datadir.LockFile: 0o600, datadir.CredentialsFile: 0o600, datadir.EndpointFile: 0o600, datadir.PortFile: 0o600,
	} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
		} else if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", name, info.Mode(), want)
		}
	}
}

func TestOptions(t *testing.T) {
	t.Run("given address and region", func(t *testing.T) {
		s, err := Start(t.Context(), Options{DataDir: t.TempDir(), Address: "127.0.0.1:0", Region: "eu-west-1"})
		if err != nil {
			t.Fatal(err)
		}
		e := s.Endpoint()
		if e.Region != "eu-west-1" {
			t.Errorf("endpoint %+v", e)
		}
		newClient(t, e).want(200, "GET", "/", "")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, o := range map[string]Options{
		"no folder":        {},
		"no port":          {DataDir: t.TempDir(), Address: "127.0.0.1"},
		"port in use":      {DataDir: t.TempDir(), Address: taken.Addr().String()},
		"folder is a file": {DataDir: os.Args[0]},
	} {
		t.Run(name, func(t *testing.T) {
			wd := getwd(t)
			s, err := Start(t.Context(), o)
			if err == nil {
				t.Fatalf("started: %v", s.Close())
			}
			t.Log(err)
			if got := getwd(t); got != wd {
				t.Errorf("working directory is %s, was %s", got, wd)
			}
			if o.DataDir == "" || o.DataDir == os.Args[0] {
				return
			}
			// Nothing holds the folder any more.
			run(t, o.DataDir, allGuards)
		})
	}
	t.Run("canceled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Start(ctx, Options{DataDir: t.TempDir()}); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want context.Canceled", err)
		}
	})
}

func getwd(t *testing.T) string {
	t.Helper()
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return wd
}

// TestWorkingDirectory: the process stays where it is, and may go elsewhere,
// while servers run, of which there may be several.
func TestWorkingDirectory(t *testing.T) {
	wd := getwd(t)
	a, b := run(t, t.TempDir(), allGuards), run(t, t.TempDir(), allGuards)
	if got := getwd(t); got != wd {
		t.Errorf("after the start the working directory is %s, it was %s", got, wd)
	}
	for name, s := range map[string]*Server{"a": a, "b": b} {
		c := newClient(t, s.Endpoint())
		c.want(200, "PUT", "/bucket", "")
		c.want(200, "PUT", "/bucket/of-"+name, "x")
	}
	t.Chdir(t.TempDir())
	for name, s := range map[string]*Server{"a": a, "b": b} {
		c := newClient(t, s.Endpoint())
		c.want(200, "GET", "/bucket/of-"+name, "")
		c.want(200, "PUT", "/bucket/later", "x")
		if r := c.want(200, "GET", "/bucket?list-type=2", ""); strings.Count(r.body, "<Key>") != 2 || strings.Contains(r.body, "/proc") {
			t.Errorf("list of %s: %s", name, r.body)
		}
	}
	here := getwd(t)
	if err := errors.Join(a.Close(), b.Close()); err != nil {
		t.Fatal(err)
	}
	if got := getwd(t); got != here {
		t.Errorf("after Close the working directory is %s, it was %s", got, here)
	}
	if left, err := os.ReadDir("."); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestMovedFolder: nobody is told that an object is not there because the
// folder is elsewhere. The server starts in a working directory that is gone.
func TestMovedFolder(t *testing.T) {
	gone := t.TempDir()
	t.Chdir(gone)
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "data")
	c := newClient(t, run(t, dir, allGuards).Endpoint())
	c.want(200, "PUT", "/bucket", "")
	c.want(200, "PUT", "/bucket/a", "x")
	move := func(from, to string) {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	move(dir, dir+"-moved")
	for _, request := range []string{"GET /", "PUT /other", "GET /bucket", "GET /bucket/a", "PUT /bucket/a"} {
		method, path, _ := strings.Cut(request, " ")
		if r := c.do(method, path, ""); r.status != http.StatusInternalServerError {
			t.Errorf("%s while the folder is elsewhere: status %d", request, r.status)
		}
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is there again: %v", dir, err)
	}
	move(dir+"-moved", dir)
	c.want(200, "GET", "/bucket/a", "")
}

// TestOddFolder: the path of a folder is no pattern.
func TestOddFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a[b]*?")
	s := run(t, dir, allGuards)
	c := newClient(t, s.Endpoint())
	c.want(200, "PUT", "/bucket", "")
	id := c.createUpload("/bucket/a")
	folder := filepath.Join(dir, datadir.Root, uploadFolder("bucket", "a", id))
	if err := errors.Join(s.Close(), os.Rename(folder, folder+".token"+inProgress)); err != nil {
		t.Fatal(err)
	}
	c = newClient(t, run(t, dir, allGuards).Endpoint())
	if r := c.want(200, "GET", "/bucket?uploads=", ""); !strings.Contains(r.body, id) {
		t.Errorf("the upload is marked still: %s", r.body)
	}
}

// TestDeepFolder: the longest keys fit into a data folder whose path is nearly
// as long as the system takes.
func TestDeepFolder(t *testing.T) {
	dir := t.TempDir()
	for len(dir) < 3900 {
		dir = filepath.Join(dir, strings.Repeat("d", 100))
	}
	c := newClient(t, run(t, dir, allGuards).Endpoint())
	c.want(200, "PUT", "/bucket", "")
	key := "/bucket/" + strings.Repeat(strings.Repeat("k", 200)+"/", 5) + strings.Repeat("k", 19)
	c.want(200, "PUT", key, "x")
	if r := c.want(200, "GET", key, ""); r.body != "x" {
		t.Errorf("read %q", r.body)
	}
	c.want(200, "PUT", "/bucket/copy", "", "X-Amz-Copy-Source", key)
	_, _, complete := beginUpload(c, key+"-parts", "x")
	if r := complete(); r.status != 200 {
		t.Errorf("upload: %d %s", r.status, r.body)
	}
	c.want(204, "DELETE", key, "")
}

// TestCloseWithOpenConnections makes sure that clients which keep connections
// do not hold up Close.
func TestCloseWithOpenConnections(t *testing.T) {
	s := run(t, t.TempDir(), allGuards)
	c := newClient(t, s.Endpoint())
	c.want(200, "PUT", "/bucket", "") // its connection stays open
	silent, err := net.Dial("tcp", strings.TrimPrefix(s.Endpoint().URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	s.grace = time.Hour // which Close would take if it waited for them
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("Close waits for connections that do nothing")
	}
}

// TestCloseDuringUpload makes sure that an upload which outlasts Close does not
// end up under another server.
func TestCloseDuringUpload(t *testing.T) {
	dir := t.TempDir()
	s, err := Start(t.Context(), Options{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	s.grace, s.patience = 50*time.Millisecond, 50*time.Millisecond
	c := newClient(t, s.Endpoint())
	c.want(200, "PUT", "/bucket", "")
	upload := c.hang("PUT", "/bucket/a", 1<<20)
	for len(s.guard.bodies) == 0 {
		runtime.Gosched() // until the server reads the body
	}
	if err := s.Close(); err == nil || !strings.Contains(err.Error(), "uploads") {
		t.Errorf("Close during an upload: error %v", err)
	}
	if _, err := Start(t.Context(), Options{DataDir: dir}); !errors.Is(err, datadir.ErrLocked) {
		t.Errorf("start during an upload: error %v, want ErrLocked", err)
	}
	// The end of the process.
	if err := errors.Join(upload.Close(), s.guard.close(time.Minute), s.release()); err != nil {
		t.Error(err)
	}
	again := run(t, dir, allGuards)
	newClient(t, again.Endpoint()).want(404, "GET", "/bucket/a", "")
}

func TestCheckXattr(t *testing.T) {
	dir := t.TempDir()
	err := checkXattr(dir, func(*os.File, string, string, string, []byte) error {
		return &os.PathError{Op: "setxattr", Path: "x", Err: syscall.ENOTSUP}
	})
	if !errors.Is(err, errNoXattr) || !errors.Is(err, syscall.ENOTSUP) || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestDamagedFiles(t *testing.T) {
	dir := t.TempDir()
	for _, text := range []string{"", "{", "{}", `{"AccessKey": "x"}`} {
		if err := os.WriteFile(filepath.Join(dir, datadir.CredentialsFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Start(t.Context(), Options{DataDir: dir})
		if err == nil || !strings.Contains(err.Error(), datadir.CredentialsFile) {
			t.Errorf("credentials %q: error %v does not name the file", text, err)
		}
	}
}
