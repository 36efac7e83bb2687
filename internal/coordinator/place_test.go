package coordinator

import (
	"errors"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// TestPlaceRefused: a place that is not free for the output is refused, with the object
// that shows it, and nothing is written.
func TestPlaceRefused(t *testing.T) {
	owner := func(job string) string {
		data, err := manifest.Encode(manifest.Owner{Schema: manifest.OwnerSchema, Job: job, Home: manifest.Place{Bucket: "jobs", Dir: "x/"}})
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for _, tt := range []struct {
		name    string
		place   manifest.Place
		objects map[string]string // of the bucket "results"
		want    string            // "" if the place is taken
	}{
		{"empty", manifest.Place{Bucket: "results", Dir: "out/"}, nil, ""},
		{"others beside it", manifest.Place{Bucket: "results", Dir: "out/"}, map[string]string{"out2/mr-out-0": "x", "_owner.json": owner("a"), "out/_note": "x"}, ""},
		{"an output", manifest.Place{Bucket: "results", Dir: "out/"}, map[string]string{"out/mr-out-1": "x"}, "s3://results/out/mr-out-1 does not belong to this job"},
		{"an output of no task", manifest.Place{Bucket: "results", Dir: "out/"}, map[string]string{"out/mr-out-7": "x"}, "s3://results/out/mr-out-7"},
		{"a summary", manifest.Place{Bucket: "results", Dir: "out/"}, map[string]string{"out/_SUCCESS": ""}, "s3://results/out/_SUCCESS"},
		{"a file of somebody's", manifest.Place{Bucket: "results", Dir: "out/"}, map[string]string{"out/notes.txt": "x"}, "s3://results/out/notes.txt"},
		{"a folder of somebody's", manifest.Place{Bucket: "results", Dir: "out/"}, map[string]string{"out/deep/x": "x"}, "s3://results/out/deep/x"},
		{"another owner", manifest.Place{Bucket: "results", Dir: "out/"}, map[string]string{"out/_owner.json": owner("wc-other")}, "s3://results/out/_owner.json: it says that the folder holds the output of job wc-other in s3://jobs/x/"},
		{"a damaged owner", manifest.Place{Bucket: "results", Dir: "out/"}, map[string]string{"out/_owner.json": "{"}, "s3://results/out/_owner.json"},
		{"within an owned folder", manifest.Place{Bucket: "results", Dir: "out/a/b/"}, map[string]string{"out/_owner.json": owner("wc-other")}, "s3://results/out/_owner.json"},
		{"a folder of a job", manifest.Place{Bucket: "results", Dir: "out/output/"}, nil, `the part "output"`},
		{"the job lies in it", manifest.Place{Bucket: "bucket", Dir: "p/"}, nil, "the job itself lies in s3://bucket/p/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, results := newFixture(t, 1), newFake()
			for key, text := range tt.objects {
				results.set(key, []byte(text), nil)
			}
			change := func(o *Options) { o.OutputAt, o.OutputStore = tt.place, results }
			s := b.start(change)
			if tt.want == "" {
				s.until("the job is planned", func(l *loop) bool { return l.job != nil })
				s.kill()
				data, _ := results.data("out/_owner.json")
				if o, err := manifest.DecodeOwner([]byte(data)); err != nil || o.Job != b.job() || o.Home != (manifest.Place{Bucket: "bucket", Dir: "p/"}) {
					t.Errorf("the owner of the place: %v, %+v", err, o)
				}
				again := b.start(change)
				again.until("the job goes on", func(l *loop) bool { return l.job != nil })
				again.kill()
				return
			}
			s.ends()
			var conflict *ConflictError
			text := s.err.Error()
			if errors.As(s.err, &conflict) {
				text += "\n" + strings.Join(conflict.Diff, "\n")
			}
			if !strings.Contains(text, tt.want) {
				t.Errorf("no %q in %s", tt.want, text)
			}
			if _, there := b.store.data(b.lay.Job()); there {
				t.Error("the job has a spec")
			}
			if data, there := results.data(tt.place.Dir + layout.OwnerName); there && data != tt.objects["out/_owner.json"] {
				t.Errorf("the place has another owner: %s", data)
			}
		})
	}
}

// TestPlaceLost: of two jobs that find a place empty at the same time one gets it, and the
// other names the object that says so. One whose own request lost its reply gets it too.
func TestPlaceLost(t *testing.T) {
	for who, other := range map[string]bool{"another": true, "this one": false} {
		t.Run(who, func(t *testing.T) {
			b, results := newFixture(t, 1), newFake()
			if other {
				data, err := manifest.Encode(manifest.Owner{Schema: manifest.OwnerSchema, Job: "wc-other", Home: manifest.Place{Bucket: "jobs"}})
				if err != nil {
					t.Fatal(err)
				}
				results.faults = func(op, key string) fault {
					if op == "put" && key == "out/_owner.json" {
						results.objects[key] = stored{data, object.Info{Key: key, ETag: "theirs", Size: int64(len(data))}}
					}
					return fine
				}
			} else {
				results.inject("put", "out/_owner.json", 1, doneFailed)
			}
			s := b.start(func(o *Options) { o.OutputAt, o.OutputStore = manifest.Place{Bucket: "results", Dir: "out/"}, results })
			if !other {
				s.until("the job is planned", func(l *loop) bool { return l.job != nil })
				s.kill()
				return
			}
			s.ends()
			var conflict *ConflictError
			if !errors.As(s.err, &conflict) || !strings.Contains(strings.Join(conflict.Diff, " "), "s3://results/out/_owner.json: it says that the folder holds the output of job wc-other") {
				t.Errorf("%v", s.err)
			}
		})
	}
}
