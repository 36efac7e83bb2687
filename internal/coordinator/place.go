package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// The output of a job may have a place of its own, which may lie in another bucket.
// Two jobs must never share one. So a job owns its place before any task writes
// there: _owner.json, which one conditional PUT creates, names the job. It is not
// created where outputs lie already.

// checkPlace returns an error unless the output can lie where it is to.
func (o Options) checkPlace() error {
	if o.OutputAt == (manifest.Place{}) {
		return nil
	}
	if err := o.OutputAt.Validate(); err != nil {
		return fmt.Errorf("place of the output: %w", err)
	}
	if o.OutputStore == nil {
		return fmt.Errorf("place of the output: no other bucket can be written here, such as %s", o.OutputAt)
	}
	if home := o.home(); home.Bucket == o.OutputAt.Bucket && strings.HasPrefix(home.Dir, o.OutputAt.Dir) {
		return fmt.Errorf("place of the output: the job itself lies in %s: name another folder", o.OutputAt)
	}
	return nil
}

// home is where the folders of the job lie.
func (o Options) home() manifest.Place {
	return manifest.Place{Bucket: o.Store.Bucket(), Dir: strings.TrimSuffix(o.Layout.InputDir(), "input/")}
}

// unowned returns a *ConflictError if the place of its own that the output is to have,
// or a folder that it lies in, belongs to a job.
func (c *Coordinator) unowned(ctx context.Context) error {
	if c.o.OutputAt == (manifest.Place{}) {
		return nil
	}
	for dir := strings.TrimSuffix(c.o.OutputAt.Dir, "/"); dir != "."; dir = path.Dir(dir) {
		owner, info, err := jobstate.ReadOwner(ctx, c.o.OutputStore, c.o.Layout.WithOutput(c.o.OutputAt.Bucket, dir+"/"))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil && !jobstate.Invalid(err):
			return err
		}
		return c.occupied(owner, info.Key, err)
	}
	return nil
}

// occupied is the error of a place whose owner is another job than this one, or nobody
// that can be told, as err says.
func (c *Coordinator) occupied(owner *manifest.Owner, key string, err error) error {
	why := fmt.Sprintf("%v", err)
	if err == nil {
		why = fmt.Sprintf("it says that the folder holds the output of job %s in %s", owner.Job, owner.Home)
	}
	return &ConflictError{
		Kind: ForeignPlace,
		What: fmt.Sprintf("%s belongs to another job", c.o.OutputAt),
		Diff: []string{fmt.Sprintf("%s: %s", layout.Place(c.o.OutputAt.Bucket, key), why)},
	}
}

// owns says whether the place of its own that the output has belongs to the job
// already; it is none of another's.
func (c *Coordinator) owns(ctx context.Context, job *manifest.Job) (bool, error) {
	if job.OutputAt == (manifest.Place{}) {
		return true, nil
	}
	owner, info, err := jobstate.ReadOwner(ctx, c.o.Store, c.o.Layout)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil && !jobstate.Invalid(err):
		return false, err
	case err != nil || owner.Job != job.ID:
		return false, c.occupied(owner, info.Key, err)
	}
	c.restorer.ownerAt = info
	return true, nil
}

// occupy makes the job the owner of the place, in which nothing of another job was found.
func (c *Coordinator) occupy(ctx context.Context, job *manifest.Job) error {
	if !c.o.Unsafe && job.OutputAt.Bucket != c.o.Store.Bucket() {
		if err := c.o.OutputStore.Preflight(ctx, job.OutputAt.Dir+"_preflight/"); err != nil {
			return fmt.Errorf("preflight of s3://%s: %w", job.OutputAt.Bucket, err)
		}
	}
	data, err := manifest.Encode(c.o.owner(job))
	if err != nil {
		return fmt.Errorf("own the place of the output: %w", err)
	}
	info, err := c.o.Store.Put(ctx, c.o.Layout.Owner(), data, object.PutOptions{IfAbsent: true, ContentType: "application/json"})
	if err == nil {
		info.Size = int64(len(data))
		c.restorer.ownerAt = info
		return nil
	}
	// Another job, or this very request, whose reply was lost.
	switch ours, rerr := c.owns(ctx, job); {
	case rerr != nil:
		return rerr
	case !ours:
		return fmt.Errorf("own the place of the output: %w", err)
	}
	return nil
}

// owner is what _owner.json says of a job.
func (o Options) owner(job *manifest.Job) manifest.Owner {
	return manifest.Owner{Schema: manifest.OwnerSchema, Job: job.ID, Home: o.home()}
}
