package verify

import (
	"context"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/mr"
)

// TestOutputPlace: the output of a job is verified where the spec says that it lies, and
// the place has to belong to the job.
func TestOutputPlace(t *testing.T) {
	owner := func(job string) []byte {
		data, err := manifest.Encode(manifest.Owner{Schema: manifest.OwnerSchema, Job: job, Home: manifest.Place{Bucket: "jobs"}})
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for name, tt := range map[string]struct {
		harm func(s *fakeStore)
		kind Kind // of the one finding, "" for none
		key  string
	}{
		"as it was":        {func(*fakeStore) {}, "", ""},
		"no owner":         {func(s *fakeStore) { delete(s.objs, "out/_owner.json") }, Missing, "out/_owner.json"},
		"another owner":    {func(s *fakeStore) { s.put("out/_owner.json", owner("wc-other"), nil) }, Foreign, "out/_owner.json"},
		"an owner damaged": {func(s *fakeStore) { s.put("out/_owner.json", []byte("{"), nil) }, BadRecord, "out/_owner.json"},
		"a file beside it": {func(s *fakeStore) { s.put("out/x", nil, nil) }, Foreign, "out/x"},
		"another output": {func(s *fakeStore) {
			s.rot("out/mr-out-0", func(b []byte) []byte { b[len(b)-2] ^= 1; return b })
		}, BadOutput, "out/mr-out-0"},
	} {
		t.Run(name, func(t *testing.T) {
			j := wcJob()
			j.place = manifest.Place{Bucket: "results", Dir: "out/"}
			s, lay := j.build(t)
			s.put(lay.Owner(), owner("wc-01jd9z6t3m"), nil)
			tt.harm(s)
			opt := Options{Scratch: t.TempDir(), Buckets: func(context.Context, string, manifest.Access) (Store, error) { return s, nil }}
			rep, err := Run(t.Context(), s, layout.New(j.prefix), opt)
			switch {
			case err != nil:
				t.Fatal(err)
			case tt.kind == "" && !rep.OK(), tt.kind != "" && (rep.Found != 1 || rep.Findings[0].Kind != tt.kind || rep.Findings[0].Key != layout.Place("results", tt.key)):
				t.Errorf("want %q of %s:\n%s", tt.kind, tt.key, show(rep))
			}
			if tt.kind == "" {
				if rep := run(t, s, layout.New(j.prefix), j.app, opt); !rep.OK() || rep.Reference.State != OK || rep.Seal == "" {
					t.Errorf("%+v\n%s", rep.Reference, show(rep))
				}
			}
			opt.Buckets = nil
			opt.Lookup = func(string) *mr.App { return nil }
			if _, err := Run(t.Context(), s, layout.New(j.prefix), opt); err == nil || !strings.Contains(err.Error(), "s3://results/out/: no other bucket can be read here") {
				t.Errorf("without other buckets: %v", err)
			}
		})
	}
}
