package coordinator

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/wire"
)

// TestGoesOnWithoutApp: a coordinator that is not told the app finds it in the
// spec of the job that it goes on with, before any worker comes.
func TestGoesOnWithoutApp(t *testing.T) {
	without := func(o *Options) { o.App, o.Lease = nil, time.Hour }
	t.Run("the job is done", func(t *testing.T) {
		b := newFixture(t, 1)
		s := b.start(nil)
		s.join("w", 1).work(3)
		want := s.succeeds()
		s = b.start(without)
		if d := cmp.Diff(want, s.succeeds()); d != "" || !s.c.WasDone() {
			t.Errorf("done before: %v\n%s", s.c.WasDone(), d)
		}
	})
	t.Run("only the summary is missing", func(t *testing.T) {
		b := newFixture(t, 1)
		s := b.start(nil)
		w := s.join("w", 1)
		w.work(2)
		b.commit(w.granted())
		s.kill()
		if got := b.start(without).succeeds(); got.Map.Reused != 1 || got.Reduce.Reused != 2 {
			t.Errorf("%+v, %+v", got.Map, got.Reduce)
		}
	})
	t.Run("half is done", func(t *testing.T) {
		b := newFixture(t, 2)
		s := b.start(nil)
		s.join("w", 1).work(1)
		s.kill()
		s = b.start(without)
		s.until("the app is known", func(l *loop) bool { return l.app != nil })
		h := &fakeWorker{service: s, name: "stranger"}
		grep := wc()
		grep.Name = "grep"
		if _, err := h.register(grep, 1, ""); err == nil || !strings.Contains(err.Error(), "the job's spec") {
			t.Errorf("another app was answered %v", err)
		}
		s.join("w2", 1).work(3)
		if got := s.succeeds(); got.Map.Reused != 1 || got.App.Name != "wc" {
			t.Errorf("%+v of app %s", got.Map, got.App.Name)
		}
	})
	t.Run("another number of reduces", func(t *testing.T) {
		b := newFixture(t, 1)
		s := b.start(nil)
		s.join("w", 1).work(3)
		s.succeeds()
		s = b.start(func(o *Options) { o.App, o.NReduce = nil, 3 })
		s.ends()
		var conflict *ConflictError
		if !errors.As(s.err, &conflict) || !strings.Contains(strings.Join(conflict.Diff, "\n"), "nreduce") {
			t.Errorf("Run: %v", s.err)
		}
	})
	t.Run("a summary of another job", func(t *testing.T) {
		b := newFixture(t, 1)
		s := b.start(nil)
		s.join("w", 1).work(1)
		s.kill()
		data, err := manifest.Encode(manifest.Success{Schema: manifest.SuccessSchema, Job: "wc-other"})
		if err != nil {
			t.Fatal(err)
		}
		b.store.set(b.lay.Success(), data, nil)
		s = b.start(without)
		s.ends()
		var conflict *ConflictError
		if !errors.As(s.err, &conflict) {
			t.Errorf("Run: %v", s.err)
		}
	})
}

// TestWaits: a wait is told of once it has lasted, and then now and then.
func TestWaits(t *testing.T) {
	at := time.Unix(1000, 0)
	var w waits
	for i, step := range []struct {
		after time.Duration
		text  string
		due   bool
	}{
		{0, "", false},
		{time.Hour, "a", false},
		{waitSay - 1, "a", false},
		{1, "a", true},
		{waitAgain - 1, "a", false},
		{1, "a", true},
		{1, "b", false},
		{waitSay, "b", true},
		{1, "", false},
		{waitAgain, "b", false},
	} {
		at = at.Add(step.after)
		if got := w.due(at, wait{text: step.text}); got != step.due {
			t.Errorf("step %d, %+v: due is %v", i, step, got)
		}
	}
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), text)
}

// TestTellsWaits: what a coordinator waits for stands in its log.
func TestTellsWaits(t *testing.T) {
	t.Parallel()
	b := newFixture(t, 1)
	log := new(lockedBuffer)
	s := b.start(func(o *Options) { o.App, o.Log, o.Lease = nil, zerolog.New(log), 30*time.Second })
	said := func(text string) {
		t.Helper()
		s.until("the log has "+text, func(*loop) bool { return log.has(text) })
	}
	said("waiting for a worker that names the app")
	w := s.join("w", 1)
	w.work(1)
	if log.has("waiting for workers: none has joined") {
		t.Error("it waited for a worker that had joined")
	}
	if _, err := s.conn.Leave(t.Context(), &wire.LeaveRequest{Worker: "w"}); err != nil {
		t.Fatal(err)
	}
	said("waiting for workers: none has joined")
	late, w := s.join("late", 1), s.join("w2", 1)
	w.work(2)
	w.told()
	said("waiting for workers to learn it: late")
	late.told()
	s.succeeds()
}
