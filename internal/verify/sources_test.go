package verify

import (
	"context"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/mr"
)

// TestSources: input of another bucket is compared with the version that the job
// read, and the reference reads it there.
func TestSources(t *testing.T) {
	for _, tt := range []struct {
		name string
		harm func(logs *fakeStore)
		want string // of the first finding
	}{
		{"as it was", func(*fakeStore) {}, ""},
		{"changed", func(s *fakeStore) { s.put("d/b", []byte("three four\nfour\n"), nil) }, "the job read"},
		{"gone", func(s *fakeStore) { delete(s.objs, "d/b") }, "it is gone"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			logs := newFakeStore()
			j := testJob{app: wordCount(), reduces: 2, inputs: map[string]string{"a": "one two\n", "s3://logs/d/b": "two\nthree\n"}}
			j.elsewhere = func(o *manifest.Object) *fakeStore {
				if key, ok := strings.CutPrefix(o.Name, "s3://logs/"); ok {
					o.Bucket, o.Key = "logs", key
					return logs
				}
				return nil
			}
			s, lay := j.build(t)
			tt.harm(logs)
			opt := Options{Scratch: t.TempDir(), App: "wc", Lookup: func(string) *mr.App { return &j.app }, Buckets: func(_ context.Context, name string, a manifest.Access) (Store, error) {
				if name != "logs" || !a.Unsigned {
					t.Errorf("asked for the bucket %q by %+v", name, a)
				}
				return logs, nil
			}}
			for _, stream := range []int64{0, 1} {
				opt.stream = stream
				rep, err := Run(t.Context(), s, lay, opt)
				switch {
				case err != nil:
					t.Fatal(err)
				case tt.want == "" && (!rep.OK() || rep.Structure.Inputs != 2 || rep.Reference.State != OK || rep.Reference.Records != 3):
					t.Errorf("%+v\n%s", rep.Reference, show(rep))
				case tt.want != "" && (len(rep.Findings) != 1 || rep.Findings[0].Kind != InputChanged || rep.Findings[0].Key != layout.Place("logs", "d/b") || !strings.Contains(rep.Findings[0].Detail, tt.want)):
					t.Errorf("%s", show(rep))
				}
			}
			opt.Buckets = nil
			if _, err := Run(t.Context(), s, lay, opt); err == nil || !strings.Contains(err.Error(), "s3://logs/d/b: no other bucket can be read here") {
				t.Errorf("without other buckets: %v", err)
			}
		})
	}
}
