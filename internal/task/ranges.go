package task

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/keyorder"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/runner"
	"github.com/mraws/mraws/mr"
)

// This file finds what puts pairs into partitions. For ordered output that are
// the key ranges of the job, one object in the bucket: the first attempt that
// finds none makes it from a sample of the input (sample.go).

// Ranges caches the partitioner of a job with ordered output for the slots
// of a worker. Its zero value is ready for use.
type Ranges struct {
	mu   sync.Mutex
	cuts *cuts
}

// cuts say which pairs go to which partition.
type cuts struct {
	partition func(key []byte, n int) int
	// bounds are those of key ranges, as of [manifest.Ranges]; nil if
	// partition is all that is known.
	bounds [][]byte
}

// rangeFinder finds, for one attempt, what puts pairs into partitions.
type rangeFinder struct {
	*committer
	app   runner.Properties
	order *keyorder.Order
	cache *Ranges // nil keeps none
	// sample maps a sample of the input and returns the keys.
	sample func(context.Context) ([][]byte, error)
}

func (t *attempt) ranges() *rangeFinder {
	return &rangeFinder{committer: t.commit, app: t.app, order: t.order, cache: t.Ranges, sample: t.sample}
}

// partitioner returns what puts the attempt's pairs into partitions.
func (f *rangeFinder) partitioner(ctx context.Context) (*cuts, error) {
	switch {
	case f.job.Partitioner.Name == manifest.Range && f.job.NReduce > 1:
		return f.ordered(ctx)
	case f.job.Partitioner.Name == manifest.Range:
		return &cuts{func([]byte, int) int { return 0 }, [][]byte{}}, nil
	}
	part := mr.Partition
	if o := f.job.KeyOrder(); o.To > 0 {
		part = keyorder.ByFields(o)
	} else if f.app.Partition != nil {
		part = f.app.Partition
	}
	return &cuts{partition: f.order.Partition(part)}, nil
}

// ordered returns the key ranges of the job. Whoever finds none
// in the bucket, or damaged ones, takes a sample; the first to create the object decides.
func (f *rangeFinder) ordered(ctx context.Context) (*cuts, error) {
	cache := f.cache
	if cache == nil {
		cache = new(Ranges)
	}
	cache.mu.Lock()
	defer cache.mu.Unlock()
	if cache.cuts != nil {
		return cache.cuts, nil
	}
	r, err := f.read(ctx)
	var stale *staleError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r, err = f.create(ctx, "")
	case errors.As(err, &stale):
		r, err = f.create(ctx, stale.etag)
	case errors.Is(err, object.ErrDamaged):
		var info object.Info
		if info, err = f.store.Stat(ctx, f.layout.Ranges()); err == nil {
			r, err = f.create(ctx, info.ETag)
		}
	}
	if err != nil {
		return nil, err
	}
	ranges, order := r.Partitioner(), f.order
	part := ranges
	if order != nil { // the values of a key stay together
		part = func(key []byte, n int) int { return ranges(order.Head(key), n) }
	}
	cache.cuts = &cuts{part, r.Bounds}
	return cache.cuts, nil
}

func (f *rangeFinder) read(ctx context.Context) (*manifest.Ranges, error) {
	r, info, err := jobstate.ReadRanges(ctx, f.store, f.layout, f.job)
	var other *manifest.OtherJobError
	if errors.As(err, &other) {
		if serr := unlessConflict(f.stale(ctx, info.Key, info), nil); serr != nil {
			return nil, serr
		}
	}
	return r, LostRead(info.Key, err)
}

// create takes the sample and writes the ranges, in the place of a version
// that is damaged or stale, or where there are none.
func (f *rangeFinder) create(ctx context.Context, over string) (*manifest.Ranges, error) {
	keys, err := f.sample(ctx)
	if err != nil {
		return nil, fmt.Errorf("sample the input: %w", err)
	}
	data, err := manifest.Encode(manifest.Ranges{Schema: manifest.RangesSchema, Job: f.job.ID, Bounds: quantiles(keys, f.job.NReduce)})
	if err != nil {
		return nil, fmt.Errorf("encode the key ranges: %w", err)
	}
	_, err = f.store.Put(ctx, f.layout.Ranges(), data, object.PutOptions{IfAbsent: over == "", IfMatch: over, Meta: f.meta(""), ContentType: "application/json"})
	if err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, object.ErrPrecondition) {
		return nil, fmt.Errorf("write the key ranges: %w", err)
	}
	return f.read(ctx) // another's, if it came first
}

// within returns an error unless the key lies in the range of partition r.
func (c *cuts) within(ranges string, key []byte, r, n int) error {
	if c == nil {
		return nil
	}
	if p := c.partition(key, n); p != r {
		return &FatalError{Err: fmt.Errorf("%s differs from the key ranges of the map tasks: key %s is in partition %d, its ranges say %d", ranges, shortKey(key), r, p)}
	}
	return nil
}

// ensureRanges sees to it in a reduce attempt that the key ranges by which map
// tasks have cut their output are in the bucket, as whoever reads or checks the
// output needs them, and returns them: nil if the output is not ordered, or of
// one partition. Map attempts create them, so here they are missing only if
// somebody deleted them; the sample is the same then.
func (t *attempt) ensureRanges(ctx context.Context) (c *cuts, err error) {
	if t.Job.Partitioner.Name != manifest.Range || t.Job.NReduce == 1 {
		return nil, nil
	}
	env := *t.Env
	env.Progress = nil
	if _, err := t.ranges().read(ctx); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, object.ErrDamaged) {
		if err != nil {
			return nil, err
		}
		return t.ranges().ordered(ctx)
	}
	env.Ranges = nil // what was read before they were lost is not in the bucket
	err = env.runAttempt(ctx, Attempt{Phase: mr.MapPhase, ID: t.ID + ".ranges"}, func(ctx context.Context, u *attempt) (err error) {
		c, err = u.ranges().ordered(ctx)
		return err
	})
	t.Spare.enter(t.Phase, false)
	if err != nil {
		return nil, fmt.Errorf("write %s again, which is lost: %w", t.Layout.Ranges(), err)
	}
	return c, nil
}
