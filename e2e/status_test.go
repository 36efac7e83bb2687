package e2e

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/events"
	"github.com/mraws/mraws/internal/status"
)

// status asks where the job stands.
func (b *fixture) status() *status.Report {
	b.t.Helper()
	out, _ := b.run(0, "status", "--json")
	r := new(status.Report)
	if err := json.Unmarshal([]byte(out), r); err != nil {
		b.t.Fatalf("%v:\n%s", err, out)
	}
	return r
}

// TestStatus follows a job from its start over the death of its coordinator
// to its end, and looks for secrets in all that is told of it.
func TestStatus(t *testing.T) {
	b := newFixture(t)
	_, errout := b.run(2, "status")
	wants(t, errout, "there is no job", "_job.json")
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	line := []string{"--app", "jobcount", "--app-arg", "stall=2s", "--nreduce", "3"}
	c, address := b.coordinator(line...)
	b.until("the job is planned", func() bool { return len(b.keys(b.layout.Job())) == 1 })
	r := b.status()
	if r.State != status.Map || r.Coordinator.State != status.Active || r.Live == nil || r.Live.Address != address || r.Live.Workers != 0 || r.Map.Tasks != 8 || r.Reduce.Tasks != 3 {
		t.Errorf("without workers: %+v, coordinator %+v, live %+v", r, r.Coordinator, r.Live)
	}
	w1, w2 := b.start("worker", "--app", "jobcount", "--slots", "1"), b.start("worker", "--app", "jobcount", "--slots", "1")
	b.until("attempts run", func() bool {
		r = b.status()
		return r.Live != nil && r.Live.Workers == 2 && r.Live.Map.Committed > 0 && len(r.Live.Attempts) > 0
	})
	a := r.Live.Attempts[0]
	if !strings.HasPrefix(a.Task, "map-") || !slices.ContainsFunc(r.Live.Members, func(m status.Member) bool { return m.Name == a.Worker && m.Slots == 1 }) {
		t.Errorf("%+v runs on one of %+v", a, r.Live.Members)
	}
	text, errText := b.run(0, "status")
	wants(t, text, "app jobcount", "of 8 done", address, "2 workers", "PHASE", "WORKER", a.Worker)
	secrets := b.secrets()
	asJSON, errJSON := b.run(0, "status", "--json", "--log-level", "trace")
	discreet(t, "the status", text+errText+asJSON+errJSON, secrets)

	b.until("the event log has the workers", func() bool {
		state := new(events.State)
		err := events.NewReader(b.store, b.layout, r.Job).Read(t.Context(), func(e events.Entry) error { state.Apply(e); return nil })
		return err == nil && len(state.Workers) == 2
	})
	b.kill(c)
	b.until("its announcement is too old", func() bool { r = b.status(); return r.Coordinator.State == status.Silent })
	if r.Live != nil || r.Coordinator.Error == "" || r.Over() {
		t.Errorf("after the kill: %+v, %+v", r, r.Coordinator)
	}
	text, _ = b.run(0, "status")
	wants(t, text, "stalled: no coordinator", "probably dead", "does not answer", "what has happened since is not known", "RAN", a.Worker)
	if l := r.Log; l == nil || l.Map.Running+l.Map.Committed == 0 || len(l.Workers) != 2 || l.Workers[0].Slots != 1 {
		t.Errorf("the event log says %+v", l)
	}

	watch := b.start("status", "--watch", "--every", "100ms", "--json")
	again, _ := b.coordinator(line...)
	for _, p := range []*process{again, w1, w2, watch} {
		if code := b.exit(p); code != 0 {
			t.Errorf("mraws %s: exit code %d", p.name, code)
		}
	}
	lines := strings.Split(strings.TrimSpace(watch.out.String()), "\n")
	last := new(status.Report)
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), last); err != nil || len(lines) < 2 || last.State != status.Done || last.Map.Done != 8 || last.Finished.Map.Reused == 0 {
		t.Errorf("%d reports, the last is %+v, %v", len(lines), last, err)
	}
	discreet(t, "the watched status", watch.out.String()+watch.errout.String(), secrets)
	text, _ = b.run(0, "status")
	wants(t, text, "done at", "8 of 8 done, 100%", "3 of 3 done, 100%")
}
