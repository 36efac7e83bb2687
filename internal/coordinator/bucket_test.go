package coordinator

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/mr"
)

// TestLostReplies: whatever write of the coordinator is applied although its
// reply was lost, the job goes on and is done once.
func TestLostReplies(t *testing.T) {
	lay := layout.New("p")
	for _, key := range []string{lay.Job(), lay.Success(), lay.Coordinator()} {
		for _, what := range []fault{doneFailed, doneExists} {
			t.Run(fmt.Sprintf("%s-%d", key, what), func(t *testing.T) {
				b := newFixture(t, 2)
				b.store.inject("put", key, 1, what)
				s := b.start(nil)
				s.join("w", 1).work(4)
				got := s.succeeds()
				if got.Map.Granted != 2 || got.Map.Reused != 0 {
					t.Errorf("%+v", got.Map)
				}
			})
		}
	}
}

// TestWritesThatFail: an error of a write that did not take place is the
// coordinator's, and the same line again goes on.
func TestWritesThatFail(t *testing.T) {
	lay := layout.New("p")
	for _, key := range []string{lay.Job(), lay.Success(), lay.Coordinator()} {
		t.Run(key, func(t *testing.T) {
			b := newFixture(t, 1)
			b.store.inject("put", key, 1, notDone)
			s := b.start(nil)
			if key == lay.Success() {
				s.join("w", 1).work(3)
			}
			s.ends()
			if !errors.Is(s.err, errInjected) {
				t.Fatalf("Run: %v", s.err)
			}
			s = b.start(nil)
			if key != lay.Success() {
				s.join("w", 1).work(3)
			}
			s.succeeds()
		})
	}
}

// TestConflicts: a bucket that holds something else is refused at the start,
// both sides are shown, and a worker hears of it.
func TestConflicts(t *testing.T) {
	lay := layout.New("p")
	other := &mr.App{Name: "indexer", Version: "1"}
	tests := []struct {
		name   string
		change func(*Options)
		spoil  func(*fixture)
		want   []string
	}{
		{"another app", func(o *Options) { o.App = other }, nil, []string{lay.Job(), "app: wc -> indexer"}},
		{"another version", func(o *Options) { o.App = &mr.App{Name: "wc", Version: "2", Params: o.App.Params} }, nil, []string{`app version: "1" -> "2"`}},
		{"another nreduce", func(o *Options) { o.NReduce = 3 }, nil, []string{"nreduce: 2 -> 3"}},
		{"another budget", func(o *Options) { o.MaxBad = manifest.Budget{Records: 5} }, nil, []string{"max-bad-records: 0 -> 5"}},
		{"another parameter", func(o *Options) { o.Params = map[string]string{"fold": "yes"} }, nil, []string{`app parameter fold: "no" -> "yes"`}},
		{"decompressed no more", func(o *Options) { o.Decompress = manifest.Decompress{} }, nil, []string{`input read otherwise (decompress): "in-1.GZ"`}},
		{"another limit", func(o *Options) { o.Decompress.Limit++ }, nil, []string{"decompress-limit: 7 -> 8"}},
		{"more input", nil, func(b *fixture) { b.store.set(lay.Input("z"), []byte("x"), nil) }, []string{"the input below", "has changed since job", `input added: "z"`}},
		{"changed input", nil, func(b *fixture) { b.store.set(lay.Input("in-0"), []byte("y"), nil) }, []string{"the input below", "has changed since job", `input changed: "in-0"`}},
		{"emptied input", nil, func(b *fixture) { b.store.set(lay.Input("in-0"), nil, nil) }, []string{"has changed since job", `input emptied: "in-0"`}},
		{"removed input", nil, func(b *fixture) { b.store.remove(lay.Input("in-0")) }, []string{"has changed since job", `input removed: "in-0"`}},
		{"all input removed", nil, func(b *fixture) {
			for _, name := range []string{"in-0", "in-1", "in-1.GZ"} {
				b.store.remove(lay.Input(name))
			}
		}, []string{"has changed since job", `input removed: "in-0", "in-1", "in-1.GZ"`}},
		{"changed input and nreduce", func(o *Options) { o.NReduce = 3 }, func(b *fixture) { b.store.set(lay.Input("in-0"), nil, nil) },
			[]string{lay.Job(), "belongs to another job", "nreduce: 2 -> 3", `input emptied: "in-0"`}},
		{"no spec", nil, func(b *fixture) { b.store.set(lay.Job(), []byte("{}"), nil) }, []string{lay.Job(), "schema"}},
		{"spec of another program", nil, func(b *fixture) {
			data, _ := b.store.data(lay.Job())
			b.store.set(lay.Job(), []byte(strings.Replace(data, manifest.JobSchema, "mraws/job/v2", 1)), nil)
		}, []string{lay.Job(), `schema "mraws/job/v2" is of another version of mraws`}},
		{"torn spec", nil, func(b *fixture) { b.store.set(lay.Job(), []byte(`{"schema`), nil) }, []string{lay.Job(), "JSON"}},
		{"record of no task", nil, func(b *fixture) { b.store.set(lay.MapCommit(7), []byte("{}"), nil) }, []string{lay.MapCommit(7)}},
		{"foreign record", nil, func(b *fixture) {
			b.put(lay.MapCommit(0), manifest.Map{Schema: manifest.MapSchema, Job: "wc-other"}, nil)
		}, []string{lay.MapCommit(0), "wc-other"}},
		{"torn record", nil, func(b *fixture) { b.store.set(lay.MapCommit(0), []byte("{"), nil) }, []string{lay.MapCommit(0)}},
		{"foreign output", nil, func(b *fixture) { b.store.set(lay.Output(1), []byte("mine"), nil) }, []string{lay.Output(1)}},
		{"output of no task", nil, func(b *fixture) { b.store.set(lay.Output(9), []byte("mine"), nil) }, []string{lay.Output(9)}},
		{"a file of somebody's", nil, func(b *fixture) { b.store.set(lay.OutputDir()+"notes.txt", []byte("mine"), nil) }, []string{"notes.txt"}},
		{"another job's summary", nil, func(b *fixture) {
			b.put(lay.Success(), manifest.Success{Schema: manifest.SuccessSchema, Job: "wc-other"}, nil)
		}, []string{lay.Success(), "wc-other"}},
		{"another program's summary", nil, func(b *fixture) { b.store.set(lay.Success(), nil, nil) }, []string{lay.Success()}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newFixture(t, 2)
			b.store.set(lay.Input("in-1.GZ"), []byte("x"), nil)
			change := func(o *Options) {
				o.Decompress = manifest.Decompress{Ratio: 7, Limit: 7}
				if tt.change != nil {
					tt.change(o)
				}
			}
			s := b.start(func(o *Options) { o.Decompress = manifest.Decompress{Ratio: 7, Limit: 7} })
			s.until("the job is prepared", func(l *loop) bool { return l.job != nil })
			s.kill()
			if tt.spoil != nil {
				tt.spoil(b)
			}
			s = b.start(change)
			s.ends()
			var conflict *ConflictError
			if !errors.As(s.err, &conflict) {
				t.Fatalf("Run: %v", s.err)
			}
			text := conflict.What + "\n" + strings.Join(conflict.Diff, "\n")
			for _, want := range tt.want {
				if !strings.Contains(text, want) {
					t.Errorf("%q is not in %s", want, text)
				}
			}
			if kinds := []ConflictKind{ForeignObject, OtherJob, OtherInput}; !slices.Contains(kinds, conflict.Kind) {
				t.Errorf("kind %d", conflict.Kind)
			}
		})
	}
}

// TestListThatFails: a page that cannot be read is no empty folder.
func TestListThatFails(t *testing.T) {
	lay := layout.New("p")
	for _, dir := range []string{lay.InputDir(), lay.CommitDir(), lay.OutputDir()} {
		b := newFixture(t, 1)
		b.store.inject("list", dir, 1, notDone)
		s := b.start(nil)
		s.ends()
		if !errors.Is(s.err, errInjected) {
			t.Errorf("list of %s: Run: %v", dir, s.err)
		}
	}
}

// TestPromotion: partitions that were committed under _attempts/ get their
// plain names by the end, whichever coordinator saw the commit, and trouble
// with that does not undo a commit.
func TestPromotion(t *testing.T) {
	b := newFixture(t, 2)
	s := b.start(nil)
	first := s.join("w", 1)
	a := first.granted()
	b.commitMap(int(a.Task), a.Id, true)
	s.kill() // nobody reported it
	s = b.start(nil)
	w := s.join("w2", 1)
	a = w.granted()
	b.commitMap(int(a.Task), a.Id, true)
	b.store.inject("copy", b.lay.Partition(int(a.Task), 0), 1, notDone)
	w.report(a, nil)
	w.work(2)
	if got := s.succeeds(); got.Map.Failed != 0 || got.Map.Granted != 1 || got.Map.Reused != 1 {
		t.Errorf("%+v", got.Map)
	}
	for m := range 2 {
		for r := range 2 {
			if data, _ := b.store.data(b.lay.Partition(m, r)); data != "part" {
				t.Errorf("%s is %q, not what was committed", b.lay.Partition(m, r), data)
			}
		}
	}
}

// TestPromotionOfPacked: of packed partitions the one object is promoted.
func TestPromotionOfPacked(t *testing.T) {
	b := newFixture(t, 1)
	s := b.start(func(o *Options) { o.Shuffle = ShufflePacked })
	w := s.join("w", 1)
	a := w.granted()
	b.commitMap(0, a.Id, true)
	w.report(a, nil)
	w.work(2)
	if got := s.succeeds(); got.Shuffled.Records != 2 {
		t.Errorf("%+v", got)
	}
	if data, _ := b.store.data(b.lay.Packed(0)); data != "part" {
		t.Errorf("the plain name shows %q", data)
	}
}

// TestPromotionOfSparse: of a partition without records there is nothing to
// promote; what another attempt left under its name stays. So it is for a
// coordinator that takes the job up.
func TestPromotionOfSparse(t *testing.T) {
	b := newFixture(t, 1)
	s := b.start(nil)
	w := s.join("w", 1)
	a := w.granted()
	b.commitMap(0, a.Id, true)
	key := b.lay.MapCommit(0)
	data, _ := b.store.data(key)
	rec, err := manifest.Decode[manifest.Map]([]byte(data), manifest.MapSchema)
	if err != nil {
		t.Fatal(err)
	}
	none := sha256.Sum256(nil)
	rec.Parts[1] = manifest.Part{Hash: hex.EncodeToString(none[:])}
	b.put(key, rec, nil)
	b.store.remove(b.lay.MapAttempt(0, a.Id, 1))
	w.report(a, nil)
	w.work(1)
	s.kill()
	s = b.start(nil)
	s.join("w2", 1).work(1)
	if got := s.succeeds(); got.Shuffled.Records != 1 || got.Map.Reused != 1 {
		t.Errorf("%+v", got)
	}
	for r, want := range []string{"part", "other"} {
		if data, _ := b.store.data(b.lay.Partition(0, r)); data != want {
			t.Errorf("the plain name of partition %d shows %q", r, data)
		}
	}
}

// TestShuffleStays: a job keeps the shuffle that it began with, and a record
// that does not fit it is not taken for its own.
func TestShuffleStays(t *testing.T) {
	b := newFixture(t, 2)
	s := b.start(func(o *Options) { o.Shuffle = ShufflePacked })
	a := s.join("w", 1).granted()
	b.commitMap(int(a.Task), a.Id, false)
	s.kill()
	s = b.start(func(o *Options) { o.Shuffle = ShufflePlain })
	w := s.join("w2", 1)
	b.commit(w.granted())
	s.kill()
	key := b.lay.MapCommit(int(a.Task))
	data, _ := b.store.data(key)
	b.store.set(key, []byte(strings.Replace(data, `"offset": 2`, `"offset": 1`, 1)), nil)
	s = b.start(nil)
	s.ends()
	var conflict *ConflictError
	if !errors.As(s.err, &conflict) || !strings.Contains(conflict.What, key) {
		t.Errorf("Run: %v", s.err)
	}
}

// TestPromotionOfRestored: what was lost below _attempts/ and is there again
// is another version. It is promoted; what merely lies in its place is not,
// and neither fails a job whose outputs are there.
func TestPromotionOfRestored(t *testing.T) {
	for hash, good := range map[string]bool{partHash: true, "another": false} {
		b := newFixture(t, 1)
		s := b.start(nil)
		w := s.join("w", 1)
		a := w.granted()
		b.commitMap(0, a.Id, true)
		b.store.remove(b.lay.MapAttempt(0, a.Id, 1))
		b.store.set(b.lay.MapAttempt(0, a.Id, 1), []byte("part"), map[string]string{
			manifest.MetaJob: b.job(), manifest.MetaHash: hash, manifest.MetaRestored: "late",
		})
		w.report(a, nil)
		w.work(2)
		s.succeeds()
		if data, _ := b.store.data(b.lay.Partition(0, 1)); (data == "part") != good {
			t.Errorf("hash %s: the plain name shows %q", hash, data)
		}
	}
}

func readAnnouncement(b *fixture) *manifest.Coordinator {
	data, ok := b.store.data(b.lay.Coordinator())
	if !ok {
		return nil
	}
	a, err := manifest.Decode[manifest.Coordinator]([]byte(data), manifest.CoordinatorSchema)
	if err != nil {
		b.t.Error(err)
	}
	return a
}

func TestAnnouncement(t *testing.T) {
	id, err := wire.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name     string
		security wire.ServerOptions
		publish  bool
		want     manifest.Coordinator
	}{
		{"own certificate", wire.ServerOptions{Identity: id, Token: id.Token}, true, manifest.Coordinator{CertPEM: id.CertPEM, Token: id.Token}},
		{"token file", wire.ServerOptions{Identity: id, Token: "0123456789abcdef"}, false, manifest.Coordinator{CertPEM: id.CertPEM}},
		{"insecure", wire.ServerOptions{Insecure: true}, false, manifest.Coordinator{Insecure: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newFixture(t, 1)
			s := b.start(func(o *Options) { o.Security, o.PublishToken = tt.security, tt.publish })
			s.until("the job is prepared", func(l *loop) bool { return l.job != nil })
			a := readAnnouncement(b)
			if a == nil || a.CertPEM != tt.want.CertPEM || a.Token != tt.want.Token || a.Insecure != tt.want.Insecure ||
				len(a.Addresses) != 1 || a.Epoch != s.c.epoch || a.LeaseMS != patience.Milliseconds() {
				t.Errorf("%+v", a)
			}
		})
	}
}

// TestAnnouncementIsRenewed through lost replies and errors, and said again
// when somebody removed it.
func TestAnnouncementIsRenewed(t *testing.T) {
	for _, what := range []fault{fine, notDone, doneFailed, doneExists} {
		t.Run(fmt.Sprint(what), func(t *testing.T) {
			b := newFixture(t, 1)
			s := b.start(func(o *Options) { o.Lease = 100 * time.Millisecond })
			s.until("the job is prepared", func(l *loop) bool { return l.job != nil })
			b.store.inject("put", b.lay.Coordinator(), 2, what)
			last := readAnnouncement(b).Renewed
			for range 3 {
				s.until("it is renewed", func(*loop) bool { return readAnnouncement(b).Renewed.After(last) })
				last = readAnnouncement(b).Renewed
			}
			if a := readAnnouncement(b); a.App != "wc" {
				t.Errorf("app %q", a.App)
			}
			b.store.remove(b.lay.Coordinator())
			s.until("it is there again", func(*loop) bool { return readAnnouncement(b) != nil })
			s.join("w", 1).work(3)
			s.succeeds()
		})
	}
}

// TestTakenOver: a second coordinator takes the workers; the first ends and
// says to whom, and the job is done once.
func TestTakenOver(t *testing.T) {
	b := newFixture(t, 2)
	fast := func(o *Options) { o.Lease = 300 * time.Millisecond }
	first := b.start(fast)
	first.join("w", 1).work(1)
	second := b.start(func(o *Options) { fast(o); o.TakeOver = true })
	first.ends()
	var conflict *ConflictError
	if !errors.As(first.err, &conflict) || !strings.Contains(strings.Join(conflict.Diff, "\n"), second.c.o.Addresses[0]) {
		t.Fatalf("the first: %v", first.err)
	}
	second.join("w", 1).work(3)
	if got := second.succeeds(); got.Map.Reused != 1 || got.Map.Granted != 1 {
		t.Errorf("%+v", got.Map)
	}
}

// TestTakenOverByAnotherVersion: what cannot be read is another's all the
// same.
func TestTakenOverByAnotherVersion(t *testing.T) {
	b := newFixture(t, 1)
	s := b.start(func(o *Options) { o.Lease = 300 * time.Millisecond })
	s.until("the job is prepared", func(l *loop) bool { return l.job != nil })
	b.store.set(b.lay.Coordinator(), []byte(`{"schema":"mraws/coordinator/v2"}`), nil)
	s.ends()
	var conflict *ConflictError
	if !errors.As(s.err, &conflict) {
		t.Errorf("Run: %v", s.err)
	}
}

// TestOwnTrouble: a coordinator that ends because of its store does not end
// the job: workers are told nothing, and go on with the next one.
func TestOwnTrouble(t *testing.T) {
	b := newFixture(t, 1)
	b.store.inject("put", b.lay.Success(), 1, notDone)
	s := b.start(nil)
	w := s.join("w", 1)
	w.work(3)
	if _, err := s.conn.Poll(t.Context(), w.next()); !wire.IsUnreachable(err) {
		t.Errorf("its worker heard %v", err)
	}
	s.ends()
	if !errors.Is(s.err, errInjected) {
		t.Errorf("Run: %v", s.err)
	}
}
