package events

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/recordio"
)

// history is what coordinators say, a second between two events.
type history struct {
	at    Time
	state State
	by    string
}

func newHistory() *history { return &history{at: TimeOf(time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC))} }

func (h *history) say(events ...Event) *history {
	for _, e := range events {
		h.at += 1000
		e.At = h.at
		h.state.Apply(Entry{Job: "j", Coordinator: h.by, Event: e})
	}
	return h
}

// leads begins the time of a coordinator.
func (h *history) leads(epoch, from string) *history {
	h.by = epoch
	return h.say(Event{Type: CoordinatorStarted, From: from}, Event{Type: JobPlanned, App: "wc", Maps: 2, Reduces: 1})
}

func started(task, attempt, worker string, slot int) Event {
	return Event{Type: AttemptStarted, Task: task, Attempt: attempt, Worker: worker, Slot: slot}
}

func ended(task, attempt, worker, outcome string) Event {
	e := Event{Type: AttemptEnded, Task: task, Attempt: attempt, Worker: worker, Outcome: outcome}
	if outcome == committed {
		e.Work = didWork()
	}
	return e
}

func didWork() Work {
	return Work{Seconds: 2, Records: 10, Bytes: 100, Emitted: 30, WroteRecords: 3, WroteBytes: 40, Keys: 3, Counters: map[string]int64{"n": 2}}
}

// summary is what _SUCCESS says of the jobs of these tests.
func summary(reduces manifest.Attempts, maps manifest.Attempts) *manifest.Success {
	maps.Tasks, reduces.Tasks = 2, 1
	return &manifest.Success{
		Job: "j", NReduce: 1, Map: maps, Reduce: reduces, Input: manifest.Input{Records: 20, Bytes: 200}, Emitted: 60,
		Shuffled: recordio.Sum{Records: 6, Bytes: 80}, Read: recordio.Sum{Records: 10, Bytes: 100}, Keys: 3,
		Outputs: []manifest.Output{{Size: 40, Lines: 3, Attempt: "b.r0.1"}}, Counters: map[string]int64{"n": 6},
	}
}

// TestTakeoverState: a coordinator knows nothing of what the one before has not
// written, and the state is that of the summary all the same.
func TestTakeoverState(t *testing.T) {
	h := newHistory().leads("a", "").say(
		Event{Type: WorkerJoined, Worker: "w", Host: "h", Slots: 2},
		started("map-0", "a.m0.1", "w", 0), started("map-1", "a.m1.1", "w", 1), started("map-1", "a.m1.2", "x", 0),
		ended("map-1", "a.m1.2", "x", "failed"),
	)
	restored := Event{Type: TaskRestored, Task: "map-0", Attempt: "a.m0.1", Worker: "w", Work: didWork()}
	h.leads("b", "a").say(
		restored,
		Event{Type: WorkerJoined, Worker: "w", Host: "h", Slots: 2},
		Event{Type: AttemptAdopted, Task: "map-1", Attempt: "a.m1.1", Worker: "w"},
		ended("map-1", "a.m1.1", "w", committed),
		Event{Type: PhaseDone, Phase: "map"},
	)
	h.by = "a" // it does not know yet that it has been replaced
	h.say(ended("map-0", "a.m0.1", "w", committed))
	h.by = "b"
	h.say(started("reduce-0", "b.r0.1", "w", 0))
	if done, n := Progress(h.state.Reduce); done != 0 || n["running"] != 1 || h.state.Over {
		t.Errorf("%d, %v", done, n)
	}
	if got := h.state.Missing(); len(got) != 2 {
		t.Errorf("missing: %q", got)
	}
	h.say(ended("reduce-0", "b.r0.1", "w", committed), Event{Type: JobDone, Totals: &Totals{}})
	s := &h.state
	if got := s.Missing(); len(got) > 0 {
		t.Errorf("missing: %q", got)
	}
	success := summary(manifest.Attempts{Granted: 1}, manifest.Attempts{Reused: 1, Adopted: 1})
	if got := s.Differences(success); len(got) > 0 {
		t.Errorf("%q", got)
	}
	if a := s.Task("map-0").Committed; a.Start == 0 || a.End != a.Start+2000 || a.Outcome != committed {
		t.Errorf("of the attempt that was restored: %+v", a)
	}
	if a := s.Task("map-1").Attempts; len(a) != 2 || a[1].Outcome != "failed" || a[0].Outcome != committed || a[0].Slot != 1 {
		t.Errorf("%+v", a)
	}
	if c := s.Coordinators; len(c) != 2 || c[0].End != c[1].Start || c[1].From != "a" {
		t.Errorf("%+v", c)
	}
	success.Keys, success.Counters["n"], success.Outputs[0].Attempt = 4, 5, "b.r0.2"
	got := s.Differences(success)
	want := []string{
		"keys: 3 in the event log, 4 in _SUCCESS", "counters: map[n:6] in the event log, map[n:5] in _SUCCESS",
		"output 0: [b.r0.1 3 40] in the event log, [b.r0.2 3 40] in _SUCCESS",
	}
	if d := gocmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestOutputGone: a task whose output is gone is not committed, until another attempt
// has made it.
func TestOutputGone(t *testing.T) {
	h := newHistory().leads("b", "").say(
		started("map-0", "b.m0.1", "w", 0), ended("map-0", "b.m0.1", "w", committed),
		started("map-1", "b.m1.1", "w", 0), ended("map-1", "b.m1.1", "w", committed),
		started("reduce-0", "b.r0.1", "w", 0), ended("reduce-0", "b.r0.1", "w", committed),
		Event{Type: JobDone, Totals: &Totals{}}, Event{Type: OutputGone, Task: "reduce-0"},
	)
	s := &h.state
	if s.Over || s.Task("reduce-0").Committed != nil || len(s.Missing()) != 2 {
		t.Errorf("%v %q", s.Over, s.Missing())
	}
	h.say(Event{Type: OutputGone, Task: "reduce-0", Attempt: "x.r0.1", Worker: "z", Work: didWork()}, Event{Type: JobDone, Totals: &Totals{}})
	success := summary(manifest.Attempts{Granted: 1}, manifest.Attempts{Granted: 2})
	success.Outputs[0].Attempt = "x.r0.1"
	if got := slices.Concat(s.Missing(), s.Differences(success)); len(got) > 0 {
		t.Errorf("%q", got)
	}
}

// TestIncomplete: what is lacking is said, and what a log does not have of counters is
// taken from its totals.
func TestIncomplete(t *testing.T) {
	h := newHistory().leads("b", "").say(
		Event{Type: EventsDropped, Dropped: 3},
		ended("map-7", "b.m7.1", "w", committed), ended("table-0", "b.m7.1", "w", committed), // no such tasks
		Event{Type: AttemptEnded, Task: "map-0", Attempt: "b.m0.1", Outcome: committed, Cut: true},
		Event{Type: JobFailed, Task: "map-1", Cause: "oops"},
		Event{Type: JobDone, Totals: &Totals{Counters: map[string]int64{"n": 9}}},
	)
	if d := gocmp.Diff([]string{"1 of 1 reduce tasks have no commit", "1 of 2 map tasks have no commit", "3 events were dropped"}, h.state.Missing()); d != "" {
		t.Error(d)
	}
	if h.state.Totals("").Counters["n"] != 9 || h.state.Failure != "oops" {
		t.Errorf("%+v", h.state)
	}
}

// TestMapOnlyState: the tasks of a map-only job write the outputs.
func TestMapOnlyState(t *testing.T) {
	h := newHistory()
	h.by = "b"
	h.say(Event{Type: CoordinatorStarted}, Event{Type: JobPlanned, Maps: 1}, started("map-0", "b.r0.1", "w", 0), ended("map-0", "b.r0.1", "w", committed), Event{Type: JobDone, Totals: &Totals{}})
	success := &manifest.Success{
		Job: "j", Map: manifest.Attempts{Tasks: 1, Granted: 1}, Input: manifest.Input{Records: 10, Bytes: 100}, Emitted: 30,
		Outputs: []manifest.Output{{Attempt: "b.r0.1", Lines: 3, Size: 40}}, Counters: map[string]int64{"n": 2},
	}
	if got := slices.Concat(h.state.Missing(), h.state.Differences(success)); len(got) > 0 {
		t.Errorf("%q", got)
	}
}

// TestWriteTrace: the trace is valid JSON, slices of one thread follow on each other, and
// curves are in order.
func TestWriteTrace(t *testing.T) {
	h := newHistory().leads("a", "").say(
		Event{Type: WorkerJoined, Worker: "w", Host: "h\u202e", Slots: 1},
		started("map-0", "a.m0.1", "w", 0), started("map-1", "a.m1.1", "w", 0), // its slot is free again, and nobody knows yet
		ended("map-0", "a.m0.1", "w", "failed"),
	)
	h.leads("b", "a").say(
		Event{Type: AttemptAdopted, Task: "map-0", Attempt: "a.m0.2", Worker: "w"},
		Event{Type: AttemptAdopted, Task: "reduce-0", Attempt: "a.r0.2", Worker: "w"},
		Event{Type: TaskRestored, Task: "map-1", Attempt: "c.m1.1", Worker: "w2", Started: h.at - 5000, Work: didWork()},
		ended("map-0", "a.m0.2", "w", committed), Event{Type: PhaseDone, Phase: "map"},
		started("reduce-0", "b.r0.1", "w", 0),
	)
	var text bytes.Buffer
	if err := h.state.WriteTrace(&text); err != nil {
		t.Fatal(err)
	}
	n, names := checkTimeline(t, text.Bytes())
	for _, want := range []string{"job j", "worker w on h\u202e", "worker w2", "slot 0", "slot not known", "phases"} {
		if !strings.Contains(names, want+"\n") {
			t.Errorf("there is no %q in\n%s", want, names)
		}
	}
	if n != 10 { // 6 attempts, 2 coordinators, a phase and what runs
		t.Errorf("%d slices:\n%s", n, text.String())
	}
}

// checkTimeline checks a trace. It returns the number of its slices, and the names of
// its processes and threads.
func checkTimeline(t *testing.T, data []byte) (n int, names string) {
	t.Helper()
	var trace struct {
		TraceEvents []struct {
			Name     string
			PH       string `json:"ph"`
			TS, Dur  int64
			PID, TID int
			Args     map[string]any
		} `json:"traceEvents"`
	}
	if err := json.Unmarshal(data, &trace); err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	type lane struct{ pid, tid int }
	type span struct{ start, end int64 }
	lanes, curves := map[lane][]span{}, map[string]int64{}
	for _, e := range trace.TraceEvents {
		switch e.PH {
		case "M":
			names += fmt.Sprintln(e.Args["name"])
		case "X":
			n++
			if e.TS < 0 || e.Dur < 0 {
				t.Errorf("%+v", e)
			}
			lanes[lane{e.PID, e.TID}] = append(lanes[lane{e.PID, e.TID}], span{e.TS, e.TS + e.Dur})
		case "C":
			if e.TS < curves[e.Name] {
				t.Errorf("the curve %s runs backwards at %d", e.Name, e.TS)
			}
			curves[e.Name] = e.TS
		}
	}
	for l, spans := range lanes {
		slices.SortFunc(spans, func(a, b span) int { return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end)) })
		for i := 1; i < len(spans); i++ {
			if spans[i].start < spans[i-1].end {
				t.Errorf("on thread %v the slices %v and %v overlap", l, spans[i-1], spans[i])
			}
		}
	}
	return n, names
}

// TestSlots: the state has how many slots there were when, how long no coordinator is
// known to have led, and which reduce task has the most to read.
func TestSlots(t *testing.T) {
	join := func(worker string, slots int) Event {
		return Event{Type: WorkerJoined, Worker: worker, Host: "h", Slots: slots}
	}
	change := func(worker, to string) Event { return Event{Type: WorkerChanged, Worker: worker, To: to} }
	h := newHistory().leads("a", "")
	first := h.state.First
	h.say(join("w", 2), join("x", 3), join("x", 3), change("x", "ready"), change("w", "stalled"), change("w", "ready"), change("x", "lost"))
	h.leads("b", "a").say(join("w", 4), Event{Type: PhaseDone, Phase: "map", Task: "reduce-0", Work: Work{Bytes: 7}})
	var got []string
	for _, s := range h.state.Slots {
		got = append(got, fmt.Sprintf("%d: %d", (s.At-first)/1000, s.N))
	}
	if d := gocmp.Diff([]string{"2: 2", "3: 5", "6: 3", "7: 5", "8: 2", "9: 0", "11: 4"}, got); d != "" {
		t.Error(d)
	}
	if c := h.state.Coordinators[1]; c.Start-c.Before != 1000 || h.state.Coordinators[0].Before != 0 || h.state.PlannedAt-first != 1000 {
		t.Errorf("%+v, planned at %v", h.state.Coordinators, h.state.PlannedAt)
	}
	if p := h.state.Phases[0]; p.Largest != "reduce-0" || p.Bytes != 7 {
		t.Errorf("%+v", p)
	}
}

// TestHeaviestKey: the log has the key with the most bytes of a reduce task if it has a
// tenth of them.
func TestHeaviestKey(t *testing.T) {
	for bytes, want := range map[int64]string{9: "", 10: `"the"`} {
		w := WorkOfReduce(&manifest.Reduce{Read: recordio.Sum{Records: 9, Bytes: 100}, Heaviest: []manifest.HeavyKey{{Text: `"the"`, Records: 1, Bytes: bytes}}})
		if w.Key != want || (w.KeyBytes > 0) != (want != "") {
			t.Errorf("%d bytes: key %s of %d", bytes, w.Key, w.KeyBytes)
		}
	}
}
