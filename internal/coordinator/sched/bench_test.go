package sched

import (
	"fmt"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// BenchmarkJob plays whole jobs with 10,000 workers, of which all that have a
// task work at a time. A nanosecond of it is of CPU time, that of the garbage
// collector included, and a byte one that is in use at the end, besides those
// that 10,000 workers take without a job. `make bench` reads what it prints.
func BenchmarkJob(b *testing.B) {
	for _, tasks := range []int{1_000, 10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("tasks=%d", tasks), func(b *testing.B) {
			const workers = 10_000
			before := heap()
			idle := newLoad(0, workers)
			alone := heap() - before
			runtime.KeepAlive(idle)
			var spent, took time.Duration
			var bytes float64
			jobs := 0
			for b.Loop() {
				for n := 0; n < max(tasks, 100_000); n += tasks {
					before := heap()
					l := newLoad(tasks, workers)
					start, used := time.Now(), cpu()
					l.run()
					took, spent = took+time.Since(start), spent+cpu()-used
					bytes += max(0, float64(heap())-float64(before+alone))
					jobs++
					runtime.KeepAlive(l)
				}
			}
			all := float64(jobs) * float64(tasks)
			b.ReportMetric(float64(spent.Nanoseconds())/all, "cpu-ns/assignment")
			b.ReportMetric(all/took.Seconds(), "assignments/s")
			b.ReportMetric(bytes/all, "B/task")
		})
	}
}

// cpu returns the CPU time of the process.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestMemory holds the core to less than 1 KB per task, with all that is
// known of them at the end of a job.
func TestMemory(t *testing.T) {
	const tasks = 50_000
	before := heap()
	l := newLoad(tasks, 100)
	l.run()
	per := (heap() - before) / tasks
	t.Logf("%d bytes per task", per)
	if per >= 1024 {
		t.Errorf("%d bytes per task, want < 1024", per)
	}
	runtime.KeepAlive(l)
}

// heap returns the bytes that are in use.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// load is a job whose tasks all take a lease, so that each is polled for,
// granted, renewed by two heartbeats that tell its progress, reported and
// committed. A tenth of the tasks are reduces. The workers have one slot each,
// and their turns are spread evenly over the time. The core is told the time
// by a Tick whenever it wants one. Heartbeats of workers that run nothing are
// left out, as there are the more for each task the fewer tasks there are.
type load struct {
	core    *Core
	workers []WorkerID
	running []Running
	age     []int // heartbeats since the grant
	seq     []uint64
	now     Time
	beat    [1]AttemptID
	told    [1]float64
	stalled [1]time.Duration
	over    bool
}

// turns is the number of turns that a worker has in a lease.
const turns = 3

func newLoad(tasks, workers int) *load {
	l := &load{
		core: planned(Config{Epoch: "01jd9z6t3m"}, Planned{
			Maps: tasks - tasks/10, Reduces: tasks / 10, Speculate: true, Work: func(TaskID) int64 { return 64 << 20 },
		}),
		workers: make([]WorkerID, workers), running: make([]Running, workers), age: make([]int, workers), seq: make([]uint64, workers),
	}
	for i := range l.workers {
		l.workers[i] = WorkerID("worker-" + strconv.Itoa(i))
		l.step(Register{Worker: l.workers[i], Slots: 1})
	}
	if tasks > 0 {
		for i := range l.workers {
			l.poll(i)
		}
	}
	return l
}

// run plays the job to its end.
func (l *load) run() {
	gap := l.core.cfg.Lease / time.Duration(turns*len(l.workers))
	for i := 0; !l.over; i = (i + 1) % len(l.workers) {
		l.now += Time(gap)
		if at, ok := l.core.Next(); ok && at <= l.now {
			l.step(Tick{})
		}
		l.turn(i)
	}
}

// turn is a heartbeat of worker i, or the end of what it runs.
func (l *load) turn(i int) {
	r, w := l.running[i], l.workers[i]
	if r.Attempt == "" {
		return
	}
	if l.age[i]++; l.age[i] < turns {
		l.beat[0], l.told[0] = r.Attempt, float64(l.age[i])/turns
		l.step(Heartbeat{Worker: w, Running: l.beat[:], Progress: l.told[:], Stalled: l.stalled[:]})
		return
	}
	l.running[i] = Running{}
	l.step(Reported{Worker: w, Attempt: r.Attempt})
	l.step(Committed{Task: r.Task, Attempt: r.Attempt})
	l.poll(i)
}

func (l *load) poll(i int) {
	l.seq[i]++
	l.step(Poll{l.workers[i], 0, l.seq[i]})
}

func (l *load) step(ev Event) {
	for _, e := range l.core.Step(l.now, ev) {
		switch e := e.(type) {
		case Grant:
			i, _ := strconv.Atoi(string(e.Worker[len("worker-"):]))
			l.running[i], l.age[i] = Running{e.Task, e.Attempt}, 0
		case Revoke:
			i, _ := strconv.Atoi(string(e.Worker[len("worker-"):]))
			if l.running[i].Attempt == e.Attempt {
				l.running[i] = Running{}
				defer l.poll(i)
			}
		case JobDone:
			l.over = true
		}
	}
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
			c = planned(Config{Epoch: "e"}, Planned{Maps: tasks, Reduces: 1})
			c.Step(0, Register{Worker: bad, Slots: 1})
			c.Step(0, Register{Worker: good, Slots: 1})
			left, seq = tasks, 0
			b.StartTimer()
		}
		left--
		seq++
		for _, e := range c.Step(Time(seq), Poll{bad, 0, seq}) {
			if g, ok := e.(Grant); ok {
				c.Step(Time(seq), Failed{Worker: bad, Attempt: g.Attempt, Cause: "disk"})
			}
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "assignments/s")
}

// BenchmarkOutage measures a heartbeat of one of 10,000 workers while the
// store answers nobody and each tells that its requests stand still.
func BenchmarkOutage(b *testing.B) {
	l := newLoad(100_000, 10_000)
	l.now += Time(time.Second)
	l.stalled[0] = l.core.cfg.Stall
	for i := 0; b.Loop(); i = (i + 1) % len(l.workers) {
		l.beat[0] = l.running[i].Attempt
		l.core.Step(l.now, Heartbeat{Worker: l.workers[i], Running: l.beat[:], Stalled: l.stalled[:], WorkerStalled: l.stalled[0]})
	}
}
