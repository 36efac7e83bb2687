package reset

import (
	"context"
	"errors"
	"io/fs"

	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// PlaceStore is what a reset needs of a bucket that output lies in.
type PlaceStore interface {
	Store
	jobstate.Store
}

// Place is a place of its own for the output of a job. Others may keep objects below the
// same folder, so a reset deletes what this layout names, and nothing else.
type Place struct {
	store PlaceStore
	lay   layout.Layout
	job   *manifest.Job
}

// Find returns the place of its own that the output of the job below l has, nil if it
// has none. open returns a bucket. A place that belongs to another job, or to none, is
// not returned: what lies there is not the job's. So is one that the spec does not tell
// since it cannot be used.
func Find(ctx context.Context, home jobstate.Store, l layout.Layout, open func(bucket string) PlaceStore) (*Place, error) {
	job, _, err := jobstate.ReadJob(ctx, home, l)
	switch {
	case errors.Is(err, fs.ErrNotExist), jobstate.Invalid(err):
		return nil, nil
	case err != nil:
		return nil, err
	case job.OutputAt == (manifest.Place{}):
		return nil, nil
	}
	p := &Place{store: open(job.OutputAt.Bucket), lay: job.Layout(l), job: job}
	owner, _, err := jobstate.ReadOwner(ctx, p.store, p.lay)
	switch {
	case errors.Is(err, fs.ErrNotExist), jobstate.Invalid(err), err == nil && owner.Job != job.ID:
		return nil, nil
	case err != nil:
		return nil, err
	}
	return p, nil
}

func (p *Place) count() Count { return Count{Bucket: p.lay.OutputBucket(), Dir: p.lay.OutputDir()} }

// ours tells whether the job writes the key there.
func (p *Place) ours(key string) bool {
	_, output := p.lay.ParseOutput(key)
	name, _, named := p.lay.ParseNamed(key)
	if named {
		_, named = p.job.NamedFormat(name)
	}
	return output || named || p.job.InPartition(p.lay, key) || key == p.lay.Success() || key == p.lay.Owner()
}

// walk visits the objects and the unfinished uploads of the job.
func (p *Place) walk(ctx context.Context, visit func(object.Info), upload func(object.Upload)) error {
	for u, err := range p.store.Uploads(ctx, p.lay.OutputDir()) {
		if err != nil {
			return err
		}
		if p.ours(u.Key) {
			upload(u)
		}
	}
	for o, err := range p.store.List(ctx, p.lay.OutputDir()) {
		if err != nil {
			return err
		}
		if p.ours(o.Key) {
			visit(o)
		}
	}
	return nil
}

func (p *Place) look(ctx context.Context) (Count, error) {
	c := p.count()
	err := p.walk(ctx, func(o object.Info) { c.Objects++; c.Bytes += o.Size }, func(object.Upload) { c.Uploads++ })
	return c, err
}

// empty deletes what the job has there: unfinished uploads, the summary, the outputs,
// and last what says whose the place is, so that no other job begins there before.
func (p *Place) empty(ctx context.Context, r *run) error {
	c := &r.done[len(r.done)-1]
	var uploads []object.Upload
	var first, then, last []object.Info
	if err := p.walk(ctx, func(o object.Info) {
		switch o.Key {
		case p.lay.Success():
			first = append(first, o)
		case p.lay.Owner():
			last = append(last, o)
		default:
			then = append(then, o)
		}
	}, func(u object.Upload) { uploads = append(uploads, u) }); err != nil {
		return err
	}
	for _, u := range uploads {
		if err := p.store.AbortUpload(ctx, u); err != nil {
			return err
		}
		c.Uploads++
	}
	for _, objects := range [][]object.Info{first, then, last} {
		for len(objects) > 0 {
			var keys []string
			var bytes int64
			for _, o := range objects[:min(batchSize, len(objects))] {
				keys = append(keys, o.Key)
				bytes += o.Size
			}
			if err := r.drop(ctx, p.store, keys, bytes, c); err != nil {
				return err
			}
			objects = objects[len(keys):]
		}
	}
	return nil
}
