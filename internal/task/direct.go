package task

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/output"
	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/mr"
)

// An attempt of a map-only job ([manifest.Job.MapOnly]) reads a split and writes an
// output: there is no buffer, no segment and no shuffle between its mapper and the
// upload. It commits as a reduce attempt does (reduce.go, commit.go).

// directTo is such an attempt without its commit.
func (t *attempt) directTo(ctx context.Context, o target) (w object.Writer, rec *manifest.Reduce, err error) {
	defer func() {
		if err != nil && w != nil {
			err = errors.Join(err, w.Abort())
		}
	}()
	before := t.live.Records.Load() // by an attempt whose output was replaced
	if w, err = o.create(0); err != nil {
		return nil, nil, err
	}
	to := &sink{live: t.live, to: w, name: t.Layout.Output(t.Index), sha: sha256.New()}
	outs, err := t.newOutputs(to)
	if err != nil {
		return w, nil, err
	}
	defer func() { err = errors.Join(err, outs.Close()) }()
	out := &direct{sums: t.app.Combine == mr.Combiner(mr.Sum{}), live: t.live, to: outs.enc, named: outs.named}
	bad := t.newQuarantine(out)
	defer func() { err = errors.Join(err, bad.Close()) }()
	extents, err := t.mapInput(ctx, out, bad)
	if err == nil {
		err = out.to.Close()
	}
	if err != nil {
		return w, nil, err
	}
	t.res.Emitted = out.records
	rec = &manifest.Reduce{
		Schema: manifest.ReduceSchema, Job: t.Job.ID, Task: t.Index, Attempt: t.ID, Worker: t.Worker,
		Started: t.started, Counters: t.counters.all(),
		Extents: extents,
		Input:   &manifest.Input{Records: t.live.Records.Load() - before, Bytes: t.inputBytes()},
		Output:  manifest.Output{Key: t.Layout.Output(t.Index), Size: to.size, Lines: out.records, Hash: hex.EncodeToString(to.sha.Sum(nil))},
	}
	if bad != nil && bad.n > 0 {
		t.res.Skipped = bad.n
		if rec.Bad, err = o.bad(ctx, bad); err != nil {
			return w, nil, err
		}
	}
	if err := outs.keep(ctx, o, rec); err != nil {
		return w, nil, err
	}
	rec.Seconds = time.Since(t.started).Seconds()
	return w, rec, nil
}

// keepBad makes the list of what was skipped durable, before the record that names
// it.
func (t *attempt) keepBad(ctx context.Context, bad *quarantine) (*manifest.Quarantine, error) {
	m := &mapCommit{committer: t.commit, foundRecord: func() error { return nil }}
	kept, err := bad.commit(ctx, m)
	t.res.Adopted, t.res.Displaced = int(m.adopted.Load()), int(m.displaced.Load())
	return kept, err
}

// direct is the runner.Emitter of such an attempt: each pair is a record of the
// output.
type direct struct {
	live    *live
	to      output.Encoder
	named   *namedOutputs
	sums    bool // values are numbers, see [mr.Sum]
	number  []byte
	records int64
	failed  error // of the first record that did
}

// Emit writes a pair, as [mr.Task] says.
func (d *direct) Emit(key, value []byte) error {
	if d.failed != nil {
		return d.failed
	}
	if d.records++; d.records%beatEach == 0 {
		d.live.Beats.Add(1)
		if d.live.stopped.Load() {
			d.failed = errStopped // a call of the application may go on for long
			return d.failed
		}
	}
	if d.sums && len(value) == 8 {
		d.number = strconv.AppendInt(d.number[:0], mr.ParseInt64(value), 10)
		value = d.number
	}
	if len(value) == 0 {
		taken, err := d.named.take(key)
		if d.failed = err; taken {
			d.records--
			return err
		}
	}
	var err error
	switch size := int64(len(key) + len(value)); {
	case size > recordio.MaxRecord:
		err = recordError(key, &recordio.TooLargeError{Size: size, Max: recordio.MaxRecord})
	case len(value) == 0:
		err = d.to.Line(key)
	default:
		if err = d.to.Key(key); err == nil {
			err = d.to.Value(value)
		}
	}
	if err != nil {
		d.unfit(key, err)
	}
	return d.failed
}

// EmitSpans writes many pairs of one value.
func (d *direct) EmitSpans(text []byte, spans []uint32, value []byte) error {
	for ; len(spans) >= 2; spans = spans[2:] {
		if err := d.Emit(text[spans[0]:spans[1]], value); err != nil {
			return err
		}
	}
	return d.failed
}

// unfit keeps why a pair was not written. One that the format cannot represent is a
// failure of the application.
func (d *direct) unfit(key []byte, err error) {
	d.failed = err
	var unfit *output.UnfitError
	if errors.As(err, &unfit) {
		if unfit.Key != nil {
			key = unfit.Key
		}
		d.failed = &FatalError{Err: fmt.Errorf("write key %s: %s", shortKey(key), shown(unfit))}
	}
}

// failure implements mapOutput.
func (d *direct) failure() error { return d.failed }

// blame implements mapOutput: it is known over which record the application failed.
func (d *direct) blame(*AppError) {}
