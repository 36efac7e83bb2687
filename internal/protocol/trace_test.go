package protocol

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mraws/mraws/internal/trace"
)

// at is a time of a trace, in seconds from its start.
func at(seconds float64) time.Time {
	return time.Unix(1_000_000, 0).Add(time.Duration(seconds * float64(time.Second)))
}

// takeover is the trace of a job of two maps and one reduce. Worker w1 is
// killed in map 0, whose attempt a0 is lost; b0 runs it again. Then coordinator
// e1 is killed, and e2 takes over when its lease of 10 s has expired. Map
// 1 was committed by then, which e1 did not learn any more.
func takeover() []trace.Event {
	events := []trace.Event{
		{Kind: trace.LeaseAcquired, At: at(0), Coordinator: "e1", Cause: trace.Free, Lasts: 10 * time.Second},
		{Kind: trace.JobPlanned, Coordinator: "e1", Maps: 2, Reduces: 1},
		{Kind: trace.Granted, Coordinator: "e1", Phase: "map", Task: 0, Attempt: "a0", Worker: "w1"},
		{Kind: trace.LeaseRenewed, At: at(3), Coordinator: "e1", Lasts: 10 * time.Second},
		{Kind: trace.Ended, Coordinator: "e1", Phase: "map", Task: 0, Attempt: "a0", Worker: "w1", Outcome: "lost"},
		{Kind: trace.Granted, Coordinator: "e1", Phase: "map", Task: 0, Attempt: "b0", Worker: "w2"},
		{Kind: trace.AttemptRan, Phase: "map", Task: 0, Attempt: "b0", Worker: "w2", Outcome: trace.Committed},
		{Kind: trace.CommitFound, Coordinator: "e1", Phase: "map", Task: 0, Attempt: "b0"},
		{Kind: trace.Granted, Coordinator: "e1", Phase: "map", Task: 1, Attempt: "a1", Worker: "w2"},
		{Kind: trace.AttemptRan, Phase: "map", Task: 1, Attempt: "a1", Worker: "w2", Outcome: trace.Committed},
		{Kind: trace.LeaseAcquired, At: at(14), Coordinator: "e2", From: "e1", Cause: trace.Expired, Lasts: 10 * time.Second},
		{Kind: trace.JobPlanned, Coordinator: "e2", Maps: 2, Reduces: 1},
		{Kind: trace.TaskReused, Coordinator: "e2", Phase: "map", Task: 0, Attempt: "b0"},
		{Kind: trace.TaskReused, Coordinator: "e2", Phase: "map", Task: 1, Attempt: "a1"},
		{Kind: trace.Granted, Coordinator: "e2", Phase: "reduce", Task: 0, Attempt: "p0", Worker: "w2"},
		{Kind: trace.Granted, Coordinator: "e2", Phase: "reduce", Task: 0, Attempt: "q0", Worker: "w3", Speculative: true},
		{Kind: trace.AttemptRan, Phase: "reduce", Task: 0, Attempt: "q0", Worker: "w3", Outcome: trace.Committed},
		{Kind: trace.CommitFound, Coordinator: "e2", Phase: "reduce", Task: 0, Attempt: "q0"},
		{Kind: trace.AttemptRan, Phase: "reduce", Task: 0, Attempt: "p0", Worker: "w2", Outcome: trace.Superseded},
		{Kind: trace.SuccessCreated, Coordinator: "e2", Object: "output/_SUCCESS"},
		{Kind: trace.LeaseReleased, Coordinator: "e2"},
	}
	for i := range events {
		events[i].Job = "j"
	}
	return events
}

// is says whether an event has what those fields of like that are not zero
// have.
func is(e, like trace.Event) bool {
	return e.Kind == like.Kind && (like.Coordinator == "" || e.Coordinator == like.Coordinator) && (like.Attempt == "" || e.Attempt == like.Attempt)
}

// find returns where the event is that is like that.
func find(t *testing.T, events []trace.Event, like trace.Event) int {
	t.Helper()
	i := slices.IndexFunc(events, func(e trace.Event) bool { return is(e, like) })
	if i < 0 {
		t.Fatalf("no event is like %+v", like)
	}
	return i
}

// TestCheckTrace: what the protocol allows passes, and a trace that was
// changed in one place does not.
func TestCheckTrace(t *testing.T) {
	drop := func(like trace.Event) func(*testing.T, []trace.Event) []trace.Event {
		return func(t *testing.T, events []trace.Event) []trace.Event {
			i := find(t, events, like)
			return slices.Delete(events, i, i+1)
		}
	}
	insert := func(after trace.Event, more ...trace.Event) func(*testing.T, []trace.Event) []trace.Event {
		return func(t *testing.T, events []trace.Event) []trace.Event {
			return slices.Insert(events, find(t, events, after)+1, more...)
		}
	}
	move := func(what, before trace.Event) func(*testing.T, []trace.Event) []trace.Event {
		return func(t *testing.T, events []trace.Event) []trace.Event {
			i := find(t, events, what)
			e := events[i]
			events = slices.Delete(events, i, i+1)
			return slices.Insert(events, find(t, events, before), e)
		}
	}
	change := func(like trace.Event, f func(*trace.Event)) func(*testing.T, []trace.Event) []trace.Event {
		return func(t *testing.T, events []trace.Event) []trace.Event {
			f(&events[find(t, events, like)])
			return events
		}
	}
	ran := func(phase, attempt, outcome string) trace.Event {
		return trace.Event{Kind: trace.AttemptRan, Phase: phase, Attempt: attempt, Worker: "w1", Outcome: outcome}
	}
	found := func(epoch, phase, attempt string) trace.Event {
		return trace.Event{Kind: trace.CommitFound, Coordinator: epoch, Phase: phase, Attempt: attempt}
	}
	first := trace.Event{Kind: trace.LeaseAcquired, Coordinator: "e1"}
	second := trace.Event{Kind: trace.LeaseAcquired, Coordinator: "e2"}
	success := trace.Event{Kind: trace.SuccessCreated}
	for _, tt := range []struct {
		name   string
		change func(*testing.T, []trace.Event) []trace.Event
		want   string // in the error; "" is that it passes
	}{
		{"as it was", func(_ *testing.T, e []trace.Event) []trace.Event { return e }, ""},
		{"a worker is killed between its commit and its word", drop(ran("map", "b0", "")), ""},
		{"a coordinator learns before the worker tells", move(found("e1", "map", "b0"), ran("map", "b0", "")), ""},
		{"a commit after the lease's end, before any other", func(t *testing.T, e []trace.Event) []trace.Event {
			for i := range e {
				if e[i].Attempt == "b0" && e[i].Kind != trace.Granted {
					e[i].Attempt = "a0"
				}
			}
			return e
		}, ""},
		{"a zombie finds the commit of another", insert(success, ran("map", "a0", trace.Superseded)), ""},
		{"a job that is not finished", func(t *testing.T, e []trace.Event) []trace.Event { return e[:find(t, e, success)] }, ""},
		{"a coordinator's word on a renewal comes late", insert(second, trace.Event{Kind: trace.LeaseRenewed, At: at(3.5), Coordinator: "e1"}), ""},
		{"a standby is killed before it tells of its lease", change(second, func(e *trace.Event) { e.From = "e3" }), ""},
		{"a holder finds another's lease before that one tells of it", insert(trace.Event{Kind: trace.AttemptRan, Attempt: "a1"}, trace.Event{Kind: trace.LeaseTaken, At: at(14.5), Coordinator: "e1", From: "e2"}), ""},
		{"a second takeover", insert(success, trace.Event{Kind: trace.LeaseAcquired, At: at(20), Coordinator: "e3", From: "e2", Cause: trace.Ordered}), "holds the lease"},

		{"two commits of a map", insert(ran("map", "b0", ""), ran("map", "a0", trace.Committed)), "has committed"},
		{"two commits of a map, long after the lease's end", insert(success, ran("map", "a0", trace.Committed)), "has committed"},
		{"a commit after the lease's end is accepted in the place of another", insert(found("e1", "map", "b0"), found("e1", "map", "a0")), learnsMap},
		{"two coordinators know two commits of a map", change(trace.Event{Kind: trace.TaskReused, Attempt: "b0"}, func(e *trace.Event) { e.Attempt = "a0" }), learnsMap},
		{"two commits of a reduce", insert(ran("reduce", "q0", ""), ran("reduce", "p0", trace.Committed)), "has committed"},
		{"two outputs are accepted", insert(found("e2", "reduce", "q0"), found("e2", "reduce", "p0")), learnsOutput},
		{"superseded by nobody", func(t *testing.T, e []trace.Event) []trace.Event {
			e = slices.DeleteFunc(e, func(e trace.Event) bool {
				return e.Phase == "reduce" && (e.Kind == trace.CommitFound || e.Attempt == "q0")
			})
			return e
		}, "has found the commit of another"},
		{"a reduce before all maps are committed", func(t *testing.T, e []trace.Event) []trace.Event {
			return move(trace.Event{Kind: trace.Granted, Attempt: "p0"}, trace.Event{Kind: trace.TaskReused, Attempt: "a1"})(t, e)
		}, grantsReduce},
		{"a lost commit", drop(trace.Event{Kind: trace.TaskReused, Attempt: "a1"}), createsSuccess},
		{"a lost commit, seen before the end", func(t *testing.T, e []trace.Event) []trace.Event {
			return drop(trace.Event{Kind: trace.TaskReused, Attempt: "a1"})(t, e[:find(t, e, success)])
		}, grantsReduce},
		{"a lost output", drop(found("e2", "reduce", "q0")), createsSuccess},
		{"a commit that nobody made", func(t *testing.T, e []trace.Event) []trace.Event {
			return slices.DeleteFunc(e, func(e trace.Event) bool { return e.Attempt == "q0" && e.Kind == trace.Granted })
		}, "was not granted"},
		{"an attempt runs before it is granted", move(ran("map", "a1", ""), trace.Event{Kind: trace.Granted, Attempt: "a1"}), "was not granted"},
		{"a map is granted although its commit is known", insert(found("e1", "map", "b0"), trace.Event{Kind: trace.Granted, Coordinator: "e1", Phase: "map", Attempt: "c0"}), "has found the commit"},
		{"a reduce is granted although its output is known", insert(found("e2", "reduce", "q0"), trace.Event{Kind: trace.Granted, Coordinator: "e2", Phase: "reduce", Attempt: "r0"}), "has found the commit"},
		{"the job ends twice", insert(success, trace.Event{Kind: trace.SuccessCreated, Coordinator: "e1"}), createsSuccess},
		{"no job", func(*testing.T, []trace.Event) []trace.Event { return nil }, "no coordinator planned"},
		{"two jobs", change(success, func(e *trace.Event) { e.Job = "k" }), "another of j"},
		{"two plans", change(trace.Event{Kind: trace.JobPlanned, Coordinator: "e2"}, func(e *trace.Event) { e.Maps = 3 }), "and another 2"},
		{"an output is deleted", insert(found("e2", "reduce", "q0"), trace.Event{Kind: trace.OutputGone}), "does not follow"},

		{"a takeover while the other leads", change(second, func(e *trace.Event) { e.At = at(12) }), "was renewed"},
		{"a takeover while the other leads, which finds it first", func(t *testing.T, e []trace.Event) []trace.Event {
			e[find(t, e, second)].At = at(12)
			return insert(trace.Event{Kind: trace.AttemptRan, Attempt: "a1"}, trace.Event{Kind: trace.LeaseTaken, At: at(14.5), Coordinator: "e1", From: "e2"})(t, e)
		}, "was renewed"},
		{"a takeover of a lease that was not released", change(second, func(e *trace.Event) { e.Cause = trace.Released }), "was not released"},
		{"a takeover of a lease that is not free", change(second, func(e *trace.Event) { e.Cause = trace.Free }), "not free"},
		{"a takeover that overlooks the holder", change(second, func(e *trace.Event) { e.From = "" }), `takes the lease of ""`},
		{"two take the same lease", insert(second, trace.Event{Kind: trace.LeaseAcquired, At: at(14), Coordinator: "e3", From: "e1", Cause: trace.Expired}), `takes the lease of "e1"`},
		{"a renewal after a takeover", insert(second, trace.Event{Kind: trace.LeaseRenewed, At: at(13), Coordinator: "e1"}), "another has the lease"},
		{"a renewal by a standby", insert(first, trace.Event{Kind: trace.LeaseRenewed, At: at(1), Coordinator: "e2"}), "does not hold the lease"},
		{"a release after a takeover", insert(second, trace.Event{Kind: trace.LeaseReleased, Coordinator: "e1"}), `"e2" holds the lease`},
		{"a holder finds another's lease", insert(first, trace.Event{Kind: trace.LeaseTaken, Coordinator: "e1", From: "e1"}), "nobody else holds"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := CheckTrace(tt.change(t, takeover()))
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}
