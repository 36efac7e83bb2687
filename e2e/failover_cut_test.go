//go:build !interop

package e2e

import (
	"testing"
	"time"
)

// TestFailoverCutFromS3: the active coordinator loses the store, and nothing
// else. The standby takes over, and takes the workers with it although the
// other still answers them, which ends when it reaches the store again.
func TestFailoverCutFromS3(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	f, proxy := b.through()
	const lease = 2 * time.Second
	line := []string{"--app", "jobcount", "--app-arg", "stall=8s", "--nreduce", "2", "--lease", lease.String()}
	first, one := f.coordinator(line...)
	b.until("the first leads", func() bool { return len(b.keys(b.layout.Coordinator())) > 0 })
	second, two := b.coordinator(line...)
	b.until("the second stands by", func() bool { return second.said("standing by") == 1 })
	w1 := b.start("worker", "--coord", one+","+two, "--app", "jobcount", "--slots", "4")
	w2 := b.start("worker", "--app", "jobcount", "--slots", "4")
	b.until("all maps have begun", func() bool { return len(b.keys(b.layout.SideDir())) == 8 })
	b.until("it was renewed with two workers", func() bool { return b.announcement().Workers == 2 })
	proxy.Play(script(t, "* * drop"))
	a := b.announcement()
	b.takenOver(second, a.Renewed, lease)
	for _, w := range []*process{w1, w2} {
		if w.said("another coordinator has taken over") != 1 {
			t.Errorf("a worker did not leave by itself:\n%s", w.errout.String())
		}
	}
	proxy.Play(script(t))
	if code := b.exit(first); code != 7 {
		t.Errorf("the first: exit code %d, want 7", code)
	}
	b.exits(second, w1, w2)
	b.failedOver(a)
	b.run(0, "verify", "--app", "jobcount")
}
