package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/internal/trace"
	"github.com/mraws/mraws/mr"
)

// promote copies partitions, packed or not, and the list of what was skipped,
// that a committed attempt had to put under _attempts/ onto their plain names,
// so that the layout shows what was committed. Readers go by the record, so nothing depends on it, and it may
// be repeated.
func (c *Coordinator) promote(ctx context.Context, rec *manifest.Map) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	onto := func(plain, key, etag, hash string) {
		if key == plain || key == "" { // or nothing is stored
			return
		}
		g.Go(func() error {
			_, err := c.o.Store.Copy(ctx, key, etag, plain, object.PutOptions{})
			if errors.Is(err, object.ErrPrecondition) {
				// It was lost and is there again, under another version.
				info, serr := c.o.Store.Stat(ctx, key)
				if serr == nil && info.Meta[manifest.MetaRestored] != "" && info.Meta[manifest.MetaHash] == hash {
					_, err = c.o.Store.Copy(ctx, key, info.ETag, plain, object.PutOptions{})
				}
			}
			if errors.Is(err, object.ErrPrecondition) || errors.Is(err, fs.ErrNotExist) {
				// Whoever has to read it restores it. If nobody has to any
				// more, the job does not fail over its looks.
				c.o.Log.Warn().Err(err).Str("key", key).Msg("a committed partition is lost and was not copied to its plain name")
				return nil
			}
			return err
		})
	}
	if p := rec.Packed; p != nil {
		onto(c.o.Layout.Packed(rec.Task), p.Key, p.ETag, p.Hash)
	} else {
		for r, p := range rec.Parts {
			onto(c.o.Layout.Partition(rec.Task, r), p.Key, p.ETag, p.Hash)
		}
	}
	if rec.Bad != nil {
		onto(c.o.Layout.Bad(rec.Task), rec.Bad.Key, rec.Bad.ETag, rec.Bad.Hash)
	}
	return g.Wait()
}

// finish checks that nothing was lost between map and reduce, nor since, and
// writes _SUCCESS. It returns nothing if outputs are gone, which are made again
// then.
func (c *Coordinator) finish(ctx context.Context) (*manifest.Success, error) {
	var records []*mapCommit
	c.call(ctx, func() { records = slices.Clone(c.loop.maps) })
	for _, rec := range records { // some may have been committed under another coordinator
		if err := c.promote(ctx, rec.Map); err != nil {
			return nil, fmt.Errorf("copy partitions of map task %d: %w", rec.Task, err)
		}
	}
	gone, err := c.review(ctx)
	if err != nil {
		return nil, fmt.Errorf("check the objects of the job: %w", err)
	}
	if len(gone) > 0 {
		return nil, c.reopen(ctx, gone)
	}
	var reduces []*reduceCommit
	var success *manifest.Success
	c.call(ctx, func() {
		records, reduces, success = slices.Clone(c.loop.maps), slices.Clone(c.loop.reduces), c.loop.summary()
	})
	if success == nil {
		return nil, context.Cause(ctx)
	}
	if err := unequal(records, reduces); err != nil {
		return nil, err
	}
	if err := c.sealRanges(ctx, success); err != nil {
		return nil, err
	}
	success.Seconds = time.Since(c.term.Load().Since).Seconds()
	success.Finished = time.Now().UTC()
	if err := success.Validate(c.o.Layout); err != nil {
		return nil, &JobError{Cause: fmt.Sprintf("its summary cannot be: %v", err)}
	}
	data, err := manifest.EncodeSealed(success)
	if err != nil {
		return nil, fmt.Errorf("write the job's summary: %w", err)
	}
	_, err = c.o.Store.Put(ctx, c.o.Layout.Success(), data, object.PutOptions{IfAbsent: true, ContentType: "application/json"})
	if err == nil {
		c.call(ctx, func() { c.loop.tap(trace.Event{Kind: trace.SuccessCreated, Object: c.o.Layout.Success()}) })
		return success, nil
	}
	// Written by an earlier run, by another coordinator, or by this very
	// request whose reply was lost.
	stored, rerr := c.readSuccess(ctx, success.Job)
	if errors.Is(rerr, fs.ErrNotExist) {
		return nil, fmt.Errorf("write the job's summary: %w", err)
	}
	return stored, rerr
}

// hintSummary says what to do about a summary that cannot be read.
const hintSummary = "delete that object and start the same line again: the summary is written again, and no task is run again"

// sealRanges adds the digest of the key ranges, if the job has any. A damaged
// or foreign object in their place is an error: a seal of it would make it
// right.
func (c *Coordinator) sealRanges(ctx context.Context, success *manifest.Success) error {
	var has bool
	var ranges *manifest.Ranges
	c.call(ctx, func() { has, ranges = c.loop.hasRanges(), c.library.ranges })
	if !has {
		return nil
	}
	if ranges == nil {
		var err error
		ranges, _, err = jobstate.ReadRanges(ctx, c.o.Store, c.o.Layout, c.loop.job)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return fmt.Errorf("seal the key ranges: %w", c.unusable(hintForeign, err))
		}
	}
	data, err := manifest.Encode(ranges)
	if err != nil {
		return fmt.Errorf("seal the key ranges: %w", err)
	}
	success.Sealed.Ranges = manifest.DigestOf(data).String()
	return nil
}

// unequal is the error of a reduce task that has read other records than the
// map tasks committed for it, which shows a record that was replaced or made
// up; nil if there is none.
func unequal(maps []*mapCommit, reduces []*reduceCommit) error {
	for r, red := range reduces {
		var sum recordio.Sum
		for _, m := range maps {
			sum.Add(m.Parts[r].Sum)
		}
		if sum != red.Read {
			return &JobError{Cause: fmt.Sprintf("the maps committed %d records (checksum %016x) for reduce task %d, which read %d (checksum %016x)",
				sum.Records, uint64(sum.Hash), r, red.Read.Records, uint64(red.Read.Hash))}
		}
	}
	return nil
}

// readSuccess reads the summary of the job, which may be another's.
func (c *Coordinator) readSuccess(ctx context.Context, job string) (*manifest.Success, error) {
	stored, _, err := jobstate.ReadSuccess(ctx, c.o.Store, c.o.Layout, job)
	return stored, c.unusable(hintSummary, err)
}

// summary adds up the records of all tasks.
func (l *loop) summary() *manifest.Success {
	st := l.core.Stats()
	s := &manifest.Success{
		Schema: manifest.SuccessSchema, Job: l.job.ID, App: l.job.App, NReduce: l.job.NReduce,
		Map: attempts(st.Map, l.reran[mr.MapPhase]), Reduce: attempts(st.Reduce, l.reran[mr.ReducePhase]),
		Counters: map[string]int64{}, Requests: l.counts.sum(l.o.Store.Requests()),
		Sealed: manifest.Sealed{
			Job:     l.job.Digest.String(),
			Maps:    manifest.DigestOfAll(len(l.maps), func(m int) manifest.Digest { return l.maps[m].Digest }),
			Reduces: manifest.DigestOfAll(len(l.reduces), func(r int) manifest.Digest { return l.reduces[r].Digest }),
		},
	}
	for _, m := range l.maps {
		s.Input.Records += m.Input.Records
		s.Input.Bytes += m.Input.Bytes
		s.Emitted += m.Emitted
		if m.Bad != nil {
			s.Skipped += m.Bad.Records
		}
		for _, p := range m.Parts {
			s.Shuffled.Add(p.Sum)
		}
		for name, n := range m.Counters {
			s.Counters[name] += n
		}
	}
	for _, r := range l.reduces {
		s.Read.Add(r.Read)
		s.Keys += r.Keys
		out := r.Output
		out.Attempt = r.Attempt
		s.Outputs = append(s.Outputs, out)
		for name, n := range r.Counters {
			s.Counters[name] += n
		}
	}
	return s
}

func attempts(p sched.PhaseStats, reran int) manifest.Attempts {
	return manifest.Attempts{
		Tasks: p.Tasks, Reused: p.Reused, Granted: p.Granted, Failed: p.Failed, Lost: p.Lost, Released: p.Released,
		Superseded: p.Superseded, Speculative: p.Speculative, SpeculativeCommitted: p.SpeculativeCommitted, CommittedRerun: p.CommittedRerun + reran,
	}
}
