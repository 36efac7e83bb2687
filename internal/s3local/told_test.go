package s3local

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFailureIsTold: what fails in the server's folder is told to who asked,
// and nothing is printed past the log.
func TestFailureIsTold(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 1)
	go func() {
		all, err := io.ReadAll(r)
		said <- string(all) + map[bool]string{false: "unreadable"}[err == nil]
	}()
	usual := os.Stderr
	os.Stderr = w
	defer func() { os.Stderr = usual }()

	dir := t.TempDir()
	s := run(t, dir, allGuards)
	c := newClient(t, s.Endpoint())
	c.want(200, "PUT", "/bucket", "")
	if err := os.Symlink("loop", filepath.Join(dir, rootDir, "bucket", "loop")); err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		reply := c.want(500, method, "/bucket/loop/a", map[string]string{"PUT": "x"}[method])
		if !strings.Contains(reply.body, "<Code>InternalError</Code>") || !strings.Contains(reply.body, "too many levels of symbolic links") {
			t.Errorf("%s: %s", method, reply.body)
		}
	}
	os.Stderr = usual
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if text := <-said; text != "" {
		t.Errorf("on stderr: %s", text)
	}
}
