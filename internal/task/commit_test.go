package task

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/testkit"
	"github.com/mraws/mraws/mr"
)

// smallJob is a job of one map and two reduce tasks.
func smallJob(t *testing.T) *fixture {
	w := newFixture(testkit.Where, 2, 0, 3, file{"a", "the cat\nthe dog\n"}, file{"b", "a cat\r\n"}, file{"c", "end"})
	w.Scratch = t.TempDir()
	return w
}

var smallTasks = []Attempt{{mr.MapPhase, 0, ""}, {mr.ReducePhase, 0, ""}, {mr.ReducePhase, 1, ""}}

// tasks are those of smallJob, or of a map-only job.
func (w *fixture) tasks() []Attempt {
	if !w.Spec.MapOnly() {
		return smallTasks
	}
	tasks := make([]Attempt, w.Spec.Outputs())
	for i := range tasks {
		tasks[i] = Attempt{mr.ReducePhase, i, ""}
	}
	return tasks
}

// TestFaults lets every call of the store fail in every way, once, and then
// lets a second attempt at each task run: what is committed in the end is
// exactly right, and what an attempt said of itself is true.
func TestFaults(t *testing.T) {
	t.Run("all good", func(t *testing.T) { testFaults(t, smallJob) })
	t.Run("some bad", func(t *testing.T) { testFaults(t, badJob) })
	t.Run("packed", func(t *testing.T) {
		testFaults(t, func(t *testing.T) *fixture { return smallJob(t).shuffled(manifest.ShufflePacked) })
	})
	t.Run("map-only", func(t *testing.T) { testFaults(t, directJob) })
}

func testFaults(t *testing.T, smallJob func(t *testing.T) *fixture) {
	clean := smallJob(t)
	want := clean.run(t)
	n := len(clean.Store.Calls)
	failed := map[testkit.Fault]int{}
	for _, what := range []testkit.Fault{testkit.NotDone, testkit.DoneFailed, testkit.DoneExists, testkit.Later, testkit.Torn} {
		for at := range n {
			w := smallJob(t)
			armed, call, hit := false, -1, ""
			w.Store.Fault = func(_ int, op, key string) testkit.Fault {
				if !armed {
					return testkit.Fine
				}
				if call++; call != at {
					return testkit.Fine
				}
				hit = op + " " + key
				return what
			}
			e := w.env(t)
			for _, task := range w.tasks() {
				first, second := task, task
				first.ID, second.ID = "first", "second"
				armed = true
				res, err := e.Run(context.Background(), first)
				armed = false
				if err != nil {
					if !errors.Is(err, testkit.ErrInjected) && !errors.Is(err, fs.ErrExist) {
						t.Fatalf("fault %d at call %d %s: %v", what, at, hit, err)
					}
					failed[what]++
				}
				w.Store.Arrive()
				again, err := e.Run(context.Background(), second)
				if err != nil {
					t.Fatalf("fault %d at call %d %s, second attempt: %v", what, at, hit, err)
				}
				if by := w.committer(t, task); (by == "second") == again.Superseded || by == "first" && res.Superseded {
					t.Fatalf("fault %d at call %d %s: committed by %s, first %+v, second %+v",
						what, at, hit, by, res, again)
				}
			}
			w.Check(t)
			if diff := cmp.Diff(want, w.Outputs(t)); diff != "" {
				t.Fatalf("fault %d at call %d %s:\n%s", what, at, hit, diff)
			}
		}
	}
	// A write that took place is recognised, so its lost reply costs nothing.
	if failed[testkit.DoneFailed]+failed[testkit.DoneExists] > 2*2 { // the record of a reduce attempt is no commit
		t.Errorf("attempts failed over replies that were lost: %v", failed)
	}
	if failed[testkit.NotDone] == 0 || failed[testkit.Later] == 0 || failed[testkit.Torn] == 0 {
		t.Errorf("faults without effect: %v", failed)
	}
}

// committer tells whose attempt is committed.
func (w *fixture) committer(t *testing.T, task Attempt) string {
	if task.Phase == mr.MapPhase {
		rec, err := w.bucket().mapRecord(context.Background(), task.Index)
		if err != nil {
			t.Fatal(err)
		}
		return rec.Attempt
	}
	o, err := w.Store.Object(layout.Layout{}.Output(task.Index))
	if err != nil {
		t.Fatal(err)
	}
	by := o.Info.Meta[manifest.MetaAttempt]
	data, err := w.Store.Object(layout.Layout{}.ReduceAttempt(task.Index, by))
	if err != nil {
		t.Fatal(err)
	}
	rec, err := manifest.Decode[manifest.Reduce](data.Data, manifest.ReduceSchema)
	if err != nil {
		t.Fatal(err)
	}
	if rec.Output.Size != int64(len(o.Data)) || rec.Output.Lines != int64(strings.Count(string(o.Data), "\n")) {
		t.Fatalf("record %+v of an output of %d bytes", rec.Output, len(o.Data))
	}
	return by
}

// TestCrashedAfter: an attempt that ended after any number of its partitions
// leaves work that the next one adopts.
func TestCrashedAfter(t *testing.T) { eachShuffle(t, testCrashedAfter) }

func testCrashedAfter(t *testing.T, how manifest.Shuffle) {
	objects := 2
	if how == manifest.ShufflePacked {
		objects = 1
	}
	for k := range objects + 1 {
		w := smallJob(t).shuffled(how)
		puts := 0
		w.Store.Fault = func(_ int, op, key string) testkit.Fault {
			if op == "put" {
				if puts++; puts > k {
					return testkit.NotDone
				}
			}
			return testkit.Fine
		}
		e := w.env(t)
		if _, err := e.Run(context.Background(), Attempt{mr.MapPhase, 0, "first"}); !errors.Is(err, testkit.ErrInjected) {
			t.Fatalf("first attempt: %v", err)
		}
		w.Store.Fault = nil
		res, err := e.Run(context.Background(), Attempt{mr.MapPhase, 0, "second"})
		if err != nil || res.Adopted != k || res.Displaced != 0 || res.Superseded {
			t.Errorf("after %d puts: %+v, %v", k, res, err)
		}
		w.Check(t)
	}
}

// fickle emits what names its attempt.
func fickle(attempts *[]string) mr.App {
	a := testkit.Where
	a.NewMapper = func(task *mr.Task) (mr.Mapper, error) {
		*attempts = append(*attempts, task.Attempt)
		return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
			out.Emit(rec.Data, []byte(task.Attempt))
			return nil
		}), nil
	}
	return a
}

// TestFickleMap: with a map that gives other bytes each time, the record
// names one execution only, and reduce reads through it.
func TestFickleMap(t *testing.T) { eachShuffle(t, testFickleMap) }

func testFickleMap(t *testing.T, how manifest.Shuffle) {
	var attempts []string
	w := newFixture(fickle(&attempts), 2, 0, 1, file{"a", "1\n2\n3\n4\n"}).shuffled(how)
	w.Scratch = t.TempDir()
	var l layout.Layout
	w.Store.Fault = func(_ int, op, key string) testkit.Fault {
		if key == l.MapCommit(0) && op == "put" {
			return testkit.NotDone
		}
		return testkit.Fine
	}
	e := w.env(t)
	if _, err := e.Run(context.Background(), Attempt{mr.MapPhase, 0, "first"}); !errors.Is(err, testkit.ErrInjected) {
		t.Fatal(err)
	}
	w.Store.Fault = nil
	res, err := e.Run(context.Background(), Attempt{mr.MapPhase, 0, "second"})
	if packed := how == manifest.ShufflePacked; err != nil || !packed && res.Displaced != 2 || packed && res.Displaced != 1 || res.Adopted != 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	rec, err := w.bucket().mapRecord(context.Background(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for r, p := range rec.Parts {
		if rec.Packed == nil && p.Key != l.MapAttempt(0, "second", r) {
			t.Errorf("part %d: %+v", r, p)
		}
	}
	if p := rec.Packed; p != nil && p.Key != l.MapAttemptPacked(0, "second") {
		t.Errorf("packed: %+v", p)
	}
	// A third comes too late and touches nothing.
	before := len(w.Store.Objects)
	res, err = e.Run(context.Background(), Attempt{mr.MapPhase, 0, "third"})
	if err != nil || !res.Superseded || len(w.Store.Objects) != before {
		t.Errorf("%+v, %v, %d objects, had %d", res, err, len(w.Store.Objects), before)
	}
	for r := range 2 {
		if _, err := e.Run(context.Background(), Attempt{mr.ReducePhase, r, "r"}); err != nil {
			t.Fatal(err)
		}
	}
	if out := strings.Join(w.Outputs(t), ""); strings.Count(out, "second") != 4 || strings.Contains(out, "first") {
		t.Errorf("outputs: %s", out)
	}
	w.Check(t)
}

// TestRace runs many attempts at the same tasks at once.
func TestRace(t *testing.T) { eachShuffle(t, testRace) }

func testRace(t *testing.T, how manifest.Shuffle) {
	w := smallJob(t).shuffled(how)
	want := oracle(t, testkit.Where, 2, file{"a", "the cat\nthe dog\n"}, file{"b", "a cat\r\n"}, file{"c", "end"})
	commits := new(Commits)
	for _, task := range smallTasks {
		won := make(chan bool)
		const n = 8
		for i := range n {
			e := w.env(t)
			e.Commits = commits
			go func() {
				a := task
				a.ID = fmt.Sprint("attempt", i)
				res, err := e.Run(context.Background(), a)
				if err != nil {
					t.Error(err)
				}
				won <- err == nil && !res.Superseded
			}()
		}
		winners := 0
		for range n {
			if <-won {
				winners++
			}
		}
		if winners != 1 {
			t.Errorf("%s task %d: %d attempts say that they committed", task.Phase, task.Index, winners)
		}
	}
	if diff := cmp.Diff(want, w.Outputs(t)); diff != "" {
		t.Error(diff)
	}
	w.Check(t)
}

// TestConflict: what others wrote is never taken for ours, nor touched.
func TestConflict(t *testing.T) {
	var l layout.Layout
	for _, tc := range []struct {
		name string
		key  string
		meta map[string]string
		data string
		task Attempt
		got  string
	}{
		{"partition of another job", l.Partition(0, 1), map[string]string{manifest.MetaJob: "job-0"}, "x", Attempt{mr.MapPhase, 0, "a"}, "job-0"},
		{"partition of nobody", l.Partition(0, 0), nil, "x", Attempt{mr.MapPhase, 0, "a"}, ""},
		{"packed, of another job", l.Packed(0), map[string]string{manifest.MetaJob: "job-0"}, "x", Attempt{mr.MapPhase, 0, "a"}, "job-0"},
		{"record of another job", l.MapCommit(0), nil, `{"schema":"mraws/map/v1","job":"job-0"}`, Attempt{mr.MapPhase, 0, "a"}, "job-0"},
		{"output of another job", l.Output(1), map[string]string{manifest.MetaJob: "job-0", manifest.MetaAttempt: "a"}, "x", Attempt{mr.ReducePhase, 1, "a"}, "job-0"},
		{"output of nobody", l.Output(1), nil, "x", Attempt{mr.ReducePhase, 1, "a"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := smallJob(t)
			if tc.key == l.Packed(0) {
				w.shuffled(manifest.ShufflePacked)
			}
			e := w.env(t)
			if tc.task.Phase == mr.ReducePhase {
				if _, err := e.Run(context.Background(), Attempt{mr.MapPhase, 0, "m"}); err != nil {
					t.Fatal(err)
				}
			}
			_, err := w.Store.Write(tc.key, []byte(tc.data), object.PutOptions{Meta: tc.meta})
			if err != nil {
				t.Fatal(err)
			}
			_, err = e.Run(context.Background(), tc.task)
			var conflict *ConflictError
			if !errors.As(err, &conflict) {
				t.Fatalf("got %v, want a ConflictError", err)
			}
			if diff := cmp.Diff(&ConflictError{Key: tc.key, Job: "job-1", Got: tc.got}, conflict); diff != "" {
				t.Error(diff)
			}
			w.Check(t)
		})
	}
}

// TestRequests: an undisturbed map attempt asks for its input, puts those of
// its partitions that have records, and its record, and no more; a reduce
// attempt reads each record once for all its worker's tasks and no empty
// partition, and writes its output whether it has lines or not.
func TestRequests(t *testing.T) { eachShuffle(t, testRequests) }

func testRequests(t *testing.T, how manifest.Shuffle) {
	w := newFixture(testkit.Where, 3, 0, 1, file{"a", "x\n"}).shuffled(how)
	w.Scratch = t.TempDir()
	w.run(t)
	filled := mr.Partition([]byte("x"), 3)
	want := []string{"open input/a", "put " + w.Segment(0, filled), "put intermediate/_commit/map-0", "get intermediate/_commit/map-0"}
	for r := range 3 {
		if r == filled {
			want = append(want, "open "+w.Segment(0, r))
		}
		out := fmt.Sprintf("output/mr-out-%d", r)
		want = append(want, "create "+out)
		if r == filled {
			want = append(want, "write "+out)
		}
		want = append(want, fmt.Sprintf("put intermediate/_attempts/reduce-%d/r%d", r, r), "commit "+out)
	}
	if diff := cmp.Diff(want, w.Store.Calls); diff != "" {
		t.Error(diff)
	}
}

// TestSideFiles checks the promises of mr.SideFiles, faults included.
func TestSideFiles(t *testing.T) {
	ctx := context.Background()
	f := testkit.NewStore()
	s := &sideFiles{store: f, job: "j", attempt: "a"}
	for i, what := range []testkit.Fault{testkit.Fine, testkit.DoneFailed, testkit.DoneExists} {
		f.Fault = func(_ int, op, _ string) testkit.Fault {
			if op == "put" {
				return what
			}
			return testkit.Fine
		}
		name := fmt.Sprintf("dir/f%d", i)
		if err := s.Create(ctx, name, []byte("x")); err != nil {
			t.Errorf("create, fault %d: %v", what, err)
		}
		if err := s.Create(ctx, name, []byte("x")); !errors.Is(err, fs.ErrExist) {
			t.Errorf("create again, fault %d: %v", what, err)
		}
	}
	f.Fault = func(int, string, string) testkit.Fault { return testkit.NotDone }
	if err := s.Create(ctx, "new", nil); !errors.Is(err, testkit.ErrInjected) || errors.Is(err, fs.ErrExist) {
		t.Errorf("create that was not done: %v", err)
	}
	f.Fault = nil
	if err := s.Put(ctx, "dir/f0", []byte("y")); err != nil {
		t.Error(err)
	}
	if data, err := s.Get(ctx, "dir/f0"); err != nil || string(data) != "y" {
		t.Errorf("got %q, %v", data, err)
	}
	if _, err := s.Get(ctx, "none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	names, err := s.List(ctx, "dir/")
	if diff := cmp.Diff([]string{"dir/f0", "dir/f1", "dir/f2"}, names); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for _, bad := range []string{"", "/a", "../a", "a//b", "a b", "a/"} {
		if s.Put(ctx, bad, nil) == nil || s.Create(ctx, bad, nil) == nil {
			t.Errorf("name %q was taken", bad)
		}
	}
	if s.Put(ctx, "big", make([]byte, maxSideFile+1)) == nil {
		t.Error("a file that is too large was taken")
	}
}

// TestCommitsCache: an error is not kept, and one that waits for another's
// fetch does not inherit the other's end.
func TestCommitsCache(t *testing.T) {
	w := smallJob(t)
	e := w.env(t)
	if _, err := e.Commits.partition(context.Background(), w.bucket(), 0); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("uncommitted: %v", err)
	}
	if _, err := e.Run(context.Background(), Attempt{mr.MapPhase, 0, "m"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	first, release := make(chan struct{}), make(chan struct{})
	gets := 0
	w.Store.Hook = func(op, _ string) {
		if op == "get" {
			if gets++; gets == 1 {
				close(first)
				<-release
			}
		}
	}
	errs := make(chan error)
	go func() {
		_, err := e.Commits.partition(ctx, w.bucket(), 0)
		errs <- err
	}()
	<-first
	go func() {
		_, err := e.Commits.partition(context.Background(), w.bucket(), 0)
		errs <- err
	}()
	cancel()
	close(release)
	a, b := <-errs, <-errs
	if a == nil {
		a, b = b, a
	}
	if !errors.Is(a, context.Canceled) || b != nil {
		t.Errorf("cancelled %v, other %v", a, b)
	}
	if _, err := e.Commits.partition(context.Background(), w.bucket(), 1); err != nil || gets > 2 {
		t.Errorf("%v after %d gets", err, gets)
	}
}

// TestDelays: the record of an attempt says what held it up: runs that it wrote to
// scratch, and replies of the store that asked for fewer requests. That of one which
// nothing held up says nothing of that.
func TestDelays(t *testing.T) {
	run := func(ctx context.Context, memory int64, text string) (manifest.Delays, Result) {
		w := newFixture(testkit.Where, 3, 0, 1, file{"a", text})
		w.Scratch, w.Memory = t.TempDir(), memory
		res, err := w.env(t).Run(ctx, Attempt{mr.MapPhase, 0, "m"})
		if err != nil {
			t.Fatal(err)
		}
		data, _, err := w.Store.Get(t.Context(), layout.Layout{}.MapCommit(0))
		if err != nil {
			t.Fatal(err)
		}
		rec, err := manifest.DecodeMap(data, layout.Layout{}, w.Spec, 0)
		if err != nil {
			t.Fatal(err)
		}
		w.Check(t)
		return rec.Delays, res
	}
	pulse := new(object.Pulse)
	wait := pulse.Wait()
	wait.Throttle()
	wait.Throttle()
	d, res := run(object.WithPulse(t.Context(), pulse), 20_000, text(1, 400_000))
	if res.Spills == 0 || d.Spills != int64(res.Spills) || d.SpilledBytes <= 0 || d.SpillSeconds <= 0 || d.Throttled != 2 {
		t.Errorf("%+v after %d spills", d, res.Spills)
	}
	d, _ = run(t.Context(), 64<<20, "a b")
	d.WaitSeconds, d.UploadSeconds = 0, 0
	if d != (manifest.Delays{}) {
		t.Errorf("%+v", d)
	}
}
