// Package jobstate reads the control objects of a job from the bucket. It
// returns only what can be an object of that job, task and attempt, and says of
// everything else whether it is missing, of no use, or cannot be read now.
// Package verify reads the same objects with code of its own.
package jobstate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// Store is where the objects are.
type Store interface {
	// Get returns a small object whole, or an error that wraps fs.ErrNotExist,
	// object.ErrDamaged or fs.ErrPermission where these apply.
	Get(ctx context.Context, key string) ([]byte, object.Info, error)
}

// InvalidError says that what lies under a key is of no use: it wraps
// object.ErrDamaged, a [*manifest.SchemaError], a [*manifest.OtherJobError], or
// what else is wrong with it. Any other error of a reader is the store's.
type InvalidError struct {
	Key string
	Err error
}

// Error names the key.
func (e *InvalidError) Error() string { return "read " + e.Key + ": " + e.Err.Error() }

// Unwrap returns what is wrong.
func (e *InvalidError) Unwrap() error { return e.Err }

// Invalid says whether err is an [*InvalidError].
func Invalid(err error) bool {
	var invalid *InvalidError
	return errors.As(err, &invalid)
}

// Damaged says whether err is an [*InvalidError] of an object that no version of
// the program has written as it is.
func Damaged(err error) bool {
	var schema *manifest.SchemaError
	return Invalid(err) && !(errors.As(err, &schema) && schema.OtherVersion())
}

// read reads one object. Where it is invalid, info is known unless its bytes
// are damaged.
func read[T any](ctx context.Context, s Store, key string, decode func([]byte) (*T, error)) (v *T, info object.Info, digest manifest.Digest, err error) {
	data, info, err := s.Get(ctx, key)
	info.Key = key
	switch {
	case errors.Is(err, object.ErrDamaged):
		return nil, info, digest, &InvalidError{key, err}
	case err != nil:
		return nil, info, digest, fmt.Errorf("read %s: %w", key, err)
	}
	digest = manifest.DigestOf(data)
	if v, err = decode(data); err == nil && info.Meta[manifest.MetaHash] != "" && info.Meta[manifest.MetaHash] != digest.String() {
		err = errors.New("its bytes are not those that were written")
	}
	if err != nil {
		return nil, info, digest, &InvalidError{key, err}
	}
	return v, info, digest, nil
}

// ReadJob reads the spec of the job.
func ReadJob(ctx context.Context, s Store, l layout.Layout) (*manifest.Job, object.Info, error) {
	j, info, digest, err := read(ctx, s, l.Job(), func(data []byte) (*manifest.Job, error) { return manifest.DecodeJob(data, l) })
	if err == nil {
		j.Digest = digest
	}
	return j, info, err
}

// ReadMapCommit reads the commit record of map task m.
func ReadMapCommit(ctx context.Context, s Store, l layout.Layout, job *manifest.Job, m int) (*manifest.Map, object.Info, error) {
	rec, info, digest, err := read(ctx, s, l.MapCommit(m), func(data []byte) (*manifest.Map, error) { return manifest.DecodeMap(data, l, job, m) })
	if err == nil {
		rec.Digest = digest
	}
	return rec, info, err
}

// ReadReduceCommit reads the record of an attempt at reduce task r.
func ReadReduceCommit(ctx context.Context, s Store, l layout.Layout, job *manifest.Job, r int, attempt string) (*manifest.Reduce, object.Info, error) {
	rec, info, digest, err := read(ctx, s, l.ReduceAttempt(r, attempt), func(data []byte) (*manifest.Reduce, error) {
		return manifest.DecodeReduce(data, l, job, r, attempt)
	})
	if err == nil {
		rec.Digest = digest
	}
	return rec, info, err
}

// ReadRanges reads the key ranges of the job.
func ReadRanges(ctx context.Context, s Store, l layout.Layout, job *manifest.Job) (*manifest.Ranges, object.Info, error) {
	r, info, _, err := read(ctx, s, l.Ranges(), func(data []byte) (*manifest.Ranges, error) { return manifest.DecodeRanges(data, job) })
	return r, info, err
}

// ReadSuccess reads the summary of a job; "" is any.
func ReadSuccess(ctx context.Context, s Store, l layout.Layout, job string) (*manifest.Success, object.Info, error) {
	v, info, _, err := read(ctx, s, l.Success(), func(data []byte) (*manifest.Success, error) { return manifest.DecodeSuccess(data, l, job) })
	return v, info, err
}

// ReadOwner reads which job the place of its own belongs to that l has for the
// output.
func ReadOwner(ctx context.Context, s Store, l layout.Layout) (*manifest.Owner, object.Info, error) {
	o, info, _, err := read(ctx, s, l.Owner(), manifest.DecodeOwner)
	return o, info, err
}

// ReadAnnouncement reads what the coordinator of the job has announced.
func ReadAnnouncement(ctx context.Context, s Store, l layout.Layout) (*manifest.Coordinator, object.Info, error) {
	a, info, _, err := read(ctx, s, l.Coordinator(), manifest.DecodeCoordinator)
	return a, info, err
}

// slack is by how much the age of an announcement may be wrong: times of S3
// are whole seconds.
const slack = 2 * time.Second

// Age is for how long an announcement has not been renewed, by the clock of the
// store; 0 if that does not say.
func Age(info object.Info) time.Duration {
	if info.Served.IsZero() {
		return 0
	}
	return max(0, info.Served.Sub(info.Modified))
}

// Silent says whether a coordinator has not renewed its announcement for that
// many leases.
func Silent(a *manifest.Coordinator, info object.Info, leases int) bool {
	return Age(info) > time.Duration(leases)*time.Duration(a.LeaseMS)*time.Millisecond+slack
}
