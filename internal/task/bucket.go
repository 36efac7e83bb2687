package task

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// bucket is the job in the bucket as an attempt reads it: what lies there, and
// whether it is the job's own.
type bucket struct {
	store  Store
	others func(ctx context.Context, name string, a manifest.Access) (Source, error) // see [Env.Buckets]
	layout layout.Layout
	job    *manifest.Job
	format input.Format                    // of the job's input
	rows   input.Rows                      // how its rows are read, if it has any
	chunk  int64                           // bytes of a request of open
	dict   int64                           // see [decompress.Decoder]
	kinds  map[string]manifest.Compression // of the objects that readers have found compressed
}

// source returns the bucket that an input object lies in.
func (b *bucket) source(ctx context.Context, o *manifest.Object) (Source, error) {
	switch {
	case o.Bucket == "":
		return b.store, nil
	case b.others == nil:
		return nil, &FatalError{Err: fmt.Errorf("read input %s: no other bucket can be read here", o.Name), Key: o.Name}
	}
	return b.others(ctx, o.Bucket, b.job.Buckets[o.Bucket])
}

// openInput opens a range of an input object that is read once more, beside the
// plan.
func (b *bucket) openInput(ctx context.Context, o manifest.Object, off, n int64) (io.ReadCloser, error) {
	from, err := b.source(ctx, &o)
	if err != nil {
		return nil, err
	}
	return from.OpenChunks(ctx, o.In(b.layout), o.ETag, off, n, b.chunk, windowChunks)
}

// open opens a range of an object of the job.
func (b *bucket) open(ctx context.Context, key, etag string, off, n int64) (io.ReadCloser, error) {
	return b.store.OpenChunks(ctx, key, etag, off, n, b.chunk, windowChunks)
}

// checkOwner returns an error unless the place of its own that the output has
// belongs to the job. No attempt writes there before.
func (b *bucket) checkOwner(ctx context.Context) error {
	if b.layout.OutputBucket() == "" {
		return nil
	}
	owner, info, err := jobstate.ReadOwner(ctx, b.store, b.layout)
	if err == nil && owner.Job != b.job.ID {
		return &ConflictError{Key: info.Key, Job: b.job.ID, Got: owner.Job}
	}
	return LostRead(info.Key, err)
}

// owner tells which job what lies under a key belongs to by now, by the object that
// says so, and which version of that says it.
func (b *bucket) owner(ctx context.Context, key string) (job string, at object.Info, err error) {
	if b.layout.Outside(key) {
		owner, at, err := jobstate.ReadOwner(ctx, b.store, b.layout)
		if err != nil {
			return "", at, err
		}
		return owner.Job, at, nil
	}
	now, at, err := jobstate.ReadJob(ctx, b.store, b.layout)
	if err != nil {
		return "", at, err
	}
	return now.ID, at, nil
}

// mapRecord reads the commit record of map task m, or returns an error that
// wraps fs.ErrNotExist when the task is not committed.
func (b *bucket) mapRecord(ctx context.Context, m int) (*manifest.Map, error) {
	rec, info, err := jobstate.ReadMapCommit(ctx, b.store, b.layout, b.job, m)
	var other *manifest.OtherJobError
	if errors.As(err, &other) {
		return nil, &ConflictError{Key: info.Key, Job: other.Want, Got: other.Got}
	}
	return rec, LostRead(info.Key, err)
}

// reduceRecord reads the record of a reduce attempt, and tells which version it
// is: nil if it is missing or is no such record.
func (b *bucket) reduceRecord(ctx context.Context, r int, attempt string) (rec *manifest.Reduce, etag string, err error) {
	rec, info, err := jobstate.ReadReduceCommit(ctx, b.store, b.layout, b.job, r, attempt)
	if errors.Is(err, object.ErrDamaged) {
		info, err = b.store.Stat(ctx, info.Key)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, "", nil
	case err != nil && !jobstate.Invalid(err):
		return nil, "", fmt.Errorf("the record of the attempt that wrote %s: %w", b.layout.Output(r), err)
	}
	return rec, info.ETag, nil
}

// lookAfter returns what lies under key after a write that returned werr. It
// returns werr if nothing is there, and a *ConflictError or *staleError if it
// belongs to another job.
func (b *bucket) lookAfter(ctx context.Context, key string, werr error) (object.Info, error) {
	info, err := b.store.Stat(ctx, key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return info, werr
	case err != nil:
		return info, errors.Join(werr, err)
	case info.Meta[manifest.MetaJob] != b.job.ID:
		return info, b.stale(ctx, key, info)
	}
	return info, nil
}

// holds reads an object and says whether its bytes are those of an output.
func (b *bucket) holds(ctx context.Context, info object.Info, o manifest.Output) (bool, error) {
	if info.Size != o.Size || o.Size == 0 {
		return info.Size == o.Size, nil
	}
	body, err := b.open(ctx, info.Key, info.ETag, 0, info.Size)
	if err != nil {
		return false, err
	}
	sha := sha256.New()
	_, err = io.Copy(sha, body)
	if err = errors.Join(err, body.Close()); err != nil {
		return false, err
	}
	return hex.EncodeToString(sha.Sum(nil)) == o.Hash, nil
}
