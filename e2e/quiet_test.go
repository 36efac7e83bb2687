//go:build !interop

package e2e

import (
	"encoding/json"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mraws/mraws/internal/s3local"
)

// TestQuietServer: what the library of the S3 server prints is a line of the
// log, in its form and at a level that -q silences.
func TestQuietServer(t *testing.T) {
	b := newBench(t)
	for _, quiet := range []bool{false, true} {
		data := filepath.Join(t.TempDir(), "data")
		args := []string{"s3", "--data-dir", data, "--local"}
		if quiet {
			args = append(args, "-q")
		}
		p := b.start(args...)
		var at s3local.Endpoint
		b.until("the server answers", func() bool {
			found, err := s3local.Find(t.Context(), data)
			at = found
			return err == nil
		})
		// A client goes away in the middle of a body.
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
		if !quiet {
			b.until("the server logs it", func() bool { return strings.Contains(p.errout.String(), "unexpected EOF") })
		}
		if err := p.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		b.exit(p)
		said := p.errout.String()
		if strings.Contains(said, "INTERNAL") || strings.Contains(said, "\x1b") {
			t.Errorf("quiet is %v:\n%s", quiet, said)
		}
		for line := range strings.Lines(said) {
			var event struct{ Level, Message, Cause string }
			if !strings.Contains(line, "unexpected EOF") {
				continue
			}
			if err := json.Unmarshal([]byte(line), &event); err != nil || event.Level != "warn" || event.Message != "S3 server" || event.Cause != "unexpected EOF" || quiet {
				t.Errorf("quiet is %v: %s", quiet, line)
			}
		}
	}
}
