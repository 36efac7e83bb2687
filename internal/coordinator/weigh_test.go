package coordinator

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/mr"
)

func TestWeights(t *testing.T) {
	w := newWeights(&manifest.Job{
		Spec:    manifest.Spec{Input: manifest.Choice{Name: manifest.Lines}},
		NReduce: 2, Objects: []manifest.Object{{}, {Compression: manifest.Gzip}},
		Tasks: [][]manifest.Piece{{{Length: 60}, {Object: 1, Length: 5}}, nil},
	})
	w.add(&manifest.Map{Parts: []manifest.Part{{Sum: recordio.Sum{Bytes: 5}}, {Sum: recordio.Sum{Bytes: 10}}}})
	w.add(&manifest.Map{Parts: []manifest.Part{{Sum: recordio.Sum{Bytes: 5}}, {}}})
	if d := cmp.Diff(weights{maps: []int64{100, 0}, reduces: []int64{10, 10}, stored: []int64{65, 0}}, w, cmp.AllowUnexported(weights{})); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	reduce := wire.Phase_PHASE_REDUCE
	for _, tt := range []struct {
		p    *wire.Progress
		want float64
	}{
		{nil, 0},
		{&wire.Progress{Attempt: &wire.Attempt{}, Bytes: 25}, 0.25},
		{&wire.Progress{Attempt: &wire.Attempt{}, Bytes: 250}, 1},
		{&wire.Progress{Attempt: &wire.Attempt{}, Bytes: -1}, 0},
		{&wire.Progress{Attempt: &wire.Attempt{Task: 1}, Bytes: 1}, 0},
		{&wire.Progress{Attempt: &wire.Attempt{Task: 2}, Bytes: 1}, 0},
		{&wire.Progress{Attempt: &wire.Attempt{Task: -1}, Bytes: 1}, 0},
		{&wire.Progress{Attempt: &wire.Attempt{Phase: reduce, Task: 1}, Bytes: 5}, 0.5},
	} {
		if got := w.progress(tt.p); got != tt.want {
			t.Errorf("progress of %v is %v, want %v", tt.p, got, tt.want)
		}
	}
}

// TestBytesRead: what people are shown are bytes of the bucket in a map task, all of those
// that are committed, and of the others as much as their attempts have told.
func TestBytesRead(t *testing.T) {
	job := &manifest.Job{
		Spec:    manifest.Spec{Input: manifest.Choice{Name: manifest.Lines}},
		Objects: []manifest.Object{{Compression: manifest.Gzip}},
		Tasks:   [][]manifest.Piece{{{Length: 50}}, {{Length: 30}}, {{Length: 20}}},
	}
	for _, nreduce := range []int{0, 2} {
		job.NReduce = nreduce
		w, phase := newWeights(job), mr.MapPhase
		if nreduce == 0 {
			phase = mr.ReducePhase
		}
		var got wire.Reading
		for i := range job.Tasks {
			w.count(&got, sched.TaskID{Phase: phase, Index: i}, i == 0, map[sched.TaskID]float64{{Phase: phase, Index: 1}: 0.5})
		}
		if got.Total != 100 || got.Done != 65 {
			t.Errorf("%d reduces: %d of %d bytes", nreduce, got.Done, got.Total)
		}
	}
	var none wire.Reading // a job without input has reduce tasks and no map task
	for i := range 2 {
		newWeights(&manifest.Job{NReduce: 2}).count(&none, sched.TaskID{Phase: mr.ReducePhase, Index: i}, true, nil)
	}
	if none.Total != 0 {
		t.Errorf("%d bytes of no input", none.Total)
	}
	w := newWeights(job)
	w.add(&manifest.Map{Parts: []manifest.Part{{Sum: recordio.Sum{Bytes: 5}}, {Sum: recordio.Sum{Bytes: 10}}}})
	var got wire.Reading
	for i := range 2 {
		w.count(&got, sched.TaskID{Phase: mr.ReducePhase, Index: i}, i == 0, map[sched.TaskID]float64{{Phase: mr.ReducePhase, Index: 1}: 0.5})
	}
	if got.Total != 15 || got.Done != 10 {
		t.Errorf("%d of %d shuffled bytes", got.Done, got.Total)
	}
}

func TestTook(t *testing.T) {
	for seconds, want := range map[float64]time.Duration{
		1.5: 1500 * time.Millisecond, 0: 0, -1: 0, math.Inf(-1): 0, math.Inf(1): mostSeconds * time.Second,
	} {
		if got := took(seconds); got != want {
			t.Errorf("took(%v) = %v, want %v", seconds, got, want)
		}
	}
	if got := took(math.NaN()); got != 0 {
		t.Errorf("not a number of seconds is %v", got)
	}
}

// TestSpeculativeAttempt: a task that lags is run a second time, and who loses has not
// failed.
func TestSpeculativeAttempt(t *testing.T) {
	b := newFixture(t, 0)
	for _, name := range []string{"a", "b", "c"} {
		b.store.set(b.lay.Input(name), bytes.Repeat([]byte("x\n"), 50_000), nil)
	}
	var k clock
	s := b.start(func(o *Options) {
		o.Speculate = true
		k.set(o)
	})
	slow, fast := s.join("slow", 1), s.join("fast", 1)
	lost := slow.granted()
	for range 2 {
		a := fast.granted()
		k.pass(time.Second)
		b.commit(a)
		fast.report(a, nil)
	}
	k.pass(4 * time.Second) // no second heartbeat is left out yet
	q := &wire.HeartbeatRequest{Worker: "slow", Running: []*wire.Progress{{Attempt: lost, Bytes: 1}}}
	if _, err := s.conn.Heartbeat(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	won := fast.granted()
	if won.Task != lost.Task || won.Id == lost.Id {
		t.Fatalf("granted %v beside %v, want a speculative attempt beside it", won, lost)
	}
	b.commit(won)
	fast.report(won, nil)
	if r := slow.heartbeat(lost); !slices.Contains(r.Revoked, lost.Id) {
		t.Errorf("the loser hears of %v, want %s", r.Revoked, lost.Id)
	}
	slow.report(lost, failed("cancelled"))
	fast.work(2)
	got := s.succeeds().Map
	if got.Granted != 4 || got.Superseded != 1 || got.Failed != 0 || got.Lost != 0 {
		t.Errorf("%+v", got)
	}
}

// TestNoSpeculativeAttemptWhereItWouldShow: an app whose attempts have effects of their
// own has no task run twice only because it lags.
func TestNoSpeculativeAttemptWhereItWouldShow(t *testing.T) {
	for _, effects := range []bool{false, true} {
		l := newLoop(Options{Speculate: true}, "e")
		l.job = &manifest.Job{Spec: *wire.DescribeApp(mr.App{Name: "a", SideEffects: effects}, nil).Spec(nil)}
		if got := l.speculates(); got == effects {
			t.Errorf("side effects %v: speculates %v", effects, got)
		}
	}
}

// TestBadWorker: one task after the other fails on a worker, so it gets no
// more, and the job goes on without it.
func TestBadWorker(t *testing.T) {
	b := newFixture(t, 5)
	s := b.start(nil)
	bad, good := s.join("bad", 1), s.join("good", 1)
	for range 3 {
		bad.report(bad.granted(), failed("no space left"))
	}
	q := bad.next()
	q.MaxWaitMs = 1
	if r := bad.poll(q); r.GetWait() == nil {
		t.Errorf("after three failures: %v", r)
	}
	s.until("the worker is excluded", func(l *loop) bool { return l.counters.Exclusions == 1 })
	good.work(7)
	if got := s.succeeds().Map; got.Failed != 3 || got.Granted != 8 {
		t.Errorf("%+v", got)
	}
}

// TestMonotonic: the time that the scheduler is told is measured on the
// monotonic clock, so that a jump of the wall clock ends no lease.
func TestMonotonic(t *testing.T) {
	c := New(Options{})
	if !strings.Contains(c.start.String(), " m=") {
		t.Errorf("%v has no monotonic reading", c.start)
	}
	if now := c.now(); now < 0 || now > sched.Time(patience) {
		t.Errorf("now is %v", now)
	}
}
