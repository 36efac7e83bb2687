package task

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"time"

	"github.com/mraws/mraws/internal/keyorder"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/output"
	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/mr"
)

// runOutput runs an attempt that writes an output: a reduce attempt, or one of a
// map-only job.
func (t *attempt) runOutput(ctx context.Context) (err error) {
	over := "" // the version of a stale output, which this one is to replace
	create := func(size int64) (object.Writer, error) {
		if t.Job.Output.Partitioned() {
			size = 0 // of the list alone
		}
		return t.bucket.store.Create(ctx, t.Layout.Output(t.Index), object.PutOptions{
			IfAbsent: over == "", IfMatch: over, Meta: t.commit.meta(""), ContentType: t.Job.OutputFormat().ContentType(),
			Expect: size, Memory: t.shares.output,
		})
	}
	if err := t.bucket.checkOwner(ctx); err != nil {
		return err
	}
	to, err := t.outputTo(ctx)
	if err != nil {
		return err
	}
	o := target{create: create, bad: t.keepBad, besides: t.keepBesides}
	for round := 0; ; round++ {
		t.counters.reset() // the application counts anew
		w, rec, err := to(ctx, o)
		if err == nil {
			err = t.commit.commitReduce(ctx, w, rec)
			var stale *staleError
			if !errors.As(err, &stale) || round >= mostStale {
				return err
			}
			t.Log.Warn().Str("key", stale.key).Str("job", stale.job).Msg("a stopped attempt of an earlier job has written the output in the place of this one; it is made again and replaced")
			over = stale.etag
			continue
		}
		again, err := t.restorer().retryAfter(ctx, err, round)
		if !again {
			return err
		}
	}
}

// target is where an attempt puts what it makes, besides its commit.
type target struct {
	// create begins the output. size is a guess at that of it, in bytes.
	create func(size int64) (object.Writer, error)
	// bad takes the list of what was skipped, and besides what else is not in the output,
	// of which it sets the ETags.
	bad     func(context.Context, *quarantine) (*manifest.Quarantine, error)
	besides func(context.Context, []kept) error
}

// outputTo returns what makes the output without its commit.
func (t *attempt) outputTo(ctx context.Context) (to func(context.Context, target) (object.Writer, *manifest.Reduce, error), err error) {
	if t.Job.MapOnly() {
		return func(ctx context.Context, o target) (object.Writer, *manifest.Reduce, error) {
			if w, rec, err := t.takeOverOutput(ctx, o); rec != nil || err != nil {
				return w, rec, err
			}
			return t.directTo(ctx, o)
		}, nil
	}
	cuts, err := t.ensureRanges(ctx)
	return func(ctx context.Context, o target) (object.Writer, *manifest.Reduce, error) {
		return t.reduceTo(ctx, cuts, o)
	}, err
}

// restorer puts back what this attempt misses.
func (t *attempt) restorer() *restorer {
	return &restorer{committer: t.commit, commits: t.Commits, mapAgain: t.mapAgain}
}

// mapAgain runs a map task once more, with the budget of this attempt.
func (t *attempt) mapAgain(ctx context.Context, m int, id string, f func(context.Context, *committer, *segments) error) error {
	env := *t.Env
	env.Progress = nil // that of the reduce task tells of the reduce task
	err := env.runAttempt(ctx, Attempt{Phase: mr.MapPhase, Index: m, ID: id}, func(ctx context.Context, u *attempt) (err error) {
		segs := u.newSegments()
		defer func() { err = errors.Join(err, segs.Close()) }()
		if err := u.mapTo(ctx, segs); err != nil {
			return err
		}
		return f(ctx, u.commit, segs)
	})
	t.Spare.enter(t.Phase, false) // the map attempt has left its buffer there
	return err
}

// reduceTo is a reduce attempt without its commit: it begins the output once all input
// is here. cuts are those of the map tasks where keys are range-partitioned, else nil.
func (t *attempt) reduceTo(ctx context.Context, cuts *cuts, o target) (w object.Writer, rec *manifest.Reduce, err error) {
	defer func() {
		if err != nil && w != nil {
			err = errors.Join(err, w.Abort())
		}
	}()
	parts, err := t.Commits.partition(ctx, t.bucket, t.Index)
	if err != nil {
		return nil, nil, err
	}
	s := &shuffle{bucket: t.bucket, space: t.space, shares: t.shares}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.fetch(ctx, parts); err != nil {
		return nil, nil, err
	}
	ins := make([]sorted, len(s.segments))
	for i, seg := range s.segments {
		ins[i] = seg
	}
	// Without the combiner: what reduce reads is then exactly what map tasks
	// committed, and the sums of both prove it.
	m := t.merger(1, nil)
	ins, err = m.compact(ins)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, closeAll(ins)) }()

	created, err := o.create(s.raw)
	if err != nil {
		return nil, nil, err
	}
	w = created
	g := &groups{live: t.live, within: t.within(cuts), order: t.order, src: m.source(ins, 0)}
	g.hasher, _ = g.src.(recordio.Hasher)
	to := &sink{live: t.live, to: w, name: t.Layout.Output(t.Index), sha: sha256.New()}
	outs, err := t.newOutputs(to)
	if err != nil {
		return w, nil, err
	}
	defer func() { err = errors.Join(err, outs.Close()) }()
	out := &written{groups: g, ordered: t.app.Ordered, to: outs.enc, named: outs.named}
	if t.app.Concurrent {
		out.groups = nil
	}
	err = t.Runner.Reduce(t.task, g, out)
	err = t.verdict(err, firstOf(out.failed, g.err), g.blame)
	if err == nil {
		err = out.to.Close()
	}
	if err == nil && g.keys > 0 {
		err = g.within(g.head)
	}
	if err != nil {
		return w, nil, err
	}
	t.res.Emitted = out.records
	rec = &manifest.Reduce{
		Schema: manifest.ReduceSchema, Job: t.Job.ID, Task: t.Index, Attempt: t.ID, Worker: t.Worker,
		Started: t.started, Read: g.read, Keys: g.keys, Counters: t.counters.all(), Heaviest: g.heavy.list(),
		Output: manifest.Output{Key: t.Layout.Output(t.Index), Size: to.size, Lines: out.records, Hash: hex.EncodeToString(to.sha.Sum(nil))},
	}
	if err := outs.keep(ctx, o, rec); err != nil {
		return w, nil, err
	}
	rec.Seconds = time.Since(t.started).Seconds()
	return w, rec, nil
}

// unencoded is the error of an encoder that could not be made: no other attempt of this
// program has it either.
func unencoded(err error) error {
	var lib *output.MissingError
	if errors.As(err, &lib) {
		return &FatalError{Err: err}
	}
	return err
}

// within returns what keeps an output from being made by other ranges than those
// that are in the bucket, asked for the first and the last key of a partition.
func (t *attempt) within(c *cuts) func(key []byte) error {
	return func(key []byte) error { return c.within(t.Layout.Ranges(), key, t.Index, t.Job.NReduce) }
}

// groups are the runner.Groups of a reduce attempt: they cut a sorted stream into
// keys with their values.
type groups struct {
	live   *live
	within func(key []byte) error // see [attempt.within]
	src    recordio.Source
	hasher recordio.Hasher // src, if it is one
	order  *keyorder.Order // what the keys of src are made by; nil for keys as they are
	head   []byte          // what the keys of src have in common for the key at hand
	key    []byte
	state  groupState
	at     bool // the application is at key
	keys   int64
	read   recordio.Sum // all that was read from src
	told   recordio.Sum // of it, to live
	err    error

	current        int64 // bytes of the record that src is on
	records, bytes int64 // that were read before key
	heavy          heaviest
}

type groupState int

const (
	atStart  groupState = iota
	atFirst             // on the first record of key, which was not handed out
	inValues            // on a record of key that was handed out
	atNext              // on the first record of the key after
	atEnd
)

// step moves to the next record of the stream.
func (g *groups) step() bool {
	if g.live.stopped.Load() {
		g.err = errStopped
	} else if g.src.Next() {
		before := g.read.Bytes
		g.read.AddCurrent(g.src, g.hasher)
		g.current = g.read.Bytes - before
		if g.read.Records-g.told.Records >= 256 {
			g.tell()
		}
		return true
	} else {
		g.err = g.src.Err()
	}
	g.tell()
	g.state = atEnd
	return false
}

// tell brings the attempt's progress up to date.
func (g *groups) tell() {
	g.live.Records.Add(g.read.Records - g.told.Records)
	g.live.Bytes.Add(g.read.Bytes - g.told.Bytes)
	g.live.Weight.Add(g.read.Bytes - g.told.Bytes)
	g.told = g.read
}

// Next implements runner.Groups.
func (g *groups) Next() bool {
	for g.nextValue() { // those that were not taken
	}
	if g.at {
		g.weigh()
	}
	g.at = false
	if g.err != nil || g.state == atEnd || g.state == atStart && !g.step() {
		return false
	}
	recordio.Copy(&g.head, g.order.Head(g.src.Key()))
	if g.key = g.head; g.order != nil {
		var ok bool
		if g.key, ok = g.order.Key(g.head); !ok {
			g.err = &FatalError{Err: &keyorder.BadKeyError{Key: bytes.Clone(g.head)}}
			return false
		}
	}
	if g.keys == 0 {
		if g.err = g.within(g.head); g.err != nil {
			return false
		}
	}
	g.state, g.at = atFirst, true
	g.keys++
	g.records, g.bytes = g.read.Records-1, g.read.Bytes-g.current
	return true
}

// weigh takes note of the key at hand, of which all values have been read.
func (g *groups) weigh() {
	records, bytes := g.read.Records-g.records, g.read.Bytes-g.bytes
	if g.state == atNext { // on a record of another key
		records, bytes = records-1, bytes-g.current
	}
	if bytes > g.heavy.least {
		g.heavy.add(g.key, records, bytes)
	}
}

// nextValue moves to the next value of the key.
func (g *groups) nextValue() bool {
	switch {
	case g.state == atFirst:
		g.state = inValues
		return true
	case g.state != inValues || !g.step():
		return false
	case !bytes.Equal(g.order.Head(g.src.Key()), g.head):
		g.state = atNext
		return false
	}
	return true
}

// Values implements runner.Groups.
func (g *groups) Values() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for g.nextValue() {
			if !yield(g.src.Value()) {
				return
			}
		}
	}
}

// Key implements runner.Groups.
func (g *groups) Key() []byte { return g.key }

// Err implements runner.Groups.
func (g *groups) Err() error { return g.err }

// blame says in an error of the application at which key it came.
func (g *groups) blame(e *AppError) {
	if g.at {
		e.Key = shortKey(g.key)
	}
}

// written is the runner.Output of a reduce attempt.
type written struct {
	groups  *groups // nil if the output belongs to no key
	ordered bool    // see mr.App
	to      output.Encoder
	named   *namedOutputs
	begun   int64 // number of the key that to has been told
	records int64
	failed  error // of the first record that did
}

// Write writes a pair.
func (o *written) Write(value []byte) error {
	if o.failed != nil {
		return o.failed
	}
	if o.groups == nil {
		return o.fail("Write of a value without a key")
	}
	if o.begun != o.groups.keys {
		o.begun = o.groups.keys
		if err := o.to.Key(o.groups.key); err != nil {
			return o.unfit(err)
		}
	}
	return o.note(o.to.Value(value))
}

// WriteLine writes a line.
func (o *written) WriteLine(line []byte) error {
	switch {
	case o.failed != nil:
		return o.failed
	case o.groups == nil:
		if taken, err := o.named.take(line); taken {
			o.failed = err
			return err
		}
	case !o.ordered:
		return o.fail("WriteLine of an app that is not Ordered")
	case !bytes.HasPrefix(line, o.groups.key):
		return o.fail("line " + shortKey(line) + " does not begin with it")
	}
	return o.note(o.to.Line(line))
}

// note counts a record, unless it was not written.
func (o *written) note(err error) error {
	if err != nil {
		return o.unfit(err)
	}
	o.records++
	return nil
}

// unfit keeps why a record was not written. One that the format cannot represent
// is a failure of the application.
func (o *written) unfit(err error) error {
	var unfit *output.UnfitError
	if !errors.As(err, &unfit) {
		o.failed = err
		return err
	}
	if o.groups == nil && unfit.Key != nil {
		o.failed = &FatalError{Err: fmt.Errorf("write key %s: %s", shortKey(unfit.Key), shown(unfit))}
		return o.failed
	}
	return o.fail(shown(unfit))
}

// shown is what an error says, with the beginning of the data.
func shown(err *output.UnfitError) string {
	if err.Data == nil {
		return err.What
	}
	return err.What + " " + shortKey(err.Data)
}

// fail is a mistake of the application that every other attempt would repeat.
func (o *written) fail(what string) error {
	if o.groups == nil {
		o.failed = &FatalError{Err: fmt.Errorf("write the output: %s", what)}
	} else {
		o.failed = &FatalError{Err: fmt.Errorf("write key %s: %s", shortKey(o.groups.key), what)}
	}
	return o.failed
}

// sink takes the bytes of an output on their way to the store.
type sink struct {
	live *live
	to   io.Writer
	name string // the key of the object
	sha  hash.Hash
	size int64
}

// Write implements io.Writer.
func (s *sink) Write(p []byte) (int, error) {
	s.live.Beats.Add(1)
	s.sha.Write(p)
	s.size += int64(len(p))
	n, err := s.to.Write(p)
	if err != nil {
		err = fmt.Errorf("write %s: %w", s.name, err)
	}
	return n, err
}
