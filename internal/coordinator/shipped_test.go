package coordinator

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/wire"
)

// shipped are the files of a job.
func shipped() []manifest.CodeFile {
	return []manifest.CodeFile{{Name: "words.txt", SHA256: strings.Repeat("ab", 32), Size: 3}}
}

// ships makes a coordinator that ships the files.
func (b *fixture) ships(o *Options) {
	o.Files = shipped()
	o.Ship = func(context.Context) error {
		b.store.set(b.lay.Code(shipped()[0].SHA256), []byte("abc"), nil)
		return nil
	}
}

// TestShippedFiles: the files are in the spec of the job. A coordinator that is told
// nothing of code takes them from there, one that names other files is another job's,
// and one that knows the app and ships no file too.
func TestShippedFiles(t *testing.T) {
	b := newFixture(t, 1)
	s := b.start(b.ships)
	s.join("one", 1)
	if files := b.plan().App.Files; len(files) != 1 || files[0] != shipped()[0] {
		t.Fatalf("the job ships %v", files)
	}
	s.kill()
	s = b.start(func(o *Options) { o.App = nil })
	s.join("two", 1)
	s.kill()
	for name, change := range map[string]func(*Options){
		"none": func(*Options) {},
		"another": func(o *Options) {
			b.ships(o)
			o.Files[0].Size = 4
			o.Files[0].SHA256 = strings.Repeat("cd", 32)
		},
	} {
		s = b.start(change)
		s.ends()
		var conflict *ConflictError
		if !errors.As(s.err, &conflict) || !strings.Contains(strings.Join(conflict.Diff, "\n"), `file "words.txt": abababababab -> `) {
			t.Errorf("%s: %v", name, s.err)
		}
	}
}

// TestNotShipped: a coordinator that goes on with a job and has not its files ends
// before a task runs, if they are not in the bucket.
func TestNotShipped(t *testing.T) {
	b := newFixture(t, 1)
	s := b.start(b.ships)
	s.join("one", 1)
	s.until("the bucket has the job", func(l *loop) bool { return l.job != nil })
	s.kill()
	key := b.lay.Code(shipped()[0].SHA256)
	for want, change := range map[string]func(){
		"words.txt has 3 bytes, as " + key + " there are 4": func() { b.store.set(key, []byte("abcd"), nil) },
		"words.txt, as " + key:                              func() { b.store.remove(key) },
	} {
		change()
		s = b.start(func(o *Options) { o.App = nil })
		s.ends()
		if !errors.Is(s.err, ErrNotShipped) || !strings.Contains(s.err.Error(), want) {
			t.Errorf("%v, want %s", s.err, want)
		}
	}
}

// TestClaimOfFile: a worker says that a file which the job ships is gone or has other
// bytes. The job ends at once if the bucket shows it; else a second worker has to say so.
func TestClaimOfFile(t *testing.T) {
	for name, tt := range map[string]struct {
		truth  func(*fixture, string)
		atOnce bool
	}{
		"gone":         {func(b *fixture, key string) { b.store.remove(key) }, true},
		"another size": {func(b *fixture, key string) { b.store.set(key, []byte("abcd"), nil) }, true},
		"other bytes":  {func(b *fixture, key string) { b.store.set(key, []byte("xyz"), nil) }, false},
		"a lie":        {func(*fixture, string) {}, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t, 1)
			s := b.start(b.ships)
			one, two := s.join("one", 1), s.join("two", 1)
			key := b.lay.Code(shipped()[0].SHA256)
			a := one.granted()
			tt.truth(b, key)
			one.report(a, failedOver(key))
			ended := false
			s.until("it is noted", func(l *loop) bool { ended = l.failure != nil; return l.counters.Map.Failed == 1 })
			if ended != tt.atOnce {
				t.Fatalf("the job has ended: %t, want %t", ended, tt.atOnce)
			}
			if !ended {
				two.report(two.granted(), failedOver(key))
			}
			s.ends()
			var job *JobError
			if !errors.As(s.err, &job) || !strings.Contains(s.err.Error(), "it cannot be done") {
				t.Errorf("Run: %v", s.err)
			}
		})
	}
}

// failedOver is the report of an attempt that no other can do better, since an object is
// not as it was.
func failedOver(key string) func(*wire.ReportRequest) {
	return func(q *wire.ReportRequest) {
		failed("it cannot be done")(q)
		q.Fatal, q.Object = true, key
	}
}
