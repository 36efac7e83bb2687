package events

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/object"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errInjected = errors.New("injected fault")

// fault is what happens to one write.
type fate int

const (
	fine fate = iota
	notDone
	doneFailed // the write takes place and its reply is lost
	doneExists // the same, and a retry found it there
	hangs      // it takes until its context ends
)

// store is a bucket in memory that refuses to replace anything.
type store struct {
	mu      sync.Mutex
	objects map[string][]byte
	fates   []fate // of the next writes
	always  fate   // of the writes after those
	puts    int
	leader  string
	damaged map[string]bool
}

func newStore() *store {
	return &store{objects: map[string][]byte{}, damaged: map[string]bool{}, leader: "a"}
}

func (s *store) Put(ctx context.Context, key string, data []byte, o object.PutOptions) (object.Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.puts++
	what := s.always
	if len(s.fates) > 0 {
		what, s.fates = s.fates[0], s.fates[1:]
	}
	if what == hangs {
		s.mu.Unlock()
		<-ctx.Done()
		s.mu.Lock()
		return object.Info{}, ctx.Err()
	}
	if _, there := s.objects[key]; there || !o.IfAbsent {
		return object.Info{}, fmt.Errorf("put %s: %w", key, fs.ErrExist)
	}
	if what != notDone {
		s.objects[key] = bytes.Clone(data)
	}
	return object.Info{}, map[fate]error{fine: nil, notDone: errInjected, doneFailed: errInjected, doneExists: fs.ErrExist}[what]
}

func (s *store) Get(_ context.Context, key string) ([]byte, object.Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, there := s.objects[key]
	switch {
	case !there:
		return nil, object.Info{}, fs.ErrNotExist
	case s.damaged[key]:
		return nil, object.Info{}, object.ErrDamaged
	}
	return bytes.Clone(data), object.Info{}, nil
}

func (s *store) List(_ context.Context, prefix string) iter.Seq2[object.Info, error] {
	return func(yield func(object.Info, error) bool) {
		s.mu.Lock()
		keys := slices.Sorted(maps.Keys(s.objects))
		s.mu.Unlock()
		for _, key := range keys {
			if strings.HasPrefix(key, prefix) && !yield(object.Info{Key: key}, nil) {
				return
			}
		}
	}
}

// writes counts the writes until now.
func (s *store) writes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.puts
}

var lay = layout.New("p")

// log returns a log of a coordinator that is written until the test ends.
func (s *store) log(t *testing.T, epoch string) *Log {
	t.Helper()
	l := New(Options{Store: s, Layout: lay, Log: zerolog.Nop(), Coordinator: epoch, Leads: func(context.Context) (bool, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.leader == epoch, nil
	}})
	l.Begin("j", 10)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); l.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return l
}

// tell tells a log of the start of a task.
func tell(l *Log, task int) { l.Append(Event{Type: AttemptStarted, Task: fmt.Sprintf("map-%d", task)}) }

// read returns the log as coordinator and task of each event.
func (s *store) read(t *testing.T) (words []string, r *Reader) {
	t.Helper()
	r = NewReader(s, lay, "j")
	if err := r.Read(t.Context(), func(e Entry) error {
		if e.Seq != int64(len(words)+1) {
			t.Errorf("event %d has the number %d", len(words)+1, e.Seq)
		}
		word := e.Coordinator + " " + e.Task
		if e.Type == EventsDropped {
			word = fmt.Sprintf("%s dropped %d", e.Coordinator, e.Dropped)
		}
		words = append(words, word)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return words, r
}

func (s *store) wants(t *testing.T, segments int, want ...string) {
	t.Helper()
	got, r := s.read(t)
	if d := cmp.Diff(want, got); d != "" || len(s.objects) != segments || len(r.Faults()) > 0 {
		t.Errorf("%d segments, want %d; faults %q; events (-want +got):\n%s", len(s.objects), segments, r.Faults(), d)
	}
}

// TestOneSegment: a short job makes one write, at its end.
func TestOneSegment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		l := s.log(t, "a")
		for i := range 3 {
			tell(l, i)
			time.Sleep(minDelay / 4)
		}
		began := time.Now()
		l.Settle(t.Context(), time.Minute)
		l.Settle(t.Context(), time.Minute)
		if s.puts != 1 || time.Since(began) > 0 {
			t.Errorf("%d writes in %v", s.puts, time.Since(began))
		}
		s.wants(t, 1, "a map-0", "a map-1", "a map-2")
	})
}

// TestDelay: events are written while the job runs, ever more rarely.
func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		l := s.log(t, "a")
		count := func(d time.Duration) (n int) {
			was := s.writes()
			for until := time.Now().Add(d); time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
				tell(l, 0)
			}
			return s.writes() - was
		}
		for _, tt := range []struct {
			d    time.Duration
			want int
		}{{100 * time.Second, 48}, {23 * time.Minute, 200}, {time.Hour, 240}} {
			if n := count(tt.d); n < tt.want*3/4 || n > tt.want*5/4 {
				t.Errorf("in %v %d segments, want about %d", tt.d, n, tt.want)
			}
		}
		l.Hurry() // somebody looks at the job, and goes away
		if n := count(hurryTime); n < 10 || n > 13 {
			t.Errorf("%d segments while somebody looks, want one a second", n)
		}
		if n := count(time.Minute); n > 6 {
			t.Errorf("%d segments in a minute in which nobody looks", n)
		}
		was := s.writes()
		time.Sleep(time.Hour)
		if n := s.writes() - was; n > 1 {
			t.Errorf("%d writes of nothing", n)
		}
	})
}

// TestFaults: whatever becomes of a write, each event is in the log once, in order.
func TestFaults(t *testing.T) {
	for name, fates := range map[string][]fate{
		"refused": {notDone, notDone}, "reply lost": {doneFailed}, "found by its retry": {doneExists},
		"reply lost twice": {doneFailed, notDone, fine, doneFailed}, "no answer": {hangs},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore()
				s.fates = fates
				l := s.log(t, "a")
				tell(l, 0)
				time.Sleep(minDelay + time.Millisecond)
				tell(l, 1)
				l.Settle(t.Context(), time.Minute)
				tell(l, 2)
				l.Settle(t.Context(), time.Minute)
				s.wants(t, 2+min(1, len(s.objects)-2), "a map-0", "a map-1", "a map-2")
			})
		})
	}
}

// TestRefused: a store that refuses every write costs nobody more than the patience, and
// memory is bounded. What was dropped is said where it is missing.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		s.always = notDone
		l := s.log(t, "a")
		text := strings.Repeat("x", 1<<20-1<<10)
		for i := range 30 {
			l.Append(Event{Type: AttemptEnded, Task: fmt.Sprintf("map-%d", i), Cause: text})
		}
		for range 1000 {
			tell(l, 100)
		}
		if l.held > maxHeld+2<<20 {
			t.Errorf("%d bytes are held", l.held)
		}
		began := time.Now()
		l.Settle(t.Context(), 3*time.Second)
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("it took %v", took)
		}
		kept := 0
		for _, c := range l.queue {
			kept += c.events
		}
		kept += l.segment.events
		s.mu.Lock()
		s.always = fine
		s.mu.Unlock()
		time.Sleep(time.Minute)
		tell(l, 200)
		l.Settle(t.Context(), time.Minute)
		words, r := s.read(t)
		if n := len(words); n != kept+1 || words[n-1] != "a map-200" || len(r.Faults()) > 0 {
			t.Errorf("%d events, want %d, the last %q", n, kept+1, words[max(0, n-2):])
		}
		if !slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, "a dropped ") }) {
			t.Error("nothing says that events were dropped")
		}
	})
}

// TestTakeover: the log of the coordinator that takes over follows that of the one
// before, which can write nothing behind it, and notices.
func TestTakeover(t *testing.T) {
	for _, late := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newStore()
			a, b := s.log(t, "a"), s.log(t, "b")
			tell(a, 0)
			a.Settle(t.Context(), time.Minute)
			s.mu.Lock()
			s.leader = "b"
			s.mu.Unlock()
			want, segments := []string{"a map-0"}, 2
			if late { // it does not know yet, and nobody else has written
				tell(a, 1)
				a.Settle(t.Context(), time.Minute)
				want, segments = append(want, "a map-1"), 3
			}
			tell(b, 2)
			b.Settle(t.Context(), time.Minute)
			tell(a, 3)
			a.Settle(t.Context(), time.Minute)
			tell(a, 4)
			a.Settle(t.Context(), time.Minute)
			s.wants(t, segments, append(want, "b map-2")...)
			if !a.closed || b.closed {
				t.Errorf("closed: %v %v", a.closed, b.closed)
			}
			tell(b, 5)
			b.Settle(t.Context(), time.Minute)
			s.wants(t, segments+1, append(want, "b map-2", "b map-5")...)
		})
	}
}

// TestLateSegment: the coordinator that leads goes on behind a segment of one that does
// not.
func TestLateSegment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		a, b := s.log(t, "a"), s.log(t, "b")
		tell(a, 0)
		a.Settle(t.Context(), time.Minute)
		s.leader = "b"
		tell(b, 1)
		b.Settle(t.Context(), time.Minute) // b leads and writes 2
		s.leader = "a"                     // and has lost the lease again
		tell(a, 2)
		a.Settle(t.Context(), time.Minute)
		tell(b, 3)
		b.Settle(t.Context(), time.Minute)
		s.wants(t, 3, "a map-0", "b map-1", "a map-2")
	})
}

// TestAll: events that are made when they are written, in more than one segment.
func TestAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		l := s.log(t, "a")
		tell(l, 0)
		const n = 100
		pad := map[string]int64{strings.Repeat("x", maxSegment/30): 1}
		l.AppendAll(TaskRestored, n, func(i int) Event {
			return Event{Task: fmt.Sprintf("map-%d", i+1), Work: Work{Counters: pad}}
		})
		l.AppendAll(TaskRestored, 0, nil)
		tell(l, n+1)
		l.Settle(t.Context(), time.Minute)
		words, _ := s.read(t)
		for i := range n + 2 {
			if want := fmt.Sprintf("a map-%d", i); words[i] != want {
				t.Fatalf("event %d is %q, want %q", i, words[i], want)
			}
		}
		if len(words) != n+2 || len(s.objects) < 4 {
			t.Errorf("%d events in %d segments", len(words), len(s.objects))
		}
	})
}

// TestBounded: behind its limit a log takes what the final state depends on, without
// what may be long.
func TestBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		l := s.log(t, "a")
		l.limit = 0
		l.Append(Event{Type: WorkerJoined, Worker: "w"})
		l.Append(Event{Type: WorkerChanged, Worker: "w"})
		l.Append(Event{Type: AttemptEnded, Task: "map-1", Cause: strings.Repeat("é", 1000), Work: Work{Records: 3, Counters: map[string]int64{"n": 1}}})
		l.Append(Event{Type: JobDone, Totals: &Totals{Keys: 4, Counters: map[string]int64{"n": 1}}})
		l.Settle(t.Context(), time.Minute)
		var got []Event
		if err := NewReader(s, lay, "j").Read(t.Context(), func(e Entry) error { e.At = 0; got = append(got, e.Event); return nil }); err != nil {
			t.Fatal(err)
		}
		if len(got) != 3 || got[0].Dropped != 2 || !got[1].Cut || got[1].Counters != nil || got[1].Records != 3 ||
			len(got[1].Cause) > shortText+3 || got[2].Totals.Counters != nil || got[2].Totals.Keys != 4 {
			t.Errorf("%+v", got)
		}
	})
}

// TestNothing: a log that was not begun or is nil writes nothing, and is no error.
func TestNothing(t *testing.T) {
	var none *Log
	none.Append(Event{})
	none.AppendAll(TaskRestored, 1, nil)
	none.Begin("j", 1)
	none.Urge()
	none.Settle(t.Context(), time.Minute)
	none.Run(t.Context())
	none.Close(t.Context(), time.Minute)
	none.Discard()
	s := newStore()
	l := New(Options{Store: s, Layout: lay, Log: zerolog.Nop()})
	tell(l, 1)
	l.Close(t.Context(), time.Minute)
	tell(l, 2)
	if s.puts != 0 {
		t.Errorf("%d writes", s.puts)
	}
}

// TestClose writes what the final state depends on, and nothing else.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, vital := range []bool{true, false} {
			s := newStore()
			l := New(Options{Store: s, Layout: lay, Log: zerolog.Nop(), Coordinator: "a"})
			l.Begin("j", 1)
			s.fates = []fate{notDone}
			l.Append(Event{Type: WorkerJoined, Worker: "w"})
			if vital {
				tell(l, 1)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // as after a signal
			l.Close(ctx, time.Second)
			if words, _ := s.read(t); len(words) != map[bool]int{true: 2, false: 0}[vital] {
				t.Errorf("vital %v: %q", vital, words)
			}
		}
	})
}

// TestReader: what lies in the way of a reader is said, and the rest is read.
func TestReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		l := s.log(t, "a")
		for i := range 40 {
			tell(l, i)
			l.Settle(t.Context(), time.Minute)
		}
		delete(s.objects, lay.Events(3))
		s.damaged[lay.Events(5)] = true
		s.objects[lay.Events(7)] = []byte("{}")
		s.objects[lay.EventsDir()+"x"] = []byte("{}")
		other, err := encode(Header{Schema: Schema, Job: "other", Coordinator: "b", Segment: 45, Events: 1}, []byte("{\"type\":\"job.done\",\"at\":\"2026-12-01T00:00:00.000Z\"}\n"))
		if err != nil {
			t.Fatal(err)
		}
		s.objects[lay.Events(45)] = other
		s.objects[lay.Events(40)], _ = encode(Header{Schema: "mraws/events/v9"}, nil)
		words, r := s.read(t)
		want := []string{"segment 3 is missing", "segment 5 cannot be read: object damaged", "segment 7 cannot be read: decompress: ", `segment 40 cannot be read: it has the schema "mraws/events/v9", want "mraws/events/v1"`}
		faults := r.Faults()
		if len(words) != 36 || len(faults) != 4 {
			t.Fatalf("%d events, %q", len(words), faults)
		}
		for i := range want {
			if !strings.HasPrefix(faults[i], want[i]) {
				t.Errorf("%q, want %q", faults[i], want[i])
			}
		}
		if r.Empty() || !NewReader(s, lay, "none").Empty() {
			t.Error("which of them is empty?")
		}
		// The job goes on in front of what another one has left, and behind it.
		delete(s.objects, lay.Events(40))
		for i := range 8 {
			tell(l, 40+i)
			l.Settle(t.Context(), time.Minute)
		}
		more := 0
		if err := r.Read(t.Context(), func(Entry) error { more++; return nil }); err != nil || more != 8 {
			t.Errorf("%d more, %v", more, err)
		}
	})
}

// TestFollow: one who reads on gets each event once.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		l := s.log(t, "a")
		r := NewReader(s, lay, "j")
		var got []string
		yield := func(e Entry) error { got = append(got, e.Task); return nil }
		for i := range 4 {
			tell(l, i)
			l.Settle(t.Context(), time.Minute)
			if i == 1 {
				if err := r.Read(t.Context(), yield); err != nil {
					t.Fatal(err)
				}
			} else if more, err := r.More(t.Context(), yield); i > 0 && (!more || err != nil) {
				t.Fatal(more, err)
			}
		}
		if more, err := r.More(t.Context(), yield); more || err != nil {
			t.Fatal(more, err)
		}
		if d := cmp.Diff([]string{"map-0", "map-1", "map-2", "map-3"}, got); d != "" {
			t.Error(d)
		}
	})
}
