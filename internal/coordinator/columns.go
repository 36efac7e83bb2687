package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/manifest"
)

// A job that reads some columns of Parquet reads some of the bytes of an object only.
// Its tasks are cut by those: by the sizes that the footers say, of a few objects.

const (
	// mostFooters is the number of objects whose footers are read to plan.
	mostFooters = 32
	// leastSplit is the size, in bytes of values, below which a task costs more than
	// another slot gains.
	leastSplit = 16 << 20
)

// splitting says how input is cut.
type splitting struct {
	size  int64   // bytes that a task weighs at most
	share float64 // part of the weight of an object that is read, 1 for all
}

// weight is that of an object.
func (s splitting) weight(f input.Format, o manifest.Object) int64 {
	all := o.Weight(f, o.Size)
	if s.share == 1 {
		return all
	}
	return int64(s.share * float64(all))
}

// splitOf says how objects are cut. Where less is read than they have, and more slots
// are expected than tasks, tasks are smaller than the split size.
func (c *Coordinator) splitOf(ctx context.Context, app manifest.Spec, objects []manifest.Object, packing bool) (splitting, error) {
	s := splitting{c.o.SplitSize, 1}
	all, some := int64(0), []manifest.Object(nil)
	for _, o := range objects {
		all += o.Size
		if packing || o.Size > s.size {
			some = append(some, o)
		}
	}
	if c.o.Parquet == nil || c.o.Expected != nil || len(some) == 0 || !input.Grouped(app.Input.Name) {
		return s, nil
	}
	read, size, err := c.weigh(ctx, app.InputFormat(), evenly(some, mostFooters))
	if err != nil || size == 0 || read >= size {
		return s, err
	}
	s.share = float64(read) / float64(size)
	return s.among(c.o.Slots, all), nil
}

// among makes tasks of an input of so many bytes smaller where there would be fewer of
// them than slots, 0 if nobody knows how many those are.
func (s splitting) among(slots int, size int64) splitting {
	if slots > 0 {
		each := int64(s.share*float64(size))/int64(slots) + 1
		s.size = min(s.size, max(each, leastSplit))
	}
	return s
}

// evenly returns n of the objects, or all if these are fewer.
func evenly(objects []manifest.Object, n int) []manifest.Object {
	if len(objects) <= n {
		return objects
	}
	some := make([]manifest.Object, n)
	for i := range some {
		some[i] = objects[i*len(objects)/n]
	}
	return some
}

// weigh returns how many bytes are read of objects, at most as many as they have, and
// how many they have. Those that cannot be read are left out: their tasks say why.
func (c *Coordinator) weigh(ctx context.Context, format input.Format, objects []manifest.Object) (read, size int64, err error) {
	var reads, sizes atomic.Int64
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for _, o := range objects {
		g.Go(func() error {
			n, err := c.weighOne(gctx, format, o)
			switch {
			case errors.As(err, new(*input.ObjectError)), errors.Is(err, fs.ErrPermission):
				return nil
			case err != nil:
				return fmt.Errorf("look at the input: %w", err)
			}
			reads.Add(min(n, o.Size))
			sizes.Add(o.Size)
			return nil
		})
	}
	err = g.Wait()
	return reads.Load(), sizes.Load(), err
}

// weighOne asks the reader of an object.
func (c *Coordinator) weighOne(ctx context.Context, format input.Format, o manifest.Object) (n int64, err error) {
	rows := input.Rows{Fields: true, Columns: c.o.Columns, Parquet: c.o.Parquet}
	r, err := input.Read(format, input.Piece{Object: o.Name, Size: o.Size, Length: o.Size, Rows: rows, Open: func(off, n int64) (input.Body, error) {
		body, err := c.openChunk(ctx, o, off, n)
		if err != nil {
			return nil, err
		}
		return opened{input.NewBuffered(body, n), body}, nil
	}}, 0)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	w, ok := r.Reader.(input.Weigher)
	if !ok {
		return o.Size, nil
	}
	return w.Weigh()
}

// opened is an [input.Body] of a stream.
type opened struct {
	input.Buffered
	io.Closer
}
