package coordinator

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/events"
	"github.com/mraws/mraws/internal/wire"
)

// segments returns the keys of the event log.
func (b *fixture) segments() (keys []string) {
	for o := range b.store.List(b.t.Context(), b.lay.EventsDir()) {
		keys = append(keys, o.Key)
	}
	return keys
}

// types returns the types of the entries, and wants each to have the fields of its type
// alone.
func types(t *testing.T, all []events.Entry) (list []events.Type) {
	t.Helper()
	fields := events.Fields()
	for _, e := range all {
		list = append(list, e.Type)
		line, err := json.Marshal(e.Event)
		if err != nil {
			t.Fatal(err)
		}
		var has map[string]any
		if err := json.Unmarshal(line, &has); err != nil {
			t.Fatal(err)
		}
		may := append(strings.Fields(fields[e.Type]), "type", "at")
		for _, name := range slices.Sorted(maps.Keys(has)) {
			if !slices.Contains(may, name) {
				t.Errorf("%s has a field %s: %s", e.Type, name, line)
			}
		}
	}
	return list
}

// TestEventLog: a job without faults has one segment, and it is there before _SUCCESS.
func TestEventLog(t *testing.T) {
	b := newFixture(t, 2)
	s := b.start(nil)
	w := s.join("w", 1)
	a := w.granted()
	w.report(a, failed("oops"))
	w.work(4)
	s.succeeds()
	all := b.entries()
	want := []events.Type{
		events.CoordinatorStarted, events.JobPlanned, events.WorkerJoined, events.AttemptStarted, events.AttemptEnded,
		events.AttemptStarted, events.AttemptEnded, events.AttemptStarted, events.AttemptEnded, events.PhaseDone,
		events.AttemptStarted, events.AttemptEnded, events.AttemptStarted, events.AttemptEnded, events.PhaseDone, events.JobDone,
	}
	got := types(t, all)
	// Who comes first, the job or the worker, is not decided.
	if got[1] == events.WorkerJoined {
		got[1], got[2] = got[2], got[1]
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if e := all[4]; e.Outcome != "failed" || e.Cause != "on worker w: oops" || e.Task != "map-0" && e.Task != "map-1" || e.Worker != "w" {
		t.Errorf("%+v", e)
	}
	if e := all[9]; e.Task != "reduce-0" || e.Event.Bytes != 4 { // two bytes of each map task, of both the same
		t.Errorf("%+v", e)
	}
	log, success := b.store.objects[b.lay.Events(1)], b.store.objects[b.lay.Success()]
	if len(b.segments()) != 1 || log.info.Modified.After(success.info.Modified) {
		t.Errorf("segments %q, the last of %v, _SUCCESS of %v", b.segments(), log.info.Modified, success.info.Modified)
	}

	// The same line again finds the job done, and its log has an end.
	again := b.start(nil)
	again.succeeds()
	if len(b.segments()) != 1 {
		t.Errorf("segments %q", b.segments())
	}
}

// TestEventLogOff: a coordinator that is to write none writes none.
func TestEventLogOff(t *testing.T) {
	b := newFixture(t, 1)
	s := b.start(func(o *Options) { o.EventLog = false })
	s.join("w", 1).work(3)
	s.ends()
	if s.err != nil || len(b.segments()) > 0 {
		t.Errorf("%v, %q", s.err, b.segments())
	}
}

// TestEventLogFaults: whatever becomes of the writes of the log, the job ends as ever,
// and the log is whole where the store took it at last.
func TestEventLogFaults(t *testing.T) {
	for name, tt := range map[string]struct {
		what  fault
		n     int
		whole bool
	}{
		"refused once": {notDone, 1, true}, "reply lost": {doneFailed, 1, true}, "found by its retry": {doneExists, 1, true},
		"refused for good": {notDone, 1 << 30, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t, 1)
			b.store.inject("put", ".jsonl.zst", tt.n, tt.what)
			s := b.start(nil)
			s.join("w", 1).work(3)
			s.ends()
			if s.err != nil {
				t.Fatal(s.err)
			}
			if tt.whole {
				s.logged()
			} else if st, _ := b.state(); len(st.Missing()) == 0 {
				t.Error("nothing says that the log is incomplete")
			}
		})
	}
}

// TestEventLogTakeover: the log of a job that a second coordinator finishes is one, says
// what both did, and has what the first one had not written.
func TestEventLogTakeover(t *testing.T) {
	for _, wrote := range []bool{true, false} {
		b := newFixture(t, 3)
		first := b.start(nil)
		w := first.join("w", 1)
		w.work(2)
		running := w.granted()
		if wrote {
			first.c.loop.history.Settle(t.Context(), patience)
		} else { // as if its process had been killed
			first.c.loop.history.Discard()
		}
		first.kill()
		second := b.start(nil)
		w2 := &fakeWorker{service: second, name: "w"}
		if _, err := w2.register(wc(), 1, b.job(), running); err != nil {
			t.Fatal(err)
		}
		second.workers = append(second.workers, w2)
		second.until("the attempt goes on", func(l *loop) bool { return l.job != nil && l.counters.Map.Adopted == 1 })
		w2.commit(running)
		w2.report(running, nil)
		w2.work(2)
		second.succeeds()
		count := map[events.Type]int{}
		for _, typ := range types(t, b.entries()) {
			count[typ]++
		}
		if count[events.TaskRestored] != 2 || count[events.AttemptAdopted] != 1 || count[events.JobDone] != 1 {
			t.Errorf("%v", count)
		}
		if wrote != (count[events.CoordinatorStarted] == 2) || wrote != (count[events.CoordinatorEnded] == 1) {
			t.Errorf("the first has written: %v; %v", wrote, count)
		}
		if st, _ := b.state(); wrote && (st.Coordinators[1].From != first.c.epoch || st.Coordinators[1].Epoch != second.c.epoch) {
			t.Errorf("%+v", st.Coordinators)
		}
	}
}

// TestEventLogOfZombie: a coordinator that has been replaced and does not know writes
// nothing behind the first segment of the one that leads.
func TestEventLogOfZombie(t *testing.T) {
	b := newFixture(t, 2)
	first := b.start(nil) // its lease is long
	w := first.join("w", 1)
	a := w.granted()
	first.c.loop.history.Settle(t.Context(), patience)
	second := b.start(func(o *Options) { o.TakeOver = true })
	w2 := second.join("w2", 1)
	w2.work(1)
	second.c.loop.history.Settle(t.Context(), patience)
	was := len(b.segments())
	w.commit(a) // it is the commit of another attempt by now, or one that the second finds
	w.report(a, nil)
	first.c.loop.history.Settle(t.Context(), patience)
	if now := b.segments(); len(now) != was {
		t.Errorf("the one that was replaced has written: %q", now)
	}
	first.kill()
	for {
		r := w2.poll(w2.next())
		if r.GetDone() != nil {
			break
		}
		if g := r.GetGrant(); g != nil {
			w2.commit(g)
			w2.report(g, nil)
		}
		if second.ended() {
			break
		}
	}
	second.succeeds()
	last := ""
	for _, e := range b.entries() {
		if e.Coordinator != last && last == second.c.epoch {
			t.Errorf("coordinator %s says %s behind %s", e.Coordinator, e.Type, last)
		}
		last = e.Coordinator
	}
}

// ended says whether all tasks are committed.
func (s *service) ended() (over bool) {
	ok := s.c.call(s.t.Context(), func() {
		select {
		case <-s.c.loop.ended:
			over = true
		default:
		}
	})
	return over || !ok
}

// TestEventLogOfFailure: the log of a job that fails says why, and the coordinator that
// tries again goes on with it.
func TestEventLogOfFailure(t *testing.T) {
	b := newFixture(t, 1)
	first := b.start(nil)
	w := first.join("w", 1)
	a := w.granted()
	w.report(a, func(q *wire.ReportRequest) { q.Outcome, q.Fatal, q.Error = wire.Outcome_OUTCOME_FAILED, true, "boom" })
	first.ends()
	all := b.entries()
	n := len(all)
	if typ := types(t, all); n < 3 || typ[n-2] != events.JobFailed || typ[n-1] != events.CoordinatorEnded || !strings.Contains(all[n-2].Cause, "boom") || !strings.HasPrefix(all[n-1].Cause, "job failed: ") {
		t.Errorf("%+v", all)
	}
	if st, _ := b.state(); !strings.Contains(st.Failure, "boom") || st.Coordinators[0].Ended == "" {
		t.Errorf("%+v", st)
	}
	second := b.start(nil)
	second.join("w", 1).work(3)
	second.succeeds()
	if st, _ := b.state(); st.Failure != "" || len(st.Coordinators) != 2 {
		t.Errorf("%+v", st)
	}
}

// TestEventLogOfReset: nothing is written into the place of a job that was reset while
// it ran.
func TestEventLogOfReset(t *testing.T) {
	b := newFixture(t, 1)
	s := b.start(nil)
	w := s.join("w", 1)
	a := w.granted()
	for _, key := range []string{b.lay.Job(), b.lay.Coordinator()} {
		b.store.remove(key)
	}
	w.report(a, func(q *wire.ReportRequest) { q.Outcome, q.Fatal, q.Error = wire.Outcome_OUTCOME_FAILED, true, "boom" })
	s.ends()
	if len(b.segments()) > 0 {
		t.Errorf("%v, %q", s.err, b.segments())
	}
}
