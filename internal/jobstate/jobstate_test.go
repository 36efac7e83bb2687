package jobstate_test

import (
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/internal/testkit"
)

const (
	noRecords = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	someHash  = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
)

// TestRead: each reader returns an object that is of its job, and says of any
// other what is the matter.
func TestRead(t *testing.T) {
	l := layout.Layout{}
	ctx := t.Context()
	kit := testkit.NewJob(testkit.WC, 1, 100, 1, testkit.File{Name: "a", Text: "x\n"})
	job := kit.Spec
	ofOther := *job
	ofOther.ID = "job-2"
	success := func(of *manifest.Job) manifest.Success {
		return manifest.Success{Schema: manifest.SuccessSchema, Job: of.ID, App: of.App, NReduce: 1, Outputs: []manifest.Output{{Key: l.Output(0), Hash: noRecords}}}
	}
	mapOf := func(of *manifest.Job) manifest.Map {
		return manifest.Map{
			Schema: manifest.MapSchema, Job: of.ID, Attempt: "a", Input: manifest.Input{Records: 1, Bytes: 2}, Emitted: 1,
			Parts: []manifest.Part{{Key: l.Partition(0, 0), ETag: "e", Size: 9, Hash: someHash, Sum: recordio.Sum{Records: 1, Bytes: 2}}},
		}
	}
	reduceOf := func(of *manifest.Job) manifest.Reduce {
		return manifest.Reduce{Schema: manifest.ReduceSchema, Job: of.ID, Attempt: "a", Output: manifest.Output{Key: l.Output(0), Hash: noRecords}}
	}
	for name, tt := range map[string]struct {
		key   string
		good  any
		other any // of another job; nil if any will do
		read  func(jobstate.Store) (found any, digest manifest.Digest, err error)
	}{
		"job": {l.Job(), job, nil, func(s jobstate.Store) (any, manifest.Digest, error) {
			v, _, err := jobstate.ReadJob(ctx, s, l)
			if v == nil {
				return nil, manifest.Digest{}, err
			}
			return v, v.Digest, err
		}},
		"map": {l.MapCommit(0), mapOf(job), mapOf(&ofOther), func(s jobstate.Store) (any, manifest.Digest, error) {
			v, _, err := jobstate.ReadMapCommit(ctx, s, l, job, 0)
			if v == nil {
				return nil, manifest.Digest{}, err
			}
			return v, v.Digest, err
		}},
		"reduce": {l.ReduceAttempt(0, "a"), reduceOf(job), reduceOf(&ofOther), func(s jobstate.Store) (any, manifest.Digest, error) {
			v, _, err := jobstate.ReadReduceCommit(ctx, s, l, job, 0, "a")
			if v == nil {
				return nil, manifest.Digest{}, err
			}
			return v, v.Digest, err
		}},
		"success": {l.Success(), success(job), success(&ofOther), func(s jobstate.Store) (any, manifest.Digest, error) {
			v, _, err := jobstate.ReadSuccess(ctx, s, l, job.ID)
			return nilOr(v), manifest.Digest{}, err
		}},
		"ranges": {
			l.Ranges(), manifest.Ranges{Schema: manifest.RangesSchema, Job: job.ID}, manifest.Ranges{Schema: manifest.RangesSchema, Job: "job-2"},
			func(s jobstate.Store) (any, manifest.Digest, error) {
				v, _, err := jobstate.ReadRanges(ctx, s, l, job)
				return nilOr(v), manifest.Digest{}, err
			},
		},
		"announcement": {
			l.Coordinator(), manifest.Coordinator{Schema: manifest.CoordinatorSchema, Epoch: "e", LeaseMS: 1}, nil,
			func(s jobstate.Store) (any, manifest.Digest, error) {
				v, _, err := jobstate.ReadAnnouncement(ctx, s, l)
				return nilOr(v), manifest.Digest{}, err
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := testkit.NewStore()
			gone := func(what string, wants func(error) bool) {
				t.Helper()
				v, _, err := tt.read(s)
				if v != nil || err == nil || !wants(err) {
					t.Errorf("%s: %v, %v", what, v, err)
				}
			}
			gone("nothing", func(err error) bool { return errors.Is(err, fs.ErrNotExist) && !jobstate.Invalid(err) })
			s.PutJSON(t, tt.key, tt.good)
			stored, err := s.Object(tt.key)
			if err != nil {
				t.Fatal(err)
			}
			v, digest, err := tt.read(s)
			if v == nil || err != nil || digest != (manifest.Digest{}) && digest != manifest.DigestOf(stored.Data) {
				t.Errorf("%+v, %v, %v", v, digest, err)
			}
			with := func(change func(*testkit.Object)) {
				o := stored
				change(&o)
				s.Objects[tt.key] = o
			}
			with(func(o *testkit.Object) { o.Info.Meta = map[string]string{manifest.MetaHash: someHash} })
			gone("other bytes than were written", jobstate.Damaged)
			with(func(o *testkit.Object) { o.Spoiled = true })
			gone("damaged", func(err error) bool { return jobstate.Damaged(err) && errors.Is(err, object.ErrDamaged) })
			with(func(o *testkit.Object) { o.Data = o.Data[:len(o.Data)/2] })
			gone("cut", jobstate.Damaged)
			with(func(o *testkit.Object) { o.Data = []byte(`{"schema":"x/v1"}`) })
			gone("of another kind", jobstate.Damaged)
			s.Fault = func(int, string, string) testkit.Fault { return testkit.NotDone }
			gone("the store fails", func(err error) bool { return errors.Is(err, testkit.ErrInjected) && !jobstate.Invalid(err) })
			s.Fault = nil
			if tt.other != nil {
				s.PutJSON(t, tt.key, tt.other)
				var other *manifest.OtherJobError
				gone("of another job", func(err error) bool { return jobstate.Invalid(err) && errors.As(err, &other) && other.Got == "job-2" })
			}
		})
	}
	s := testkit.NewStore()
	s.Replace(l.Job(), []byte(`{"schema":"mraws/job/v2"}`))
	if _, _, err := jobstate.ReadJob(ctx, s, l); !jobstate.Invalid(err) || jobstate.Damaged(err) {
		t.Errorf("of another version: %v", err)
	}
}

// nilOr makes a nil pointer a nil.
func nilOr[T any](v *T) any {
	if v == nil {
		return nil
	}
	return v
}

func TestSilent(t *testing.T) {
	written := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	a := &manifest.Coordinator{LeaseMS: 10_000}
	for after, want := range map[time.Duration]bool{-time.Hour: false, 0: false, 12 * time.Second: false, 13 * time.Second: true} {
		if got := jobstate.Silent(a, object.Info{Modified: written, Served: written.Add(after)}, 1); got != want {
			t.Errorf("after %v: %v", after, got)
		}
	}
	if jobstate.Silent(a, object.Info{Modified: written.Add(32 * time.Second), Served: written.Add(64 * time.Second)}, 3) {
		t.Error("silent after three leases and their slack")
	}
	if age := jobstate.Age(object.Info{Modified: written}); age != 0 {
		t.Errorf("the store does not say the time: %v", age)
	}
}
