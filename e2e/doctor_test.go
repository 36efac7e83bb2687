//go:build !interop

package e2e

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// statement is one of an IAM policy.
type statement struct {
	Effect           string
	Action, Resource []string
}

// TestDoctor: on a sound store all is well. What a store denies, or does wrong, is named
// with what to do, and the policy that is printed has what is missing and nothing else.
// Nothing is left in the bucket.
func TestDoctor(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	before := b.keys("")
	arn := "arn:aws:s3:::mapreducedata/" + b.layout.Prefix() + "/"
	for name, tt := range map[string]struct {
		rules  []string
		code   int
		want   []string
		policy []statement
	}{
		"sound": {nil, 0, []string{"ok       conditional writes", "ok       clock"}, []statement{}},
		"no deletion": {[]string{"DeleteObjects * 403"}, 6, []string{"WRONG    s3:DeleteObject ", "needed by reset", "unknown  conditional writes"},
			[]statement{{"Allow", []string{"s3:DeleteObject"}, []string{arn + "intermediate/_preflight/*", arn + "intermediate/*", arn + "output/*"}}}},
		"no output": {[]string{"PutObject *output/* 403", "AbortMultipartUpload *output/* 403"}, 6, []string{"WRONG    s3:PutObject ", "needed by coordinator, worker"},
			[]statement{{"Allow", []string{"s3:PutObject", "s3:AbortMultipartUpload"}, []string{arn + "output/*"}}}},
		"no listing":  {[]string{"ListObjectsV2 * 403"}, 6, []string{"WRONG    s3:ListBucket"}, []statement{{"Allow", []string{"s3:ListBucket"}, []string{"arn:aws:s3:::mapreducedata"}}}},
		"an hour off": {[]string{"* * skewed"}, 6, []string{"WRONG    clock", "1h0m0s behind", "fix: set this machine's clock"}, []statement{}},
		"expired":     {[]string{"* * expired"}, 6, []string{"WRONG    credentials", "fix: fetch new credentials"}, []statement{}},
		"elsewhere":   {[]string{"* * other-region"}, 2, []string{"WRONG    region", "fix: use --region eu-west-3"}, []statement{}},
		"unsafe":      {[]string{"* * ignore-condition"}, 1, []string{"the store ignores If-Match"}, []statement{}},
	} {
		t.Run(name, func(t *testing.T) {
			f, _ := b.through(tt.rules...)
			out, _ := f.run(tt.code, "doctor")
			wants(t, out, tt.want...)
			out, _ = f.run(tt.code, "doctor", "--fix-policy")
			var policy struct{ Statement []statement }
			if err := json.Unmarshal([]byte(out), &policy); err != nil {
				t.Fatalf("%v in\n%s", err, out)
			}
			if diff := cmp.Diff(tt.policy, policy.Statement); diff != "" {
				t.Errorf("policy (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, b.keys("")); diff != "" {
				t.Errorf("doctor changed the bucket:\n%s", diff)
			}
		})
	}
	// What workers do not need is not tried.
	f, _ := b.through("DeleteObjects * 403")
	out, _ := f.run(0, "doctor", "--for", "worker", "-o", "json")
	if strings.Contains(out, "DeleteObject") {
		t.Errorf("deletions of a worker:\n%s", out)
	}
}

// TestDoctorAsksTheCoordinator: an announced coordinator is asked from this machine. One
// that cannot be reached is named with its port.
func TestDoctorAsksTheCoordinator(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	out, _ := b.run(0, "doctor")
	wants(t, out, "unknown  coordinator", "none is announced below mapreducedata/"+b.layout.Prefix())
	announced := func(address string) {
		b.until("the announcement of "+address, func() bool {
			data, _, err := b.store.Get(t.Context(), b.layout.Coordinator())
			return err == nil && strings.Contains(string(data), `"`+address+`"`)
		})
	}
	c, at := b.coordinator("--app", "wc")
	announced(at)
	out, _ = b.run(0, "doctor")
	wants(t, out, "ok       coordinator", "reached at "+at, "ok       version")
	b.kill(c)
	closed := nobody(t)
	b.coordinator("--app", "wc", "--advertise", closed)
	announced(closed)
	out, _ = b.run(5, "doctor")
	_, port, _ := net.SplitHostPort(closed)
	wants(t, out, "WRONG    coordinator", closed, "fix: let this machine reach TCP port "+port+" of the coordinator")
}

// TestDoctorOfAnotherVersion: a worker of another version than that of this program and of
// the coordinator is named, with what to do.
func TestDoctorOfAnotherVersion(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	fifo := filepath.Join(b.dir, "fifo") // that nobody writes to, so that the job does not end
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	b.coordinator("--mapper", "cat "+fifo)
	other := *b
	other.bin = otherVersion(t, "v1.9.0")
	other.start("worker", "--slots", "1")
	b.announces(1)
	out, _ := b.run(7, "doctor")
	wants(t, out, "ok       coordinator", "WRONG    version", "has version v1.9.0, this program ", "fix: run the same version on all machines")
	out, _ = b.run(0, "status", "-o", "json")
	wants(t, out, `"version": "v1.9.0"`)
}

// otherVersion builds a program of somebody else's, without an application, that says it
// is of that version of mraws.
func otherVersion(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(root, "examples", "own", name))
		if err != nil {
			t.Fatal(err)
		}
		write(name, data)
	}
	write("main.go", []byte("package main\n\nimport \"github.com/mraws/mraws/cli\"\n\nfunc main() { cli.Main() }\n"))
	for _, args := range [][]string{
		{"mod", "edit", "-require=github.com/mraws/mraws@" + version, "-replace=github.com/mraws/mraws=" + root},
		{"build", "-o", "mraws", "."},
	} {
		c := exec.Command("go", args...)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", c, err, out)
		}
	}
	return filepath.Join(dir, "mraws")
}

// nobody is an address at which nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	return lis.Addr().String()
}
