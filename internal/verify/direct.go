package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"

	"github.com/mraws/mraws/mr"
)

// compareDirect runs the mappers of a map-only job, one for each task and one after
// the other, and compares what they emit with the outputs line by line.
func (a *audit) compareDirect(ctx context.Context, params map[string]string) (err error) {
	run, err := a.sequential(ctx, a.app, params)
	if err != nil {
		return fmt.Errorf("run the reference: %w", err)
	}
	run.tally = newTally(&a.committed, false, a.opt.Code)
	out := &directOutputs{ctx: ctx, q: run}
	defer func() { err = errors.Join(err, out.drop()) }()
	if err := run.mapTasks(ctx, out, out.next); err != nil {
		return fmt.Errorf("run the reference: %w", errors.Join(err, out.err))
	}
	run.skips.take(place{object: len(a.job.Objects)}, 0) // what did not come
	if err := out.end(); err != nil {
		return fmt.Errorf("run the reference: %w", err)
	}
	a.rep.take(&out.find)
	a.rep.Reference.Records, a.rep.Reference.Pairs = run.records, out.pairs
	run.checkRecords()
	var others finder
	tasks := 0
	for m, f := range a.maps {
		if f == nil || maps.Equal(f.counters, run.tally.counters[m]) {
			continue
		}
		find := &others
		if a.app.ExactCounters {
			find = new(finder)
		} else {
			tasks++
		}
		compareCounters(find, a.recordKey(m), f.counters, run.tally.counters[m])
		if a.app.ExactCounters {
			a.rep.take(find)
		}
	}
	run.noteCounters(tasks, mr.MapPhase, &others)
	return nil
}

// directOutputs is the mr.Emitter of such a reference. It holds what a task emits
// against the output of the task.
type directOutputs struct {
	ctx   context.Context
	q     *sequential
	m     int
	at    *comparison // of the output of task m; nil if that is missing, or before the first
	body  io.ReadCloser
	find  finder
	pairs int64
	err   error
}

// next ends the output of the task before and opens that of task m.
func (d *directOutputs) next(m int) error {
	if err := d.end(); err != nil {
		return err
	}
	d.m = m
	a := d.q.a
	out := a.outputs[m]
	if out.Key == "" {
		return nil // which is a finding already
	}
	d.q.named = a.newNamed(d.ctx, m)
	body, err := a.stream(d.ctx, out.Key, out.ETag, 0, -1)
	if err != nil {
		return err
	}
	d.body, d.at = body, &comparison{mixed: true, code: a.opt.Code}
	d.at.start(m, newOutputReader(a.outLines, body), a.plainLines())
	d.at.table, d.at.parts = a.outTable, a.newPartReference(d.ctx, m)
	return d.at.err
}

// end takes what is left of the output at hand, and judges it.
func (d *directOutputs) end() error {
	c := d.at
	if c == nil {
		return nil
	}
	err := c.finish()
	if err == nil {
		err = d.q.named.judge(&d.find)
	}
	if err == nil {
		c.judge(d.q.a.outputs[d.m].Key, &d.find)
		d.q.a.rep.Reference.take(c.result())
	}
	return errors.Join(err, d.drop())
}

// drop closes the output at hand.
func (d *directOutputs) drop() error {
	if d.at == nil {
		return nil
	}
	d.at.close()
	d.at = nil
	d.q.named.close()
	d.q.named = nil
	return d.body.Close()
}

// Emit takes an expected pair from the mapper: a line "key value", or the key alone.
func (d *directOutputs) Emit(key, value []byte) {
	d.pairs++
	if _, sums := d.q.app.Combine.(mr.Sum); sums && len(value) == 8 {
		value = fmt.Append(nil, mr.ParseInt64(value))
	}
	c := d.at
	if d.err != nil || c == nil {
		return
	}
	c.pair(key, value)
	d.err = c.err
}

// failed implements emitter.
func (d *directOutputs) failed() error {
	if d.err == nil && d.q.named != nil {
		return d.q.named.err
	}
	return d.err
}
