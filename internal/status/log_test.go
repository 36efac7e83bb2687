package status

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/events"
	"github.com/mraws/mraws/internal/object"
)

// writable is a bucket to which an event log can be written.
type writable struct{ *fake }

func (w writable) Put(_ context.Context, key string, data []byte, _ object.PutOptions) (object.Info, error) {
	if _, ok := w.objects[key]; ok {
		return object.Info{}, fs.ErrExist
	}
	w.objects[key] = string(data)
	return object.Info{Key: key}, nil
}

// logged is an event log.
func logged(all ...events.Event) put {
	return func(t *testing.T, f *fake) {
		l := events.New(events.Options{
			Store: writable{f}, Layout: lay, Log: zerolog.Nop(), Coordinator: "e",
			Leads: func(context.Context) (bool, error) { return true, nil },
		})
		l.Begin("wc-1", 3)
		for _, e := range all {
			l.Append(e)
		}
		l.Close(t.Context(), time.Minute)
	}
}

func history() []events.Event {
	start := func(task, attempt, worker string) events.Event {
		return events.Event{Type: events.AttemptStarted, Task: task, Attempt: attempt, Worker: worker}
	}
	end := func(task, attempt, worker, outcome, cause string) events.Event {
		return events.Event{Type: events.AttemptEnded, Task: task, Attempt: attempt, Worker: worker, Outcome: outcome, Cause: cause}
	}
	return []events.Event{
		{Type: events.CoordinatorStarted, Cause: "free"}, {Type: events.JobPlanned, App: "wc", Maps: 2, Reduces: 1},
		{Type: events.WorkerJoined, Worker: "w", Host: "h", Slots: 2}, {Type: events.WorkerSampled, Worker: "w", Sample: &object.Sample{CPUSeconds: 3, Cores: 2}}, {Type: events.WorkerJoined, Worker: "x", Host: "i", Slots: 1},
		start("map-0", "e.m0.1", "w"), end("map-0", "e.m0.1", "w", "committed", ""),
		start("map-1", "e.m1.1", "x"), end("map-1", "e.m1.1", "x", "lost", "no heartbeat"), {Type: events.WorkerChanged, Worker: "x", From: "ready", To: "lost"},
		start("map-1", "e.m1.2", "w"), end("map-1", "e.m1.2", "w", "failed", "boom\nand more"),
		start("map-1", "e.m1.3", "w"),
	}
}

// TestLog: where no coordinator answers, the event log says which workers and attempts
// there were, and what failed.
func TestLog(t *testing.T) {
	read := func(in ...put) *Report {
		t.Helper()
		f := newFake()
		for _, p := range in {
			p(t, f)
		}
		r, err := Read(t.Context(), Options{Store: f, Layout: lay})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := read(announced(nil), spec(2, 1), committed(0), logged(history()...), later(time.Minute))
	if r.Log == nil || r.Log.Until.IsZero() || len(r.Notes) > 0 {
		t.Fatalf("%+v, %q", r.Log, r.Notes)
	}
	want := &Log{
		Map: LogPhase{Running: 1, Committed: 1, Failed: 1, Lost: 1}, Workers: []LogWorker{{"w", "h", 2, 1, "ready", &object.Sample{CPUSeconds: 3, Cores: 2}}, {"x", "i", 1, 0, "lost", nil}},
		Attempts: []LogAttempt{{Task: "map-1", ID: "e.m1.3", Worker: "w"}},
		Failures: []LogAttempt{
			{Task: "map-1", ID: "e.m1.1", Worker: "x", Outcome: "lost", Error: "no heartbeat"},
			{Task: "map-1", ID: "e.m1.2", Worker: "w", Outcome: "failed", Error: "boom\nand more"},
		},
	}
	r.Log.Until = time.Time{}
	for _, list := range [][]LogAttempt{r.Log.Attempts, r.Log.Failures} {
		for i := range list {
			list[i].Seconds = 0 // of the clock
		}
	}
	if len(r.Log.Failures) == 2 && r.Log.Failures[0].Outcome == "failed" { // at another millisecond
		r.Log.Failures[0], r.Log.Failures[1] = r.Log.Failures[1], r.Log.Failures[0]
	}
	if d := cmp.Diff(want, r.Log); d != "" {
		t.Error(d)
	}

	if r := read(announced(nil), spec(2, 1), later(time.Minute)); r.Log != nil || len(r.Notes) > 0 {
		t.Errorf("without a log: %+v, %q", r.Log, r.Notes)
	}
	if r := read(spec(2, 1), committed(0, 1), written(0), success("wc-1"), logged(history()...)); r.Log != nil {
		t.Errorf("of a job that is done: %+v", r.Log)
	}
	if r := read(announced(nil), spec(2, 1), text(lay.Events(1), "x")); r.Log != nil || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "segment 1 cannot be read") {
		t.Errorf("of a damaged log: %+v, %q", r.Log, r.Notes)
	}
	if r := read(announced(nil), spec(2, 1), refused(lay.EventsDir())); r.Log != nil || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "the event log cannot be read") {
		t.Errorf("of one that may not be read: %+v, %q", r.Log, r.Notes)
	}
	ended := append(history(), events.Event{Type: events.CoordinatorEnded, Cause: "stopped"})
	if r := read(announced(nil), spec(2, 1), logged(ended...)); r.Log == nil || r.Log.Ended != "stopped" {
		t.Errorf("of a coordinator that ended: %+v", r.Log)
	}
}

// TestLogAgain: somebody who asks again reads what is new of the event log, over another
// connection too, and of another job all of it.
func TestLogAgain(t *testing.T) {
	all, kept := history(), new(LogReader)
	f := newFake()
	for _, p := range []put{announced(nil), spec(2, 1), committed(0), logged(all[:5]...), later(time.Minute)} {
		p(t, f)
	}
	ask := func(f *fake) *Report {
		t.Helper()
		r, err := Read(t.Context(), Options{Store: f, Layout: lay, Log: kept})
		if err != nil || r.Log == nil || len(r.Notes) > 0 {
			t.Fatalf("%+v, %v", r, err)
		}
		return r
	}
	if r := ask(f); len(r.Log.Workers) != 2 || r.Log.Map.Committed != 0 {
		t.Errorf("%+v", r.Log)
	}
	again := *f // another connection
	logged(all[5:]...)(t, &again)
	again.fail = map[string]error{lay.Events(1): errors.New("it was read again")}
	if r := ask(&again); len(r.Log.Workers) != 2 || r.Log.Map.Committed != 1 || len(r.Log.Failures) != 2 {
		t.Errorf("%+v", r.Log)
	}
	kept.job = "another" // was here before
	if r := ask(f); r.Log.Map.Committed != 1 || len(r.Log.Workers) != 2 {
		t.Errorf("%+v", r.Log)
	}
}
