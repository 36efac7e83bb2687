package cmd

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/mraws/mraws/internal/coordinator"
	"github.com/mraws/mraws/internal/failpoint"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/s3fs"
	"github.com/mraws/mraws/internal/status"
	"github.com/mraws/mraws/internal/task"
)

// outThere takes an --out that names a place in S3 for --output-at.
func (o *runFlags) outThere() error {
	if !strings.HasPrefix(o.out, "s3://") {
		return nil
	}
	switch {
	case o.outputAt != "":
		return usagef("leave out one of them", "--out %s and --output-at %s name two places for the output", o.out, o.outputAt)
	case o.overwrite:
		return usagef("name a folder without objects, or reset the job whose output lies there", "--overwrite is for an --out that is a folder of this machine")
	}
	o.outputAt, o.out = o.out, ""
	return nil
}

// openPlace reads --output-at. The bucket must exist; a missing one of the embedded
// server is created.
func (o *jobFlags) openPlace(ctx context.Context, st *store) (p manifest.Place, err error) {
	if o.outputAt == "" {
		return p, nil
	}
	const such = "such as --output-at s3://bucket/folder/"
	bucket, dir, found := cutURL(o.outputAt)
	p = manifest.Place{Bucket: bucket, Dir: strings.TrimRight(dir, "/") + "/"}
	if !found {
		return p, usagef(such, "--output-at %q does not begin with s3://", o.outputAt)
	}
	if err := p.Validate(); err != nil {
		return p, usagef(such, "--output-at %q: %w", o.outputAt, err)
	}
	if st.Embedded {
		return p, st.In(bucket).EnsureBucket(ctx)
	}
	err = st.In(bucket).CheckBucket(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		err = &Error{Code: ExitUsage, What: "there is no bucket " + bucket, Cause: err, Hint: "create it, or name another with --output-at"}
	}
	return p, err
}

// outputStore is the bucket of --output-at for the coordinator, nil without one.
func (t *target) outputStore(st *store) coordinator.Place {
	if t.outputAt == (manifest.Place{}) {
		return nil
	}
	return failpoint.Store("coordinator", st.In(t.outputAt.Bucket))
}

// outputs is where the outputs of the job lie that this command runs.
func (t *target) outputs(st *store) (*s3fs.Store, layout.Layout) {
	if t.outputAt == (manifest.Place{}) {
		return st.Store, t.layout
	}
	return st.In(t.outputAt.Bucket), t.layout.WithOutput(t.outputAt.Bucket, t.outputAt.Dir)
}

// writable returns another bucket of the same server, for a worker to write output to.
func (s *store) writable(name string) task.Place { return failpoint.Store("worker", s.In(name)) }

// readable returns another bucket of the same server, for the status to read output from.
func (s *store) readable(name string) status.Store { return s.In(name) }
