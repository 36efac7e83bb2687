package events

import (
	"flag"
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

var scaleTasks = flag.Int("events.tasks", 20_000, "map tasks of TestScale; a million is what docs/events.md tells of")

// processorTime is what this process has taken on all cores.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestScale: the log of a large job takes few bytes for a task, is soon read, and comes
// to what the summary of the job says.
func TestScale(t *testing.T) {
	const workers, slots, reduces = 500, 4, 1000
	n := *scaleTasks
	s := newStore()
	var success manifest.Success // of the job
	success.Job, success.Map, success.Reduce = "j", manifest.Attempts{Tasks: n, Granted: n}, manifest.Attempts{Tasks: reduces, Granted: reduces}
	l := New(Options{Store: s, Layout: lay, Log: zerolog.Nop(), Coordinator: "t52lz4gn"})
	l.Begin("j", n+reduces)
	began := time.Now()
	var writing time.Duration // as if it were in the background
	step := func() {
		if l.held >= flushBytes {
			was := time.Now()
			l.write(t.Context())
			writing += time.Since(was)
		}
	}
	l.Append(Event{Type: CoordinatorStarted, Cause: "free"})
	l.Append(Event{Type: JobPlanned, App: "wc", Maps: n, Reduces: reduces})
	for w := range workers {
		l.Append(Event{Type: WorkerJoined, Worker: fmt.Sprintf("ip-10-0-%d-%d-k3v9x2ab", w/256, w%256), Host: fmt.Sprintf("ip-10-0-%d-%d", w/256, w%256), Slots: slots})
	}
	phase := func(name string, letter byte, n int) {
		start := func(i int) (task, attempt, worker string) {
			w := i / slots % workers
			return fmt.Sprintf("%s-%d", name, i), fmt.Sprintf("t52lz4gn.%c%d.1", letter, i), fmt.Sprintf("ip-10-0-%d-%d-k3v9x2ab", w/256, w%256)
		}
		for i := range n + workers*slots {
			if i < n {
				task, attempt, worker := start(i)
				l.Append(Event{Type: AttemptStarted, Task: task, Attempt: attempt, Worker: worker, Slot: i % slots})
			}
			if j := i - workers*slots; j >= 0 {
				task, attempt, worker := start(j)
				h := int64(j) * 2654435761 % 1_000_003
				work := Work{
					Seconds: float64(h) / 77777, Records: 500_000 + h, Bytes: 64<<20 - h%1000, WroteRecords: 30_000 + h%9973, WroteBytes: 400_000 + h%99991,
				}
				work.S3 = &object.Traffic{Requests: map[string]int64{"GetObject": 9 + h%2, "PutObject": 2 + h%3}, Sent: 200_000 + h%9973, Received: 64<<20 - h%99991}
				work.WaitSeconds = float64(h/7777) / 1000 // as records have it
				if letter == 'm' {
					work.Emitted = 9_000_000 + 7*h
					success.Emitted += work.Emitted
					success.Input.Records, success.Input.Bytes = success.Input.Records+work.Records, success.Input.Bytes+work.Bytes
					success.Shuffled.Records, success.Shuffled.Bytes = success.Shuffled.Records+work.WroteRecords, success.Shuffled.Bytes+work.WroteBytes
				} else {
					success.Read.Records, success.Read.Bytes = success.Read.Records+work.Records, success.Read.Bytes+work.Bytes
					success.Outputs = append(success.Outputs, manifest.Output{Attempt: attempt, Lines: work.WroteRecords, Size: work.WroteBytes})
				}
				l.Append(Event{Type: AttemptEnded, Task: task, Attempt: attempt, Worker: worker, Outcome: committed, Work: work})
			}
			step()
		}
		l.Append(Event{Type: PhaseDone, Phase: name})
	}
	phase("map", 'm', n)
	phase("reduce", 'r', reduces)
	l.Append(Event{Type: JobDone, Totals: &Totals{}})
	l.Close(t.Context(), time.Hour)
	took := time.Since(began) - writing

	size, segments := 0, len(s.objects)
	for _, data := range s.objects {
		size += len(data)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began = time.Now()
	used := processorTime(t)
	var state State
	events := 0
	if err := NewReader(s, lay, "j").Read(t.Context(), func(e Entry) error { events++; state.Apply(e); return nil }); err != nil {
		t.Fatal(err)
	}
	loaded, used := time.Since(began), processorTime(t)-used
	runtime.GC()
	runtime.ReadMemStats(&after)
	if lacks, differs := state.Missing(), state.Differences(&success); len(lacks)+len(differs) > 0 {
		t.Errorf("%q, %q", lacks, differs)
	}
	each := func(n int) float64 { return float64(n) / float64(*scaleTasks+reduces) }
	t.Logf("%d tasks: %d events, %d bytes of lines in %d segments of %d bytes: %.0f and %.1f bytes for a task; taking them %v on the loop, loading %v and %v of processor time, state %d MiB",
		n+reduces, events, l.bytes, segments, size, each(int(l.bytes)), each(size), took.Round(time.Millisecond), loaded.Round(time.Millisecond), used.Round(time.Millisecond), (after.HeapAlloc-before.HeapAlloc)>>20)
	if each(size) > 100 {
		t.Errorf("%.1f bytes for a task", each(size))
	}
	runtime.KeepAlive(&state)
}
