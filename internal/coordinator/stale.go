package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// unlessStale is the error of an object that names another job: fs.ErrNotExist
// if it is stale (task/stale.go), since an attempt of this job will commit in
// its place, else the *ConflictError that it is somebody's. found is what was
// seen of it.
func (c *Coordinator) unlessStale(ctx context.Context, found object.Info, by, job, why string) error {
	conflict := c.foreign(found.Key, why)
	if by == "" || by == job || found.Meta[manifest.MetaJob] != by {
		return conflict
	}
	now, at, err := c.owner(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("read %s, to see whether it still belongs to job %s: %w", found.Key, job, err)
	case now != job || found.Modified.Before(at.Modified):
		return conflict
	}
	c.o.Log.Warn().Str("key", found.Key).Str("job", by).Msg("a stopped attempt of an earlier job has written in the place of this one; that does not count")
	return fmt.Errorf("%s is of job %s: %w", found.Key, by, fs.ErrNotExist)
}

// owner reads which job the place belongs to; "" if to none that can be told.
func (c *Coordinator) owner(ctx context.Context) (job string, at object.Info, err error) {
	now, at, err := jobstate.ReadJob(ctx, c.o.Store, c.o.Layout)
	switch {
	case errors.Is(err, fs.ErrNotExist), jobstate.Invalid(err): // it is put back
		return "", at, nil
	case err != nil:
		return "", at, err
	}
	return now.ID, at, nil
}

// displaced returns a *ConflictError if the place belongs to another job by now:
// this one was reset while it ran, and nothing of it may be put back.
func (c *Coordinator) displaced(ctx context.Context) error {
	job := c.loop.job.ID // fixed before there is a core
	now, _, err := c.owner(ctx)
	if err != nil || now == "" || now == job {
		return err
	}
	return &ConflictError{
		What: fmt.Sprintf("job %s was reset while it ran", job),
		Diff: []string{fmt.Sprintf("s3://%s/%s belongs to job %s", c.o.Store.Bucket(), c.o.Layout.Job(), now)},
		Hint: "nothing of this job is left to go on with; give it a --prefix of its own to run it beside the other",
	}
}

// wasReset says whether a job that ended with err has been removed from the
// bucket. A store that does not answer says nothing of it.
func (c *Coordinator) wasReset(ctx context.Context, err error) bool {
	if err == nil || c.loop.job == nil || errors.Is(err, object.ErrUnreachable) {
		return false
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_, err = c.o.Store.Stat(ctx, c.o.Layout.Job())
	return errors.Is(err, fs.ErrNotExist)
}
