package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/mr"
)

// promised is how long after the end of the lease of a coordinator that is
// gone its work goes on.
const promised = 5 * time.Second

// stoodStill counts from now on the time in which the machine stood still, or
// gave this process no processor: gaps of more than 100 ms between ticks of
// 10 ms. No promise holds in that time.
func (b *fixture) stoodStill() (total func() time.Duration) {
	var lost atomic.Int64
	tick := time.NewTicker(10 * time.Millisecond)
	done := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		for last := time.Now(); ; {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			now := time.Now()
			if gap := now.Sub(last); gap > 100*time.Millisecond {
				lost.Add(int64(gap))
			}
			last = now
		}
	})
	b.t.Cleanup(func() {
		tick.Stop()
		close(done)
		all.Wait()
	})
	return func() time.Duration { return time.Duration(lost.Load()) }
}

// announcement reads _coordinator.json.
func (b *fixture) announcement() *manifest.Coordinator {
	b.t.Helper()
	data, _, err := b.store.Get(b.t.Context(), b.layout.Coordinator())
	if err != nil {
		b.t.Fatal(err)
	}
	a, err := manifest.Decode[manifest.Coordinator](data, manifest.CoordinatorSchema)
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

// announces waits until the coordinator has announced that number of workers:
// its successor waits for as many before it grants anything.
func (b *fixture) announces(workers int) {
	b.t.Helper()
	b.until("the announcement counts the workers", func() bool { return b.announcement().Workers == workers })
}

// said says whether a process has logged a message, and how often.
func (p *process) said(message string) int {
	n := 0
	for line := range strings.Lines(p.errout.String()) {
		var entry struct{ Message string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Message == message {
			n++
		}
	}
	return n
}

// pair starts a coordinator and a standby behind it.
func (b *fixture) pair(line ...string) (first, second *process, addresses string) {
	b.t.Helper()
	first, one := b.coordinator(line...)
	b.until("the first leads", func() bool { return len(b.keys(b.layout.Coordinator())) > 0 })
	second, two := b.coordinator(line...)
	b.until("the second stands by", func() bool { return second.said("standing by") == 1 })
	return first, second, one + "," + two
}

// takenOver waits for the second coordinator of a pair to have both workers,
// and wants that soon after the end of the first one's lease.
func (b *fixture) takenOver(second *process, renewed time.Time, lease time.Duration) {
	b.t.Helper()
	still := b.stoodStill()
	b.until("the second leads", func() bool { return second.said("took over the job") == 1 })
	led := time.Since(renewed) - lease
	b.until("both workers are back", func() bool { return second.said("worker joined") >= 2 })
	back := time.Since(renewed) - lease
	b.t.Logf("after the end of the lease of %v: led after %.2fs, workers back after %.2fs, of which the machine stood still %.2fs", lease, led.Seconds(), back.Seconds(), still().Seconds())
	if back-still() > promised {
		b.t.Errorf("work went on %v after the end of the lease, want at most %v", back, promised)
	}
}

// exits wants all processes to succeed.
func (b *fixture) exits(all ...*process) {
	b.t.Helper()
	for _, p := range all {
		if code := b.exit(p); code != 0 {
			b.t.Errorf("mraws %s: exit code %d", p.name, code)
		}
	}
}

// failedOver checks a job that changed hands in the middle: nothing was run
// twice, and the attempts that ran at the time are those that committed.
func (b *fixture) failedOver(first *manifest.Coordinator) {
	b.t.Helper()
	s := b.success()
	if s.Map.CommittedRerun+s.Reduce.CommittedRerun+s.Map.Lost+s.Reduce.Lost+s.Map.Failed+s.Reduce.Failed != 0 {
		b.t.Errorf("map %+v reduce %+v", s.Map, s.Reduce)
	}
	for _, key := range b.keys(b.layout.CommitDir()) {
		data, _, err := b.store.Get(b.t.Context(), key)
		if err != nil {
			b.t.Fatal(err)
		}
		m, err := manifest.Decode[manifest.Map](data, manifest.MapSchema)
		if err != nil {
			b.t.Fatal(err)
		}
		if !strings.HasPrefix(m.Attempt, first.Epoch+".") {
			b.t.Errorf("%s was committed by %s, not by an attempt of the first coordinator", key, m.Attempt)
		}
	}
}

// TestFailoverInMap: kill -9 of the active coordinator while every map runs.
// One worker knows both addresses, the other looks into the bucket; both keep
// what they are at, so that every map runs once, and jobcount counts that.
func TestFailoverInMap(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	const lease = 2 * time.Second
	first, second, addresses := b.pair("--app", "jobcount", "--app-arg", "stall=8s", "--nreduce", "2", "--lease", lease.String())
	w1 := b.start("worker", "--coord", addresses, "--app", "jobcount", "--slots", "4")
	w2 := b.start("worker", "--app", "jobcount", "--slots", "4")
	b.until("all maps have begun", func() bool { return len(b.keys(b.layout.SideDir())) == 8 })
	b.announces(2)
	b.kill(first)
	a := b.announcement()
	b.takenOver(second, a.Renewed, lease)
	b.exits(second, w1, w2)
	b.failedOver(a)
	if s := b.success(); s.Map.Granted != 0 {
		t.Errorf("maps were granted again: %+v", s.Map)
	}
	if d := cmp.Diff(map[int]string{mr.Partition([]byte("a"), 2): "a 8\n", 1 - mr.Partition([]byte("a"), 2): ""}, b.outputs()); d != "" {
		t.Error(d)
	}
	b.run(0, "verify", "--app", "jobcount")
}

// TestFailoverInReduce: the same while reduces run.
func TestFailoverInReduce(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	const lease, r = 2 * time.Second, 8
	first, second, addresses := b.pair("--app", "early_exit", "--app-arg", "stall=8s", "--nreduce", fmt.Sprint(r), "--lease", lease.String(), "--speculation", "off")
	w1 := b.start("worker", "--coord", addresses, "--app", "early_exit", "--slots", "4")
	w2 := b.start("worker", "--app", "early_exit", "--slots", "4")
	slow := map[int]bool{} // the outputs over which early_exit takes its time
	for i := range 8 {
		if key := fmt.Appendf(nil, "pg-book%d.txt", i); mr.Partition(key, 3) == 0 {
			slow[mr.Partition(key, r)] = true
		}
	}
	b.until("the other reduces are done", func() bool { return len(b.outputs()) == r-len(slow) })
	if len(slow) == 0 || len(slow) == r {
		t.Fatalf("%d of %d reduces are slow", len(slow), r)
	}
	b.announces(2)
	b.kill(first)
	a := b.announcement()
	b.takenOver(second, a.Renewed, lease)
	b.exits(second, w1, w2)
	b.failedOver(a)
	if s := b.success(); s.Reduce.Granted != 0 || s.Reduce.Reused != r-len(slow) || s.Map.Granted != 0 {
		t.Errorf("of %d slow reduces, map %+v reduce %+v", len(slow), s.Map, s.Reduce)
	}
	for i := range r {
		o, err := b.store.Stat(t.Context(), b.layout.Output(i))
		if err != nil {
			t.Fatal(err)
		}
		if id := o.Meta[manifest.MetaAttempt]; !strings.HasPrefix(id, a.Epoch+".") {
			t.Errorf("output %d was made by %s, not by an attempt of the first coordinator", i, id)
		}
	}
	b.run(0, "verify", "--app", "early_exit")
}

// TestFailoverFromAStoppedOne: the active coordinator stands still for longer
// than its lease, with its port open, and wakes up beside its successor.
func TestFailoverFromAStoppedOne(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	const lease = 2 * time.Second
	first, second, addresses := b.pair("--app", "jobcount", "--app-arg", "stall=10s", "--nreduce", "2", "--lease", lease.String())
	w1 := b.start("worker", "--coord", addresses, "--app", "jobcount", "--slots", "4")
	w2 := b.start("worker", "--app", "jobcount", "--slots", "4")
	b.until("all maps have begun", func() bool { return len(b.keys(b.layout.SideDir())) == 8 })
	b.until("it was renewed with two workers", func() bool { return b.announcement().Workers == 2 })
	if err := first.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	a := b.announcement()
	b.takenOver(second, a.Renewed, lease)
	if err := first.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if code := b.exit(first); code != 7 {
		t.Errorf("the first: exit code %d, want 7", code)
	}
	wants(t, first.errout.String(), "another coordinator has taken over", "nothing is lost")
	b.exits(second, w1, w2)
	b.failedOver(a)
	b.run(0, "verify", "--app", "jobcount")
}

// TestFailoverOnSignal: a coordinator that is told to stop says so, and the
// standby goes on at once, whatever the lease.
func TestFailoverOnSignal(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	first, second, addresses := b.pair("--app", "jobcount", "--app-arg", "stall=4s", "--nreduce", "2", "--lease", "1m")
	w := b.start("worker", "--coord", addresses, "--app", "jobcount", "--slots", "8")
	b.until("all maps have begun", func() bool { return len(b.keys(b.layout.SideDir())) == 8 })
	a := b.announcement()
	if err := first.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := b.exit(first); code != 143 {
		t.Errorf("the first: exit code %d, want 143", code)
	}
	stopped, still := time.Now(), b.stoodStill()
	b.until("the second leads", func() bool { return second.said("took over the job") == 1 })
	if took := time.Since(stopped) - still(); took > promised {
		t.Errorf("the second leads after %v", took)
	}
	b.exits(second, w)
	b.failedOver(a)
}

// TestStandbyTellsTheEnd: a standby prints the same summary and ends with the
// same exit code as the coordinator behind which it stood.
func TestStandbyTellsTheEnd(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	first, second, addresses := b.pair("--app", "wc", "--nreduce", "3", "-o", "json")
	standby := addresses[strings.Index(addresses, ",")+1:]
	w := b.start("worker", "--coord", standby) // which names the prefix, the bucket the rest
	b.exits(first, second, w)
	if d := cmp.Diff(first.out.String(), second.out.String()); d != "" || first.out.String() == "" {
		t.Errorf("the summaries differ:\n%s", d)
	}
	if n := second.said("took over the job"); n != 0 {
		t.Error("the standby took over a job that was done")
	}
}

// TestStandbyTellsTheFailure: the same for a job that fails, and for a line
// that is another job's.
func TestStandbyTellsTheFailure(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	first, second, _ := b.pair("--app", "wc", "--nreduce", "2")
	b.until("the job is planned", func() bool { return len(b.keys(b.layout.Job())) == 1 })
	_, stderr := b.run(7, "coordinator", "--app", "wc", "--nreduce", "3")
	wants(t, stderr, "belongs to another job", "nreduce: 2 -> 3")
	if _, err := b.store.Put(t.Context(), b.layout.Input("pg-book4.txt"), []byte("other words\n"), putOptions); err != nil {
		t.Fatal(err)
	}
	w := b.start("worker", "--app", "wc", "--slots", "2")
	b.exit(w)
	for _, p := range []*process{first, second} {
		if code := b.exit(p); code != 4 {
			t.Errorf("mraws %s: exit code %d, want 4", p.name, code)
		}
		wants(t, p.errout.String(), "the job failed", "input changed", b.layout.Input("pg-book4.txt"))
	}
}
