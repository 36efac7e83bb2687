// Package reset empties the folders of a job: every object and every
// unfinished multipart upload below them.
package reset

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/object"
)

// Store is what a reset needs of the bucket. All methods may be repeated.
type Store interface {
	// List yields every object below prefix in byte order, or an error.
	List(ctx context.Context, prefix string) iter.Seq2[object.Info, error]
	// Uploads yields every unfinished multipart upload below prefix.
	Uploads(ctx context.Context, prefix string) iter.Seq2[object.Upload, error]
	// Delete removes objects; those that are gone already are no error.
	Delete(ctx context.Context, keys ...string) error
	// AbortUpload drops an upload; one that is gone already is no error.
	AbortUpload(ctx context.Context, u object.Upload) error
}

// Options say what to empty.
type Options struct {
	// Input empties input/ too.
	Input bool
	// Place is where the output lies of a job for which it has a place of its own, as
	// [Find] has found it; nil for any other.
	Place *Place
	// Progress is told how many objects have been deleted, if set.
	Progress func(objects int64)
}

// Count is the content of a folder, or what was deleted from it.
type Count struct {
	Dir     string // key prefix with its slash
	Objects int64
	Bytes   int64  // of the objects
	Uploads int64  // unfinished multipart uploads
	Bucket  string // "" is that of the job
}

// Total adds counts up.
func Total(counts []Count) Count {
	var t Count
	for _, c := range counts {
		t.Objects += c.Objects
		t.Bytes += c.Bytes
		t.Uploads += c.Uploads
	}
	return t
}

// Empty reports whether there are no objects and no uploads.
func (c Count) Empty() bool { return c.Objects == 0 && c.Uploads == 0 }

// RemainsError says that the folders were not empty after all objects had been
// deleted: another process still writes.
type RemainsError struct{ Left []Count }

// Error returns the counts by folder.
func (e *RemainsError) Error() string {
	var parts []string
	for _, c := range e.Left {
		if !c.Empty() {
			dir := c.Dir
			if c.Bucket != "" {
				dir = layout.Place(c.Bucket, c.Dir)
			}
			parts = append(parts, fmt.Sprintf("%d objects and %d uploads below %s", c.Objects, c.Uploads, dir))
		}
	}
	return "not empty after the reset: " + strings.Join(parts, ", ")
}

func dirs(l layout.Layout, o Options) []string {
	d := []string{l.OutputDir(), l.IntermediateDir()}
	if o.Input {
		d = append(d, l.InputDir())
	}
	return d
}

// Look counts what [Run] would delete.
func Look(ctx context.Context, store Store, l layout.Layout, o Options) ([]Count, error) {
	var counts []Count
	for _, dir := range dirs(l, o) {
		c := Count{Dir: dir}
		for info, err := range store.List(ctx, dir) {
			if err != nil {
				return nil, err
			}
			c.Objects++
			c.Bytes += info.Size
		}
		for _, err := range store.Uploads(ctx, dir) {
			if err != nil {
				return nil, err
			}
			c.Uploads++
		}
		counts = append(counts, c)
	}
	if o.Place == nil {
		return counts, nil
	}
	c, err := o.Place.look(ctx)
	return append(counts, c), err
}

// Run deletes everything in the folders, lists them again, and returns what
// it deleted. Its error is a *[RemainsError] when that listing is not empty.
//
// The order makes an interrupted reset harmless. Uploads go first, since one that
// is completed later would create an object. Then _SUCCESS, then the commit
// records, so that no record names a partition that is deleted. The job spec goes
// last, so that the coordinator of another job refuses to start until all else is
// deleted.
func Run(ctx context.Context, store Store, l layout.Layout, o Options) ([]Count, error) {
	r := run{store: store, job: l.Job(), progress: o.Progress}
	all := dirs(l, o)
	for _, dir := range all {
		r.done = append(r.done, Count{Dir: dir})
	}
	if o.Place != nil {
		r.done = append(r.done, o.Place.count())
	}
	for i, dir := range all {
		if err := r.abort(ctx, dir, &r.done[i]); err != nil {
			return r.done, err
		}
	}
	if o.Place != nil { // before the job's own folders, which say where the place is
		if err := o.Place.empty(ctx, &r); err != nil {
			return r.done, err
		}
	}
	output, intermediate := &r.done[0], &r.done[1]
	steps := []struct {
		prefix string
		count  *Count
	}{{l.Success(), output}, {l.CommitDir(), intermediate}}
	for i, dir := range all {
		steps = append(steps, struct {
			prefix string
			count  *Count
		}{dir, &r.done[i]})
	}
	for _, s := range steps {
		if err := r.delete(ctx, s.prefix, s.count); err != nil {
			return r.done, err
		}
	}
	r.job = "" // now delete it too
	if err := r.delete(ctx, l.Job(), intermediate); err != nil {
		return r.done, err
	}
	left, err := Look(ctx, store, l, o)
	if err != nil {
		return r.done, fmt.Errorf("check the reset: %w", err)
	}
	if !Total(left).Empty() {
		return r.done, &RemainsError{left}
	}
	return r.done, nil
}

type run struct {
	store    Store
	job      string // key that delete keeps
	progress func(int64)
	done     []Count
	deleted  int64
}

// batchSize is the maximum number of keys of one DeleteObjects request.
const batchSize = 1000

// delete removes all objects below prefix except the job spec. It works in
// batches, so that memory does not grow with the number of objects.
func (r *run) delete(ctx context.Context, prefix string, c *Count) error {
	var keys []string
	var bytes int64
	flush := func() error {
		err := r.drop(ctx, r.store, keys, bytes, c)
		keys, bytes = keys[:0], 0
		return err
	}
	for info, err := range r.store.List(ctx, prefix) {
		if err != nil {
			return err
		}
		if info.Key == r.job {
			continue
		}
		keys = append(keys, info.Key)
		bytes += info.Size
		if len(keys) == batchSize {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// drop deletes objects of so many bytes and counts them.
func (r *run) drop(ctx context.Context, store Store, keys []string, bytes int64, c *Count) error {
	if len(keys) == 0 {
		return nil
	}
	if err := store.Delete(ctx, keys...); err != nil {
		return err
	}
	c.Objects += int64(len(keys))
	c.Bytes += bytes
	if r.deleted += int64(len(keys)); r.progress != nil {
		r.progress(r.deleted)
	}
	return nil
}

func (r *run) abort(ctx context.Context, prefix string, c *Count) error {
	var uploads []object.Upload // collected first, since aborts would change the listing
	for u, err := range r.store.Uploads(ctx, prefix) {
		if err != nil {
			return err
		}
		uploads = append(uploads, u)
	}
	for _, u := range uploads {
		if err := r.store.AbortUpload(ctx, u); err != nil {
			return err
		}
		c.Uploads++
	}
	return nil
}
