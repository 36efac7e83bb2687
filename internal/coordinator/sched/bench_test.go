package sched

import (
	"fmt"
	"runtime"
	"strconv"
	"testing"
	"time"
)

// BenchmarkAssign measures one task's life: the question, the grant, a
// heartbeat and the commit, with all slots of all workers busy.
func BenchmarkAssign(b *testing.B) {
	for _, size := range []struct{ tasks, workers int }{{1_000, 10}, {100_000, 1_000}, {1_000_000, 10_000}} {
		b.Run(fmt.Sprintf("tasks=%d/workers=%d", size.tasks, size.workers), func(b *testing.B) {
			b.ReportAllocs()
			l := newLoad(size.tasks, size.workers)
			for b.Loop() {
				if !l.step() {
					b.StopTimer()
					l = newLoad(size.tasks, size.workers)
					b.StartTimer()
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "assignments/s")
		})
	}
}

// TestMemory holds the core to less than 1 KB per task, every task granted
// and committed, and a tenth of them running.
func TestMemory(t *testing.T) {
	const tasks = 50_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	l := newLoad(tasks, tasks/10)
	for l.step() {
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	per := (after.HeapAlloc - before.HeapAlloc) / tasks
	t.Logf("%d bytes per task", per)
	if per >= 1024 {
		t.Errorf("%d bytes per task, want < 1024", per)
	}
	runtime.KeepAlive(l)
}

// load keeps every worker's one slot busy.
type load struct {
	core    *Core
	workers []WorkerID
	running []Running
	seq     []uint64
	next    int
	now     Time
	beat    [1]AttemptID
}

func newLoad(tasks, workers int) *load {
	l := &load{
		core:    New(Config{Maps: tasks, Reduces: 1, Epoch: "01jd9z6t3m"}),
		workers: make([]WorkerID, workers), running: make([]Running, workers), seq: make([]uint64, workers),
	}
	for i := range l.workers {
		l.workers[i] = WorkerID("w" + strconv.Itoa(i))
		l.core.Step(0, Register{Worker: l.workers[i], Slots: 1})
	}
	return l
}

// step ends what the next worker runs and gives it something new; false when
// the maps are through.
func (l *load) step() bool {
	i := l.next
	l.next = (i + 1) % len(l.workers)
	l.now += Time(time.Microsecond)
	w := l.workers[i]
	if r := l.running[i]; r.Attempt != "" {
		l.beat[0] = r.Attempt
		l.core.Step(l.now, Heartbeat{Worker: w, Running: l.beat[:]})
		l.core.Step(l.now, Committed{Task: r.Task, Attempt: r.Attempt})
	}
	l.seq[i]++
	for _, e := range l.core.Step(l.now, Ask{w, 0, l.seq[i]}) {
		if g, ok := e.(Grant); ok && g.Task.Phase == 0 {
			l.running[i] = Running{g.Task, g.Attempt}
			return true
		}
	}
	return false
}

// BenchmarkBadHost measures the same with tasks that failed piling up in
// front of the worker on which they failed.
func BenchmarkBadHost(b *testing.B) {
	const tasks = 100_000
	bad, good := WorkerID("bad"), WorkerID("good")
	var c *Core
	left := 0
	var seq uint64
	for b.Loop() {
		if left == 0 {
			b.StopTimer()
			c = New(Config{Maps: tasks, Reduces: 1, Epoch: "e"})
			c.Step(0, Register{Worker: bad, Slots: 1})
			c.Step(0, Register{Worker: good, Slots: 1})
			left, seq = tasks, 0
			b.StartTimer()
		}
		left--
		seq++
		for _, e := range c.Step(Time(seq), Ask{bad, 0, seq}) {
			if g, ok := e.(Grant); ok {
				c.Step(Time(seq), Failed{Worker: bad, Attempt: g.Attempt, Cause: "disk"})
			}
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "assignments/s")
}
