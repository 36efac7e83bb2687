package coordinator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/coordinator/lease"
	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/wire"
)

// TestStandbyAnswers: a standby tells where it belongs and that it is one, and
// nobody can join it.
func TestStandbyAnswers(t *testing.T) {
	b := newFixture(t, 1)
	first := b.start(nil)
	first.until("the job is prepared", func(l *loop) bool { return l.job != nil })
	second := b.start(nil)
	d, err := second.conn.Discover(t.Context(), &wire.DiscoverRequest{})
	if err != nil || !d.Standby || d.Bucket != "bucket" || d.Prefix != "p" || d.Epoch != second.c.epoch {
		t.Errorf("Discover: %v, %v", d, err)
	}
	if d, err := first.conn.Discover(t.Context(), &wire.DiscoverRequest{}); err != nil || d.Standby || d.Epoch != first.c.epoch {
		t.Errorf("Discover of the first: %v, %v", d, err)
	}
	_, err = second.conn.Register(t.Context(), &wire.RegisterRequest{Protocol: wire.Protocol, Worker: "w", Slots: 1, App: wc()})
	if _, refused := wire.AsRefusal(err); !wire.IsUnreachable(err) || refused {
		t.Errorf("Register: %v", err)
	}
	if s := second.c.Status(t.Context()); s.State != "standing by" {
		t.Errorf("status %v", s)
	}
	first.join("w", 1).work(3)
	want := first.succeeds()
	if got := second.succeeds(); got.Job != want.Job || got.Finished != want.Finished {
		t.Errorf("the standby returned %+v", got)
	}
	if a := readAnnouncement(b); !a.Released || a.Failure != "" || a.Epoch != first.c.epoch || a.Token != "" {
		t.Errorf("announced is %+v", a)
	}
}

// TestEnds: how a coordinator ends stands in the announcement, so that a
// standby does the right thing at once, whatever the lease.
func TestEnds(t *testing.T) {
	t.Run("failed", func(t *testing.T) {
		b := newFixture(t, 1)
		first := b.start(nil)
		w := first.join("w", 1)
		a := w.granted()
		second := b.start(nil)
		second.standsBy() // one that starts after the failure would try again
		w.report(a, func(q *wire.ReportRequest) { q.Outcome, q.Fatal, q.Error = wire.Outcome_OUTCOME_FAILED, true, "boom" })
		first.ends()
		second.ends()
		var job *JobError
		if !errors.As(second.err, &job) || second.err.Error() != first.err.Error() || !strings.Contains(job.Cause, "boom") {
			t.Errorf("the first: %v, the standby: %v", first.err, second.err)
		}
		third := b.start(nil) // the same line again tries again
		third.join("w", 1).work(3)
		third.succeeds()
	})
	t.Run("stopped", func(t *testing.T) {
		b := newFixture(t, 1)
		first := b.start(nil)
		a := first.join("w", 1).granted()
		second := b.start(nil)
		first.kill()
		w := &fakeWorker{service: second, name: "w"}
		if _, err := w.register(wc(), 1, b.job(), a); err != nil {
			t.Fatal(err)
		}
		second.workers = append(second.workers, w)
		second.until("the job is prepared", func(l *loop) bool { return l.job != nil })
		w.commit(a)
		w.report(a, nil)
		w.work(2)
		if got := second.succeeds(); got.Map.Granted != 0 {
			t.Errorf("%+v", got.Map)
		}
	})
}

// TestGather: nothing is granted that a worker may be in the middle of, until
// as many workers are back as there were, or it takes too long.
func TestGather(t *testing.T) {
	for _, comes := range []bool{true, false} {
		b := newFixture(t, 2)
		first := b.start(nil)
		one, two := first.join("one", 1).granted(), first.join("two", 1).granted()
		first.until("both are announced", func(*loop) bool { return readAnnouncement(b).Workers == 2 })
		first.kill()
		if !comes { // the other is gone as well, and nobody has noticed
			a := *readAnnouncement(b)
			b.put(b.lay.Coordinator(), a, nil)
		}
		second := b.start(nil)
		w := &fakeWorker{service: second, name: "one"}
		if _, err := w.register(wc(), 2, b.job(), one); err != nil {
			t.Fatal(err)
		}
		second.workers = append(second.workers, w)
		granted := make(chan *wire.Attempt, 1)
		go func() {
			r, err := second.conn.Poll(t.Context(), &wire.PollRequest{Worker: "one", Slot: 1, Seq: 1, MaxWaitMs: patience.Milliseconds()})
			if err == nil {
				granted <- r.GetGrant()
			}
			close(granted)
		}()
		if comes {
			second.until("the poll waits", func(l *loop) bool { return len(l.waiting) == 1 && l.job == nil })
			if _, err := (&fakeWorker{service: second, name: "two"}).register(wc(), 1, b.job(), two); err != nil {
				t.Fatal(err)
			}
			second.until("both attempts go on", func(l *loop) bool {
				if l.job == nil {
					return false
				}
				_, _, ok1 := l.core.Attempt(sched.AttemptID(one.Id))
				_, _, ok2 := l.core.Attempt(sched.AttemptID(two.Id))
				if !ok1 || !ok2 {
					t.Errorf("adopted: %v, %v", ok1, ok2)
				}
				return true
			})
			second.kill()
			<-granted
			continue
		}
		if a := <-granted; a.GetTask() != two.Task || a.GetId() == two.Id {
			t.Errorf("granted %v", a)
		}
		second.kill()
	}
}

// TestGatherTime: it takes as long as it takes the last of them to come back.
func TestGatherTime(t *testing.T) {
	const each = time.Second
	for back, want := range []time.Duration{gatherTime, gatherTime, 2 * each, 2 * each} {
		inBubble(t, func(t *testing.T, b *fixture) {
			c := New(Options{Log: zerolog.Nop(), Lease: testLease})
			c.term.Store(&lease.Term{Workers: 2, Since: time.Now()})
			ctx, cancel := context.WithCancel(t.Context())
			var all sync.WaitGroup
			all.Go(func() { c.run(ctx) })
			all.Go(func() {
				for i := range back {
					time.Sleep(each)
					c.call(ctx, func() {
						c.loop.step(c.now(), sched.Register{Worker: sched.WorkerID(fmt.Sprint(i))})
					})
				}
			})
			c.gather(ctx, &state{job: b.spec()})
			if took := time.Since(c.term.Load().Since); took != want {
				t.Errorf("with %d of 2 back it takes %v, want %v", back, took, want)
			}
			cancel()
			all.Wait()
		})
	}
}

// TestOverdue: a coordinator that cannot renew its announcement says so to its
// workers, and no more when it can again.
func TestOverdue(t *testing.T) {
	b := newFixture(t, 1)
	s := b.start(func(o *Options) { o.Lease = 300 * time.Millisecond })
	w := s.join("w", 1)
	if w.heartbeat().Overdue {
		t.Error("overdue from the start")
	}
	b.store.inject("put", b.lay.Coordinator(), 8, notDone)
	s.until("a heartbeat tells", func(*loop) bool { return s.c.lease.Overdue() })
	if !w.heartbeat().Overdue {
		t.Error("the worker is not told")
	}
	s.until("it is renewed again", func(*loop) bool { return !s.c.lease.Overdue() })
	if w.heartbeat().Overdue {
		t.Error("the worker is told for too long")
	}
	w.work(3)
	s.succeeds()
}

// TestAnnouncesWorkers: the announcement counts the workers, soon after one
// comes or goes.
func TestAnnouncesWorkers(t *testing.T) {
	b := newFixture(t, 1)
	s := b.start(nil) // its lease is long
	count := func(n int) {
		t.Helper()
		s.until("the number is announced", func(*loop) bool {
			a := readAnnouncement(b)
			return a != nil && a.Workers == n && a.Schema == manifest.CoordinatorSchema
		})
	}
	s.join("one", 1)
	count(1)
	s.join("two", 1)
	count(2)
	if _, err := s.conn.Leave(t.Context(), &wire.LeaveRequest{Worker: "two"}); err != nil {
		t.Fatal(err)
	}
	count(1)
}

// TestDamagedAnnouncement: an announcement that nobody can read keeps no
// coordinator from its job: one that is at work writes it anew, one that comes
// takes its place after a lease, or at once with TakeOver.
func TestDamagedAnnouncement(t *testing.T) {
	short := func(o *Options) { o.Lease = 300 * time.Millisecond }
	for _, how := range []string{"flipped", "replaced"} {
		t.Run(how+" under a coordinator at work", func(t *testing.T) {
			b := newFixture(t, 1)
			s := b.start(short)
			w := s.join("w", 1)
			a := w.granted()
			b.store.harm(t, how, b.lay.Coordinator())
			s.until("it is announced again", func(*loop) bool {
				data, _ := b.store.data(b.lay.Coordinator())
				_, err := manifest.Decode[manifest.Coordinator]([]byte(data), manifest.CoordinatorSchema)
				b.store.mu.Lock()
				defer b.store.mu.Unlock()
				return err == nil && !b.store.rotten[b.lay.Coordinator()]
			})
			w.commit(a)
			w.report(a, nil)
			w.work(2)
			s.succeeds()
		})
		for _, takeOver := range []bool{true, false} {
			t.Run(how+" when one comes", func(t *testing.T) {
				b := newFixture(t, 1)
				s := b.start(nil)
				s.join("w", 1).work(1)
				s.kill()
				b.store.harm(t, how, b.lay.Coordinator())
				s = b.start(func(o *Options) {
					if o.TakeOver = takeOver; !takeOver {
						short(o)
					}
				})
				w := s.join("w2", 1)
				w.work(2)
				s.ends()
				if s.err != nil {
					t.Error(s.err)
				}
			})
		}
	}
	t.Run("of another version", func(t *testing.T) {
		b := newFixture(t, 1)
		s := b.start(short)
		s.join("w", 1)
		b.store.set(b.lay.Coordinator(), []byte(`{"schema":"mraws/coordinator/v99"}`), nil)
		s.returns()
		var conflict *ConflictError
		if !errors.As(s.err, &conflict) {
			t.Errorf("Run: %v", s.err)
		}
	})
}

// successor takes the lease of a coordinator, and does nothing with it.
func (b *fixture) successor() {
	b.t.Helper()
	next := lease.New(lease.Options{Store: b.store, Layout: b.lay, TakeOver: true, Announce: manifest.Coordinator{
		Schema: manifest.CoordinatorSchema, Version: "v", Epoch: "next", Addresses: []string{"10.0.0.2:1234"},
		Started: time.Now().UTC(), LeaseMS: time.Minute.Milliseconds(), Insecure: true,
	}})
	if _, err := next.Acquire(context.Background(), nil); err != nil {
		b.t.Error(err)
	}
}

// TestDeposedEndsNoJob: a coordinator that stood still for longer than its lease may find
// trouble that is none of the job any more. Whatever it is, it says that another one leads,
// and no worker hears that the job has ended.
func TestDeposedEndsNoJob(t *testing.T) {
	for name, trouble := range map[string]func(b *fixture) (*service, *fakeWorker){
		"its place is the next one's": func(b *fixture) (*service, *fakeWorker) {
			owner, err := manifest.Encode(manifest.Owner{Schema: manifest.OwnerSchema, Job: "wc-next", Home: manifest.Place{Bucket: "jobs"}})
			if err != nil {
				b.t.Fatal(err)
			}
			results, joined, found := newFake(), make(chan struct{}), make(chan struct{})
			results.faults = func(op, key string) fault {
				if op != "put" || key != "out/_owner.json" {
					return fine
				}
				close(found)
				<-joined
				b.successor()
				results.objects[key] = stored{owner, object.Info{Key: key, ETag: "theirs", Size: int64(len(owner))}}
				return fine
			}
			s := b.start(func(o *Options) { o.OutputAt, o.OutputStore = manifest.Place{Bucket: "results", Dir: "out/"}, results })
			<-found
			w := s.join("w", 1)
			close(joined)
			return s, w
		},
		"a task fails": func(b *fixture) (*service, *fakeWorker) {
			s := b.start(nil)
			w := s.join("w", 1)
			a := w.granted()
			b.successor()
			b.store.set(b.lay.Input("in-0"), []byte("y"), nil)
			w.report(a, func(q *wire.ReportRequest) {
				failed("in-0 changed")(q)
				q.Fatal, q.Object = true, b.lay.Input("in-0")
			})
			return s, w
		},
		"a record is another job's": func(b *fixture) (*service, *fakeWorker) {
			s := b.start(nil)
			w := s.join("w", 1)
			a := w.granted()
			b.successor()
			b.put(b.lay.MapCommit(int(a.Task)), manifest.Map{Schema: manifest.MapSchema, Job: "wc-next"}, nil)
			w.report(a, nil)
			return s, w
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t, 2)
			s, w := trouble(b)
			reply, err := s.conn.Poll(t.Context(), w.next())
			for err == nil && reply.GetDone() == nil { // what was granted before
				reply, err = s.conn.Poll(t.Context(), w.next())
			}
			if !wire.IsUnreachable(err) {
				t.Errorf("its worker heard %v, %v", reply, err)
			}
			s.ends()
			var conflict *ConflictError
			if !errors.As(s.err, &conflict) || conflict.Kind != OtherCoordinator {
				t.Errorf("%v", s.err)
			}
		})
	}
}
