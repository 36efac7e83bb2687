package coordinator

import (
	"errors"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/output"
	"github.com/mraws/mraws/mr"
)

// naming makes the app of a coordinator one with named outputs.
func naming(o *Options) { o.App = &mr.App{Name: "wc", Version: "1", NamedOutputs: []string{"errors"}} }

// namedKeys are the objects below _named/.
func (b *fixture) namedKeys() (keys []string) {
	b.t.Helper()
	for o, err := range b.store.List(b.t.Context(), b.lay.NamedDir()) {
		if err != nil {
			b.t.Fatal(err)
		}
		keys = append(keys, o.Key)
	}
	return keys
}

// copies counts the copies onto plain names of named outputs.
func (b *fixture) copies() *int {
	n := 0
	b.store.faults = func(op, key string) fault { // locked
		if op == "copy" && strings.HasPrefix(key, b.lay.NamedDir()) {
			n++
		}
		return fine
	}
	return &n
}

// TestNamedOutputs: the named outputs of the attempts that have committed get their
// plain names at the end, and the summary lists them. What an attempt that lost has
// written gets none.
func TestNamedOutputs(t *testing.T) {
	b := newFixture(t, 1)
	s := b.start(naming)
	w := s.join("w", 1)
	w.work(2)
	a := w.granted()
	b.store.set(b.lay.NamedAttempt(int(a.Task), "lost", "errors"), []byte("of an attempt that lost\n"), nil)
	if keys := b.namedKeys(); len(keys) > 0 {
		t.Errorf("before the end there is %q", keys)
	}
	copies := b.copies()
	w.lastStep(a)
	got := s.succeeds()
	if len(got.Named) != 2 || *copies != 2 {
		t.Fatalf("%d copies, and the summary lists %+v", *copies, got.Named)
	}
	for r, n := range got.Named {
		data, _ := b.store.data(b.lay.Named("errors", r))
		if n.Key != b.lay.Named("errors", r) || n.Task != r || n.Attempt != got.Outputs[r].Attempt || n.ETag != "" || data != "e 1\n" {
			t.Errorf("%+v, and there is %q", n, data)
		}
	}
}

// TestNamedOutputsOfTheOneBefore: a coordinator that goes on where another one ended
// within its copies makes those that are missing, and no other.
func TestNamedOutputsOfTheOneBefore(t *testing.T) {
	b := newFixture(t, 1)
	b.store.faults = func(op, key string) fault { // locked
		if op == "copy" && key == b.lay.Named("errors", 1) {
			return notDone
		}
		return fine
	}
	s := b.start(naming)
	s.join("w", 1).work(3)
	s.ends()
	if s.err == nil {
		t.Fatal("it ended well without a copy")
	}
	if _, there := b.store.data(b.lay.Success()); there {
		t.Error("_SUCCESS is there")
	}
	want := 2 - len(b.namedKeys())
	copies := b.copies()
	if got := b.start(naming).succeeds(); len(got.Named) != 2 || *copies != want {
		t.Errorf("%d copies, want %d; %+v", *copies, want, got.Named)
	}
}

// TestNamedOutputLostReply: a copy whose reply is lost is found.
func TestNamedOutputLostReply(t *testing.T) {
	b := newFixture(t, 1)
	b.store.faults = func(op, key string) fault { // locked
		if op == "copy" && key == b.lay.Named("errors", 1) {
			return doneFailed
		}
		return fine
	}
	s := b.start(naming)
	s.join("w", 1).work(3)
	if got := s.succeeds(); len(got.Named) != 2 {
		t.Errorf("%+v", got.Named)
	}
}

// TestNamedOutputsInTheWay: the job is not called done where a reader of a named output
// would find what no task of it wrote, or would miss what one did.
func TestNamedOutputsInTheWay(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(b *fixture, attempt string)
		says  string
	}{
		"of no task": {func(b *fixture, _ string) {
			b.store.set(b.lay.NamedDir()+"errors/mr-out-7", []byte("x"), nil)
		}, "mr-out-7"},
		"of another job": {func(b *fixture, _ string) {
			b.store.set(b.lay.Named("errors", 0), []byte("x"), map[string]string{manifest.MetaJob: "other"})
		}, "errors/mr-out-0"},
		"lost": {func(b *fixture, attempt string) { b.store.remove(b.lay.NamedAttempt(0, attempt, "errors")) }, "is missing or was changed"},
		"changed": {func(b *fixture, attempt string) {
			b.store.set(b.lay.NamedAttempt(0, attempt, "errors"), []byte("y"), nil)
		}, "is missing or was changed"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t, 1)
			s := b.start(naming)
			w := s.join("w", 1)
			w.work(2)
			a := w.granted()
			out, _ := b.store.Stat(t.Context(), b.lay.Output(1-int(a.Task)))
			attempt := out.Meta[manifest.MetaAttempt]
			if a.Task == 0 {
				w.commit(a)
				attempt = a.Id
			}
			c.spoil(b, attempt)
			if a.Task != 0 {
				w.commit(a)
			}
			w.report(a, nil)
			s.ends()
			if s.err == nil || !strings.Contains(errorText(s.err), c.says) {
				t.Errorf("Run: %v", s.err)
			}
			if _, there := b.store.data(b.lay.Success()); there {
				t.Error("_SUCCESS is there")
			}
		})
	}
}

// errorText is what an error says, with the details of a conflict.
func errorText(err error) string {
	var conflict *ConflictError
	if errors.As(err, &conflict) {
		return conflict.What + " " + strings.Join(conflict.Diff, " ")
	}
	return err.Error()
}

// partitioning makes the output of a coordinator's job one that is partitioned, and the
// fixture one that looks for it.
func partitioning(b *fixture) func(*Options) {
	b.lay = b.lay.Partitioned()
	return func(o *Options) {
		o.App = &mr.App{Name: "wc", Version: "1"}
		o.Output = &manifest.Choice{Name: "csv", Options: map[string]string{output.PartitionOption: "key"}}
	}
}

// inPartition is the key of what task r has in the partition of these tests.
func (b *fixture) inPartition(r int) string {
	return b.lay.WithEnding(".csv").InPartition("key=k", r)
}

// TestPartitions: what attempts that have committed have in partitions is copied at the
// end, also by a coordinator that goes on where another one ended within its copies, and
// the summary lists it.
func TestPartitions(t *testing.T) {
	b := newFixture(t, 1)
	o := partitioning(b)
	b.store.faults = func(op, key string) fault { // locked
		if op == "copy" && key == b.inPartition(1) {
			return notDone
		}
		return fine
	}
	s := b.start(o)
	w := s.join("w", 1)
	w.work(2)
	a := w.granted()
	b.store.set(b.lay.NamedAttempt(int(a.Task), "lost", "key=x"), []byte("value\n1\n"), nil)
	w.lastStep(a)
	s.ends()
	if s.err == nil {
		t.Fatal("it ended well without a copy")
	}
	if _, there := b.store.data(b.lay.Success()); there {
		t.Error("_SUCCESS is there")
	}
	b.store.faults = nil
	got := b.start(o).succeeds()
	if len(got.Partitions) != 2 || len(got.Named) > 0 {
		t.Fatalf("the summary lists %+v and %+v", got.Partitions, got.Named)
	}
	for r, n := range got.Partitions {
		data, _ := b.store.data(b.inPartition(r))
		if n.Name != "key=k" || n.Key != b.inPartition(r) || n.Task != r || n.Attempt != got.Outputs[r].Attempt || data != "value\n1\n" {
			t.Errorf("%+v, and there is %q", n, data)
		}
	}
	if lines, bytes := got.Wrote(); lines != 2 || bytes != 16 {
		t.Errorf("%d lines and %d bytes", lines, bytes)
	}
}

// TestPartitionsInTheWay: the job is not called done where a reader of the folders would
// find what no task of it wrote. What is no object of a partition of its own is left alone.
func TestPartitionsInTheWay(t *testing.T) {
	for key, stray := range map[string]bool{"key=x/mr-out-0.csv": true, "key=k/mr-out-0.csv": true, "_other/x": false} {
		b := newFixture(t, 1)
		s := b.start(partitioning(b))
		w := s.join("w", 1)
		w.work(2)
		a := w.granted()
		b.store.set(b.lay.OutputDir()+key, []byte("x"), map[string]string{manifest.MetaJob: "other"})
		w.lastStep(a)
		if !stray {
			s.succeeds()
			continue
		}
		s.ends()
		if s.err == nil || !strings.Contains(errorText(s.err), key) {
			t.Errorf("%s: %v", key, s.err)
		}
	}
}
