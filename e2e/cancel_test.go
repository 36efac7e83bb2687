package e2e

import (
	"strings"
	"syscall"
	"testing"
)

// TestCancel: coordinator, standby and workers end with an exit code of their own, and
// the same lines resume the job with what is committed.
func TestCancel(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	line := []string{"--app", "jobcount", "--app-arg", "stall=1s", "--nreduce", "2", "--lease", "2s"}
	c, _ := b.coordinator(line...)
	standby := b.start(append([]string{"coordinator", "--port", "0"}, line...)...)
	b.until("one stands by", func() bool { return strings.Contains(standby.errout.String(), "standing by") })
	w := b.start("worker", "--app", "jobcount", "--slots", "1")
	b.until("a map is committed", func() bool { return b.commits() > 0 })
	stdout, stderr := b.run(0, "cancel")
	wants(t, stdout, "cancelled s3://", "its coordinator has ended")
	wants(t, stderr, "waiting for the coordinator at ", "committed tasks are kept", "reset --yes")
	for _, p := range []*process{c, standby, w} {
		if code := b.exit(p); code != 9 {
			t.Errorf("mraws %s: exit code %d, want 9", p.name, code)
		}
	}
	stdout, _ = b.run(0, "status")
	wants(t, stdout, "cancelled")
	stdout, _ = b.run(0, "jobs")
	wants(t, stdout, " cancelled ")
	stdout, _ = b.run(0, "cancel")
	wants(t, stdout, "was cancelled before")

	committed := b.commits()
	c, _ = b.coordinator(line...)
	w = b.start("worker", "--app", "jobcount")
	for _, p := range []*process{c, w} {
		if code := b.exit(p); code != 0 {
			t.Errorf("mraws %s: exit code %d", p.name, code)
		}
	}
	if s := b.success(); s.Map.Reused < committed || s.Map.CommittedRerun != 0 {
		t.Errorf("of %d committed maps: %+v", committed, s.Map)
	}
	b.run(0, "verify") // the app counts how often it ran
	_, stderr = b.run(7, "cancel")
	wants(t, stderr, "nothing to cancel: the job in s3://", "is done")
}

// TestCancelOfAKilledCoordinator: a job whose coordinator is gone is marked, also if
// the coordinator is killed, or stands still, after it was to end.
func TestCancelOfAKilledCoordinator(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	line := []string{"--app", "wc", "--nreduce", "2", "--lease", "10m"}
	c, _ := b.coordinator(line...)
	b.until("the job is planned", func() bool { return len(b.keys(b.layout.Job())) == 1 })
	b.kill(c)
	stdout, _ := b.run(0, "cancel")
	wants(t, stdout, "no coordinator runs it")
	stdout, _ = b.run(0, "jobs")
	wants(t, stdout, " cancelled ")

	// The next one removes the mark, is stopped, and killed while it is waited for.
	c, _ = b.coordinator(line...)
	b.until("the mark is gone", func() bool { stdout, _ := b.run(0, "jobs"); return strings.Contains(stdout, " running ") })
	if err := c.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	cancel := b.start("cancel")
	b.until("it is waited for", func() bool { return strings.Contains(cancel.errout.String(), "waiting for the coordinator at ") })
	b.kill(c)
	if code := b.exit(cancel); code != 0 {
		t.Errorf("cancel: exit code %d", code)
	}
	stdout, _ = b.run(0, "jobs")
	wants(t, stdout, " cancelled ")

	c, _ = b.coordinator(line...)
	w := b.start("worker")
	for _, p := range []*process{c, w} {
		if code := b.exit(p); code != 0 {
			t.Errorf("mraws %s: exit code %d", p.name, code)
		}
	}
	b.run(0, "verify", "--app", "wc")
}
