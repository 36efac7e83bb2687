package manifest

import (
	"fmt"

	"github.com/mraws/mraws/internal/layout"
)

// Place is a folder of a bucket.
type Place struct {
	Bucket string `json:"bucket"`
	Dir    string `json:"dir"` // ends in a slash, unless it is "", which is all of the bucket
}

// String names the place for people; "output/" is where outputs lie that have no
// place of their own.
func (p Place) String() string {
	if p == (Place{}) {
		return "output/"
	}
	return layout.Place(p.Bucket, p.Dir)
}

// Validate returns an error unless the output of a job may lie there. The zero value
// is no place.
func (p Place) Validate() error {
	if !layout.ValidBucket(p.Bucket) {
		return fmt.Errorf("%.200q cannot be the name of a bucket", p.Bucket)
	}
	switch dir, err := layout.CheckOutputDir(p.Dir); {
	case err != nil:
		return fmt.Errorf("the folder %.600q %w", p.Dir, err)
	case dir != p.Dir:
		return fmt.Errorf("the folder is %.600q, want %.600q", p.Dir, dir)
	}
	return nil
}

// Layout returns the layout of the job, whose own folders are those of lay.
func (j *Job) Layout(lay layout.Layout) layout.Layout {
	return j.Output.Layout(lay.WithOutput(j.OutputAt.Bucket, j.OutputAt.Dir))
}

// Owner is _owner.json in a place of its own for the output of a job: whose it is. At
// most one job creates it, and only that job writes there.
type Owner struct {
	Schema string `json:"schema"`
	Job    string `json:"job"`
	// Home is where the job's own folders lie.
	Home Place `json:"home"`
}

// DecodeOwner reads whose a place is.
func DecodeOwner(data []byte) (*Owner, error) {
	o, err := Decode[Owner](data, OwnerSchema)
	if err != nil {
		return nil, err
	}
	return o, o.Validate()
}

// Validate returns an error unless o can be the owner of a place.
func (o *Owner) Validate() error {
	_, err := layout.CheckPrefix(o.Home.Dir)
	switch {
	case !layout.ValidName(o.Job):
		return fmt.Errorf("it is of job %.200q", o.Job)
	case !validText(o.Home.Bucket) || err != nil:
		return fmt.Errorf("its job lies in %.600q of the bucket %.200q", o.Home.Dir, o.Home.Bucket)
	}
	return nil
}
