package coordinator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// A job deletes and replaces nothing that it has committed, but others may. A
// coordinator has in memory what it has read of the control objects, so it puts
// back what is gone, replaced or damaged: the very bytes, so that nothing that
// was committed changes (I3). It does so when a worker reports that it could not
// read one, and with one listing at the end, when it also looks whether every
// output is there: one that is gone is made again (docs/protocol.md).

// maxRemade is how often the job makes one output again before it fails.
const maxRemade = 3

// kept is a control object that this coordinator knows.
type kept struct {
	key  string
	at   object.Info // of the version that was read or written
	is   func() ([]byte, error)
	meta map[string]string
	// adopt says whether what lies in its place will do as well, and takes note
	// of it; nil where only the same bytes do.
	adopt func(context.Context) (bool, error)
}

// library is what is known of control objects beside the records of tasks.
type library struct {
	// Owned by the loop once the job is planned.
	job    object.Info      // _job.json
	ranges *manifest.Ranges // nil if there are none, or none were read
	at     object.Info      // _ranges.json

	mu   sync.Mutex     // held while something is put back
	said map[string]int // how often an attempt failed over an object, by its key
}

// encoded is the content of a control object.
func encoded(v any) func() ([]byte, error) {
	return func() ([]byte, error) { return manifest.Encode(v) }
}

// catalogue lists the control objects that are known, by key.
func (c *Coordinator) catalogue(ctx context.Context) (map[string]kept, []*reduceCommit) {
	var maps []*mapCommit
	var reduces []*reduceCommit
	all := map[string]kept{}
	add := func(k kept) { all[k.key] = k }
	l := c.o.Layout
	c.call(ctx, func() {
		maps, reduces = slices.Clone(c.loop.maps), slices.Clone(c.loop.reduces)
		add(kept{key: l.Job(), at: c.library.job, is: encoded(c.loop.job)})
		if ranges := c.library.ranges; ranges != nil {
			add(kept{key: l.Ranges(), at: c.library.at, is: encoded(ranges)})
		}
	})
	for m, rec := range maps {
		if rec != nil {
			add(kept{
				key: l.MapCommit(m), at: rec.at, is: encoded(rec.Map), meta: c.metaOf(rec.Attempt),
				adopt: func(ctx context.Context) (bool, error) { return c.adoptMap(ctx, m, rec) },
			})
		}
	}
	for r, rec := range reduces {
		if rec != nil {
			add(kept{key: l.ReduceAttempt(r, rec.Attempt), at: rec.at, is: encoded(rec.Reduce), meta: c.metaOf(rec.Attempt)})
		}
	}
	return all, reduces
}

// metaOf is the metadata of a record.
func (c *Coordinator) metaOf(attempt string) map[string]string {
	return map[string]string{manifest.MetaJob: c.loop.job.ID, manifest.MetaAttempt: attempt}
}

// noteVersion takes note of the version of a control object.
func (c *Coordinator) noteVersion(ctx context.Context, key string, at object.Info) {
	l := c.o.Layout
	c.call(context.WithoutCancel(ctx), func() {
		m, isMap := l.ParseMapCommit(key)
		switch {
		case key == l.Job():
			c.library.job = at
		case key == l.Ranges():
			c.library.at = at
		case isMap:
			rec := *c.loop.maps[m]
			rec.at = at
			c.loop.maps[m] = &rec
		default:
			for r, rec := range c.loop.reduces {
				if rec != nil && key == l.ReduceAttempt(r, rec.Attempt) {
					now := *rec
					now.at = at
					c.loop.reduces[r] = &now
				}
			}
		}
	})
}

// restore sees to it that a control object is what it was when it was read,
// whatever the listing says of it.
func (c *Coordinator) restore(ctx context.Context, k kept) error {
	want, err := k.is()
	if err != nil {
		return err
	}
	for range 3 {
		found, at, err := c.lies(ctx, k.key)
		if err != nil {
			return fmt.Errorf("read the metadata of %s: %w", k.key, err)
		}
		if bytes.Equal(found, want) {
			c.noteVersion(ctx, k.key, at)
			return nil
		}
		if k.adopt != nil && found != nil {
			if ok, err := k.adopt(ctx); ok || err != nil {
				return err
			}
		}
		// Behind the look: what another job puts there from now on is another
		// version.
		if err := c.displaced(ctx); err != nil {
			return err
		}
		meta := maps.Clone(k.meta)
		if meta != nil {
			meta[manifest.MetaHash] = manifest.DigestOf(want).String()
		}
		info, err := c.o.Store.Put(ctx, k.key, want, object.PutOptions{
			IfAbsent: at.ETag == "", IfMatch: at.ETag, Meta: meta, ContentType: "application/json",
		})
		if err == nil {
			c.o.Log.Warn().Str("key", k.key).Bool("gone", at.ETag == "").Msg("a control object was deleted or damaged; it is written again")
			info.Size = int64(len(want))
			c.noteVersion(ctx, k.key, info)
			return nil
		}
		if !object.ConditionFailed(err) {
			return fmt.Errorf("write %s again: %w", k.key, err)
		}
	}
	return &JobError{Cause: fmt.Sprintf("s3://%s/%s is deleted or replaced again and again while the job runs", c.o.Store.Bucket(), k.key)}
}

// lies reads what lies under a key: nil and no ETag if nothing does, nil and an
// ETag if it is damaged.
func (c *Coordinator) lies(ctx context.Context, key string) (data []byte, at object.Info, err error) {
	data, info, err := c.o.Store.Get(ctx, key)
	if errors.Is(err, object.ErrDamaged) {
		info, err = c.o.Store.Stat(ctx, key)
		data = nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, object.Info{}, nil
	}
	return data, info, err
}

// adoptMap says whether the commit record that lies in the place of rec does as
// well: that of an attempt which came after rec was deleted and committed equal
// records. One with others ends the job, since outputs may be made of either.
func (c *Coordinator) adoptMap(ctx context.Context, m int, rec *mapCommit) (bool, error) {
	now, err := c.readMap(ctx, c.loop.job, m)
	var conflict *ConflictError
	switch {
	case errors.As(err, &conflict), errors.Is(err, fs.ErrNotExist), errors.Is(err, object.ErrDamaged):
		return false, nil // no record of this job: rec goes over it
	case err != nil:
		return false, err
	case now.Attempt == rec.Attempt:
		return false, nil // rec, changed
	case !sameRecords(now.Map, rec.Map):
		return false, &JobError{Cause: fmt.Sprintf("s3://%s/%s was deleted while the job ran, and attempt %s committed an output that differs from that of attempt %s: the app is not deterministic",
			c.o.Store.Bucket(), c.o.Layout.MapCommit(m), now.Attempt, rec.Attempt)}
	}
	c.call(context.WithoutCancel(ctx), func() { c.loop.maps[m] = now })
	return true, nil
}

// sameRecords says whether two commit records speak of equal records.
func sameRecords(a, b *manifest.Map) bool {
	same := func(p, q manifest.Part) bool { return p.Hash == q.Hash && p.Sum == q.Sum }
	bad := func(r *manifest.Map) string {
		if r.Bad == nil {
			return ""
		}
		return r.Bad.Hash
	}
	return slices.EqualFunc(a.Parts, b.Parts, same) && bad(a) == bad(b)
}

// hasRanges says whether the bucket has to have key ranges.
func (l *loop) hasRanges() bool {
	return l.job.Partitioner.Name == manifest.Range && l.job.NReduce > 1 && len(l.job.Tasks) > 0
}

// noteRanges reads the key ranges of a job with ordered output when all maps
// have gone by them. If they are lost by then, a reduce attempt makes them
// again.
func (c *Coordinator) noteRanges(ctx context.Context) {
	needed := false
	c.call(ctx, func() { needed = c.loop.hasRanges() && c.library.ranges == nil })
	if !needed {
		return
	}
	ranges, info, err := jobstate.ReadRanges(ctx, c.o.Store, c.o.Layout, c.loop.job)
	if err != nil {
		if ctx.Err() == nil {
			c.o.Log.Warn().Err(err).Msg("key ranges not read")
		}
		return
	}
	c.call(ctx, func() { c.library.ranges, c.library.at = ranges, info })
}

// restored puts back the control object of which an attempt has reported that
// it is missing or damaged, and what else is missing. It says whether the
// attempt failed over that alone.
func (c *Coordinator) restored(ctx context.Context, key string) bool {
	all, _ := c.catalogue(ctx)
	k, known := all[key]
	if !known {
		return false
	}
	c.library.mu.Lock()
	defer c.library.mu.Unlock()
	if c.library.said == nil {
		c.library.said = map[string]int{}
	}
	if c.library.said[key]++; c.library.said[key] > 4*c.o.MaxLost {
		return false // somebody deletes it again and again, or the worker lies
	}
	err := c.restore(ctx, k)
	if err == nil {
		err = c.restoreListed(ctx, all)
	}
	if err != nil && ofJob(err) {
		c.call(context.WithoutCancel(ctx), func() { c.loop.finishWith(err) })
	} else if err != nil {
		c.o.Log.Warn().Err(err).Str("key", key).Msg("control objects not written again")
	}
	return err == nil
}

// restoreListed puts back the known control objects that the listing lacks, or
// shows at another version.
func (c *Coordinator) restoreListed(ctx context.Context, all map[string]kept) error {
	missing := maps.Clone(all)
	for o, err := range c.o.Store.List(ctx, c.o.Layout.ControlPrefix()) {
		if err != nil {
			return fmt.Errorf("list the control objects: %w", err)
		}
		if k, known := missing[o.Key]; known && k.at.ETag == o.ETag && k.at.Size == o.Size {
			delete(missing, o.Key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(missing)) {
		if err := c.restore(ctx, missing[key]); err != nil {
			return err
		}
	}
	return nil
}

// review looks before _SUCCESS is written whether everything that it is going
// to speak of is there. Control objects that are not it puts back. It returns
// the outputs that have to be made again, and an error for one in whose place
// something else lies.
func (c *Coordinator) review(ctx context.Context) ([]int, error) {
	c.noteRanges(ctx) // those that were lost and are made again
	all, outputs := c.catalogue(ctx)
	if _, ok := all[c.o.Layout.Ranges()]; !ok && c.ranged(ctx) {
		return nil, &JobError{Cause: fmt.Sprintf("s3://%s/%s is missing or damaged: it was deleted or changed, and without it the outputs cannot be checked; run `mraws reset` and the job again",
			c.o.Store.Bucket(), c.o.Layout.Ranges())}
	}
	c.library.mu.Lock()
	defer c.library.mu.Unlock()
	if err := c.restoreListed(ctx, all); err != nil {
		return nil, err
	}
	if k, ok := all[c.o.Layout.Ranges()]; ok { // which is read for the seal
		if err := c.restore(ctx, k); err != nil {
			return nil, err
		}
	}
	return c.reviewOutputs(ctx, outputs)
}

// reviewOutputs looks with one listing whether every output is the one that was
// committed. It returns those that are gone.
func (c *Coordinator) reviewOutputs(ctx context.Context, outputs []*reduceCommit) (gone []int, err error) {
	there := make([]object.Info, len(outputs))
	for o, err := range c.o.Store.List(ctx, c.o.Layout.OutputDir()) {
		if err != nil {
			return nil, fmt.Errorf("list the output: %w", err)
		}
		if r, ok := c.o.Layout.ParseOutput(o.Key); ok && r < len(there) {
			there[r] = o
		}
	}
	for r, rec := range outputs {
		o, key := there[r], c.o.Layout.Output(r)
		var err error
		if o.Key == "" { // a listing may hide what is there
			o, err = c.o.Store.Stat(ctx, key)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			gone = append(gone, r)
		case err != nil:
			return nil, fmt.Errorf("read the metadata of %s: %w", key, err)
		case o.ETag != rec.output || o.Size != rec.Output.Size:
			now, err := c.readReduce(ctx, c.loop.job, r)
			if err != nil || now.Attempt == rec.Attempt {
				return nil, errors.Join(c.spoiled(key, fmt.Sprintf("it has %d bytes and ETag %s, its reduce task made %d bytes with ETag %s",
					o.Size, o.ETag, rec.Output.Size, rec.output)), storeError(err))
			}
			c.call(ctx, func() { c.loop.committedReduce(c.now(), r, now) }) // it was gone, and is made again
		}
	}
	return gone, nil
}

// spoiled is the error of an object that was replaced or damaged behind its
// commit and cannot be put back.
func (c *Coordinator) spoiled(key, why string) error {
	return &ConflictError{
		What: fmt.Sprintf("s3://%s/%s was replaced or damaged while the job ran", c.o.Store.Bucket(), key),
		Diff: []string{why},
		Hint: "delete that object and start the same line again: its task is run again",
	}
}

// storeError is err unless that says something of an object.
func storeError(err error) error {
	var conflict *ConflictError
	if errors.As(err, &conflict) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// ranged says whether the bucket has to have key ranges.
func (c *Coordinator) ranged(ctx context.Context) (yes bool) {
	c.call(ctx, func() { yes = c.loop.hasRanges() })
	return yes
}

// reopen has outputs made again that are gone.
func (c *Coordinator) reopen(ctx context.Context, gone []int) error {
	var err error
	c.call(ctx, func() { err = c.loop.reopen(c.now(), gone) })
	return err
}

func (l *loop) reopen(now sched.Time, gone []int) error {
	for _, r := range gone {
		if l.remade[r]++; l.remade[r] > maxRemade {
			return &JobError{Cause: fmt.Sprintf("%s was deleted %d times while the job ran", l.o.Layout.Output(r), l.remade[r])}
		}
	}
	l.ended = make(chan struct{})
	for _, r := range gone {
		l.log.Warn().Str("key", l.o.Layout.Output(r)).Msg("an output was deleted while the job ran; its reduce task is run again")
		l.reduces[r] = nil
		l.step(now, sched.OutputGone{Task: reduceTask(r)})
	}
	// Polls that came when all seemed to be done.
	for s, p := range maps.Clone(l.waiting) {
		l.step(now, sched.Poll{Worker: s.worker, Slot: s.index, Seq: p.seq})
	}
	return nil
}
