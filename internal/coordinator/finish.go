package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/internal/trace"
)

// awaitEnd waits for the job to end here, or under another coordinator: one
// that was replaced may have finished it before it noticed, with workers that
// then left, and nobody would ever say so here. So while no worker is there
// the summary is looked for once in a lease; it is returned if it is found.
func (c *Coordinator) awaitEnd(ctx context.Context) (over *manifest.Success, err error) {
	tick := time.NewTicker(c.o.Lease)
	defer tick.Stop()
	mapped := c.loop.mapped
	for {
		select {
		case <-mapped:
			mapped = nil
			c.restorer.noteRanges(ctx)
			continue
		case <-c.loop.ended:
			return nil, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-tick.C:
		}
		alone := false
		c.call(ctx, func() { alone = c.loop.core.Stats().Workers == 0 })
		if !alone {
			continue
		}
		success, err := c.glance(ctx)
		var conflict *ConflictError
		if err == nil || errors.As(err, &conflict) {
			return success, err
		}
		// It is not there, or the store is in trouble: look again.
	}
}

// glance reads the summary, without the patience with the store that would
// keep an end here back.
func (c *Coordinator) glance(ctx context.Context) (*manifest.Success, error) {
	ctx, cancel := context.WithTimeout(ctx, max(c.o.Lease/2, time.Second))
	defer cancel()
	success, info, err := c.bucket.readSummary(ctx, c.loop.job.ID) // the job is fixed by now
	if err == nil && info.ETag == c.outdated {
		return nil, fmt.Errorf("%s is of what was there before: %w", info.Key, fs.ErrNotExist)
	}
	return success, err
}

// finish checks that nothing was lost between map and reduce, nor since, and
// writes _SUCCESS. It returns nothing if outputs are gone, which are made again
// then.
func (c *Coordinator) finish(ctx context.Context) (*manifest.Success, error) {
	var records []*mapCommit
	var reduces []*reduceCommit
	c.call(ctx, func() { records, reduces = slices.Clone(c.loop.maps), slices.Clone(c.loop.reduces) })
	told := c.recordDone(ctx)
	if err := c.promote(ctx, records, reduces); err != nil {
		return nil, err
	}
	gone, err := c.restorer.review(ctx)
	if err != nil {
		return nil, fmt.Errorf("check the objects of the job: %w", err)
	}
	if len(gone) > 0 {
		return nil, c.restorer.reopen(ctx, gone)
	}
	if err := c.restorer.publishNamed(ctx); err != nil {
		return nil, fmt.Errorf("copy the named outputs: %w", err)
	}
	var success *manifest.Success
	var idle time.Duration
	c.call(ctx, func() {
		idle = c.loop.noteIdle(c.now())
		records, reduces, success = slices.Clone(c.loop.maps), slices.Clone(c.loop.reduces), c.loop.summary()
		c.loop.recordAgain(told, success)
	})
	if success == nil {
		return nil, context.Cause(ctx)
	}
	if err := unequal(records, reduces); err != nil {
		return nil, err
	}
	if err := c.restorer.sealRanges(ctx, success); err != nil {
		return nil, err
	}
	success.Finished = time.Now().UTC()
	since := c.term.Load().Since
	success.Waited = idle.Seconds()
	success.Seconds = max(0, time.Since(since).Seconds()-success.Waited) + workedBefore(since, c.loop.job.Created, records, reduces).Seconds()
	if err := success.Validate(c.o.Layout); err != nil {
		return nil, &JobError{Cause: fmt.Sprintf("its summary cannot be: %v", err)}
	}
	data, err := manifest.EncodeSealed(success)
	if err != nil {
		return nil, fmt.Errorf("write the job's summary: %w", err)
	}
	c.loop.history.Settle(ctx, settleTime)
	_, err = c.o.Store.Put(ctx, c.o.Layout.Success(), data, object.PutOptions{IfAbsent: true, ContentType: "application/json"})
	if err == nil {
		c.call(ctx, func() { c.loop.tap(trace.Event{Kind: trace.SuccessCreated, Object: c.o.Layout.Success()}) })
		return success, nil
	}
	// Written by an earlier run, by another coordinator, or by this very
	// request whose reply was lost.
	stored, info, rerr := c.bucket.readSummary(ctx, success.Job)
	switch {
	case errors.Is(rerr, fs.ErrNotExist):
		return nil, fmt.Errorf("write the job's summary: %w", err)
	case rerr != nil:
		return nil, rerr
	case info.ETag != c.outdated || stored.Sealed == success.Sealed:
		if stored.Seal != success.Seal {
			c.recordOther(ctx, stored)
		}
		return stored, nil
	}
	return c.sealAgain(ctx, stored, success, data)
}

// sealAgain replaces the summary of a job that was done and of which something was made
// again since, by this coordinator or by one that ended before it could seal it: the seal is
// of records that are gone. Only the version is replaced that was there when this
// coordinator began.
func (c *Coordinator) sealAgain(ctx context.Context, old, success *manifest.Success, data []byte) (*manifest.Success, error) {
	for r := range success.Outputs {
		if now := success.Outputs[r]; r >= len(old.Outputs) || now.Hash != old.Outputs[r].Hash {
			c.o.Log.Warn().Str("key", now.Key).Msg("the output that was made again has other bytes than the one that was deleted")
		}
	}
	key := c.o.Layout.Success()
	_, err := c.o.Store.Put(ctx, key, data, object.PutOptions{IfMatch: c.outdated, ContentType: "application/json"})
	if err == nil {
		c.o.Log.Warn().Str("before", old.Seal).Str("key", key).Msg("what was missing is made again, and the job has a new seal")
		return success, nil
	}
	stored, info, rerr := c.bucket.readSummary(ctx, success.Job)
	switch {
	case rerr == nil && info.ETag != c.outdated: // by this very request, or by another coordinator
		return stored, nil
	case rerr != nil && !errors.Is(rerr, fs.ErrNotExist):
		return nil, rerr
	}
	return nil, fmt.Errorf("write the job's summary: %w", err)
}

// promote copies what the committed attempts have left below _attempts/ onto the names
// under which it is read.
func (c *Coordinator) promote(ctx context.Context, records []*mapCommit, reduces []*reduceCommit) error {
	for _, rec := range records { // some may have been committed under another coordinator
		if err := c.bucket.promote(ctx, rec.Map); err != nil {
			return fmt.Errorf("copy partitions of map task %d: %w", rec.Task, err)
		}
	}
	for _, rec := range reduces {
		if rec == nil || rec.Bad == nil {
			continue
		}
		if err := c.bucket.promote(ctx, rec.Reading()); err != nil {
			return fmt.Errorf("copy the list of bad records of map task %d: %w", rec.Task, err)
		}
	}
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

// summary adds up the records of all tasks, and seals them.
func (l *loop) summary() *manifest.Success {
	s := l.tally()
	s.Sealed = manifest.Sealed{
		Job:     l.job.Digest.String(),
		Maps:    manifest.DigestOfAll(len(l.maps), func(m int) manifest.Digest { return l.maps[m].Digest }),
		Reduces: manifest.DigestOfAll(len(l.reduces), func(r int) manifest.Digest { return l.reduces[r].Digest }),
	}
	return s
}

// tally is the summary without a seal.
func (l *loop) tally() *manifest.Success {
	st := l.core.Stats()
	maps, reduces := l.attempts(st)
	spent := l.spent()
	s := &manifest.Success{
		Schema: manifest.SuccessSchema, Job: l.job.ID, App: l.job.App, NReduce: l.job.NReduce,
		Map: maps, Reduce: reduces,
		Counters: map[string]int64{}, Requests: spent.Requests, Receipt: l.receipt(spent),
	}
	s.Describe(l.job.Output)
	s.Skew = l.skew()
	take := func(in *manifest.Input, bad *manifest.Quarantine) {
		s.Input.Records += in.Records
		s.Input.Bytes += in.Bytes
		if bad != nil {
			s.Skipped += bad.Records
		}
	}
	takenOver := func(job string) {
		if job != "" {
			s.TakenOver++
		}
	}
	for _, m := range l.maps {
		take(&m.Input, m.Bad)
		takenOver(m.TakenOver)
		s.Emitted += m.Emitted
		for _, p := range m.Parts {
			s.Shuffled.Add(p.Sum)
		}
		for name, n := range m.Counters {
			s.Counters[name] += n
		}
	}
	for _, r := range l.reduces {
		takenOver(r.TakenOver)
		if r.Input != nil {
			take(r.Input, r.Bad)
			s.Emitted += r.Output.Lines
		}
		s.Read.Add(r.Read)
		s.Keys += r.Keys
		out := r.Output
		out.Attempt = r.Attempt
		s.Outputs = append(s.Outputs, out)
		for name, n := range r.Counters {
			s.Counters[name] += n
		}
	}
	l.listNamed(s)
	return s
}

// attempts counts the attempts of both phases. The tasks of a map-only job are map
// tasks for people.
func (l *loop) attempts(st sched.Stats) (maps, reduces manifest.Attempts) {
	maps = attempts(st.Map, l.counters.Map, l.counters.reran["map"])
	reduces = attempts(st.Reduce, l.counters.Reduce, l.counters.reran["reduce"])
	if l.job.MapOnly() {
		maps, reduces = reduces, maps
	}
	return maps, reduces
}

func attempts(p sched.PhaseStats, n sched.AttemptCounts, reran int) manifest.Attempts {
	return manifest.Attempts{
		Tasks: p.Tasks, Reused: p.Reused, Granted: n.Granted, Adopted: n.Adopted, Failed: n.Failed, Lost: n.Lost, Released: n.Released,
		Superseded: n.Superseded, Speculative: n.Speculative, SpeculativeCommitted: n.SpeculativeCommitted, CommittedRerun: reran,
	}
}
