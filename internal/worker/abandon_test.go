package worker

import (
	"context"
	"errors"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/task"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/mr"
)

var map0Again = &wire.Attempt{Id: "e.m0.2"}

// endless is code that does not return before release is closed, whatever its
// context says: only the first calls of it, as many as hangs.
type endless struct {
	hangs   atomic.Int32
	release chan struct{}
	began   chan struct{}
}

func (d *endless) call() {
	if d.hangs.Add(-1) < 0 {
		return
	}
	d.began <- struct{}{}
	<-d.release
}

// newHanging prepares a worker of one slot whose application hangs at a place.
func newHanging(t *testing.T, place string, hangs int32) (*timedWorker, *endless) {
	u := newTimedWorker(t)
	close(u.release)
	u.o.Slots = 1
	d := &endless{release: make(chan struct{}), began: make(chan struct{}, 100)}
	d.hangs.Store(hangs)
	app := u.o.App
	inner, reducer := app.NewMapper, app.NewReducer
	app.NewMapper = func(t *mr.Task) (mr.Mapper, error) {
		if place == "new mapper" {
			d.call()
		}
		m, err := inner(t)
		return hangingMapper{m, d, place}, err
	}
	app.NewReducer = func(t *mr.Task) (mr.Reducer, error) {
		r, err := reducer(t)
		return mr.ReducerFunc(func(key []byte, values iter.Seq[[]byte], out mr.Output) error {
			if place == "reduce" {
				d.call()
			}
			return r.Reduce(key, values, out)
		}), err
	}
	if place == "combine" {
		app.Combine = mr.CombinerFunc(func(acc, _ []byte) []byte { d.call(); return acc })
	}
	if place == "partition" {
		app.Partition = func(key []byte, n int) int { d.call(); return mr.Partition(key, n) }
		u.Spec.Partitioner.Name = manifest.AppPartitioner
		u.Store.PutJSON(t, layout.Layout{}.Job(), u.Spec)
	}
	return u, d
}

type hangingMapper struct {
	mr.Mapper
	d     *endless
	place string
}

func (m hangingMapper) Map(rec mr.Record, out mr.Emitter) error {
	if m.place == "map" {
		m.d.call()
	}
	if m.place == "combine" { // so that there are two of each key
		if err := m.Mapper.Map(rec, out); err != nil {
			return err
		}
	}
	return m.Mapper.Map(rec, out)
}

func (m hangingMapper) Flush(mr.Emitter) error {
	if m.place == "flush" {
		m.d.call()
	}
	return nil
}

// times is how long a job lets its attempts go on without progress.
func (u *timedWorker) times(d time.Duration) { u.o.TaskTimeout = &d }

// TestTaskTimeout: an attempt whose code does not return has failed once it has
// made no progress for the task time-out, with the place in the code, and the
// slot goes on: the next attempt at the task commits.
func TestTaskTimeout(t *testing.T) {
	for _, place := range []string{"new mapper", "map", "flush", "combine", "partition", "reduce"} {
		t.Run(place, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u, d := newHanging(t, place, 1)
				u.times(time.Minute)
				u.run()
				first, again := map0, map0Again
				if place == "reduce" {
					for _, a := range []*wire.Attempt{map0, map1} {
						u.grants <- a
						if r := await(t, u.reports, "a report"); r.Outcome != wire.Outcome_OUTCOME_COMMITTED {
							t.Fatalf("reported %v", r)
						}
					}
					first, again = reduce0, &wire.Attempt{Phase: wire.Phase_PHASE_REDUCE, Id: "e.r0.2"}
				}
				start := time.Now()
				u.grants <- first
				<-d.began
				r := <-u.reports
				if r.Outcome != wire.Outcome_OUTCOME_FAILED || r.Fatal || !strings.Contains(r.Error, "no progress for 1m0s, the task time-out: the application has not returned from ") || !strings.Contains(r.Error, "abandon_test.go:") {
					t.Errorf("reported %v", r)
				}
				if took := time.Since(start); took < time.Minute || took > time.Minute+5*time.Second+endGrace {
					t.Errorf("reported after %v", took)
				}
				u.grants <- again
				if r := <-u.reports; r.Outcome != wire.Outcome_OUTCOME_COMMITTED {
					t.Errorf("reported %v", r)
				}
				u.end("")
				if err := <-u.done; err != nil {
					t.Errorf("Run: %v", err)
				}
				close(d.release)
			})
		})
	}
}

// TestTaskTimeoutHeeded: code that returns when its context ends has failed of
// the same cause, and nothing is abandoned.
func TestTaskTimeoutHeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newTimedWorker(t)
		u.o.Slots = 1
		u.times(time.Minute)
		u.runs()
		r := <-u.reports
		if r.Outcome != wire.Outcome_OUTCOME_FAILED || !strings.HasSuffix(r.Error, "no progress for 1m0s, the task time-out") {
			t.Errorf("reported %v", r)
		}
		close(u.release)
		u.end("")
		if err := <-u.done; err != nil {
			t.Errorf("Run: %v", err)
		}
		u.Check(t)
	})
}

// TestProgressIsLife: an attempt that counts something now and then is not
// taken for one that hangs, and none is where the time-out is 0.
func TestProgressIsLife(t *testing.T) {
	for _, timeout := range []time.Duration{time.Minute, 0} {
		synctest.Test(t, func(t *testing.T) {
			u, d := newHanging(t, "", 0)
			u.times(timeout)
			inner := u.o.App.NewMapper
			u.o.App.NewMapper = func(t *mr.Task) (mr.Mapper, error) {
				for range 20 {
					if timeout > 0 {
						t.Counters.Add("steps", 1)
					}
					time.Sleep(45 * time.Second)
				}
				return inner(t)
			}
			u.run()
			u.grants <- map0
			if r := <-u.reports; r.Outcome != wire.Outcome_OUTCOME_COMMITTED {
				t.Errorf("time-out %v: reported %v", timeout, r)
			}
			u.end("")
			<-u.done
			close(d.release)
		})
	}
}

// TestEndsBesideHangingCode: whatever ends a worker keeps its time although code
// of the application does not return.
func TestEndsBesideHangingCode(t *testing.T) {
	errInt := errors.New("SIGINT")
	tests := map[string]struct {
		act  func(u *timedWorker)
		want error
		took time.Duration
	}{
		"drained":         {func(u *timedWorker) { u.orders <- order(3 * time.Second) }, errTerm, 3*time.Second + endGrace},
		"stopped":         {func(u *timedWorker) { u.cancel(errInt) }, errInt, endGrace},
		"the job is done": {func(u *timedWorker) { u.end("") }, nil, 10*time.Second/3 + endGrace},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u, d := newHanging(t, "map", 1)
				u.times(time.Hour)
				u.run()
				u.grants <- map0
				<-d.began
				start := time.Now()
				tt.act(u)
				if err := <-u.done; !errors.Is(err, tt.want) {
					t.Errorf("Run: %v", err)
				}
				if took := time.Since(start); took != tt.took {
					t.Errorf("it took %v, want %v", took, tt.took)
				}
				await(t, u.left, "the last call")
				close(d.release)
			})
		})
	}
}

// TestRevokedHangingCode: the slot of an attempt that was revoked takes another
// once it has waited for the code to return.
func TestRevokedHangingCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, d := newHanging(t, "map", 1)
		u.times(time.Hour)
		u.onHeartbeat = func(context.Context, *wire.HeartbeatRequest) (*wire.HeartbeatReply, error) {
			return &wire.HeartbeatReply{Revoked: []string{map0.Id}}, nil
		}
		u.run()
		u.grants <- map0
		<-d.began
		u.grants <- map1
		r := <-u.reports
		if r.Attempt.Id != map1.Id || r.Outcome != wire.Outcome_OUTCOME_COMMITTED {
			t.Errorf("reported %v", r)
		}
		if took := time.Since(u.start); took < revokedGrace || took > revokedGrace+u.lease {
			t.Errorf("it took %v", took)
		}
		u.cancel(errTerm)
		<-u.done
		close(d.release)
	})
}

// TestRoomBesideAbandoned: a worker goes on beside a few attempts that are
// abandoned, with smaller budgets, and ends when there are too many. Code that
// returns after all makes room again.
func TestRoomBesideAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, d := newHanging(t, "map", 100)
		u.times(time.Second)
		u.run()
		for n := range leastAbandoned + 1 {
			u.grants <- &wire.Attempt{Phase: wire.Phase_PHASE_MAP, Id: "e." + string(rune('a'+n))}
			if r := <-u.reports; r.Outcome != wire.Outcome_OUTCOME_FAILED {
				t.Fatalf("reported %v", r)
			}
		}
		var stuck *StuckError
		if err := <-u.done; !errors.As(err, &stuck) || stuck.Attempts != leastAbandoned+1 {
			t.Errorf("Run: %v", err)
		}
		close(d.release)
	})
	w := newWorker(Options{Slots: 2, Memory: 96 << 20})
	one := &running{attempt: map0}
	for n := range 4 {
		if got, want := w.slotMemory(), task.SlotMemory(96<<20, 2+n); got != want || w.room() != nil {
			t.Errorf("beside %d: %d bytes, want %d, and %v", n, got, want, w.room())
		}
		w.abandoned++
	}
	w.abandoned += 3 // 9 shares of 72 MiB are none of 8 MiB each, let alone 10
	if w.room() == nil {
		t.Error("there is room for an attempt with less memory than it needs")
	}
	one.abandoned, w.abandoned = true, 1
	w.returned(one)
	w.returned(one)
	if w.abandoned != 0 || one.abandoned {
		t.Errorf("%d are abandoned after the last has returned", w.abandoned)
	}
}
