package coordinator

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/wire"
)

func TestJob(t *testing.T) {
	b := newFixture(t, 3)
	s := b.start(nil)
	w := s.join("w", 1)
	parked := s.join("idle", 1)
	w.work(3 + 2)
	if d := w.told(); d.Failure != "" {
		t.Errorf("told %q", d.Failure)
	}
	parked.told()
	got := s.succeeds()
	if got.Map.Tasks != 3 || got.Map.Granted != 3 || got.Reduce.Granted != 2 || got.Emitted != 6 || got.Keys != 2 || got.Counters["n"] != 3 || got.Shuffled != got.Read {
		t.Errorf("summary: %+v", got)
	}
	data, _ := b.store.data(b.lay.Success())
	stored, err := manifest.Decode[manifest.Success]([]byte(data), manifest.SuccessSchema)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(got, stored); d != "" {
		t.Errorf("_SUCCESS differs from what Run returned:\n%s", d)
	}
}

func TestPreflightRefuses(t *testing.T) {
	b := newFixture(t, 1)
	b.store.preflight = object.ErrUnsafe
	s := b.start(nil)
	s.ends()
	if !errors.Is(s.err, object.ErrUnsafe) {
		t.Errorf("Run: %v", s.err)
	}
	if len(b.store.puts) > 0 {
		t.Errorf("it wrote %v", b.store.puts)
	}
	s = b.start(func(o *Options) { o.Unsafe = true })
	s.join("w", 1).work(3)
	s.succeeds()
}

func TestNoInput(t *testing.T) {
	b := newFixture(t, 0)
	s := b.start(nil)
	s.ends()
	if !errors.Is(s.err, ErrNoInput) || !strings.Contains(s.err.Error(), "s3://bucket/p/input/") {
		t.Errorf("Run: %v", s.err)
	}
	s = b.start(func(o *Options) { o.AllowEmpty = true })
	s.join("w", 1).work(2)
	if got := s.succeeds(); got.Map.Tasks != 0 || len(got.Outputs) != 2 {
		t.Errorf("summary %+v", got)
	}
}

// TestStopWithParkedQuestions: a signal while workers wait for work must not
// wait for them.
func TestStopWithParkedQuestions(t *testing.T) {
	b := newFixture(t, 1)
	s := b.start(nil)
	busy := s.join("busy", 1)
	busy.granted()
	idle := s.join("idle", 1)
	answered := make(chan error, 1)
	go func() {
		_, err := s.conn.Poll(t.Context(), idle.next())
		answered <- err
	}()
	s.until("the poll waits", func(l *loop) bool { return len(l.waiting) == 1 })
	s.kill()
	if !errors.Is(s.err, errKilled) {
		t.Errorf("Run: %v, want the cause of the context", s.err)
	}
	if err := <-answered; !wire.IsUnreachable(err) {
		t.Errorf("the parked poll was answered with %v", err)
	}
}

// TestWorkersHearOfFailure: the failure reaches a worker that waits, one that
// is at work, and one that comes too late.
func TestWorkersHearOfFailure(t *testing.T) {
	b := newFixture(t, 2)
	s := b.start(nil)
	bad, busy := s.join("bad", 1), s.join("busy", 1)
	a, running := bad.granted(), busy.granted()
	waiting := s.join("waiting", 1)
	told := make(chan *wire.Done, 1)
	go func() { told <- waiting.told() }()
	s.until("the poll waits", func(l *loop) bool { return len(l.waiting) == 1 })
	late := s.join("late", 1)
	b.store.set(b.lay.Input("in-0"), []byte("y"), nil)
	bad.report(a, func(q *wire.ReportRequest) {
		failed("in-0 changed\x1b[31m")(q)
		q.Fatal, q.Object = true, b.lay.Input("in-0")
	})
	s.until("it is over", func(l *loop) bool { return l.final != nil })
	want := "map task 0: on worker bad: in-0 changed\\x1b[31m"
	for who, d := range map[string]*wire.Done{
		"waiting": <-told, "late": late.told(), "busy": busy.heartbeat(running).Done, "bad": bad.heartbeat().Done,
	} {
		if d == nil || d.Failure != "job failed: "+want {
			t.Errorf("worker %s was told %v", who, d)
		}
	}
	s.ends()
	var job *JobError
	if !errors.As(s.err, &job) || job.Cause != want || !job.Input {
		t.Errorf("Run: %v", s.err)
	}
}

// TestLingersForTheLate: the coordinator stays until a worker that is busy
// has heard of the end, and no longer than a lease for one that is silent.
func TestLingersForTheLate(t *testing.T) {
	b := newFixture(t, 1)
	s := b.start(nil)
	w, slow := s.join("w", 1), s.join("slow", 1)
	w.work(3)
	w.told()
	select {
	case <-s.done:
		t.Fatal("it did not wait for the other worker")
	default:
	}
	if d := slow.heartbeat().Done; d == nil {
		t.Error("a heartbeat after the end does not tell of it")
	}
	s.succeeds()

	b = newFixture(t, 1)
	s = b.start(func(o *Options) { o.Lease = 300 * time.Millisecond })
	s.join("dead", 1)
	s.join("w", 1).work(3)
	s.returns()
	if s.err != nil {
		t.Error(s.err)
	}
}

// TestResume: a coordinator that comes after another reruns nothing that is
// committed, in either phase, and finishes by itself what only lacks _SUCCESS.
func TestResume(t *testing.T) {
	for done := range 6 {
		t.Run(fmt.Sprint(done), func(t *testing.T) {
			b := newFixture(t, 3)
			s := b.start(nil)
			w := s.join("w", 1)
			w.work(min(done, 4))
			if done == 5 { // the last output is there and nobody has said so
				b.commit(w.granted())
			}
			s.kill()
			s = b.start(nil)
			if done < 5 {
				s.join("w2", 1).work(5 - done)
			}
			got := s.succeeds()
			maps, reduces := min(done, 3), max(0, done-3)
			if got.Map.Reused != maps || got.Reduce.Reused != reduces || got.Map.Granted != 3-maps || got.Reduce.Granted != 2-reduces {
				t.Errorf("map %+v reduce %+v", got.Map, got.Reduce)
			}
			if got.Map.CommittedRerun+got.Reduce.CommittedRerun != 0 {
				t.Error("a committed task was run again")
			}
		})
	}
}

// TestCommittedTaskRunAgain: if a store's listing hides a commit, the task is
// run again, the first commit stands, and _SUCCESS says so.
func TestCommittedTaskRunAgain(t *testing.T) {
	b := newFixture(t, 2)
	s := b.start(nil)
	s.join("w", 1).work(1)
	s.kill()
	first, _ := b.store.data(b.lay.MapCommit(0))
	b.store.hidden = b.lay.MapCommit(0)
	s = b.start(nil)
	s.join("w2", 1).work(4)
	got := s.succeeds()
	if got.Map.Reused != 0 || got.Map.CommittedRerun != 1 || got.Reduce.CommittedRerun != 0 {
		t.Errorf("map %+v reduce %+v", got.Map, got.Reduce)
	}
	if now, _ := b.store.data(b.lay.MapCommit(0)); now != first {
		t.Error("the first commit was replaced")
	}
}

// TestAgainAfterSuccess: the same line on a job that is done tells of it, and
// changes nothing.
func TestAgainAfterSuccess(t *testing.T) {
	b := newFixture(t, 1)
	s := b.start(nil)
	s.join("w", 1).work(3)
	want := s.succeeds()
	before, _ := b.store.data(b.lay.Success())
	s = b.start(nil)
	got := s.succeeds()
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if after, _ := b.store.data(b.lay.Success()); after != before {
		t.Error("_SUCCESS was replaced")
	}
}

// TestOutdatedSummary: an output of a job that is done has been deleted. A coordinator that
// has no worker yet does not take the summary for the end of the job, and seals what is made
// again.
func TestOutdatedSummary(t *testing.T) {
	b := newFixture(t, 1)
	s := b.start(nil)
	s.join("w", 1).work(3)
	old := s.succeeds()
	b.store.harm(t, "deleted", b.lay.Output(0))
	var looks atomic.Int32
	b.store.mu.Lock()
	b.store.harmed[b.lay.Success()] = true
	b.store.faults = func(op, key string) fault {
		if op == "get" && key == b.lay.Success() {
			looks.Add(1)
		}
		return fine
	}
	b.store.mu.Unlock()
	var k clock
	again := b.start(func(o *Options) { o.Lease = 50 * time.Millisecond; k.set(o) })
	for looks.Load() < 3 { // the first one was when it planned the job
		select {
		case <-again.done:
			t.Fatalf("the job has ended: %v", again.err)
		default:
			runtime.Gosched()
		}
	}
	again.join("w", 1).work(1)
	if got := again.succeeds(); got.Seal == old.Seal || got.Job != old.Job || again.c.WasDone() {
		t.Errorf("done before: %t, seal %s, of the old summary %s", again.c.WasDone(), got.Seal, old.Seal)
	}
}

// TestEndsUnderAnother: a coordinator that was replaced finishes the job before
// it notices, and its workers leave. The one in its place has no worker and
// never will have; it has to find out by itself.
func TestEndsUnderAnother(t *testing.T) {
	b := newFixture(t, 1)
	first := b.start(func(o *Options) { o.Lease = time.Hour })
	w := first.join("w", 1)
	w.work(2)
	for readAnnouncement(b).Workers == 0 { // that is the last renewal for a long time
		runtime.Gosched()
	}
	second := b.start(func(o *Options) { o.Lease, o.TakeOver = 50*time.Millisecond, true })
	second.until("it has planned the job", func(l *loop) bool { return l.job != nil })
	w.work(1)
	w.told()
	want, got := first.succeeds(), second.succeeds()
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestLeaseEnds: the attempt of a worker that died is given to another; one
// that had committed without a word is found in the bucket.
func TestLeaseEnds(t *testing.T) {
	for _, committed := range []bool{false, true} {
		t.Run(fmt.Sprintf("committed=%v", committed), func(t *testing.T) {
			b := newFixture(t, 1)
			var k clock
			s := b.start(k.set)
			a := s.join("dead", 1).granted()
			if committed {
				b.commit(a)
			}
			w := s.join("w", 1)
			k.pass(s.c.o.Lease)
			next := w.granted()
			if (next.Phase == wire.Phase_PHASE_MAP) == committed {
				t.Fatalf("granted %v", next)
			}
			b.commit(next)
			w.report(next, nil)
			if committed {
				w.work(1)
			} else {
				w.work(2)
			}
			got := s.succeeds()
			lost := 1
			if committed {
				lost = 0
			}
			if got.Map.Lost != lost || got.Map.Granted != 1+lost || got.Map.Failed != 0 {
				t.Errorf("%+v", got.Map)
			}
		})
	}
}

// TestLeavesAfterCommit: a worker is stopped between its commit and its
// report, and leaves the coordinator.
func TestLeavesAfterCommit(t *testing.T) {
	b := newFixture(t, 1)
	s := b.start(nil)
	gone := s.join("gone", 1)
	b.commit(gone.granted())
	if _, err := s.conn.Leave(t.Context(), &wire.LeaveRequest{Worker: "gone", S3Requests: map[string]int64{"GetObject": 7}}); err != nil {
		t.Fatal(err)
	}
	s.join("w", 1).work(2)
	got := s.succeeds()
	if got.Map.Granted != 1 || got.Requests["GetObject"] != 7 {
		t.Errorf("%+v, requests %v", got.Map, got.Requests)
	}
}

// TestSeconds: a log shows a duration with its unit.
func TestSeconds(t *testing.T) {
	for d, want := range map[time.Duration]string{14 * time.Second: "14 s", 30240 * time.Millisecond: "30.2 s", 155 * time.Millisecond: "0.2 s", 2 * time.Minute: "120 s"} {
		if got := seconds(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

// TestForgetsTheSilent: a worker that died is no worker that a failed task
// could wait for.
func TestForgetsTheSilent(t *testing.T) {
	b := newFixture(t, 1)
	log := &lockedBuffer{}
	s := b.start(func(o *Options) { o.Lease, o.Log = 50*time.Millisecond, zerolog.New(log) })
	s.join("dead", 1)
	s.until("the silent worker is forgotten", func(l *loop) bool { return l.core.Stats().Workers == 0 })
	if !log.has("worker lost: no heartbeat for ") {
		t.Error("the log does not name the lost worker")
	}
	h := &fakeWorker{service: s, name: "dead"}
	if r := h.poll(h.next()); r.GetUnknown() == nil {
		t.Errorf("answered %v, not that it is unknown", r)
	}
	if r := h.heartbeat(); !r.Unknown {
		t.Errorf("its heartbeat was answered %v", r)
	}
}

// TestKeepsRunningAttempts: a worker goes on with its attempt under the next
// coordinator, but not with one of another job.
func TestKeepsRunningAttempts(t *testing.T) {
	for _, ours := range []bool{true, false} {
		t.Run(fmt.Sprintf("ours=%v", ours), func(t *testing.T) {
			b := newFixture(t, 1)
			s := b.start(nil)
			a := s.join("w", 1).granted()
			job := b.job()
			s.kill()
			if !ours {
				job = "wc-other"
			}
			for _, early := range []bool{false, true} { // before the job is prepared, and after
				s = b.start(func(o *Options) {
					if early {
						o.App = nil
					}
				})
				if !early {
					s.until("the job is prepared", func(l *loop) bool { return l.job != nil })
				}
				w := &fakeWorker{service: s, name: "w"}
				if _, err := w.register(wc(), 1, job, a); err != nil {
					t.Fatal(err)
				}
				adopted := false
				s.until("the job is prepared", func(l *loop) bool {
					if l.job == nil {
						return false
					}
					_, _, adopted = l.core.Attempt(sched.AttemptID(a.Id))
					return true
				})
				if adopted != ours {
					t.Errorf("early %v: adopted is %v", early, adopted)
				}
				revoked := w.heartbeat(a).Revoked
				if (len(revoked) > 0) == ours {
					t.Errorf("early %v: revoked %v", early, revoked)
				}
				s.kill()
			}
		})
	}
}

// TestStatus shows the numbers that people see.
func TestStatus(t *testing.T) {
	b := newFixture(t, 2)
	s := b.start(func(o *Options) { o.App = nil })
	ask := func() *wire.StatusReply {
		r, err := s.conn.Status(t.Context(), &wire.StatusRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := ask(); !strings.HasPrefix(r.State, "waiting") {
		t.Errorf("%v", r)
	}
	w := s.join("w", 1)
	w.work(1)
	w.granted()
	if r := ask(); r.State != "map" || r.Map.Tasks != 2 || r.Map.Done != 1 || r.Map.Running != 1 || r.Workers["busy"] != 1 || r.App != "wc" {
		t.Errorf("%v", r)
	}
}

// TestSealsRanges: key ranges, which workers have made, are sealed as they lie
// in the bucket, and what is no key ranges of the job is not.
func TestSealsRanges(t *testing.T) {
	for name, other := range map[string]string{"": "", "another job's": "wc-01", "of a job without ranges": "-"} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t, 1)
			s := b.start(func(o *Options) { o.App.Ordered = other != "-" })
			w := s.join("w", 1)
			s.until("the job is prepared", func(l *loop) bool { return l.job != nil })
			id := b.job()
			if other != "" {
				id = other
			}
			b.put(b.lay.Ranges(), manifest.Ranges{Schema: manifest.RangesSchema, Job: id, Bounds: [][]byte{{'m'}}}, nil)
			w.work(3)
			switch other {
			case "":
				if got := s.succeeds(); got.Sealed.Ranges == "" {
					t.Error("the key ranges are not sealed")
				}
			case "-":
				s.ends()
				if s.err != nil || s.result.Sealed.Ranges != "" {
					t.Errorf("the job ends with %v", s.err)
				}
			default:
				s.ends()
				var failed *JobError
				if !errors.As(s.err, &failed) || !strings.Contains(s.err.Error(), b.lay.Ranges()) {
					t.Errorf("the job ends with %v", s.err)
				}
			}
		})
	}
}
