package task

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/testkit"
	"github.com/mraws/mraws/mr"
)

// lostJob is a job of three maps and three reduces whose maps are committed.
func lostJob(t *testing.T, app mr.App) *fixture {
	t.Helper()
	const words = "the quick brown fox jumps over the lazy dog\n" // some for each reduce
	w := newFixture(app, 3, 0, 1, file{"a", words + "bad\n"}, file{"b", words + "a cat\r\n" + words}, file{"c", words})
	w.Scratch = t.TempDir()
	return w
}

func (w *fixture) maps(t *testing.T) {
	t.Helper()
	e := w.env(t)
	for m := range w.Spec.Tasks {
		if _, err := e.Run(t.Context(), Attempt{mr.MapPhase, m, fmt.Sprintf("m%d", m)}); err != nil {
			t.Fatal(err)
		}
	}
}

// harm is what somebody does to a committed object.
type harm func(w *fixture, key string)

func gone(w *fixture, key string) { delete(w.Store.Objects, key) }

// zombie puts there what another execution made, as a late attempt does
// after a deletion.
func zombie(w *fixture, key string) {
	meta := map[string]string{manifest.MetaJob: w.Spec.ID, manifest.MetaAttempt: "late", manifest.MetaHash: strings.Repeat("0", 64)}
	delete(w.Store.Objects, key)
	_, _ = w.Store.Write(key, []byte("other bytes"), object.PutOptions{IfAbsent: true, Meta: meta})
}

// foreign puts there what says nothing of itself.
func foreign(w *fixture, key string) {
	delete(w.Store.Objects, key)
	_, _ = w.Store.Write(key, []byte("no segment"), putOptions)
}

// copied takes it away and brings it back by a tool that drops metadata.
func copied(w *fixture, key string) {
	o := w.Store.Objects[key]
	delete(w.Store.Objects, key)
	_, _ = w.Store.Write(key, o.Data, putOptions)
}

// rotten damages it at rest: the version and all that it says stay.
func rotten(w *fixture, key string) {
	o := w.Store.Objects[key]
	o.Data = bytes.Clone(o.Data)
	o.Data[len(o.Data)/2] ^= 0x10
	w.Store.Objects[key] = o
}

// spoiled is rotten in a store that keeps a checksum of the object.
func spoiled(w *fixture, key string) {
	rotten(w, key)
	o := w.Store.Objects[key]
	o.Spoiled = true
	w.Store.Objects[key] = o
}

// cut leaves n of ten bytes of it.
func cut(n int) harm {
	return func(w *fixture, key string) {
		o := w.Store.Objects[key]
		o.Data = o.Data[:len(o.Data)*n/10]
		o.Info.Size, o.Spoiled = int64(len(o.Data)), true
		w.Store.Objects[key] = o
	}
}

// TestRestore: whatever becomes of committed segments, the outputs are right,
// what was lost is there again, and the records are those that were.
func TestRestore(t *testing.T) { eachShuffle(t, testRestore) }

func testRestore(t *testing.T, how manifest.Shuffle) {
	clean := lostJob(t, testkit.Where).shuffled(how)
	want := clean.run(t)
	part := clean.Segment
	// Of packed segments one object is put back for all.
	objects := func(plain, packed int) int {
		if how == manifest.ShufflePacked {
			return packed
		}
		return plain
	}
	all := []string{}
	for m := range 3 {
		for r := range 3 {
			all = append(all, part(m, r))
		}
	}
	for name, tt := range map[string]struct {
		harm  harm
		keys  []string
		fails int // attempts that have to
		least int // objects that are put back
	}{
		"one is gone":     {gone, []string{part(1, 2)}, 0, 1},
		"one map is gone": {gone, []string{part(0, 0), part(0, 1), part(0, 2)}, 0, objects(3, 1)},
		"all are gone":    {gone, all, 0, objects(9, 3)},
		"a zombie came":   {zombie, []string{part(1, 2), part(2, 0)}, 0, 1},
		"foreign":         {foreign, []string{part(0, 1)}, 0, 1},
		"copied by hand":  {copied, all, 0, 0},
		"one is rotten":   {rotten, []string{part(0, 2)}, 1, 1},
		"one is spoiled":  {spoiled, []string{part(0, 2)}, objects(0, 1), 1},
		"one is cut":      {cut(9), []string{part(0, 2)}, 0, 1},
		"one is halved":   {cut(5), []string{part(1, 1)}, 0, 1},
		"one is emptied":  {cut(0), []string{part(2, 0)}, 0, 1},
		"all are spoiled": {spoiled, all, objects(0, 1), objects(9, 3)},
		"all are cut":     {cut(8), all, 0, objects(9, 3)},
		"all are emptied": {cut(0), all, 0, objects(9, 3)},
		// One attempt finds all that are rotten of what it reads.
		"all are rotten":   {rotten, all, objects(3, 1), objects(9, 3)},
		"three are rotten": {rotten, slices.Compact([]string{part(0, 0), part(0, 1), part(0, 2)}), objects(3, 1), objects(3, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			w := lostJob(t, testkit.Where).shuffled(how)
			w.maps(t)
			before := maps.Clone(w.Store.Objects)
			for _, key := range slices.Compact(slices.Clone(tt.keys)) {
				tt.harm(w, key)
			}
			failed, restored := 0, 0
			for r := range w.Spec.NReduce {
				for try := 0; ; try++ {
					e := w.env(t)
					res, err := e.Run(t.Context(), Attempt{mr.ReducePhase, r, fmt.Sprintf("r%d.%d", r, try)})
					restored += res.Restored
					if err == nil {
						break
					}
					var seg *SegmentError
					if failed++; failed > tt.fails || !errors.As(err, &seg) || !slices.Contains(tt.keys, seg.Key) {
						t.Fatalf("%d failures: %v", failed, err)
					}
				}
			}
			if d := cmp.Diff(want, w.Outputs(t)); d != "" {
				t.Errorf("outputs (-want +got):\n%s", d)
			}
			if failed != tt.fails || restored < tt.least || tt.least == 0 && restored > 0 {
				t.Errorf("%d attempts failed, want %d; %d objects were restored, want %d", failed, tt.fails, restored, tt.least)
			}
			for key, was := range before {
				now := w.Store.Objects[key]
				if !bytes.Equal(was.Data, now.Data) {
					t.Errorf("%s has other bytes than were committed", key)
				}
				if strings.Contains(key, "/_commit/") && was.Info.ETag != now.Info.ETag {
					t.Errorf("%s was written again", key)
				}
			}
			w.Check(t)
		})
	}
}

// TestRestoreDisplaced: what a record names below _attempts/ is put back
// there, and so is the list of what was skipped.
func TestRestoreDisplaced(t *testing.T) { eachShuffle(t, testRestoreDisplaced) }

func testRestoreDisplaced(t *testing.T, how manifest.Shuffle) {
	w := lostJob(t, brittle(testkit.Where)).shuffled(how)
	w.Spec.MaxBad = manifest.Budget{Records: 2}
	want := func() []string {
		c := lostJob(t, brittle(testkit.Where))
		c.Spec.MaxBad = w.Spec.MaxBad
		return c.run(t)
	}()
	for r := range 3 { // an attempt that made something else was there first
		zombie(w, w.Segment(0, r))
	}
	w.maps(t)
	rec, err := w.bucket().mapRecord(t.Context(), 0)
	if err != nil || rec.Bad == nil {
		t.Fatalf("record %+v, %v", rec, err)
	}
	for _, p := range committedObjects(rec) {
		if p.plain != rec.Bad.Key && !strings.Contains(p.plain, "_attempts") {
			t.Errorf("the record names %s", p.plain)
		}
		gone(w, p.plain)
	}
	for r := range 3 {
		if _, err := w.env(t).Run(t.Context(), Attempt{mr.ReducePhase, r, fmt.Sprintf("r%d", r)}); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff(want, w.Outputs(t)); d != "" {
		t.Errorf("outputs (-want +got):\n%s", d)
	}
	if o, err := w.Store.Object(rec.Bad.Key); err != nil || o.Info.Meta[manifest.MetaHash] != rec.Bad.Hash {
		t.Errorf("the list of what was skipped: %+v, %v", o.Info, err)
	}
	w.Check(t)
}

// TestRestoreFickle: what only a run that is over could make cannot be
// brought back. Nothing is put in its place.
func TestRestoreFickle(t *testing.T) { eachShuffle(t, testRestoreFickle) }

func testRestoreFickle(t *testing.T, how manifest.Shuffle) {
	for name, harm := range map[string]harm{"gone": gone, "rotten": rotten} {
		t.Run(name, func(t *testing.T) {
			var attempts []string
			w := newFixture(fickle(&attempts), 2, 0, 1, file{"a", "1\n2\n3\n4\n"}).shuffled(how)
			w.Scratch = t.TempDir()
			w.maps(t)
			key := w.Segment(0, 1)
			harm(w, key)
			before := maps.Clone(w.Store.Objects)
			_, err := w.env(t).Run(t.Context(), Attempt{mr.ReducePhase, 1, "r1"})
			var fatal *FatalError
			if !errors.As(err, &fatal) {
				t.Fatalf("%v", err)
			}
			for _, part := range []string{key, "map task 0", "gave another output for the same input", "partition 1"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("no %q in: %v", part, err)
				}
			}
			if len(before) != len(w.Store.Objects) || !bytes.Equal(before[key].Data, w.Store.Objects[key].Data) {
				t.Error("something was written")
			}
			w.Check(t)
		})
	}
}

// TestRestoreTogether: many who miss the same at the same time.
func TestRestoreTogether(t *testing.T) { eachShuffle(t, testRestoreTogether) }

func testRestoreTogether(t *testing.T, how manifest.Shuffle) {
	clean := lostJob(t, testkit.Where)
	want := clean.run(t)
	for range 20 {
		w := lostJob(t, testkit.Where).shuffled(how)
		w.maps(t)
		for m := range 3 {
			for r := range 3 {
				gone(w, w.Segment(m, r))
			}
		}
		var wg sync.WaitGroup
		for i := range 6 {
			e := w.env(t)
			wg.Go(func() {
				if _, err := e.Run(context.Background(), Attempt{mr.ReducePhase, i % 3, fmt.Sprintf("r%d", i)}); err != nil {
					t.Errorf("%v", err)
				}
			})
		}
		wg.Wait()
		if d := cmp.Diff(want, w.Outputs(t)); d != "" {
			t.Errorf("outputs (-want +got):\n%s", d)
		}
		w.Check(t)
	}
}

// TestRestoreFaults lets every call of the store fail in every way while an
// attempt restores: another attempt then comes to the right output.
func TestRestoreFaults(t *testing.T) { eachShuffle(t, testRestoreFaults) }

func testRestoreFaults(t *testing.T, how manifest.Shuffle) {
	clean := lostJob(t, testkit.Where)
	want := clean.run(t)
	for _, h := range []harm{gone, zombie} {
		calls := 0
		for _, what := range []testkit.Fault{testkit.Fine, testkit.NotDone, testkit.DoneFailed, testkit.DoneExists, testkit.Later, testkit.Torn} {
			for at := range max(calls, 1) {
				w := lostJob(t, testkit.Where).shuffled(how)
				w.maps(t)
				h(w, w.Segment(1, 0))
				h(w, w.Segment(2, 1))
				call := -1
				w.Store.Fault = func(int, string, string) testkit.Fault {
					if call++; call == at {
						return what
					}
					return testkit.Fine
				}
				for r := range 3 {
					_, err := w.env(t).Run(t.Context(), Attempt{mr.ReducePhase, r, fmt.Sprintf("r%d.1", r)})
					w.Store.Arrive()
					if err != nil {
						if what == testkit.Fine {
							t.Fatal(err)
						}
						_, err = w.env(t).Run(t.Context(), Attempt{mr.ReducePhase, r, fmt.Sprintf("r%d.2", r)})
					}
					if err != nil {
						t.Fatalf("call %d, fault %d: %v", at, what, err)
					}
				}
				calls = max(calls, call+1)
				if d := cmp.Diff(want, w.Outputs(t)); d != "" {
					t.Fatalf("call %d, fault %d: outputs (-want +got):\n%s", at, what, d)
				}
				w.Check(t)
			}
		}
	}
}

// thief takes a segment away each time that it was put back.
type thief struct {
	*testkit.Store
	key string
}

func (f *thief) Stream(ctx context.Context, key, etag string, off, n int64) (object.Stream, error) {
	return testkit.Stream(f.OpenChunks(ctx, key, etag, off, n, n, 1))
}

func (f *thief) OpenChunks(ctx context.Context, key, etag string, off, n, chunk int64, window int) (io.ReadCloser, error) {
	if key == f.key {
		f.Remove(key)
	}
	return f.Store.OpenChunks(ctx, key, etag, off, n, chunk, window)
}

// TestRestoreEnds: an attempt does not do it for ever.
func TestRestoreEnds(t *testing.T) { eachShuffle(t, testRestoreEnds) }

func testRestoreEnds(t *testing.T, how manifest.Shuffle) {
	w := lostJob(t, testkit.Where).shuffled(how)
	w.maps(t)
	e := w.env(t)
	e.Store = &thief{w.Store, w.Segment(1, 1)}
	res, err := e.Run(t.Context(), Attempt{mr.ReducePhase, 1, "r1"})
	var seg *SegmentError
	if !errors.As(err, &seg) || seg.Map != 1 || res.Restored != maxRestores {
		t.Errorf("restored %d objects, then %v", res.Restored, err)
	}
	w.Check(t)
}

// TestRestoreRepacked: a machine whose compressor comes to other bytes cannot
// put packed segments back to where the record has them. Another may.
func TestRestoreRepacked(t *testing.T) {
	w := lostJob(t, testkit.Where).shuffled(manifest.ShufflePacked)
	w.maps(t)
	key := layout.Layout{}.MapCommit(1)
	rec, err := w.bucket().mapRecord(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for r := range rec.Parts { // as if each had a byte more
		rec.Parts[r].Offset += int64(r)
		rec.Parts[r].Size++
	}
	rec.Packed.Size += int64(len(rec.Parts))
	rec.Packed.Hash = manifest.PackedHash(rec.Parts)
	data, err := manifest.Encode(rec)
	if err != nil {
		t.Fatal(err)
	}
	o := w.Store.Objects[key]
	o.Data = data
	o.Info.Meta[manifest.MetaHash] = manifest.DigestOf(data).String()
	w.Store.Objects[key] = o
	gone(w, w.Segment(1, 0))
	_, err = w.env(t).Run(t.Context(), Attempt{mr.ReducePhase, 0, "r"})
	var fatal *FatalError
	if err == nil || errors.As(err, &fatal) || !strings.Contains(err.Error(), "its compressed size is") {
		t.Errorf("%v", err)
	}
	w.Check(t)
}
