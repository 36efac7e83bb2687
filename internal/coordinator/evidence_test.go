package coordinator

import (
	"errors"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/wire"
)

// TestClaims: a worker says that its task cannot be done by anyone. The job
// ends at once if the bucket says so too, or if there is nobody else; if not,
// the other worker has the last word.
func TestClaims(t *testing.T) {
	input := func(b *fixture) string { return b.lay.Input("in-0") }
	part := func(b *fixture) string { return b.lay.Partition(0, 1) }
	nothing := func(*fixture) {}
	tests := []struct {
		name     string
		truth    func(*fixture)
		object   func(*fixture) string
		conflict bool
		atOnce   bool
	}{
		{"changed input", func(b *fixture) { b.store.set(input(b), []byte("y"), nil) }, input, false, true},
		{"input that is gone", func(b *fixture) { b.store.remove(input(b)) }, input, false, true},
		{"a lie about input", nothing, input, false, false},
		{"input that is denied", nothing, input, false, false},
		{"a store that does not tell", func(b *fixture) { b.store.inject("list", "in-0", 9, notDone) }, input, false, false},
		{"no object", nothing, func(*fixture) string { return "" }, false, false},
		{"another's partition", func(b *fixture) {
			b.store.set(part(b), []byte("?"), map[string]string{manifest.MetaJob: "other"})
		}, part, true, true},
		{"nobody's partition", func(b *fixture) { b.store.set(part(b), []byte("?"), nil) }, part, true, true},
		{"another's packed partitions", func(b *fixture) { b.store.set(b.lay.Packed(0), []byte("?"), nil) },
			func(b *fixture) string { return b.lay.Packed(0) }, true, true},
		{"a lie about a partition", func(b *fixture) {
			b.store.set(part(b), []byte("?"), map[string]string{manifest.MetaJob: b.job()})
		}, part, true, false},
		{"a partition that is not there", nothing, part, true, false},
		{"a partition of another task", func(b *fixture) { b.store.set(b.lay.Partition(1, 1), []byte("?"), nil) },
			func(b *fixture) string { return b.lay.Partition(1, 1) }, true, false},
		{"an object that is no task's", nothing, func(b *fixture) string { return b.lay.Coordinator() }, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newFixture(t, 1)
			s := b.start(nil)
			one, two := s.join("one", 1), s.join("two", 1)
			claim := func(q *wire.ReportRequest) {
				failed("it cannot be done")(q)
				q.Fatal, q.Conflict, q.Object = true, tt.conflict, tt.object(b)
			}
			a := one.granted()
			tt.truth(b)
			one.report(a, claim)
			ended := false
			s.until("it is noted", func(l *loop) bool { ended = l.failure != nil; return l.counters.Map.Failed == 1 })
			if ended != tt.atOnce {
				t.Fatalf("the job has ended: %t, want %t", ended, tt.atOnce)
			}
			if !ended {
				two.report(two.granted(), claim)
			}
			s.ends()
			var job *JobError
			var conflict *ConflictError
			if is := errors.As(s.err, &conflict); is != tt.conflict || !is && !errors.As(s.err, &job) || !strings.Contains(s.err.Error(), "it cannot be done") {
				t.Errorf("Run: %v", s.err)
			}
		})
	}
}

// TestLyingWorker calls every task hopeless that it gets; the job is done by
// the others, as if it were not there.
func TestLyingWorker(t *testing.T) {
	b := newFixture(t, 2)
	s := b.start(nil)
	honest, liar := s.join("honest", 1), s.join("liar", 1)
	lie := func(q *wire.ReportRequest) {
		failed("the input is gone")(q)
		q.Fatal, q.Conflict, q.Object = true, true, b.lay.Input("in-1")
	}
	for range 2 { // of each phase
		mine, its := honest.granted(), liar.granted()
		liar.report(its, lie)
		b.commit(mine)
		honest.report(mine, nil)
		honest.work(1)
	}
	if got := s.succeeds(); got.Map.Failed != 1 || got.Reduce.Failed != 1 {
		t.Errorf("%+v %+v", got.Map, got.Reduce)
	}
}

// TestSoleClaim: where there is one worker its word is all there is.
func TestSoleClaim(t *testing.T) {
	for _, conflict := range []bool{false, true} {
		b := newFixture(t, 1)
		s := b.start(nil)
		w := s.join("w", 1)
		w.report(w.granted(), func(q *wire.ReportRequest) {
			failed("no")(q)
			q.Fatal, q.Conflict = !conflict, conflict
		})
		s.ends()
		var c *ConflictError
		if s.err == nil || errors.As(s.err, &c) != conflict {
			t.Errorf("Run: %v", s.err)
		}
	}
}

// TestFailedCommands: the error of a job says whether its tasks are executables.
func TestFailedCommands(t *testing.T) {
	for _, kind := range []string{manifest.Go, manifest.Wasm, manifest.Executables} {
		job := new(manifest.Job)
		job.App.Kind = kind
		var failed *JobError
		if err := (&loop{job: job}).failed(sched.JobFailed{Cause: "boom"}); !errors.As(err, &failed) || failed.Commands != (kind == manifest.Executables) {
			t.Errorf("%s: %+v", kind, err)
		}
	}
}
