package manifest

import (
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/layout"
)

// TestPlace: the output of a job may lie in a folder of a bucket, and in no folder of any
// job. The keys of outputs in its records are those of the place, and no others.
func TestPlace(t *testing.T) {
	for _, tt := range []struct {
		place Place
		err   string
	}{
		{Place{"results", "a/"}, ""},
		{Place{"results", "a/b=1/"}, ""},
		{Place{"results", ""}, "folder of the bucket"},
		{Place{"results", "/"}, "folder of the bucket"},
		{Place{"results", "a"}, `want "a/"`},
		{Place{"results", "/a/"}, `want "a/"`},
		{Place{"results", "a//b/"}, "without empty parts"},
		{Place{"results", "../a/"}, "without empty parts"},
		{Place{"results", "a/output/"}, `the part "output"`},
		{Place{"results", "intermediate/_commit/"}, `the part "intermediate"`},
		{Place{"results", "a\n/"}, "control characters"},
		{Place{"results", strings.Repeat("a/", 300)}, "at most 512 bytes"},
		{Place{"Evil/", "a/"}, "name of a bucket"},
		{Place{"", "a/"}, "name of a bucket"},
	} {
		job := samples()["job"].(*Job)
		job.OutputAt = tt.place
		err := job.Validate(layout.New("p"))
		if (err == nil) != (tt.err == "") || err != nil && !(strings.Contains(err.Error(), "place of the output") && strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%+v: %v, want %q", tt.place, err, tt.err)
		}
	}

	own, job := layout.New("p"), samples()["job"].(*Job)
	rec := *samples()["reduce"].(*Reduce)
	if err := rec.Validate(own, job, rec.Task, rec.Attempt); err != nil {
		t.Fatal(err)
	}
	job.OutputAt = Place{"results", "a/"}
	if err := rec.Validate(own, job, rec.Task, rec.Attempt); err == nil || !strings.Contains(err.Error(), "has the key") {
		t.Errorf("the key of output/ where the output has a place of its own: %v", err)
	}
	rec.Output.Key = job.Layout(own).Output(rec.Task)
	for _, lay := range []layout.Layout{own, job.Layout(own)} {
		if err := rec.Validate(lay, job, rec.Task, rec.Attempt); err != nil {
			t.Error(err)
		}
	}
	plain := samples()["job"].(*Job)
	if diff := Diff(job, plain); len(diff) != 1 || diff[0] != "place of the output: s3://results/a/ -> output/" {
		t.Errorf("%q", diff)
	}
}

// TestOwner: what cannot say whose a place is.
func TestOwner(t *testing.T) {
	for name, change := range map[string]func(*Owner){
		"no job":       func(o *Owner) { o.Job = "" },
		"a path":       func(o *Owner) { o.Job = "../x" },
		"a line break": func(o *Owner) { o.Home.Bucket = "a\nb" },
		"a bad folder": func(o *Owner) { o.Home.Dir = "a//b/" },
	} {
		o := *samples()["owner"].(*Owner)
		if err := o.Validate(); err != nil {
			t.Fatal(err)
		}
		change(&o)
		data, err := Encode(o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeOwner(data); err == nil {
			t.Errorf("%s is the owner of a place", name)
		}
	}
}
