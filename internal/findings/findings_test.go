package findings

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/mraws/mraws/internal/events"
	"github.com/mraws/mraws/internal/manifest"
)

// made is a made-up log. Times are seconds since its first event.
type made struct {
	t     *testing.T
	state events.State
	seq   int64
	epoch string
	job   *manifest.Job
	began map[string]float64
}

// newMade returns the log of a job with a map task for each of sizes, and so many
// reduce tasks, whose workers have one slot each and are there from its start.
func newMade(t *testing.T, sizes []int64, reduces int, workers ...string) *made {
	m := &made{t: t, epoch: "e", began: map[string]float64{}, job: &manifest.Job{NReduce: reduces, SplitSize: 64 << 20}}
	m.job.Input.Name = "lines"
	for i, size := range sizes {
		m.job.Objects = append(m.job.Objects, manifest.Object{Name: fmt.Sprintf("in-%d", i), Size: size})
		m.job.Tasks = append(m.job.Tasks, []manifest.Piece{{Object: i, Length: size}})
	}
	m.add(0, events.Event{Type: events.CoordinatorStarted})
	m.add(0, events.Event{Type: events.JobPlanned, Maps: len(sizes), Reduces: reduces})
	for _, w := range workers {
		m.join(0, w)
	}
	return m
}

func (m *made) add(at float64, e events.Event) {
	m.seq++
	e.At = 1_000_000 + events.Time(math.Round(1000*at))
	m.state.Apply(events.Entry{Schema: events.Schema, Seq: m.seq, Job: "j", Coordinator: m.epoch, Event: e})
}

func (m *made) join(at float64, worker string) {
	m.add(at, events.Event{Type: events.WorkerJoined, Worker: worker, Host: "host-" + worker, Slots: 1})
}

func attemptOf(task, worker string) string { return task + "@" + worker }

func (m *made) start(at float64, task, worker string) {
	m.began[attemptOf(task, worker)] = at
	m.add(at, events.Event{Type: events.AttemptStarted, Task: task, Attempt: attemptOf(task, worker), Worker: worker})
}

func (m *made) end(at float64, task, worker, outcome string, w events.Work) {
	e := events.Event{Type: events.AttemptEnded, Task: task, Attempt: attemptOf(task, worker), Worker: worker, Outcome: outcome}
	if outcome == committed {
		w.Seconds = at - m.began[attemptOf(task, worker)] - 0.01 // the report takes the rest
		e.Work = w
	} else {
		e.Cause = "because"
	}
	m.add(at, e)
}

// ran is an attempt, in the order of its ends.
type ran struct {
	task, worker string
	start, end   float64
	work         events.Work
}

// play tells of attempts that committed, in the order of time.
func (m *made) play(all ...ran) {
	type moment struct {
		at   float64
		tell func()
	}
	var list []moment
	for _, r := range all {
		list = append(list,
			moment{r.start, func() { m.start(r.start, r.task, r.worker) }},
			moment{r.end, func() { m.end(r.end, r.task, r.worker, committed, r.work) }})
	}
	slices.SortStableFunc(list, func(a, b moment) int {
		if a.at < b.at {
			return -1
		}
		if a.at > b.at {
			return 1
		}
		return 0
	})
	for _, l := range list {
		l.tell()
	}
}

// phase plays a phase of tasks that take so many seconds each, in turn on the workers.
func (m *made) phase(name string, at, each float64, tasks int, work events.Work, workers ...string) (end float64) {
	free := make([]float64, len(workers))
	for i := range free {
		free[i] = at
	}
	var all []ran
	for i := range tasks {
		w := i % len(workers)
		all = append(all, ran{fmt.Sprintf("%s-%d", name, i), workers[w], free[w], free[w] + each, work})
		free[w] += each
		end = max(end, free[w])
	}
	m.play(all...)
	m.done(end, name)
	return end
}

func (m *made) done(at float64, phase string) {
	m.add(at, events.Event{Type: events.PhaseDone, Phase: phase})
}

func (m *made) over(at float64) {
	m.add(at, events.Event{Type: events.JobDone, Totals: &events.Totals{}})
}

// finds wants the causes, the costliest first, and returns the first finding.
func (m *made) finds(causes ...Cause) Finding {
	m.t.Helper()
	r := Of(&m.state, m.job)
	var got []Cause
	for _, f := range r.Findings {
		got = append(got, f.Cause)
		if f.Seconds < 0 || f.Share < 0 || f.Share > 1 || math.IsNaN(f.Share) {
			m.t.Errorf("%s costs %g s, %g of the job", f.Cause, f.Seconds, f.Share)
		}
	}
	if !slices.Equal(got, causes) {
		m.t.Fatalf("found %v, want %v:\n%+v", got, causes, r.Findings)
	}
	if len(r.Findings) == 0 {
		return Finding{}
	}
	return r.Findings[0]
}

// costs wants a finding to cost so many seconds, more or less.
func costs(t *testing.T, f Finding, want float64) {
	t.Helper()
	if f.Seconds < 0.9*want || f.Seconds > 1.1*want {
		t.Errorf("%s costs %g s, want about %g", f.Cause, f.Seconds, want)
	}
}

func sized(n int, size int64) []int64 { return slices.Repeat([]int64{size}, n) }

var mapped = events.Work{Records: 10, Bytes: 8 << 20, WroteBytes: 4 << 20}

// TestHealthy: nothing is found in a job that has nothing, also where the times of its
// tasks differ somewhat, where it runs on one slot, and while it runs.
func TestHealthy(t *testing.T) {
	m := newMade(t, sized(20, 8<<20), 10, "a", "b")
	at := m.phase("map", 0.1, 2, 20, mapped, "a", "b")
	end := m.phase("reduce", at, 1, 10, mapped, "a", "b")
	m.over(end)
	m.finds()

	m = newMade(t, sized(20, 8<<20), 4, "a", "b")
	var all []ran
	free := map[string]float64{"a": 0, "b": 0}
	for i := range 20 {
		w := []string{"a", "b"}[i%2]
		took := 2 + float64(i*7%5)/5
		all = append(all, ran{fmt.Sprintf("map-%d", i), w, free[w], free[w] + took, mapped})
		free[w] += took
	}
	m.play(all...)
	m.finds() // while it runs
	m.done(max(free["a"], free["b"]), "map")
	m.over(m.phase("reduce", max(free["a"], free["b"]), 2, 4, mapped, "a", "b"))
	m.finds()

	m = newMade(t, []int64{1 << 20, 64 << 20}, 1, "a")
	m.play(ran{"map-0", "a", 0, 1, events.Work{Bytes: 1 << 20}}, ran{"map-1", "a", 1, 60, events.Work{Bytes: 64 << 20}})
	m.done(60, "map")
	m.over(m.phase("reduce", 60, 30, 1, mapped, "a"))
	m.finds()

	m = newMade(t, sized(4, 8<<20), 1)
	m.finds() // nothing has happened yet
}

// TestSkew: one reduce task has nearly all to read, of one key.
func TestSkew(t *testing.T) {
	m := newMade(t, sized(8, 8<<20), 4, "a", "b")
	at := m.phase("map", 0, 2, 8, mapped, "a", "b")
	part := func(bytes int64) events.Work { return events.Work{Bytes: bytes} }
	hot := part(90 << 20)
	hot.Key, hot.KeyBytes = `"the"`, 88<<20
	m.play(ran{"reduce-0", "a", at, at + 1, part(1 << 20)}, ran{"reduce-1", "b", at, at + 31, hot},
		ran{"reduce-2", "a", at + 1, at + 2, part(1 << 20)}, ran{"reduce-3", "a", at + 2, at + 3, part(1 << 20)})
	m.done(at+31, "reduce")
	m.over(at + 31)
	f := m.finds(Skew)
	costs(t, f, 31-34./4)
	if f.Task != "reduce-1" || f.Key != `"the"` || f.Bytes != 90<<20 || f.KeyBytes != 88<<20 || f.Phases[0] != "reduce" || f.Usual != 34./4 {
		t.Errorf("%+v", f)
	}
}

// TestSkewRuns: the same while the task runs, whose size the end of the map phase told.
func TestSkewRuns(t *testing.T) {
	m := newMade(t, sized(8, 8<<20), 4, "a", "b")
	at := m.phase("map", 0, 2, 8, mapped, "a", "b")
	m.state.Phases[0].Largest, m.state.Phases[0].Bytes = "reduce-1", 90<<20
	m.start(at, "reduce-1", "b")
	m.play(ran{"reduce-0", "a", at, at + 1, events.Work{Bytes: 1 << 20}}, ran{"reduce-2", "a", at + 1, at + 2, events.Work{Bytes: 1 << 20}},
		ran{"reduce-3", "a", at + 2, at + 3, events.Work{Bytes: 1 << 20}})
	m.add(at+30, events.Event{Type: events.WorkerChanged, Worker: "a", From: "ready", To: "ready"})
	if f := m.finds(Skew); !f.Running || f.Task != "reduce-1" || f.Key != "" {
		t.Errorf("%+v", f)
	}
}

// TestStraggler: the attempts on one worker take four times the usual time.
func TestStraggler(t *testing.T) {
	m := newMade(t, sized(10, 8<<20), 2, "a", "b")
	var all []ran
	for i := range 8 {
		all = append(all, ran{fmt.Sprintf("map-%d", i), "a", float64(i), float64(i + 1), mapped})
	}
	all = append(all, ran{"map-8", "b", 0, 5, mapped}, ran{"map-9", "b", 5, 15, mapped})
	m.play(all...)
	m.done(15, "map")
	m.over(m.phase("reduce", 15, 1, 2, mapped, "a", "b"))
	f := m.finds(Straggler)
	costs(t, f, 7) // it would have ended with map-7
	if f.Worker != "b" || f.Host != "host-b" || f.Task != "map-9" || f.Usual != 1 || f.Factor < 5 {
		t.Errorf("%+v", f)
	}

	// Speculation has hidden the end of it, and what it took is lost all the same.
	m = newMade(t, sized(10, 8<<20), 2, "a", "b")
	m.start(0, "map-9", "b")
	all = nil
	for i := range 9 {
		all = append(all, ran{fmt.Sprintf("map-%d", i), "a", float64(i), float64(i + 1), mapped})
	}
	m.play(append(all, ran{"map-9", "a", 9, 19, mapped})...)
	m.end(19, "map-9", "b", "superseded", events.Work{})
	m.done(19, "map")
	m.over(m.phase("reduce", 19, 1, 2, mapped, "a", "b"))
	if f := m.finds(Straggler); f.Task != "map-9" || f.Worker != "b" {
		t.Errorf("%+v", f)
	}
}

// TestLargeIsNoStraggler: a task that takes long since it is large is none, nor is an
// attempt that the store or a lack of memory held up.
func TestLargeIsNoStraggler(t *testing.T) {
	m := newMade(t, append(sized(8, 8<<20), 63<<20), 2, "a", "b")
	var all []ran
	for i := range 8 {
		all = append(all, ran{fmt.Sprintf("map-%d", i), "a", float64(i), float64(i + 1), mapped})
	}
	m.play(append(all, ran{"map-8", "b", 0, 8, events.Work{Bytes: 63 << 20}})...)
	m.done(8, "map")
	m.over(m.phase("reduce", 8, 1, 2, mapped, "a", "b"))
	m.finds()

	held := mapped
	held.Throttled, held.ThrottledSeconds = 9, 29
	m = newMade(t, sized(9, 8<<20), 2, "a", "b")
	m.play(append(all, ran{"map-8", "b", 0, 30, held})...)
	m.done(30, "map")
	m.over(m.phase("reduce", 30, 1, 2, mapped, "a", "b"))
	if f := m.finds(Throttling); f.Attempts != 1 || f.Replies != 9 || f.Held != 29 {
		t.Errorf("%+v", f)
	}
}

// TestIdleSlots: one object cannot be cut, and there are fewer tasks than slots.
func TestIdleSlots(t *testing.T) {
	m := newMade(t, append(sized(4, 8<<20), 300<<20), 2, "a", "b")
	m.job.Objects[4].Compression = manifest.Gzip
	m.play(ran{"map-0", "a", 0, 1, mapped}, ran{"map-1", "a", 1, 2, mapped}, ran{"map-2", "a", 2, 3, mapped}, ran{"map-3", "a", 3, 4, mapped},
		ran{"map-4", "b", 0, 40, events.Work{Bytes: 300 << 20}})
	m.done(40, "map")
	m.over(m.phase("reduce", 40, 1, 2, mapped, "a", "b"))
	f := m.finds(IdleSlots)
	costs(t, f, 18)
	if f.Object != "in-4" || f.Whole != "gzip" || f.Task != "map-4" || f.Slots != 2 || f.IdleSlots != 1 || f.Idle != 36 {
		t.Errorf("%+v", f)
	}

	m = newMade(t, sized(2, 8<<20), 1, "a", "b", "c", "d")
	m.play(ran{"map-0", "a", 0, 10, mapped}, ran{"map-1", "b", 0, 10, mapped})
	m.done(10, "map")
	m.over(m.phase("reduce", 10, 1, 1, mapped, "a"))
	f = m.finds(IdleSlots)
	costs(t, f, 5.75)
	if f.Object != "" || f.Tasks != 2 || f.Slots != 4 || f.IdleSlots != 2 {
		t.Errorf("%+v", f)
	}
}

// TestSmallObjects: a thousand objects of 1 KiB cost more round trips than work.
func TestSmallObjects(t *testing.T) {
	m := newMade(t, sized(1000, 1<<10), 2, "a", "b")
	w := events.Work{Bytes: 1 << 10}
	w.WaitSeconds, w.UploadSeconds = 0.03, 0.04
	at := m.phase("map", 0, 0.1, 1000, w, "a", "b")
	m.over(m.phase("reduce", at, 1, 2, mapped, "a", "b"))
	f := m.finds(SmallObjects)
	costs(t, f, 1000*0.08/2)
	if f.Objects != 1000 || f.Pieces != 1000 || f.Mean != 1<<10 || f.Each < 0.079 || f.Each > 0.081 {
		t.Errorf("%+v", f)
	}

	// The same objects in one task, which waits for one after the other.
	m = newMade(t, sized(1000, 1<<10), 2, "a", "b")
	all := []manifest.Piece{}
	for _, pieces := range m.job.Tasks {
		all = append(all, pieces...)
	}
	m.job.Tasks = [][]manifest.Piece{all}
	m.state.Map = m.state.Map[:1]
	w = events.Work{Bytes: 1000 << 10}
	w.WaitSeconds = 19
	m.play(ran{"map-0", "a", 0, 20, w})
	m.done(20, "map")
	m.over(m.phase("reduce", 20, 1, 2, mapped, "a", "b"))
	f = m.finds(SmallObjects, IdleSlots)
	costs(t, f, 19)
	if f.Pieces != 1000 || f.Tasks != 1 {
		t.Errorf("%+v", f)
	}

	// The same number of tasks that compute for as long is none of that.
	m = newMade(t, sized(1000, 1<<10), 2, "a", "b")
	at = m.phase("map", 0, 0.5, 1000, events.Work{Bytes: 1 << 10}, "a", "b")
	m.over(m.phase("reduce", at, 1, 2, mapped, "a", "b"))
	m.finds()
}

// TestThrottling: half of the time of all attempts is spent on waiting.
func TestThrottling(t *testing.T) {
	m := newMade(t, sized(10, 8<<20), 4, "a", "b")
	w := mapped
	w.Throttled, w.ThrottledSeconds = 3, 1
	at := m.phase("map", 0, 2, 10, w, "a", "b")
	m.over(m.phase("reduce", at, 2, 4, w, "a", "b"))
	f := m.finds(Throttling)
	costs(t, f, 7)
	if f.Replies != 42 || f.Attempts != 14 || f.Held != 14 || f.All != 28 || len(f.Phases) != 2 {
		t.Errorf("%+v", f)
	}
}

// TestSpills: the same of runs that are written to scratch.
func TestSpills(t *testing.T) {
	m := newMade(t, sized(10, 8<<20), 4, "a", "b")
	w := mapped
	w.Spills, w.SpilledBytes, w.SpillSeconds = 5, 100<<20, 1
	at := m.phase("map", 0, 2, 10, w, "a", "b")
	m.over(m.phase("reduce", at, 2, 4, mapped, "a", "b"))
	f := m.finds(Spills)
	costs(t, f, 5)
	if f.Spills != 50 || f.Spilled != 1000<<20 || f.Attempts != 10 || f.All != 20 {
		t.Errorf("%+v", f)
	}
}

// TestNoWorkers: the first worker comes late, and so does the second.
func TestNoWorkers(t *testing.T) {
	m := newMade(t, sized(10, 8<<20), 2)
	m.join(10, "a")
	m.play(ran{"map-0", "a", 10, 11, mapped}, ran{"map-1", "a", 11, 12, mapped})
	m.join(12, "b")
	var all []ran
	for i := range 8 {
		all = append(all, ran{fmt.Sprintf("map-%d", i+2), []string{"a", "b"}[i%2], 12 + float64(i/2), 13 + float64(i/2), mapped})
	}
	m.play(all...)
	m.done(16, "map")
	m.over(m.phase("reduce", 16, 1, 2, mapped, "a", "b"))
	f := m.finds(NoWorkers)
	costs(t, f, 10+2./2)
	if f.Slots != 2 || f.Idle != 10 {
		t.Errorf("%+v", f)
	}

	m = newMade(t, sized(10, 8<<20), 2)
	m.add(7, events.Event{Type: events.WorkerChanged, Worker: "x", From: "ready", To: "lost"})
	costs(t, m.finds(NoWorkers), 7)
}

// TestBlind: what happens between two coordinators is not known, and no slot is said to
// have had nothing to do then.
func TestBlind(t *testing.T) {
	m := newMade(t, sized(4, 8<<20), 1, "a", "b")
	m.play(ran{"map-0", "a", 0, 1, mapped}, ran{"map-1", "b", 0, 1, mapped})
	m.start(1, "map-2", "a")
	m.epoch = "f"
	m.add(31, events.Event{Type: events.CoordinatorStarted, From: "e", Cause: "expired"})
	m.join(31, "a")
	m.join(31, "b")
	m.play(ran{"map-2", "b", 31, 32, mapped}, ran{"map-3", "a", 31, 32, mapped})
	m.done(32, "map")
	m.over(m.phase("reduce", 32, 0.3, 1, mapped, "a"))
	m.finds()
	if r := Of(&m.state, m.job); r.Blind != 30 || !r.Over {
		t.Errorf("%+v", r)
	}
}

// TestFailedAttempts: an attempt fails late, and another is lost.
func TestFailedAttempts(t *testing.T) {
	m := newMade(t, sized(3, 8<<20), 1, "a", "b")
	m.start(0, "map-0", "a")
	m.start(0, "map-1", "b")
	m.end(9, "map-0", "a", "failed", events.Work{})
	m.end(10, "map-1", "b", committed, mapped)
	m.start(10, "map-0", "b")
	m.start(10, "map-2", "a")
	m.end(20, "map-2", "a", committed, mapped)
	m.end(20, "map-0", "b", committed, mapped)
	m.done(20, "map")
	m.over(m.phase("reduce", 20, 0.5, 1, mapped, "a"))
	f := m.finds(FailedAttempts)
	costs(t, f, 9./1.95)
	if f.Failed != 1 || f.Lost != 0 || f.Error != "because" || f.Held != 9 {
		t.Errorf("%+v", f)
	}
}

// TestRank: of several causes the costliest comes first.
func TestRank(t *testing.T) {
	m := newMade(t, sized(10, 8<<20), 4)
	m.join(8, "a")
	m.join(8, "b")
	w := mapped
	w.Throttled, w.ThrottledSeconds, w.Spills, w.SpillSeconds = 3, 0.5, 1, 1
	at := m.phase("map", 8, 2, 10, w, "a", "b")
	m.over(m.phase("reduce", at, 2, 4, mapped, "a", "b"))
	m.finds(NoWorkers, Spills, Throttling)
}
