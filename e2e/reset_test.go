package e2e

import (
	"strings"
	"testing"
)

// TestResetOfALiveJob: a job is not deleted under its coordinator unless
// somebody says so.
func TestResetOfALiveJob(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	c, address := b.coordinator("--app", "wc", "--nreduce", "2", "--lease", "10m")
	b.until("the coordinator is announced", func() bool { return len(b.keys(b.layout.Job())) == 1 })
	_, stderr := b.run(7, "reset", "--yes")
	wants(t, stderr, "a coordinator runs the job in s3://", "at "+address, "reset --yes --force ")
	_, hint, _ := strings.Cut(stderr, "first; `")
	hint, _, _ = strings.Cut(hint, "`")
	_, stderr = b.run(0, "reset", "--dry-run")
	wants(t, stderr, "a coordinator runs the job in s3://")
	if n := len(b.keys(b.layout.Job())); n != 1 {
		t.Fatal("a refused reset deleted the job")
	}
	words := strings.Fields(hint)
	if len(words) < 2 {
		t.Fatalf("no line in the hint %q", hint)
	}
	b.run(0, words[1:]...)
	if left := append(b.keys(b.layout.OutputDir()), b.keys(b.layout.Job())...); len(left) > 0 {
		t.Errorf("reset --force left %v", left)
	}

	// A coordinator that was killed holds nothing, whatever its lease.
	b.kill(c)
	c, _ = b.coordinator("--app", "wc", "--nreduce", "2", "--lease", "10m")
	b.until("the coordinator is announced", func() bool { return len(b.keys(b.layout.Job())) == 1 })
	b.kill(c)
	b.run(0, "reset", "--yes")
}
