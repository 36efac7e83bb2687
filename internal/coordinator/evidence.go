package coordinator

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/wire"
)

// A fatal failure is a worker's claim that its task cannot succeed anywhere,
// and one worker may be broken, or lie. So the job ends with it only if the
// bucket shows the same, or if a second worker comes to the same end. The
// first is here, the second in sched ([sched.Failed]).

// proven reports whether the bucket shows what a failed attempt gives as its
// cause: input that is gone or is not the version that the job was planned
// on, a file that the job ships and that is gone or has another size, or a partition
// that this job did not write. (Records and outputs that
// are another's were found by the look for the commit.) Anything else proves
// nothing: neither does a store that does not answer, and whether
// another may read what is denied to one the coordinator cannot know.
func (c *Coordinator) proven(ctx context.Context, task sched.TaskID, q *wire.ReportRequest) bool {
	if !q.Fatal || q.Object == "" {
		return false
	}
	if o, ok := planned(c.loop.job, c.o.Layout, q.Object); ok { // the job is fixed before there is a core
		return c.replaced(ctx, o)
	}
	if f, ok := c.shippedAs(q.Object); ok {
		info, err := c.o.Store.Stat(ctx, q.Object)
		return errors.Is(err, fs.ErrNotExist) || err == nil && info.Size != f.Size
	}
	m, _, ok := c.o.Layout.ParsePartition(q.Object)
	if !ok {
		m, ok = c.o.Layout.ParsePacked(q.Object)
	}
	if !ok || task != mapTask(m) {
		return false
	}
	info, err := c.o.Store.Stat(ctx, q.Object)
	return err == nil && info.Meta[manifest.MetaJob] != c.loop.job.ID
}

// shippedAs returns the file that the job ships as an object.
func (c *Coordinator) shippedAs(key string) (f manifest.CodeFile, ok bool) {
	for _, f := range c.loop.job.App.Shipped() {
		if c.o.Layout.Code(f.SHA256) == key {
			return f, true
		}
	}
	return f, false
}

// replaced reports whether the bucket holds no such version of an object, or one
// that was cut. It lists, as it did for the plan, since it need not be allowed
// to read input.
func (c *Coordinator) replaced(ctx context.Context, was manifest.Object) bool {
	from, _, err := c.lister(ctx, was.Bucket)
	if err != nil {
		return false
	}
	key := was.In(c.o.Layout)
	for o, err := range from.List(ctx, key) { // key itself comes first
		return err == nil && (o.Key != key || o.ETag != was.ETag || o.Size != was.Size)
	}
	return true
}

// planned returns the input object that lies there, as [manifest.Object.At] says
// where, as the job was planned on it. Any task may read it: for a sample, or to
// restore what was lost.
func planned(job *manifest.Job, lay layout.Layout, at string) (o manifest.Object, ok bool) {
	i := slices.IndexFunc(job.Objects, func(o manifest.Object) bool { return o.At(lay) == at })
	if i < 0 {
		return o, false
	}
	return job.Objects[i], true
}
