package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// readers bounds the requests that the coordinator makes side by side.
const readers = 32

// state is what the bucket says of the job at start: the spec and the
// records of every task that is committed already.
type state struct {
	job     *manifest.Job
	created bool // the spec, just now: nobody has been at work
	maps    map[int]*mapCommit
	reduces map[int]*reduceCommit
	summary string // ETag of the one that is there, "" if there is none
}

// mapCommit is the commit record of a map task as it was read.
type mapCommit struct {
	*manifest.Map
	at object.Info
}

// reduceCommit is the record of the attempt that made an output.
type reduceCommit struct {
	*manifest.Reduce
	at     object.Info
	output string // ETag of the output
}

// complete says whether nothing is left to run.
func (s *state) complete() bool {
	return len(s.maps) == s.job.Maps() && len(s.reduces) == s.job.Outputs()
}

// prepare makes the job's spec or finds it, and lists what is committed.
func (c *Coordinator) prepare(ctx context.Context, app manifest.Spec) (*state, error) {
	stored, created, err := c.settle(ctx, app)
	if err != nil {
		return nil, err
	}
	if c.o.Ship != nil {
		if err := c.o.Ship(ctx); err != nil {
			return nil, err
		}
	} else if err := c.checkShipped(ctx, stored); err != nil {
		return nil, err
	}
	s := &state{job: stored, created: created, maps: map[int]*mapCommit{}, reduces: map[int]*reduceCommit{}}
	owned, err := c.owns(ctx, stored)
	if err != nil {
		return nil, err
	}
	if err := c.recover(ctx, s); err != nil {
		return nil, err
	}
	c.outdated = s.summary
	c.wasDone.Store(s.summary != "" && s.complete())
	if s.summary != "" && !s.complete() {
		c.o.Log.Warn().Str("job", stored.ID).Msg("the job was done, and something of it is missing: that is made again")
	}
	if !owned {
		if err := c.occupy(ctx, stored); err != nil {
			return nil, err
		}
	}
	log := c.o.Log.Info().Str("job", stored.ID).Int("objects", len(stored.Objects)).
		Int("maps", len(stored.Tasks)).Int("reduces", stored.NReduce)
	if !created {
		log = log.Int("reused_maps", len(s.maps)).Int("reused_reduces", len(s.reduces))
	}
	log.Msg("job ready")
	c.memory.stop()
	return s, nil
}

// ErrNotShipped means that the bucket has not the files that the job ships, and this
// coordinator was not told where to find them.
var ErrNotShipped = errors.New("a file that the job ships is not in the bucket")

// checkShipped returns an error unless the files that a job ships are in the bucket:
// without them no task can run. Their bytes are compared by those who read them.
func (c *Coordinator) checkShipped(ctx context.Context, job *manifest.Job) error {
	files := job.App.Shipped()
	if len(files) == 0 {
		return nil
	}
	there := map[string]int64{}
	for o, err := range c.o.Store.List(ctx, c.o.Layout.CodeDir()) {
		if err != nil {
			return fmt.Errorf("list the files that the job ships: %w", err)
		}
		there[o.Key] = o.Size
	}
	for _, f := range files {
		key := c.o.Layout.Code(f.SHA256)
		switch size, ok := there[key]; {
		case !ok:
			return fmt.Errorf("%w: %s, as %s", ErrNotShipped, f.Name, key)
		case size != f.Size:
			return fmt.Errorf("%w: %s has %d bytes, as %s there are %d", ErrNotShipped, f.Name, f.Size, key, size)
		}
	}
	return nil
}

// settle makes the job's spec or finds it. A standby has compared the job
// with the input already.
func (c *Coordinator) settle(ctx context.Context, app manifest.Spec) (stored *manifest.Job, created bool, err error) {
	if c.compared != "" {
		stored, err = c.readJob(ctx)
		if err == nil && stored.ID == c.compared {
			return stored, false, c.conflict(stored, c.outline(app, stored.Objects))
		}
	}
	job, found, err := c.plan(ctx, app)
	if err != nil || found {
		return job, false, err
	}
	return c.fix(ctx, job)
}

// gatherTime is how long the workers of the coordinator before are waited
// for. One that sees its calls fail finds the new coordinator sooner than
// that.
const gatherTime = 3 * time.Second

// gather lets the workers of the coordinator before come back before anything
// is granted. What they are in the middle of is written nowhere, so its tasks
// would be granted to those that come first, and the others told to stop.
func (c *Coordinator) gather(ctx context.Context, s *state) {
	term := c.term.Load()
	if s.created || term.Workers == 0 || s.complete() {
		return
	}
	c.call(ctx, func() { c.loop.expect(term.Workers) })
	until := term.Since.Add(min(gatherTime, c.o.Lease))
	c.o.Log.Info().Int("workers", term.Workers).Str("up_to", time.Until(until).Round(time.Millisecond).String()).Msg("waiting for the workers of the previous coordinator")
	late := time.NewTimer(time.Until(until))
	defer late.Stop()
	select {
	case <-c.loop.allBack:
	case <-late.C:
	case <-ctx.Done():
	}
}

// plan lists the input and cuts it into tasks. Where that takes reading the input it
// looks first whether the bucket has the job's spec already, which is then found.
func (c *Coordinator) plan(ctx context.Context, app manifest.Spec) (job *manifest.Job, found bool, err error) {
	format := app.InputFormat() // known: the app has been validated
	objects, buckets, err := c.inputs(ctx, format)
	if err != nil {
		return nil, false, err
	}
	if len(objects) == 0 && !c.o.AllowEmpty {
		if stored, err := c.readJob(ctx); err == nil { // whose input has gone
			if err := c.conflict(stored, c.outline(app, nil)); err != nil {
				return nil, false, err
			}
		}
		return nil, false, fmt.Errorf("%w under %s", ErrNoInput, c.places())
	}
	if app.LinesPerTask() > 0 {
		switch stored, err := c.readJob(ctx); {
		case err == nil:
			return stored, true, c.conflict(stored, c.outline(app, objects))
		case !errors.Is(err, fs.ErrNotExist):
			return nil, false, err
		}
	}
	old, prefix, err := c.earlier(ctx, app, objects)
	if err != nil {
		return nil, false, err
	}
	tasks, err := c.cutTasks(ctx, app, objects, old)
	if err != nil {
		return nil, false, err
	}
	id := c.o.JobID
	if id == "" {
		id = NewJobID(app.App.Name)
	}
	job = c.outline(app, objects)
	job.Named, job.Buckets = c.o.Names != nil || !c.o.Pick.IsZero(), buckets
	job.ID, job.Created, job.Tasks = id, time.Now().UTC(), tasks
	job.Shuffle = c.o.Shuffle.of(len(tasks), job.NReduce)
	if n := reuse(job, old, layout.New(prefix).Prefix()); n > 0 {
		c.o.Log.Info().Str("job", old.ID).Int("maps", n).Int("of", len(tasks)).Msg("map tasks are taken over")
	}
	if err := job.Validate(c.o.Layout); err != nil {
		return nil, false, fmt.Errorf("plan the job: %w", err)
	}
	if text := advice(job, c.o.Pack); text != "" {
		c.o.Log.Warn().Msg(text)
	}
	return job, false, nil
}

// cutTasks cuts the input into map tasks, and leaves those of an earlier job as they
// were, if there is one.
func (c *Coordinator) cutTasks(ctx context.Context, app manifest.Spec, objects []manifest.Object, old *manifest.Job) ([][]manifest.Piece, error) {
	if n := app.LinesPerTask(); n > 0 {
		return c.planLines(ctx, objects, n)
	}
	format := app.InputFormat()
	whole, err := c.detect(ctx, format, objects)
	if err != nil {
		return nil, err
	}
	packing := c.o.Pack == PackAuto && len(objects) > PackAbove
	by := splitting{}
	cut := func(some []manifest.Object) ([][]manifest.Piece, error) {
		if by.size == 0 { // with an earlier job perhaps no object is cut
			if by, err = c.splitOf(ctx, app, some, packing); err != nil {
				return nil, err
			}
		}
		return cutAll(some, format, by, packing, whole)
	}
	if old == nil {
		return cut(objects)
	}
	return keep(old, objects, cut)
}

// outline is the job that this coordinator was started for, as far as the
// output depends on it.
func (c *Coordinator) outline(app manifest.Spec, objects []manifest.Object) *manifest.Job {
	if app.Partitioner.Name == manifest.Range {
		given := app.Partitioner.Given
		app.Partitioner = manifest.RangesOf(c.o.NReduce)
		app.Partitioner.Given = given
	}
	job := &manifest.Job{Schema: manifest.JobSchema, Spec: app, NReduce: c.o.NReduce, SplitSize: c.o.SplitSize, MaxBad: c.o.MaxBad, OutputAt: c.o.OutputAt, Objects: objects}
	if c.decompresses(job.InputFormat()) {
		job.Decompress = c.o.Decompress
		job.Decompress.Content = true
	}
	return job
}

// fix writes the spec, or reads the one that is there and compares. The
// stored one wins where they differ in ways that do not show in the output,
// such as the splits.
func (c *Coordinator) fix(ctx context.Context, job *manifest.Job) (stored *manifest.Job, created bool, err error) {
	key := c.o.Layout.Job()
	if job.OutputAt != (manifest.Place{}) { // nothing is left behind where the place is not free
		if _, err := c.readJob(ctx); errors.Is(err, fs.ErrNotExist) {
			if err := c.vacant(ctx); err != nil {
				return nil, false, err
			}
		}
	}
	data, err := manifest.Encode(job)
	if err != nil {
		return nil, false, fmt.Errorf("encode %s: %w", key, err)
	}
	info, err := c.o.Store.Put(ctx, key, data, object.PutOptions{IfAbsent: true, ContentType: "application/json"})
	if err == nil {
		info.Size = int64(len(data))
		c.restorer.jobAt = info
		job.Digest = manifest.DigestOf(data)
		return job, true, nil
	}
	// Somebody was here before, or this very request, whose reply was lost.
	stored, rerr := c.readJob(ctx)
	if errors.Is(rerr, fs.ErrNotExist) {
		return nil, false, fmt.Errorf("write the job spec: %w", err)
	}
	if rerr != nil {
		return nil, false, rerr
	}
	if err := c.conflict(stored, job); err != nil {
		return nil, false, err
	}
	return stored, stored.ID == job.ID, nil
}

// readJob reads the spec that is there. It returns a *ConflictError for what
// is none.
func (c *Coordinator) readJob(ctx context.Context) (*manifest.Job, error) {
	job, info, err := jobstate.ReadJob(ctx, c.o.Store, c.o.Layout)
	c.restorer.jobAt = info
	return job, c.bucket.unusable(ForeignObject, err)
}

// conflict is the error of a spec that is another's than ours, or nil.
func (c *Coordinator) conflict(stored, ours *manifest.Job) error {
	diff := manifest.Diff(stored, ours)
	if len(diff) == 0 {
		return nil
	}
	if c.o.Names == nil && manifest.InputDiffers(stored.Objects, ours.Objects) &&
		len(manifest.Diff(stored, c.outline(ours.Spec, stored.Objects))) == 0 {
		return &ConflictError{
			Kind: OtherInput,
			What: fmt.Sprintf("the input below %s has changed since job %s was planned", c.places(), stored.ID),
			Diff: diff,
		}
	}
	return &ConflictError{
		Kind: OtherJob,
		What: fmt.Sprintf("s3://%s/%s belongs to another job (%s)", c.o.Store.Bucket(), c.o.Layout.Job(), stored.ID),
		Diff: diff,
	}
}

// recover reads every commit record and every output of the job.
func (c *Coordinator) recover(ctx context.Context, s *state) error {
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	l := c.o.Layout
	for o, err := range c.o.Store.List(ctx, l.CommitDir()) {
		if err != nil {
			return errors.Join(fmt.Errorf("list the commit records: %w", err), g.Wait())
		}
		m, ok := l.ParseMapCommit(o.Key)
		if !ok || m >= s.job.Maps() {
			return errors.Join(c.bucket.foreign(o.Key, "the job has no such map task"), g.Wait())
		}
		g.Go(func() error {
			rec, err := recall(&c.memory, o.Key, o.ETag, func() (*mapCommit, error) { return c.bucket.readMap(gctx, s.job, m) })
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				s.maps[m] = rec
			}
			return c.bucket.unlessGone(o.Key, err)
		})
	}
	for o, err := range c.o.Store.List(ctx, l.OutputDir()) {
		if err != nil {
			return errors.Join(fmt.Errorf("list the output: %w", err), g.Wait())
		}
		r, ok := l.ParseOutput(o.Key)
		if o.Key == l.Success() {
			g.Go(func() error {
				_, info, err := c.bucket.readSummary(gctx, s.job.ID)
				if err == nil {
					mu.Lock()
					s.summary = info.ETag
					mu.Unlock()
				}
				return err
			})
			continue
		}
		if !ok {
			if name := strings.TrimPrefix(o.Key, l.OutputDir()); name == "" || name[0] == '_' {
				continue // the folder's placeholder, quarantined records
			}
			if s.job.InPartition(l, o.Key) {
				continue // a copy that an earlier coordinator has made
			}
		}
		if !ok || r >= s.job.Outputs() {
			return errors.Join(c.bucket.foreignOutput(o.Key, "the job has no such output"), g.Wait())
		}
		g.Go(func() error {
			rec, err := recall(&c.memory, o.Key, o.ETag, func() (*reduceCommit, error) { return c.bucket.readReduce(gctx, s.job, r) })
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				s.reduces[r] = rec
			}
			return c.bucket.unlessGone(o.Key, err)
		})
	}
	return g.Wait()
}
