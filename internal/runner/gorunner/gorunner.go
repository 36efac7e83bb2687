// Package gorunner runs an application that is Go code in this process.
package gorunner

import (
	"errors"
	"runtime/debug"

	"github.com/mraws/mraws/internal/runner"
	"github.com/mraws/mraws/mr"
)

// New returns what runs an application.
func New(app mr.App) runner.Runner { return &goRunner{app} }

type goRunner struct{ app mr.App }

// Properties are those that the application declares.
func (r *goRunner) Properties() runner.Properties {
	p := runner.Properties{
		Ordered: r.app.Ordered, Combine: r.app.Combine, Partition: r.app.Partition,
		Rows: r.app.Input == mr.Rows, Columns: r.app.Columns, Defaults: make(map[string]string, len(r.app.Params)),
	}
	for _, d := range r.app.Params {
		p.Defaults[d.Name] = d.Default
	}
	return p
}

// errEnd is what Emit and Write panic with to get out of the application's code
// after an error of the engine.
var errEnd = errors.New("attempt has failed")

// Guard turns a panic in f into a *runner.PanicError.
func (r *goRunner) Guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v == any(errEnd) {
			err = errEnd
		} else if v != nil {
			err = &runner.PanicError{Value: v, Stack: string(debug.Stack())}
		}
	}()
	return f()
}

// Map implements runner.Runner.
func (r *goRunner) Map(t *mr.Task, in runner.Records, out runner.Emitter) (err error) {
	m := mapping{in: in, out: emitter{to: out}}
	own := *t
	own.Named = &named{out, &m.out.failed}
	if err := r.Guard(func() error { m.mapper, err = r.app.NewMapper(&own); return err }); err != nil {
		return err
	}
	for {
		err := r.Guard(m.records)
		if err == nil {
			break
		}
		if err = in.SkipOrFail(err); err != nil {
			return err
		}
	}
	if f, ok := m.mapper.(interface{ Flush(mr.Emitter) error }); ok && !in.Sample() {
		return r.Guard(func() error { return f.Flush(&m.out) })
	}
	return nil
}

// mapping is one call of Map.
type mapping struct {
	mapper mr.Mapper
	in     runner.Records
	out    emitter
}

// records maps records until the end, or until the mapper fails over one.
func (m *mapping) records() error {
	if blocks, ok := m.mapper.(mr.BlockMapper); ok && m.in.Blocks() {
		for block, ok := m.in.NextBlock(); ok; block, ok = m.in.NextBlock() {
			if err := blocks.MapBlock(block, &m.out); err != nil || m.out.failed != nil {
				return orFailed(m.out.failed, err)
			}
		}
		return m.in.Err()
	}
	if batches, ok := m.mapper.(mr.BatchMapper); ok {
		if in, ok := m.in.(runner.BatchRecords); ok && in.Batches() {
			return m.batches(batches, in)
		}
	}
	for rec, ok := m.in.Next(); ok; rec, ok = m.in.Next() {
		if err := m.mapper.Map(rec, &m.out); err != nil || m.out.failed != nil {
			return orFailed(m.out.failed, err)
		}
	}
	return m.in.Err()
}

// batches maps all rows, many at a time.
func (m *mapping) batches(mapper mr.BatchMapper, in runner.BatchRecords) error {
	for batch, ok := in.NextBatch(); ok; batch, ok = in.NextBatch() {
		if row, err := mapper.MapBatch(batch, &m.out); err != nil || m.out.failed != nil {
			in.FailedAt(row)
			return orFailed(m.out.failed, err)
		}
	}
	return in.Err()
}

// orFailed is the error of the engine, if there was one, else that of the
// application, which may have swallowed the other.
func orFailed(failed, err error) error {
	if failed != nil {
		return failed
	}
	return err
}

// emitter is the mr.Emitter of a mapper.
type emitter struct {
	to     runner.Emitter
	failed error
}

// Emit implements mr.Emitter.
func (e *emitter) Emit(key, value []byte) {
	if err := e.to.Emit(key, value); err != nil {
		e.failed = err
		panic(errEnd)
	}
}

// EmitSpans implements mr.SpanEmitter.
func (e *emitter) EmitSpans(text []byte, spans []uint32, value []byte) {
	if err := e.to.EmitSpans(text, spans, value); err != nil {
		e.failed = err
		panic(errEnd)
	}
}

// EmitFolded implements mr.FoldEmitter.
func (e *emitter) EmitFolded(key, value []byte, pairs int64) {
	to, ok := e.to.(runner.FoldEmitter)
	if !ok {
		e.Emit(key, value)
		return
	}
	if err := to.EmitFolded(key, value, pairs); err != nil {
		e.failed = err
		panic(errEnd)
	}
}

// Reduce implements runner.Runner.
func (r *goRunner) Reduce(t *mr.Task, in runner.Groups, out runner.Output) error {
	return r.Guard(func() error {
		o := &output{to: out}
		own := *t
		own.Named = &named{out, &o.failed}
		reducer, err := r.app.NewReducer(&own)
		if err != nil {
			return err
		}
		var key []byte // the application's copy, which it may spoil
		values := in.Values()
		for in.Next() {
			key = append(key[:0], in.Key()...)
			if err := reducer.Reduce(key, values, o); err != nil || o.failed != nil {
				return orFailed(o.failed, err)
			}
		}
		return in.Err()
	})
}

// output is the mr.Output of a reducer.
type output struct {
	to     runner.Output
	failed error
}

// Write implements mr.Output.
func (o *output) Write(value []byte) {
	if err := o.to.Write(value); err != nil {
		o.failed = err
		panic(errEnd)
	}
}

// WriteLine implements mr.Output.
func (o *output) WriteLine(line []byte) {
	if err := o.to.WriteLine(line); err != nil {
		o.failed = err
		panic(errEnd)
	}
}

// named is the mr.Named of a task.
type named struct {
	to     any    // the emitter or the output of the task
	failed *error // of the engine
}

// Emit implements mr.Named.
func (n *named) Emit(name string, key, value []byte) {
	to, ok := n.to.(runner.Named)
	if !ok {
		panic("the named output " + name + " in a map task: the reducer writes named outputs, and the mapper of a job without reduce tasks")
	}
	if err := to.EmitNamed(name, key, value); err != nil {
		*n.failed = err
		panic(errEnd)
	}
}
