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
	return c.bucket.readSuccess(ctx, c.loop.job.ID) // the job is fixed by now
}

// finish checks that nothing was lost between map and reduce, nor since, and
// writes _SUCCESS. It returns nothing if outputs are gone, which are made again
// then.
func (c *Coordinator) finish(ctx context.Context) (*manifest.Success, error) {
	var records []*mapCommit
	c.call(ctx, func() { records = slices.Clone(c.loop.maps) })
	for _, rec := range records { // some may have been committed under another coordinator
		if err := c.bucket.promote(ctx, rec.Map); err != nil {
			return nil, fmt.Errorf("copy partitions of map task %d: %w", rec.Task, err)
		}
	}
	gone, err := c.restorer.review(ctx)
	if err != nil {
		return nil, fmt.Errorf("check the objects of the job: %w", err)
	}
	if len(gone) > 0 {
		return nil, c.restorer.reopen(ctx, gone)
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
	if err := c.restorer.sealRanges(ctx, success); err != nil {
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
	stored, rerr := c.bucket.readSuccess(ctx, success.Job)
	if errors.Is(rerr, fs.ErrNotExist) {
		return nil, fmt.Errorf("write the job's summary: %w", err)
	}
	return stored, rerr
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

// summary adds up the records of all tasks.
func (l *loop) summary() *manifest.Success {
	st := l.core.Stats()
	s := &manifest.Success{
		Schema: manifest.SuccessSchema, Job: l.job.ID, App: l.job.App, NReduce: l.job.NReduce,
		Map:      attempts(st.Map, l.counters.Map, l.counters.reran["map"]),
		Reduce:   attempts(st.Reduce, l.counters.Reduce, l.counters.reran["reduce"]),
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

func attempts(p sched.PhaseStats, n sched.AttemptCounts, reran int) manifest.Attempts {
	return manifest.Attempts{
		Tasks: p.Tasks, Reused: p.Reused, Granted: n.Granted, Failed: n.Failed, Lost: n.Lost, Released: n.Released,
		Superseded: n.Superseded, Speculative: n.Speculative, SpeculativeCommitted: n.SpeculativeCommitted, CommittedRerun: reran,
	}
}
