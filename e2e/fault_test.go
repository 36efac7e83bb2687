package e2e

import (
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/object"
)

// putOptions write without any condition.
var putOptions = object.PutOptions{}

// commits counts the map tasks that are committed.
func (b *fixture) commits() int { return len(b.keys(b.layout.CommitDir())) }

// TestCoordinatorKilledInMap and its siblings: kill -9 of the coordinator in
// each phase; the same line again goes on from the bucket, and no task that
// was committed is run again.
func TestCoordinatorKilledInMap(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	line := []string{"--app", "jobcount", "--app-arg", "stall=300ms", "--nreduce", "3"}
	c, _ := b.coordinator(line...)
	w1, w2 := b.start("worker", "--app", "jobcount", "--slots", "1"), b.start("worker", "--app", "jobcount", "--slots", "1")
	b.until("two maps are committed", func() bool { return b.commits() >= 2 })
	b.kill(c)
	before := b.commits()
	again, _ := b.coordinator(line...)
	for _, p := range []*process{again, w1, w2} {
		if code := b.exit(p); code != 0 {
			t.Errorf("mraws %s: exit code %d", p.name, code)
		}
	}
	s := b.success()
	if s.Map.Reused < 2 || s.Map.CommittedRerun+s.Reduce.CommittedRerun != 0 || s.Map.Granted > s.Map.Tasks-before+2 {
		t.Errorf("%d maps were committed at the kill; afterwards: %+v", before, s.Map)
	}
	b.run(0, "verify", "--app", "jobcount")
}

func TestCoordinatorKilledInReduce(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	line := []string{"--app", "early_exit", "--nreduce", "10"}
	c, _ := b.coordinator(line...)
	w := b.start("worker", "--app", "early_exit", "--slots", "1")
	b.until("an output is there", func() bool { return len(b.outputs()) >= 1 })
	b.kill(c)
	before := len(b.outputs())
	again, _ := b.coordinator(line...)
	for _, p := range []*process{again, w} {
		if code := b.exit(p); code != 0 {
			t.Errorf("mraws %s: exit code %d", p.name, code)
		}
	}
	s := b.success()
	if before == 10 || s.Map.Reused != 8 || s.Map.Granted != 0 || s.Reduce.Reused < before || s.Reduce.CommittedRerun != 0 {
		t.Errorf("%d outputs were there at the kill; afterwards: map %+v reduce %+v", before, s.Map, s.Reduce)
	}
	b.run(0, "verify", "--app", "early_exit")
}

// TestCoordinatorKilledBeforeSuccess makes the state that a coordinator
// leaves that dies between the last output and _SUCCESS.
func TestCoordinatorKilledBeforeSuccess(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	b.run(0, "run", "--app", "wc", "--nreduce", "3")
	outputs := b.outputs()
	if err := b.store.Delete(t.Context(), b.layout.Success()); err != nil {
		t.Fatal(err)
	}
	b.run(0, "coordinator", "--app", "wc", "--nreduce", "3") // without any worker
	s := b.success()
	if s.Map.Granted+s.Reduce.Granted != 0 || s.Map.Reused != 8 || s.Reduce.Reused != 3 {
		t.Errorf("map %+v reduce %+v", s.Map, s.Reduce)
	}
	if d := cmp.Diff(outputs, b.outputs()); d != "" {
		t.Error(d)
	}
	b.run(0, "verify", "--app", "wc")
}

// TestWorkerKilled: kill -9 of a worker in the middle of a map task.
func TestWorkerKilled(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	c, address := b.coordinator("--app", "jobcount", "--app-arg", "stall=400ms", "--nreduce", "2")
	victim := b.start("worker", "--coord", address, "--app", "jobcount", "--slots", "2")
	b.until("the victim has begun", func() bool { return len(b.keys(b.layout.SideDir())) >= 2 })
	b.kill(victim)
	w := b.start("worker", "--coord", address, "--app", "jobcount", "--slots", "4")
	for _, p := range []*process{c, w} {
		if code := b.exit(p); code != 0 {
			t.Errorf("mraws %s: exit code %d", p.name, code)
		}
	}
	if s := b.success(); s.Map.Lost == 0 || s.Map.Failed != 0 {
		t.Errorf("a killed worker's attempts are lost, not failed: %+v", s.Map)
	}
	b.run(0, "verify", "--app", "jobcount")
}

// TestTwoCoordinators: the second takes over since it was told to, the first
// ends with a conflict, and the output is exact.
func TestTwoCoordinators(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	line := []string{"--app", "early_exit", "--nreduce", "4"}
	first, _ := b.coordinator(line...)
	w1 := b.start("worker", "--app", "early_exit", "--slots", "1")
	b.until("a map is committed", func() bool { return b.commits() >= 1 })
	second, _ := b.coordinator(append(line, "--takeover")...)
	w2 := b.start("worker", "--app", "early_exit", "--slots", "1")
	if code := b.exit(first); code != 7 && code != 0 {
		t.Errorf("first coordinator: exit code %d, want 7, or 0 if it was quicker", code)
	}
	for _, p := range []*process{second, w1, w2} {
		if code := b.exit(p); code != 0 {
			t.Errorf("mraws %s: exit code %d", p.name, code)
		}
	}
	b.run(0, "verify", "--app", "early_exit")
}

// TestCrashingWorkers is the lab's crash test.
func TestCrashingWorkers(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	b.run(0, "run", "--app", "crash", "--app-arg", "max-stall=200ms", "--processes", "--workers", "3", "--nreduce", "10", "--verify", "--max-attempts", "10")
	if d := cmp.Diff(reference(t, "nocrash", 10), outputList(b.outputs())); d != "" {
		t.Error(d)
	}
}

// TestSignals: an interrupted process says so by its exit code and leaves a
// job that goes on.
func TestSignals(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	c, address := b.coordinator("--app", "wc")
	w := b.start("worker", "--coord", address, "--app", "wc")
	if code := b.exit(w); code != 0 { // so that the coordinator is at work
		t.Fatalf("worker: exit code %d", code)
	}
	b.exit(c)
	b.run(0, "reset", "--yes")
	for sig, want := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		c, address := b.coordinator("--app", "jobcount", "--app-arg", "stall=2s")
		w := b.start("worker", "--coord", address, "--app", "jobcount", "--slots", "1")
		b.until("a map has begun", func() bool { return len(b.keys(b.layout.SideDir())) > 0 })
		for _, p := range []*process{w, c} {
			if err := p.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if code := b.exit(p); code != want {
				t.Errorf("mraws %s after %v: exit code %d, want %d", p.name, sig, code, want)
			}
		}
		b.run(0, "reset", "--yes")
	}
	b.run(0, "run", "--app", "wc", "--verify")
}
