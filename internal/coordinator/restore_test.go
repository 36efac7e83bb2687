package coordinator

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/wire"
)

// nearlyDone is a job of two maps and two reduces of which everything is done
// but one reduce, which its worker has.
func nearlyDone(b *fixture) (*service, *fakeWorker, *wire.Attempt) {
	b.t.Helper()
	s := b.start(nil)
	w := s.join("w", 1)
	w.work(3)
	return s, w, w.granted()
}

// lastStep commits and reports the last task.
func (h *fakeWorker) lastStep(a *wire.Attempt) {
	h.t.Helper()
	h.commit(a)
	h.report(a, nil)
}

// TestDeletedOutput: an output that somebody deletes while others are made is
// made again before the job is called done, by a worker that waits as by one
// that asks later.
func TestDeletedOutput(t *testing.T) {
	for _, parked := range []bool{true, false} {
		t.Run(fmt.Sprintf("parked %t", parked), func(t *testing.T) {
			b := newFixture(t, 2)
			s, w, a := nearlyDone(b)
			other := s.join("other", 1)
			b.store.harm(t, "deleted", b.lay.Output(int(1-a.Task)))
			granted := make(chan *wire.Attempt, 1)
			if parked {
				go func() { granted <- other.granted() }()
				s.until("the poll waits", func(l *loop) bool { return len(l.waiting) == 1 })
			}
			w.lastStep(a)
			if !parked {
				granted <- other.granted()
			}
			again := <-granted
			if again.Phase != wire.Phase_PHASE_REDUCE || again.Task != 1-a.Task {
				t.Fatalf("granted %v", again)
			}
			other.lastStep(again)
			got := s.succeeds()
			if got.Reduce.Granted != 3 || got.Reduce.Failed != 0 || got.Keys != 2 || got.Read != got.Shuffled {
				t.Errorf("%+v", got)
			}
			for r := range 2 {
				if _, there := b.store.data(b.lay.Output(r)); !there {
					t.Errorf("output %d is missing", r)
				}
			}
		})
	}
}

// TestOutputDeletedAgainAndAgain: the job does not make one output for ever.
func TestOutputDeletedAgainAndAgain(t *testing.T) {
	b := newFixture(t, 1)
	s := b.start(nil)
	w := s.join("w", 1)
	w.work(2)
	b.store.faults = func(op, key string) fault { // locked
		if op == "list" && key == b.lay.OutputDir() {
			delete(b.store.objects, b.lay.Output(0))
		}
		return fine
	}
	w.work(1 + maxRemade)
	s.ends()
	var failure *JobError
	if !errors.As(s.err, &failure) || !strings.Contains(failure.Cause, b.lay.Output(0)) {
		t.Errorf("Run: %v", s.err)
	}
	if _, there := b.store.data(b.lay.Success()); there {
		t.Error("_SUCCESS is there")
	}
}

// TestReplacedOutput: an output in whose place something else lies is named, and
// the job is not called done.
func TestReplacedOutput(t *testing.T) {
	for name, spoil := range map[string]func(*fixture, string){
		"by anything":       func(b *fixture, key string) { b.store.set(key, []byte("k 9\n"), nil) },
		"with its metadata": func(b *fixture, key string) { b.store.harm(b.t, "replaced", key) },
		"by a part of it":   func(b *fixture, key string) { b.store.harm(b.t, "cut", key) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t, 2)
			s, w, a := nearlyDone(b)
			key := b.lay.Output(int(1 - a.Task))
			spoil(b, key)
			w.lastStep(a)
			s.ends()
			var conflict *ConflictError
			if !errors.As(s.err, &conflict) || !strings.Contains(conflict.What, key) || conflict.Kind != DamagedOutput {
				t.Errorf("Run: %v", s.err)
			}
			if _, there := b.store.data(b.lay.Success()); there {
				t.Error("_SUCCESS is there")
			}
			// Once the object is deleted, its task runs again.
			b.store.remove(key)
			s = b.start(nil)
			s.join("w", 1).work(1)
			if got := s.succeeds(); got.Reduce.Reused != 1 {
				t.Errorf("%+v", got.Reduce)
			}
		})
	}
}

// TestControlObjectsPutBack: whatever is done to a control object while the job
// runs, the coordinator that has read it puts back the very bytes: at the end,
// or when a worker could not read it, who then gets its task again.
func TestControlObjectsPutBack(t *testing.T) {
	for _, how := range []string{"deleted", "replaced", "flipped", "cut"} {
		for _, told := range []bool{true, false} {
			if !told && how == "flipped" {
				continue // the listing shows nothing, and nobody reads it
			}
			t.Run(fmt.Sprintf("%s, told %t", how, told), func(t *testing.T) {
				b := newFixture(t, 2)
				s, w, a := nearlyDone(b)
				b.known = b.plan()
				done := strings.Replace(a.Id, fmt.Sprintf(".r%d.", a.Task), fmt.Sprintf(".r%d.", 1-a.Task), 1)
				keys := []string{b.lay.Job(), b.lay.MapCommit(0), b.lay.MapCommit(1), b.lay.ReduceAttempt(int(1-a.Task), done)}
				was := map[string]string{}
				for _, key := range keys {
					was[key], _ = b.store.data(key)
				}
				for _, key := range keys {
					b.store.harm(t, how, key)
					if !told {
						continue
					}
					w.report(a, func(q *wire.ReportRequest) {
						failed("cannot read " + key)(q)
						q.Object = key
					})
					if next := w.granted(); next.Task != a.Task || next.Phase != a.Phase || next.Id == a.Id {
						t.Fatalf("granted %v", next)
					} else {
						a = next
					}
					if now, _ := b.store.data(key); now != was[key] {
						t.Errorf("%s is %q, was %q", key, now, was[key])
					}
				}
				w.lastStep(a)
				if got := s.succeeds(); got.Reduce.Failed+got.Map.Failed != 0 || got.Map.Granted != 2 {
					t.Errorf("map %+v reduce %+v", got.Map, got.Reduce)
				}
				for key, data := range was {
					if now, _ := b.store.data(key); now != data || b.store.rotten[key] {
						t.Errorf("%s is %q, was %q", key, now, data)
					}
				}
			})
		}
	}
}

// TestManyDeletedAtOnce: one report puts back all that is missing.
func TestManyDeletedAtOnce(t *testing.T) {
	b := newFixture(t, 9)
	s := b.start(nil)
	w := s.join("w", 1)
	w.work(9)
	a := w.granted()
	for m := range 9 {
		b.store.harm(t, "deleted", b.lay.MapCommit(m))
	}
	w.report(a, func(q *wire.ReportRequest) {
		failed("no record")(q)
		q.Object = b.lay.MapCommit(4)
	})
	for m := range 9 {
		if _, there := b.store.data(b.lay.MapCommit(m)); !there {
			t.Errorf("the record of map task %d is not there", m)
		}
	}
	w.work(2)
	s.succeeds()
}

// TestRecordMadeAgain: in the place of a commit record that was deleted an
// attempt that comes late has put its own. If it speaks of equal records it
// will do, else the job fails and says why.
func TestRecordMadeAgain(t *testing.T) {
	for name, change := range map[string]func(*manifest.Map){
		"equal": func(*manifest.Map) {},
		"other": func(rec *manifest.Map) { rec.Parts[1].Hash = strings.Repeat("0", 64) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t, 1)
			s := b.start(nil)
			w := s.join("w", 1)
			w.work(1)
			a := w.granted()
			key := b.lay.MapCommit(0)
			data, _ := b.store.data(key)
			rec, err := manifest.Decode[manifest.Map]([]byte(data), manifest.MapSchema)
			if err != nil {
				t.Fatal(err)
			}
			b.store.harm(t, "deleted", key)
			rec.Attempt = "late.m0.9"
			change(rec)
			b.put(key, rec, nil)
			w.report(a, func(q *wire.ReportRequest) {
				failed("no record")(q)
				q.Object = key
			})
			if name == "equal" {
				w.work(2)
				s.succeeds()
				if now, _ := b.store.data(key); !strings.Contains(now, "late.m0.9") {
					t.Errorf("the record is %s", now)
				}
				return
			}
			s.ends()
			var failure *JobError
			if !errors.As(s.err, &failure) || !strings.Contains(failure.Cause, key) || !strings.Contains(failure.Cause, "the app is not deterministic") {
				t.Errorf("Run: %v", s.err)
			}
		})
	}
}

// TestLiarAboutRecords: a worker that says again and again that it cannot read
// what is there ends like one whose attempts fail.
func TestLiarAboutRecords(t *testing.T) {
	b := newFixture(t, 1)
	s := b.start(func(o *Options) { o.MaxLost = 2 })
	w := s.join("w", 1)
	w.work(1)
	for i := 0; ; i++ {
		if i > 4*2+4 {
			t.Fatal("the job goes on for ever")
		}
		r := w.poll(w.next())
		if r.GetDone() != nil {
			break
		}
		w.report(r.GetGrant(), func(q *wire.ReportRequest) {
			failed("no record")(q)
			q.Object = b.lay.MapCommit(0)
		})
	}
	s.ends()
	var failure *JobError
	if !errors.As(s.err, &failure) {
		t.Errorf("Run: %v", s.err)
	}
}

// TestRecordGoneBeforeTheLook: the record of an attempt that made an output is
// missing or damaged before any coordinator has read it. The task is granted
// again, to an attempt that writes the record anew.
func TestRecordGoneBeforeTheLook(t *testing.T) {
	for _, how := range []string{"deleted", "flipped", "replaced", "cut"} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restart %t", how, restart), func(t *testing.T) {
				b := newFixture(t, 1)
				s := b.start(nil)
				w := s.join("w", 1)
				w.work(2)
				a := w.granted()
				b.commit(a)
				b.store.harm(t, how, b.lay.ReduceAttempt(int(a.Task), a.Id))
				if restart {
					s.kill()
					s = b.start(nil)
					w = s.join("w2", 1)
				} else {
					w.report(a, nil)
				}
				again := w.granted()
				if again.Task != a.Task || again.Phase != a.Phase {
					t.Fatalf("granted %v", again)
				}
				delete(b.store.rotten, b.lay.ReduceAttempt(int(a.Task), a.Id))
				b.commitReduce(int(a.Task), a.Id) // as the worker does: the record of the output that is there
				w.report(again, nil)
				s.succeeds()
			})
		}
	}
}
