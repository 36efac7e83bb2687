//go:build !interop

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/events"
	"github.com/mraws/mraws/internal/failpoint"
	"github.com/mraws/mraws/internal/protocol"
	"github.com/mraws/mraws/internal/trace"
)

// traces makes the processes to come write a trace.
func (b *fixture) traces() { b.set(trace.Variable, filepath.Join(b.dir, "trace.jsonl")) }

// traced returns the trace and wants each of its steps to be one that the
// model of the protocol allows.
func (b *fixture) traced() []trace.Event {
	b.t.Helper()
	f, err := os.Open(filepath.Join(b.dir, "trace.jsonl"))
	if err != nil {
		b.t.Fatal(err)
	}
	defer f.Close()
	events, err := trace.Read(f)
	if err == nil {
		err = protocol.CheckTrace(events)
	}
	if err != nil {
		b.t.Errorf("the trace: %v", err)
		if text, err := os.ReadFile(f.Name()); err == nil {
			b.t.Logf("trace:\n%s", text)
		}
	}
	return events
}

// logged wants the event log of the job to be whole, and to come to what the summary
// says.
func (b *fixture) logged() *events.State {
	b.t.Helper()
	success := b.success()
	state := new(events.State)
	var text strings.Builder
	reader := events.NewReader(b.store, b.layout, success.Job)
	if err := reader.Read(b.t.Context(), func(e events.Entry) error {
		state.Apply(e)
		return json.NewEncoder(&text).Encode(e)
	}); err != nil {
		b.t.Fatal(err)
	}
	wrong := slices.Concat(reader.Faults(), state.Missing(), state.Differences(success))
	if len(wrong) > 0 {
		b.t.Errorf("the event log: %q\n%s", wrong, text.String())
	}
	return state
}

// TestTrace: a worker is killed between its commit and its report, and the
// coordinator is killed in the middle of the job. All steps of both
// coordinators and of all workers are steps of the model.
func TestTrace(t *testing.T) {
	b := fixtureOf(t, armable)
	b.traces()
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	first, second, addresses := b.pair("--app", "jobcount", "--app-arg", "stall=300ms", "--nreduce", "3", "--lease", "2s")
	armed := *b
	armed.set(failpoint.Variable, "worker.put.map-record.after=kill@2")
	victim := armed.start("worker", "--coord", addresses, "--app", "jobcount", "--slots", "1")
	<-victim.done
	worker := b.start("worker", "--coord", addresses, "--app", "jobcount", "--slots", "1")
	b.until("four maps are committed", func() bool { return len(b.keys(b.layout.CommitDir())) >= 4 })
	b.kill(first)
	b.exits(second, worker)
	b.logged()
	events := b.traced()
	has := func(what string, is func(trace.Event) bool) {
		t.Helper()
		if !slices.ContainsFunc(events, is) {
			t.Errorf("the trace does not tell of %s", what)
		}
	}
	has("the takeover", func(e trace.Event) bool {
		return e.Kind == trace.LeaseAcquired && e.Cause == trace.Expired && e.From != ""
	})
	has("the commit of the worker that was killed", func(e trace.Event) bool {
		return (e.Kind == trace.CommitFound || e.Kind == trace.TaskReused) && !slices.ContainsFunc(events, func(o trace.Event) bool { return o.Kind == trace.AttemptRan && o.Attempt == e.Attempt })
	})
	has("a commit, by its worker", func(e trace.Event) bool { return e.Kind == trace.AttemptRan && e.Outcome == trace.Committed })
	has("what the second coordinator reused", func(e trace.Event) bool { return e.Kind == trace.TaskReused })
	has("the end", func(e trace.Event) bool { return e.Kind == trace.SuccessCreated })

	// The same trace with one commit that somebody else made.
	i := slices.IndexFunc(events, func(e trace.Event) bool { return e.Kind == trace.CommitFound })
	j := slices.IndexFunc(events, func(e trace.Event) bool {
		return e.Kind == trace.Granted && e.Phase == events[i].Phase && e.Attempt != events[i].Attempt
	})
	bad := slices.Clone(events)
	bad[i].Attempt = bad[j].Attempt
	if protocol.CheckTrace(bad) == nil {
		t.Error("a commit by another attempt passes")
	}
}
