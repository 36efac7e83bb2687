package task

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// An attempt that stood still while its job was reset, and another was begun in
// the same place, writes into that one when it goes on: the names are free. S3
// has no condition that names two objects, so what it wrote has to be told from
// what belongs there: each object names its job. It is *stale* if it is of
// another job and came when this one had begun. What came before is somebody's,
// and stays.
//
// Nothing of a stale object is used. A partition goes elsewhere, as beside any
// other bytes; a commit record and an output are replaced, if the very version is
// still there. Whoever is to replace something has looked at it first and then
// made sure that the job is still the one that the place belongs to: if that
// changes behind the look, the version that it saw is gone.

// staleError says that a stale object lies where a commit is to be.
type staleError struct {
	key  string
	etag string // of the version that was seen
	job  string // that wrote it
}

func (e *staleError) Error() string {
	return fmt.Sprintf("%s was written late, by an attempt of job %s", e.key, e.job)
}

// stale returns a *staleError for an object that is one, else the
// *ConflictError of an object of another job. info is what was seen of it.
func (b *bucket) stale(ctx context.Context, key string, info object.Info) error {
	job := info.Meta[manifest.MetaJob]
	conflict := &ConflictError{Key: key, Job: b.job.ID, Got: job}
	if job == "" {
		return conflict
	}
	now, at, err := b.owner(ctx, key)
	switch {
	case errors.Is(err, fs.ErrNotExist), jobstate.Invalid(err) && !errors.Is(err, object.ErrDamaged):
		return conflict
	case err != nil:
		return fmt.Errorf("read %s, to see whether it still belongs to job %s: %w", key, b.job.ID, err)
	case now != b.job.ID || info.Modified.Before(at.Modified):
		return conflict
	}
	return &staleError{key: key, etag: info.ETag, job: job}
}

// staleAt is stale of the control object that lies under a key.
func (b *bucket) staleAt(ctx context.Context, key string) error {
	_, info, err := b.store.Get(ctx, key)
	if err != nil {
		return err
	}
	if info.Meta[manifest.MetaJob] == b.job.ID {
		return fmt.Errorf("%s changes while it is looked at", key)
	}
	return b.stale(ctx, key, info)
}

// unlessConflict returns err, or instead in place of a *ConflictError. The
// callers found the conflict instead in the content of the object, which names
// the job; err comes from its metadata.
func unlessConflict(err, instead error) error {
	var conflict *ConflictError
	if errors.As(err, &conflict) {
		return instead
	}
	return err
}

// isStale says whether an error is a *staleError.
func isStale(err error) bool {
	var stale *staleError
	return errors.As(err, &stale)
}
