package s3local

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/datadir"
)

// startChild serves a data folder in a process of its own, and returns how to
// kill it.
func startChild(t *testing.T, dir string) (kill func()) {
	t.Helper()
	_, said, kill := startLimited(t, dir, "")
	if said != "started: <nil>\n" {
		t.Fatalf("child says %q", said)
	}
	return kill
}

// startLimited is startChild with a limit of descriptors, unless that is "".
// It returns the process as well, and what it said.
func startLimited(t *testing.T, dir, descriptors string) (p *os.Process, said string, kill func()) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `[ -z "$1" ] || ulimit -n "$1"; exec "$2"`, "sh", descriptors, exe)
	cmd.Env = append(os.Environ(), serveDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killed := false
	kill = func() {
		if killed {
			return
		}
		killed = true
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // says that it was killed
	}
	t.Cleanup(kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("child says %q, %v", line, err)
	}
	return cmd.Process, line, kill
}

// TestKilledServer kills a server in the midst of an upload.
func TestKilledServer(t *testing.T) {
	dir := t.TempDir()
	kill := startChild(t, dir)
	if _, err := Start(t.Context(), Options{DataDir: dir}); !errors.Is(err, datadir.ErrLocked) {
		t.Errorf("start next to another process: error %v, want ErrLocked", err)
	}
	e, err := datadir.Find(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if e.PID == os.Getpid() {
		t.Error("endpoint names the wrong process")
	}
	c := newClient(t, e)
	c.want(200, "PUT", "/bucket", "")
	c.want(200, "PUT", "/bucket/whole", "whole")
	half := c.hang("PUT", "/bucket/half", 1<<20)
	defer half.Close()

	kill()
	if _, err := datadir.Find(t.Context(), dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("find a killed server: error %v, want fs.ErrNotExist", err)
	}
	again := run(t, dir, allGuards)
	found, err := datadir.Find(t.Context(), dir)
	if err != nil || found != again.Endpoint() || found.SecretKey != e.SecretKey {
		t.Errorf("find the new server: process %d at %s, error %v", found.PID, found.URL, err)
	}
	c = newClient(t, found)
	if r := c.want(200, "GET", "/bucket/whole", ""); r.body != "whole" {
		t.Errorf("object after kill -9: %q", r.body)
	}
	c.want(404, "GET", "/bucket/half", "")
	if r := c.want(200, "GET", "/bucket?list-type=2", ""); strings.Count(r.body, "<Key>") != 1 {
		t.Errorf("more than one object after kill -9: %s", r.body)
	}
}
