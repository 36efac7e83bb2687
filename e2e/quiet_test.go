//go:build !interop

package e2e

import (
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mraws/mraws/internal/datadir"
)

// TestQuietServer: a client that goes away in the middle of a body makes the
// server print nothing.
func TestQuietServer(t *testing.T) {
	b := newFixture(t)
	data := filepath.Join(t.TempDir(), "data")
	p := b.start("s3", "--data-dir", data, "--local")
	var at datadir.Endpoint
	b.until("the server answers", func() bool {
		found, err := datadir.Find(t.Context(), data)
		at = found
		return err == nil
	})
	conn, err := net.Dial("tcp", strings.TrimPrefix(at.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("PUT /mapreducedata/x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := b.exit(p); code != 143 {
		t.Errorf("exit code %d, want 143", code)
	}
	if said := p.errout.String(); strings.Contains(said, "EOF") || strings.Contains(said, "INTERNAL") || strings.Contains(said, "\x1b") {
		t.Errorf("it prints:\n%s", said)
	}
}
