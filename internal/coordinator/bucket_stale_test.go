package coordinator

import (
	"errors"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/manifest"
)

// late writes what a stopped attempt of an earlier job writes when it goes on.
func (b *fixture) late(key string, v any) {
	b.t.Helper()
	b.put(key, v, map[string]string{manifest.MetaJob: "wc-earlier", manifest.MetaAttempt: "zombie"})
}

// TestStale: a commit record and an output that an attempt of an earlier job
// writes behind a reset do not count, whether the coordinator meets them when
// an attempt reports or when it starts; the tasks are run, and the job ends.
func TestStale(t *testing.T) {
	record := manifest.Map{Schema: manifest.MapSchema, Job: "wc-earlier", Attempt: "zombie"}
	t.Run("a report", func(t *testing.T) {
		b := newFixture(t, 1)
		s := b.start(nil)
		w := s.join("w", 1)
		a := w.granted()
		b.late(b.lay.MapCommit(0), record)
		b.late(b.lay.Output(1), "wrong")
		w.report(a, failed("the store broke"))
		b.store.remove(b.lay.MapCommit(0)) // what an attempt does that replaces it
		b.store.remove(b.lay.Output(1))
		w.work(3)
		if got := s.succeeds(); got.Map.Failed != 1 {
			t.Errorf("%+v", got.Map)
		}
	})
	t.Run("a start", func(t *testing.T) {
		b := newFixture(t, 1)
		s := b.start(nil)
		s.until("the job is prepared", func(l *loop) bool { return l.job != nil })
		s.kill()
		b.late(b.lay.MapCommit(0), record)
		b.late(b.lay.Output(1), "wrong")
		s = b.start(nil)
		s.until("the job is prepared", func(l *loop) bool { return l.job != nil && l.maps[0] == nil && l.reduces[1] == nil })
		b.store.remove(b.lay.MapCommit(0))
		b.store.remove(b.lay.Output(1))
		s.join("w", 1).work(3)
		s.succeeds()
	})
	t.Run("what was there before", func(t *testing.T) {
		b := newFixture(t, 1)
		b.late(b.lay.Output(1), "mine")
		s := b.start(nil)
		s.ends()
		var conflict *ConflictError
		if !errors.As(s.err, &conflict) || !strings.Contains(conflict.What, b.lay.Output(1)) {
			t.Errorf("Run: %v", s.err)
		}
	})
}

// TestResetUnderARunningJob: a coordinator puts back nothing in a place that
// belongs to another job by now, and ends.
func TestResetUnderARunningJob(t *testing.T) {
	b := newFixture(t, 2)
	s, w, a := nearlyDone(b)
	data, _ := b.store.data(b.lay.Job())
	id := b.job()
	b.commit(a)
	b.store.remove(b.lay.MapCommit(0))
	b.store.remove(b.lay.Job())
	b.store.set(b.lay.Job(), []byte(strings.ReplaceAll(data, id, "wc-later")), nil)
	w.report(a, nil)
	s.ends()
	var conflict *ConflictError
	if !errors.As(s.err, &conflict) || !strings.Contains(conflict.What, "was reset while it ran") || !strings.Contains(conflict.Diff[0], "wc-later") {
		t.Errorf("Run: %v", s.err)
	}
	if now, _ := b.store.data(b.lay.Job()); !strings.Contains(now, "wc-later") {
		t.Errorf("the spec of the other job was replaced: %s", now)
	}
	for _, key := range []string{b.lay.MapCommit(0), b.lay.Success()} {
		if _, there := b.store.data(key); there {
			t.Errorf("%s was written", key)
		}
	}
}

// TestRemovedWhileItRan: a coordinator that ends without success says so if its
// job is not in the bucket any more.
func TestRemovedWhileItRan(t *testing.T) {
	for _, removed := range []bool{false, true} {
		b := newFixture(t, 2)
		s := b.start(nil)
		s.join("w", 1).granted()
		job := b.job()
		if removed {
			b.store.remove(b.lay.Job())
		}
		s.cancel(errKilled)
		s.ends()
		var reset *ResetError
		if is := errors.As(s.err, &reset); is != removed || is && reset.Job != job || !errors.Is(s.err, errKilled) {
			t.Errorf("removed: %t, it ends with %#v", removed, s.err)
		}
	}
}
