package task

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"time"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/mr"
)

// runReduce runs a reduce attempt.
func (t *attempt) runReduce(ctx context.Context) (err error) {
	over := "" // the version of a stale output, which this one is to replace
	create := func(size int64) (object.Writer, error) {
		return t.Store.Create(ctx, t.Layout.Output(t.Index), object.PutOptions{
			IfAbsent: over == "", IfMatch: over, Meta: t.commit.meta(""), ContentType: "text/plain; charset=utf-8",
			Expect: size, Memory: t.shares.output,
		})
	}
	if t.cuts, err = t.ensureRanges(ctx); err != nil {
		return err
	}
	for round := 0; ; round++ {
		w, rec, err := t.reduceTo(ctx, create)
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
		again, err := t.restorer().after(ctx, err, round)
		if !again {
			return err
		}
	}
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
		segs := &segments{spool: u.segmentSpool()}
		defer func() { err = errors.Join(err, segs.Close()) }()
		if err := u.mapTo(ctx, segs); err != nil {
			return err
		}
		return f(ctx, u.commit, segs)
	})
	t.Spare.enter(t.Phase, false) // the map attempt has left its buffer there
	return err
}

// reduceTo is a reduce attempt without its commit: it writes to what create
// returns, once all input is here. size is that of the pairs that it will
// read, in bytes: a guess at that of the output.
func (t *attempt) reduceTo(ctx context.Context, create func(size int64) (object.Writer, error)) (w object.Writer, rec *manifest.Reduce, err error) {
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

	created, err := create(s.raw)
	if err != nil {
		return nil, nil, err
	}
	w = created
	out := &lines{t: t, w: w, sha: sha256.New()}
	g := &groups{t: t, src: m.source(ins, 0)}
	g.hasher, _ = g.src.(recordio.Hasher)
	err = t.guard(func() error { return t.reduceAll(g, out) })
	if err == nil {
		err = out.flush()
	}
	if err == nil && g.keys > 0 {
		err = g.within()
	}
	if err != nil {
		return w, nil, err
	}
	t.res.Emitted = out.lines
	return w, &manifest.Reduce{
		Schema: manifest.ReduceSchema, Job: t.Job.ID, Task: t.Index, Attempt: t.ID, Worker: t.Worker,
		Started: t.started, Seconds: time.Since(t.started).Seconds(),
		Read: g.read, Keys: g.keys, Counters: t.counters.all(),
		Output: manifest.Output{Key: t.Layout.Output(t.Index), Size: out.size, Lines: out.lines, Hash: hex.EncodeToString(out.sha.Sum(nil))},
	}, nil
}

// reduceAll calls the application for every key.
func (t *attempt) reduceAll(g *groups, out *lines) error {
	reducer, err := t.App.NewReducer(t.task)
	if err != nil {
		return t.appError(err)
	}
	var key []byte // the application's copy, which it may spoil
	values := g.values
	for g.nextKey() {
		recordio.Copy(&key, g.key)
		t.key, out.key, out.checked = g.key, g.key, false
		if err := t.appError(reducer.Reduce(key, values, out)); err != nil && g.err == nil {
			return err
		}
		g.drain()
		t.key, out.key = nil, nil // g.key may be had anew
	}
	g.flush()
	return g.err
}

// groups cuts a sorted stream into keys with their values.
type groups struct {
	t      *attempt
	src    recordio.Source
	hasher recordio.Hasher // src, if it is one
	key    []byte
	state  groupState
	keys   int64
	read   recordio.Sum // all that was read from src
	noted  recordio.Sum // of it, in the attempt's progress
	err    error
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
	if g.t.live.stopped.Load() {
		g.err = errStopped
	} else if g.src.Next() {
		g.read.AddCurrent(g.src, g.hasher)
		if g.read.Records-g.noted.Records >= 256 {
			g.flush()
		}
		return true
	} else {
		g.err = g.src.Err()
	}
	g.state = atEnd
	return false
}

// flush brings the attempt's progress up to date.
func (g *groups) flush() {
	g.t.live.Records.Add(g.read.Records - g.noted.Records)
	g.t.live.Bytes.Add(g.read.Bytes - g.noted.Bytes)
	g.t.live.Weight.Add(g.read.Bytes - g.noted.Bytes)
	g.noted = g.read
}

// nextKey moves to the next key, after drain.
func (g *groups) nextKey() bool {
	if g.err != nil || g.state == atEnd || g.state == atStart && !g.step() {
		return false
	}
	recordio.Copy(&g.key, g.src.Key())
	if g.keys == 0 {
		if g.err = g.within(); g.err != nil {
			return false
		}
	}
	g.state = atFirst
	g.keys++
	return true
}

// within returns an error unless the key is in the range of the partition.
func (g *groups) within() error {
	return g.t.cuts.within(g.t.Layout.Ranges(), g.key, g.t.Index, g.t.Job.NReduce)
}

// nextValue moves to the next value of the key.
func (g *groups) nextValue() bool {
	switch {
	case g.state == atFirst:
		g.state = inValues
		return true
	case g.state != inValues || !g.step():
		return false
	case !bytes.Equal(g.src.Key(), g.key):
		g.state = atNext
		return false
	}
	return true
}

// values is the iter.Seq that reducers get.
func (g *groups) values(yield func([]byte) bool) {
	for g.nextValue() {
		if !yield(g.src.Value()) {
			return
		}
	}
}

// drain skips the values that the reducer did not take.
func (g *groups) drain() {
	for g.nextValue() {
	}
}

// lineBlock is how much output is gathered before it is handed on, bytes.
const lineBlock = 64 << 10

// lines is the mr.Output of a reduce attempt.
type lines struct {
	t       *attempt
	w       object.Writer
	sha     hash.Hash
	buf     []byte
	key     []byte
	checked bool // the key
	size    int64
	lines   int64
}

// Write appends the line "key value\n".
func (o *lines) Write(value []byte) {
	if o.t.failed != nil {
		panic(errAbort)
	}
	if !o.checked && bytes.IndexByte(o.key, '\n') >= 0 {
		o.t.fail(&FatalError{Err: fmt.Errorf("write key %s: line break in the key", shortKey(o.key))})
	}
	o.checked = true
	if bytes.IndexByte(value, '\n') >= 0 {
		o.t.fail(&FatalError{Err: fmt.Errorf("write key %s: line break in the value %s", shortKey(o.key), shortKey(value))})
	}
	o.add(o.key)
	o.buf = append(o.buf, ' ')
	o.add(value)
	o.buf = append(o.buf, '\n')
	o.lines++
}

// WriteLine appends the line "line\n".
func (o *lines) WriteLine(line []byte) {
	if o.t.failed != nil {
		panic(errAbort)
	}
	switch {
	case !o.t.App.Ordered:
		o.t.fail(&FatalError{Err: fmt.Errorf("write key %s: WriteLine of an app that is not Ordered", shortKey(o.key))})
	case !bytes.HasPrefix(line, o.key):
		o.t.fail(&FatalError{Err: fmt.Errorf("write key %s: line %s does not begin with it", shortKey(o.key), shortKey(line))})
	case bytes.IndexByte(line, '\n') >= 0:
		o.t.fail(&FatalError{Err: fmt.Errorf("write key %s: line break in the line %s", shortKey(o.key), shortKey(line))})
	}
	o.add(line)
	o.buf = append(o.buf, '\n')
	o.lines++
}

// add appends to the output. What is large is not copied.
func (o *lines) add(p []byte) {
	if len(o.buf)+len(p) < lineBlock {
		o.buf = append(o.buf, p...)
		return
	}
	err := o.flush()
	if len(p) < lineBlock {
		o.buf = append(o.buf, p...)
	} else if err == nil {
		err = o.write(p)
	}
	if err != nil {
		o.t.fail(err)
	}
}

// flush hands on what was gathered.
func (o *lines) flush() error {
	if len(o.buf) == 0 {
		return nil
	}
	err := o.write(o.buf)
	o.buf = o.buf[:0]
	return err
}

func (o *lines) write(p []byte) error {
	o.t.live.Beats.Add(1)
	o.sha.Write(p)
	o.size += int64(len(p))
	if _, err := o.w.Write(p); err != nil {
		return fmt.Errorf("write %s: %w", o.t.Layout.Output(o.t.Index), err)
	}
	return nil
}

var _ mr.Output = (*lines)(nil)
