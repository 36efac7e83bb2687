package verify

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"runtime/debug"
	"sync"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/mr"
)

// reference is the third step: the output is that of one sequential run.
func (a *audit) reference(ctx context.Context) error {
	ref := &a.rep.Reference
	switch {
	case a.apart():
		ref.Why = "verify runs no code of executables and modules"
		return nil
	case a.opt.App == "":
		ref.Why = "no app was given"
		return nil
	case a.changed > 0:
		ref.Why = "inputs have changed"
		return nil
	case a.damaged > 0:
		ref.Why = "shipped files are missing or have changed"
		return nil
	case a.summed == notThere:
		ref.Why = "the job is not finished"
		return nil
	case a.parts != nil && a.app.Check != nil:
		ref.Why = "the app has a rule of its own, and the rows of partitions lack columns"
		return nil
	case a.job.MapOnly() && (a.app.Check != nil || a.app.Reference != nil && a.app.Reference.Name != a.app.Name):
		ref.Why = "what the mapper emits depends on more than the input"
		return nil
	}
	before := a.rep.Found
	ref.App = a.app.Name
	if !a.readsOutput() {
		return fmt.Errorf("run the reference: %w", cannotRead(a.job.Output))
	}
	params, err := a.app.Resolve(a.job.App.Params)
	switch {
	case err != nil:
		a.rep.add(BadJob, a.lay.Job(), "%v", err)
		err = nil
	case a.job.MapOnly():
		err = a.compareDirect(ctx, params)
	case a.app.Check != nil:
		err = a.check(ctx, params)
	default:
		err = a.compare(ctx, params)
	}
	if in := (*inputError)(nil); errors.As(err, &in) {
		a.rep.add(in.kind, in.key, "the reference cannot be compared: %v", in.cause)
		err = nil
	}
	for _, out := range a.outputs {
		if out.Key != "" {
			ref.Outputs++
		}
	}
	if ref.State = a.rep.state(before); ref.Outputs < a.job.Outputs() {
		ref.State = Failed // what is missing is a finding already
	}
	return err
}

// check lets the application judge its output by itself.
func (a *audit) check(ctx context.Context, params map[string]string) error {
	info := mr.CheckInfo{Maps: len(a.maps), Reduces: a.job.NReduce, Objects: a.job.Names(), Params: params}
	a.rep.Reference.Check = true
	var failed error
	err := a.opt.Code.guard("check the output", func() error { return a.app.Check(a.lines(ctx, &failed), info) })
	if failed != nil {
		return failed
	}
	if err != nil {
		a.rep.add(Mismatch, a.lay.OutputDir(), "the check of app %s: %v", a.app.Name, err)
	}
	return nil
}

// lines yields all output lines. A failure to read goes to the application
// and to failed, since it is not the application's to judge.
func (a *audit) lines(ctx context.Context, failed *error) iter.Seq2[mr.Line, error] {
	return func(yield func(mr.Line, error) bool) {
		for r, out := range a.outputs {
			if out.Key == "" {
				continue // which is a finding already
			}
			body, err := a.stream(ctx, out.Key, out.ETag, 0, -1)
			if err == nil {
				var more bool
				more, err = yieldLines(newOutputReader(a.outLines, body), r, !a.app.Ordered, &a.rep.Reference.Lines, func(line mr.Line, err error) bool {
					a.opt.Code.move()
					return yield(line, err)
				})
				if err = errors.Join(err, body.Close()); err == nil && !more {
					return
				}
			}
			if err != nil {
				*failed = err
				yield(mr.Line{}, err)
				return
			}
		}
	}
}

// yieldLines yields the records of output r. Where they are pairs, also a row has a space
// behind its key.
func yieldLines(lines *outputReader, r int, pairs bool, n *int64, yield func(mr.Line, error) bool) (more bool, err error) {
	defer lines.close()
	for {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		*n++
		if t, ok := lines.lines.(*tableLines); ok && pairs && t.keyed < len(line) {
			line[t.keyed] = ' '
		}
		if !yield(mr.Line{Partition: r, Text: string(line)}, nil) {
			return false, nil
		}
	}
}

// compare runs the reference and compares its output with the job's.
func (a *audit) compare(ctx context.Context, params map[string]string) error {
	app := a.app
	if app.Reference != nil {
		app = app.Reference
		a.rep.Reference.App = app.Name
	}
	run, err := a.sequential(ctx, app, params)
	if err != nil {
		return fmt.Errorf("run the reference: %w", err)
	}
	s := newSorter(a.opt.Scratch, a.job.NReduce, a.opt.Memory/2, a.partitioner(app))
	defer s.close()
	run.tally = newTally(&a.committed, app.Combine == nil, a.opt.Code)
	s.watch, s.code, s.order = run.tally.emit, a.opt.Code, a.codes
	before := a.rep.Found
	if err := run.mapAll(ctx, s); err != nil {
		return fmt.Errorf("run the reference: %w", err)
	}
	ref := &a.rep.Reference
	ref.Records, ref.Pairs = run.records, s.pairs
	run.checkRecords()
	if app == a.app && a.rep.Found == before && a.rep.Structure.Commits == len(a.maps) {
		if err := run.checkTasks(ctx); err != nil {
			return fmt.Errorf("run the reference by map tasks: %w", err)
		}
	}
	results := make([]compared, a.job.NReduce)
	counters := make([]finder, a.job.NReduce) // that differ
	if err := a.each(ctx, workers(), a.job.NReduce, func(ctx context.Context, r int, find *finder) error {
		if a.outputs[r].Key == "" {
			return nil // which is a finding already
		}
		var c comparison
		defer c.close()
		if err := run.reduce(ctx, s, r, &c); err != nil {
			return fmt.Errorf("run the reference of partition %d: %w", r, err)
		}
		c.judge(a.outputs[r].Key, find)
		if err := c.named.judge(find); err != nil {
			return fmt.Errorf("run the reference of partition %d: %w", r, err)
		}
		results[r] = c.result()
		return run.checkCounters(ctx, s, r, &c, find, &counters[r])
	}); err != nil {
		return err
	}
	var other finder
	tasks := 0
	for r := range results {
		ref.take(results[r])
		if other.merge(&counters[r]); counters[r].found > 0 {
			tasks++
		}
	}
	run.noteCounters(tasks, mr.ReducePhase, &other)
	return nil
}

// sequential is the reference: the application run by one simple program.
type sequential struct {
	a       *audit
	app     *mr.App
	input   func(Object) Records // of the job
	columns []string             // that app reads of rows; nil leaves it to the job
	params  map[string]string
	files   fs.FS
	side    *sideFiles
	objects func() []string
	records int64
	skips   skips
	tally   *tally
	named   *namedReference // of the task of a map-only job that is mapped
}

// sequential is a run of an application that has not begun. It has no tally.
func (a *audit) sequential(ctx context.Context, app *mr.App, params map[string]string) (run *sequential, err error) {
	run = &sequential{a: a, app: app, params: params, side: &sideFiles{}, objects: sync.OnceValue(a.job.Names), skips: skips{a: a}}
	if run.files, err = a.files(ctx); err != nil {
		return nil, err
	}
	if run.input, err = recordsOf(a.job.Input); err == nil && app.Columns != nil {
		if run.columns, err = app.Columns(params); err != nil {
			err = fmt.Errorf("columns of app %s: %w", app.Name, err)
		}
	}
	return run, err
}

// files are what the job ships, whose bytes have been compared.
func (a *audit) files(ctx context.Context) (fs.FS, error) {
	switch files := a.job.App.Files; {
	case len(files) == 0:
		return embed.FS{}, nil // which is empty
	case a.opt.Files == nil:
		return nil, errors.New("the job ships files, and this process fetches none")
	default:
		return a.opt.Files(ctx, a.lay, files)
	}
}

func (q *sequential) task(ctx context.Context, phase mr.Phase, index int) *mr.Task {
	return &mr.Task{
		Context: ctx, Job: q.a.job.ID, Worker: "verify", Attempt: fmt.Sprintf("reference-%s-%d", phase, index),
		Phase: phase, Index: index, MapOnly: q.a.job.MapOnly(), Params: q.params, Files: q.files, Side: q.side, Counters: q.tally,
		Objects: q.objects, Named: q.namedTo(),
	}
}

// emitter is where the pairs of a run of mappers go.
type emitter interface {
	mr.Emitter
	failed() error // what has ended it
}

// mapAll maps the whole input, object by object. A mapper may keep what
// grows with its input until it is flushed, so that, as in the job, none
// sees much more than a split; where the splits are must not matter.
func (q *sequential) mapAll(ctx context.Context, s *sorter) error {
	var mapper mr.Mapper
	var read int64 // bytes, by this mapper
	tasks, format := 0, q.a.job.InputFormat()
	err := q.mapInputs(ctx, s, func(in fetched) error {
		weight := in.obj.Weight(format, in.obj.Size)
		if mapper != nil && weight > q.a.job.SplitSize-read {
			if err := q.flush(mapper, s); err != nil {
				return err
			}
			mapper = nil
		}
		if mapper == nil {
			var err error
			if mapper, err = q.app.NewMapper(q.task(ctx, mr.MapPhase, tasks)); err != nil {
				return fmt.Errorf("make mapper: %w", err)
			}
			tasks, read = tasks+1, 0
		}
		read += weight
		return nil
	}, func() (mr.Mapper, error) { return mapper, nil })
	if err == nil {
		q.skips.take(place{object: len(q.a.job.Objects)}, 0) // what did not come
		err = q.flush(mapper, s)
	}
	return errors.Join(err, s.finish())
}

// mapInputs hands all records to mappers: enter is called for each object, and
// mapper for each record, of which the tally tells the map task.
func (q *sequential) mapInputs(ctx context.Context, out emitter, enter func(fetched) error, mapper func() (mr.Mapper, error)) error {
	objects := 0
	return q.a.inputs(ctx, func(in fetched) error {
		q.tally.enter(place{object: objects})
		if err := enter(in); err != nil {
			return err
		}
		objects++
		return q.mapObject(ctx, objects-1, in, mapper, out)
	})
}

// flush ends a mapper, nil for none.
func (q *sequential) flush(mapper mr.Mapper, out mr.Emitter) error {
	f, ok := mapper.(interface{ Flush(mr.Emitter) error })
	if !ok {
		return nil
	}
	return q.a.opt.Code.guard("flush the mapper", func() error { return f.Flush(out) })
}

// mapObject maps all records of one object, which index names.
func (q *sequential) mapObject(ctx context.Context, index int, in fetched, mapper func() (mr.Mapper, error), out emitter) (err error) {
	name := in.obj.Name
	records := q.input(Object{
		Name: name, Size: in.obj.Size, MaxRecord: q.a.opt.MaxRecord, Open: in.open(ctx, q.a), Unpack: q.a.unpack(in.obj),
		Fields: q.app.Input == mr.Rows, Columns: q.columns, Parquet: q.a.opt.Parquet,
	})
	defer func() { err = errors.Join(err, records.Close()) }()
	at := place{object: index}
	err = guard("map "+name, func() error {
		for {
			wrong := records.Next()
			if errors.Is(wrong, io.EOF) {
				return nil
			}
			if _, bad := input.Bad(wrong); wrong != nil && !bad {
				return wrong
			}
			rec, size := records.Record()
			at.offset, at.within = rec.Offset, 0
			if w, ok := records.(withinRecords); ok {
				at.within = w.Within()
			}
			if q.records++; q.records%1024 == 0 && ctx.Err() != nil {
				return context.Cause(ctx)
			}
			q.tally.read(at)
			m, err := mapper()
			if err != nil {
				return err
			}
			if wrong != nil {
				if err := q.skipBad(at, size, wrong); err != nil {
					return err
				}
				continue
			}
			if err := q.mapRecord(at, rec, size, m, out); err != nil {
				return fmt.Errorf("map %s: %w", name, err)
			}
			if err := out.failed(); err != nil {
				return err
			}
		}
	})
	switch {
	case errors.Is(err, errPacked):
		return &inputError{in.obj.At(q.a.lay), Corrupt, err}
	case err != nil:
		return fmt.Errorf("near byte %d: %w", at.offset, err)
	}
	return nil
}

// reduce reduces partition r and compares the lines with the output.
func (q *sequential) reduce(ctx context.Context, s *sorter, r int, c *comparison) (err error) {
	merged, drop, err := s.sorted(ctx, q.a.opt, r)
	if err != nil {
		return err
	}
	defer drop()
	task := q.task(ctx, mr.ReducePhase, r)
	task.Counters = &c.counts
	c.named = q.a.newNamed(ctx, r)
	task.Named = c.named
	reducer, err := q.app.NewReducer(task)
	if err != nil {
		return fmt.Errorf("make reducer: %w", err)
	}
	out := q.a.outputs[r]
	body, err := q.a.stream(ctx, out.Key, out.ETag, 0, -1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	c.code = q.a.opt.Code
	c.mixed = q.a.order != nil
	c.start(r, newOutputReader(q.a.outLines, body), q.a.plainLines())
	c.table, c.parts = q.a.outTable, q.a.newPartReference(ctx, r)
	g := groups{m: merged, code: q.a.opt.Code, order: q.a.order}
	for g.next() {
		if g.n%1024 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		c.key = g.key
		err := q.a.opt.Code.guard("reduce key "+quote(g.key), func() error { return reducer.Reduce(g.key, g.values, c) })
		if err = errors.Join(err, c.err, c.named.err); err != nil {
			return fmt.Errorf("reduce key %s: %w", quote(g.key), err)
		}
	}
	if err := merged.Err(); err != nil {
		return err
	}
	return c.finish()
}

// checkCounters compares what a reduce task counted. Where the app combines,
// how many values a key has depends on the splits, so that nobody can tell.
// What differs goes to find if the app has exact counters, else to other.
func (q *sequential) checkCounters(ctx context.Context, s *sorter, r int, c *comparison, find, other *finder) error {
	rec := q.a.reduces[r]
	if rec == nil || q.app != q.a.app || q.app.Combine != nil || maps.Equal(rec.counters, c.counts.n) {
		return nil
	}
	key := q.a.lay.ReduceAttempt(r, rec.attempt)
	if !q.app.ExactCounters {
		compareCounters(other, key, rec.counters, c.counts.n)
		return nil
	}
	var again comparison
	defer again.close()
	if err := q.reduce(ctx, s, r, &again); err != nil {
		return fmt.Errorf("run the reference of partition %d again: %w", r, err)
	}
	if !maps.Equal(again.counts.n, c.counts.n) {
		return nil // it does not count the same each time
	}
	compareCounters(find, key, rec.counters, c.counts.n)
	return nil
}

// groups cuts a merge into keys with their values.
type groups struct {
	m        *recordio.Merger
	order    *keyOrder
	internal []byte // key of the sorter
	key      []byte
	n        int64
	code     *Code
	here     bool // m stands on a record that has not been handed out
	done     bool
}

// next moves to the next key, past what is left of the values of the last.
func (g *groups) next() bool {
	for g.here || g.step() {
		if g.n == 0 || !g.order.same(g.m.Key(), g.internal) {
			g.internal = append(g.internal[:0], g.m.Key()...)
			g.key, _ = g.order.key(g.internal) // which keyorder has made
			g.n++
			return true
		}
		g.here = false
	}
	return false
}

func (g *groups) step() bool {
	if g.done {
		return false
	}
	g.here = g.m.Next()
	g.done = !g.here
	return g.here
}

// values yields the values of the current key that have not been taken.
func (g *groups) values(yield func([]byte) bool) {
	for (g.here || g.step()) && g.order.same(g.m.Key(), g.internal) {
		g.here = false
		g.code.move()
		if !yield(g.m.Value()) {
			return
		}
	}
}

// guard calls f, code of the application, and returns a panic as an error.
func guard(what string, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%s: panic: %v\n%s", what, v, debug.Stack())
		}
	}()
	return f()
}
