package s3local

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/datadir"
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
	if err := os.Symlink("loop", filepath.Join(dir, datadir.Root, "bucket", "loop")); err != nil {
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

// TestBroken: what is no request of HTTP is answered as such, and does not run
// what counts the requests in progress.
func TestBroken(t *testing.T) {
	s := run(t, t.TempDir(), allGuards)
	for say, want := range map[string][]string{
		"GET /bucket HTTP/1.1\r\nno header\r\n\r\n": {"400 Bad Request", "<Code>BadRequest</Code>"},
		"what\r\n\r\n": {"400 Bad Request", "<Code>BadRequest</Code>"},
		"GET /bucket HTTP/1.1\r\nHost: a\r\nX-Long: " + strings.Repeat("x", 1<<20) + "\r\n\r\n": {"431 Request Header Fields Too Large", "<Code>RequestHeaderSectionTooLarge</Code>"},
	} {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.Endpoint().URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.WriteString(c, say) }() // the server may hang up before the end
		got := make([]byte, 4096)
		n, _ := io.ReadAtLeast(c, got, 300)
		_ = c.Close()
		for _, part := range want {
			if !strings.Contains(string(got[:n]), part) {
				t.Errorf("%.60q is answered %q, want %q in it", say, got[:n], part)
			}
		}
		if strings.Contains(string(got[:n]), "X-Amz-Request-Id") {
			t.Errorf("%.60q ran the middleware: %q", say, got[:n])
		}
	}
}
