package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// bucket reads the objects of the job, and tells which job an object belongs to.
type bucket struct {
	store  Store
	layout layout.Layout
	log    zerolog.Logger
}

// readMap reads the commit record of map task m. The job does not replace one
// that is damaged: a reduce attempt may have used it before.
func (b *bucket) readMap(ctx context.Context, job *manifest.Job, m int) (*mapCommit, error) {
	rec, info, err := jobstate.ReadMapCommit(ctx, b.store, b.layout, job, m)
	var other *manifest.OtherJobError
	if errors.As(err, &other) {
		return nil, b.unlessStale(ctx, info, other.Got, job.ID, other.Error())
	}
	return &mapCommit{rec, info}, b.unusable(DamagedRecord, err)
}

// readReduce finds which attempt made output r and reads its record.
func (b *bucket) readReduce(ctx context.Context, job *manifest.Job, r int) (*reduceCommit, error) {
	out, err := b.store.Stat(ctx, b.layout.Output(r))
	if err != nil {
		return nil, fmt.Errorf("read the metadata of an output: %w", err)
	}
	attempt := out.Meta[manifest.MetaAttempt]
	if by := out.Meta[manifest.MetaJob]; by != job.ID || !layout.ValidName(attempt) {
		out.Key = b.layout.Output(r)
		return nil, b.unlessStale(ctx, out, by, job.ID, "no attempt of this job wrote it")
	}
	rec, info, err := jobstate.ReadReduceCommit(ctx, b.store, b.layout, job, r, attempt)
	if err == nil && rec.Output.Size != out.Size {
		err = &jobstate.InvalidError{Key: info.Key, Err: fmt.Errorf("it is of an output of %d bytes, the output has %d", rec.Output.Size, out.Size)}
	}
	// If it is gone or of no use, the attempt that runs the task again finds out
	// whether output or record is wrong, and writes it.
	if jobstate.Invalid(err) {
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	if err != nil {
		return nil, fmt.Errorf("the record of the attempt that wrote %s: %w", b.layout.Output(r), err)
	}
	return &reduceCommit{rec, info, out.ETag}, nil
}

// unlessGone returns err, or nil if err says that the record or output that
// commits a task does not exist.
func (b *bucket) unlessGone(key string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		b.log.Warn().Err(err).Str("key", key).Msg("a record is missing or damaged; its task is run again")
		return nil
	}
	return err
}

// unusable returns err, or a *ConflictError if err says that an object exists and
// is invalid. damaged is the kind of the error if its bytes are damaged.
func (b *bucket) unusable(damaged ConflictKind, err error) error {
	var invalid *jobstate.InvalidError
	switch {
	case !errors.As(err, &invalid):
		return err
	case errors.Is(err, object.ErrDamaged):
		return &ConflictError{Kind: damaged, What: b.name(invalid.Key) + " is damaged", Diff: []string{invalid.Err.Error()}}
	}
	return b.foreign(invalid.Key, invalid.Err.Error())
}

// foreign returns the error of an object that has the key of an object of this
// job and belongs to another job.
func (b *bucket) foreign(key, why string) error {
	if b.layout.Outside(key) {
		return b.foreignOutput(key, why)
	}
	return &ConflictError{Kind: ForeignObject, What: b.name(key) + " does not belong to this job", Diff: []string{why}}
}

// foreignOutput is foreign of an object that was found where the output is to lie.
func (b *bucket) foreignOutput(key, why string) error {
	in := b.layout.OutputBucket()
	if in == "" {
		return b.foreign(key, why)
	}
	return &ConflictError{Kind: ForeignOutput, What: layout.Place(in, key) + " does not belong to this job", Diff: []string{why}}
}

// name is what people call an object of the job.
func (b *bucket) name(key string) string {
	if b.layout.Outside(key) {
		return layout.Place(b.layout.OutputBucket(), key)
	}
	return layout.Place(b.store.Bucket(), key)
}

// unlessStale is the error of an object that names another job: fs.ErrNotExist
// if it is stale (task/stale.go), since an attempt of this job will commit in
// its place, else the *ConflictError that it is somebody's. found is what was
// seen of it.
func (b *bucket) unlessStale(ctx context.Context, found object.Info, by, job, why string) error {
	conflict := b.foreign(found.Key, why)
	if by == "" || by == job || found.Meta[manifest.MetaJob] != by {
		return conflict
	}
	now, at, err := b.owner(ctx, found.Key)
	switch {
	case err != nil:
		return fmt.Errorf("read %s, to see whether it still belongs to job %s: %w", found.Key, job, err)
	case now != job || found.Modified.Before(at.Modified):
		return conflict
	}
	b.log.Warn().Str("key", found.Key).Str("job", by).Msg("a stopped attempt of an earlier job has written in the place of this one; that does not count")
	return fmt.Errorf("%s is of job %s: %w", found.Key, by, fs.ErrNotExist)
}

// owner reads which job what lies under a key belongs to by now, by the object that
// says so; "" if to none that can be told.
func (b *bucket) owner(ctx context.Context, key string) (job string, at object.Info, err error) {
	if b.layout.Outside(key) {
		owner, at, err := jobstate.ReadOwner(ctx, b.store, b.layout)
		switch {
		case errors.Is(err, fs.ErrNotExist), jobstate.Invalid(err):
			return "", at, nil
		case err != nil:
			return "", at, err
		}
		return owner.Job, at, nil
	}
	now, at, err := jobstate.ReadJob(ctx, b.store, b.layout)
	switch {
	case errors.Is(err, fs.ErrNotExist), jobstate.Invalid(err): // it is put back
		return "", at, nil
	case err != nil:
		return "", at, err
	}
	return now.ID, at, nil
}

// displaced returns a *ConflictError if the place belongs to another job than
// job by now: job was reset while it ran, and nothing of it may be put back.
func (b *bucket) displaced(ctx context.Context, job string) error {
	now, _, err := b.owner(ctx, b.layout.Job())
	if err != nil || now == "" || now == job {
		return err
	}
	return &ConflictError{
		Kind: WasReset,
		What: fmt.Sprintf("job %s was reset while it ran", job),
		Diff: []string{fmt.Sprintf("s3://%s/%s belongs to job %s", b.store.Bucket(), b.layout.Job(), now)},
	}
}

// wasReset says whether the spec of the job has been removed from the bucket.
// A store that does not answer says nothing of it.
func (b *bucket) wasReset(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_, err := b.store.Stat(ctx, b.layout.Job())
	return errors.Is(err, fs.ErrNotExist)
}

// spoiled is the error of an object that was replaced or damaged behind its
// commit and cannot be put back.
func (b *bucket) spoiled(key, why string) error {
	return &ConflictError{
		Kind: DamagedOutput,
		What: b.name(key) + " was replaced or damaged while the job ran",
		Diff: []string{why},
	}
}

// readAt reads what is under a key: nil and no ETag if nothing does, nil and an
// ETag if it is damaged.
func (b *bucket) readAt(ctx context.Context, key string) (data []byte, at object.Info, err error) {
	data, info, err := b.store.Get(ctx, key)
	if errors.Is(err, object.ErrDamaged) {
		info, err = b.store.Stat(ctx, key)
		data = nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, object.Info{}, nil
	}
	return data, info, err
}

// readSuccess reads the summary of the job, which may be another's.
func (b *bucket) readSuccess(ctx context.Context, job string) (*manifest.Success, error) {
	stored, _, err := b.readSummary(ctx, job)
	return stored, err
}

// readSummary is readSuccess that says which version it has read.
func (b *bucket) readSummary(ctx context.Context, job string) (*manifest.Success, object.Info, error) {
	stored, info, err := jobstate.ReadSuccess(ctx, b.store, b.layout, job)
	return stored, info, b.unusable(DamagedSummary, err)
}

// promote copies partitions, packed or not, and the list of what was skipped,
// that a committed attempt had to put under _attempts/ onto their plain names,
// so that the layout shows what was committed. Readers go by the record, so
// nothing depends on it, and it may be repeated.
func (b *bucket) promote(ctx context.Context, rec *manifest.Map) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	onto := func(plain, key, etag, hash string) {
		if key == plain || key == "" { // or nothing is stored
			return
		}
		g.Go(func() error {
			_, err := b.store.Copy(ctx, key, etag, plain, object.PutOptions{})
			if errors.Is(err, object.ErrPrecondition) {
				// It was lost and is there again, under another version.
				info, serr := b.store.Stat(ctx, key)
				if serr == nil && info.Meta[manifest.MetaRestored] != "" && info.Meta[manifest.MetaHash] == hash {
					_, err = b.store.Copy(ctx, key, info.ETag, plain, object.PutOptions{})
				}
			}
			if errors.Is(err, object.ErrPrecondition) || errors.Is(err, fs.ErrNotExist) {
				// A reduce attempt that has to read it restores it. If none
				// has to, the job does not need the copy.
				b.log.Warn().Err(err).Str("key", key).Msg("a committed partition is lost and was not copied to its plain name")
				return nil
			}
			return err
		})
	}
	if p := rec.Packed; p != nil {
		onto(b.layout.Packed(rec.Task), p.Key, p.ETag, p.Hash)
	} else {
		for r, p := range rec.Parts {
			onto(b.layout.Partition(rec.Task, r), p.Key, p.ETag, p.Hash)
		}
	}
	if rec.Bad != nil {
		onto(b.layout.Bad(rec.Task), rec.Bad.Key, rec.Bad.ETag, rec.Bad.Hash)
	}
	return g.Wait()
}
