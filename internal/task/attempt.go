// Package task runs one attempt at a map or reduce task: a function of the job
// spec, the input and the bucket. It knows nothing of a coordinator.
//
// A map attempt fetches its pieces (fetch.go), cuts them into records
// (records.go), hands these to the application (package runner), collects what
// it emits in bounded memory (collector.go, package sortbuf), spills sorted runs
// (merge.go) and merges them into one sorted segment for each partition (map.go).
// A reduce attempt fetches the segments of all map tasks (shuffle.go), merges
// them (merge.go), and streams the application's output into one object
// (reduce.go). commit.go is the only code that publishes either; restore.go puts
// back what was published and is lost. scratch.go has the temporary files, and
// memory.go says how the memory of a slot is shared out.
package task

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"maps"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/keyorder"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/output"
	"github.com/mraws/mraws/internal/runner"
	"github.com/mraws/mraws/internal/shipped"
	"github.com/mraws/mraws/mr"
)

// Attempt names one attempt at one task.
type Attempt struct {
	Phase mr.Phase
	Index int    // of the task in its phase
	ID    string // unique among all attempts of the job
}

// Env is what the attempts of one slot run in. It runs one attempt at a
// time; the slots of a worker share Store, Job, App, Commits and Ranges.
type Env struct {
	Store Store
	// Buckets returns another bucket, which input lies in and which is reached so;
	// nil where there is none to be read.
	Buckets func(ctx context.Context, name string, a manifest.Access) (Source, error)
	// Outputs returns a bucket that output lies in; nil where there is no other
	// bucket to be written.
	Outputs func(name string) Place
	// Libraries are the encoders of output that not every program has.
	Libraries output.Libraries
	Layout    layout.Layout // of the job ([manifest.Job.Layout])
	Job       *manifest.Job // validated
	Runner    runner.Runner // of the job's application
	Worker    string        // the worker's id
	// Scratch is an existing directory for temporary files. They have no
	// name left once they are open, where the system allows it, so that
	// even a killed process leaves none behind.
	Scratch string
	// Memory is the budget of this slot in bytes, see [SlotMemory].
	Memory  int64
	Commits *Commits
	Ranges  *Ranges  // nil keeps none
	Earlier *Earlier // nil keeps none
	// Parquet reads Parquet; nil in a program without that part.
	Parquet input.ParquetReader
	Objects func() []string // as [mr.Task] has it; nil keeps none
	// Files has the files that jobs ship; nil where they cannot be fetched.
	Files    *shipped.Cache
	Spare    *Spare // nil keeps none
	Log      zerolog.Logger
	Progress *Progress // reset by the caller; nil for none

	maxRecord int // most bytes of an input record; 0 is the default
}

// Progress counts what an attempt has read so far: input records and their
// bytes of a map task, intermediate pairs and their bytes of a reduce task.
// Weight is Bytes in the measure by which the coordinator weighs tasks
// ([manifest.Object.Weight]). Spills and Spilled are the runs and bytes that
// it has written to scratch.
type Progress struct {
	Records, Bytes, Weight atomic.Int64
	Spills, Spilled        atomic.Int64
	// Beats counts further signs of life: pairs that were emitted, merged
	// and written, by the thousand, and what user code counts.
	Beats atomic.Int64
}

// Moves counts all signs of life.
func (p *Progress) Moves() int64 {
	return p.Records.Load() + p.Bytes.Load() + p.Spilled.Load() + p.Beats.Load()
}

// Result tells how an attempt that did not fail ended.
type Result struct {
	// Superseded says that another attempt had committed the task before.
	Superseded bool
	Records    int64 // read, as in Progress
	Bytes      int64
	Emitted    int64 // pairs emitted by map before combining, or output lines
	Spills     int   // sorted runs written to scratch, those of merges included
	Skipped    int64 // bad records
	Adopted    int   // objects found in the bucket, equal to ours
	Displaced  int   // objects that met other bytes and went below _attempts/
	Restored   int   // objects of map tasks that were lost and are there again
	// S3 is what the attempt asked of S3, also if it failed. Recorded is the part of it
	// that the commit record says, if the attempt is not superseded.
	S3, Recorded object.Traffic
}

// live is what the parts of an attempt tell of their work, and hear of its end.
type live struct {
	*Progress
	stopped atomic.Bool // the context has ended
	// How long it had nothing to read since its input was on its way, and how long it
	// wrote runs to scratch, in nanoseconds.
	waited, spilling atomic.Int64
}

// attempt is one running attempt.
type attempt struct {
	*Env
	Attempt
	task     *mr.Task
	counters counters
	shares   shares
	started  time.Time
	live     *live
	space    *space
	bucket   *bucket
	commit   *committer
	app      runner.Properties
	order    *keyorder.Order // of keys and values; nil for bytes and input
	res      Result
}

// Run runs one attempt to its end. When it returns without an error the
// task is committed: by this attempt, or by another if the result says
// superseded. The kinds of errors are listed with [AppError]. When ctx ends
// Run stops at the next record and returns its cause. A panic of the
// application becomes a *AppError. Run leaves no temporary file, no
// goroutine and no unfinished upload behind.
func (e *Env) Run(ctx context.Context, a Attempt) (res Result, err error) {
	tally := new(object.Tally)
	ctx = object.WithTally(ctx, tally)
	defer func() { res.S3 = tally.Traffic() }()
	pprof.Do(ctx, pprof.Labels(runner.AttemptLabel, a.ID), func(ctx context.Context) {
		err = e.runAttempt(ctx, a, func(ctx context.Context, t *attempt) error {
			err := t.run(ctx)
			res = t.res
			res.Records, res.Bytes, res.Spills = t.live.Records.Load(), t.live.Bytes.Load(), int(t.live.Spills.Load())
			return err
		})
	})
	if err != nil {
		return res, fmt.Errorf("attempt %s: %w", a.ID, err)
	}
	return res, nil
}

// runAttempt calls run with a new attempt. When ctx ended it returns why.
func (e *Env) runAttempt(ctx context.Context, a Attempt, run func(context.Context, *attempt) error) (err error) {
	works := a.Phase // what the application does
	if e.Job.MapOnly() {
		works = mr.MapPhase
	}
	e.Spare.enter(works, !e.Job.MaxBad.IsZero())
	t := &attempt{Env: e, Attempt: a, started: time.Now(), live: &live{Progress: e.Progress}, app: e.Runner.Properties()}
	t.order = keyorder.New(e.Job.KeyOrder())
	if e.Job.KeyOrder().Values != manifest.ByInput {
		t.app.Combine = nil // pairs are told apart by their values too
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { t.live.stopped.Store(true) })()
	if e.Progress == nil {
		t.live.Progress = new(Progress)
	}
	t.counters.beats = &t.live.Beats
	t.task = &mr.Task{
		Context: ctx, Job: e.Job.ID, Worker: e.Worker, Attempt: a.ID, Phase: works, Index: a.Index, MapOnly: e.Job.MapOnly(),
		Params: e.params(), Objects: e.Objects, Side: &sideFiles{store: e.Store, layout: e.Layout, job: e.Job.ID, attempt: a.ID},
		Counters: &t.counters,
	}
	if t.task.Objects == nil {
		t.task.Objects = sync.OnceValue(e.Job.Names)
	}
	if !t.exists() {
		return &FatalError{Err: fmt.Errorf("job %s has no %s task %d", t.Job.ID, works, t.Index)}
	}
	decompressing, dict := t.decompressMemory()
	t.shares = shareOut(works, e.Memory-decompressing)
	t.space = &space{dir: e.Scratch, name: fmt.Sprintf("mraws-%s-%d", works, a.Index), spare: e.Spare}
	store := e.Store
	if name := e.Layout.OutputBucket(); name != "" {
		if e.Outputs == nil {
			return &FatalError{Err: fmt.Errorf("the output lies in s3://%s, and no other bucket can be written here", name)}
		}
		store = &placed{e.Store, e.Outputs(name), e.Layout}
	}
	t.bucket = &bucket{store: store, others: e.Buckets, layout: e.Layout, job: e.Job, format: e.Job.InputFormat(), chunk: t.shares.chunk, dict: dict}
	if t.bucket.rows, err = t.rows(); err != nil {
		return err
	}
	if err := t.prepare(ctx, works); err != nil {
		return err
	}
	t.commit = &committer{
		bucket: t.bucket, log: e.Log, index: a.Index, id: a.ID, worker: e.Worker, started: t.started, live: t.live, pulse: object.PulseOf(ctx), res: &t.res,
	}
	err = run(ctx, t)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx) // what it led to is no news
	}
	return err
}

// prepare fetches the files that the job ships, and makes the combiner.
func (t *attempt) prepare(ctx context.Context, works mr.Phase) (err error) {
	t.task.Files = embed.FS{} // which is empty
	if files := t.Job.App.Files; len(files) > 0 {
		if t.Files == nil {
			return &FatalError{Err: fmt.Errorf("job %s ships files, and this process fetches none", t.Job.ID)}
		}
		if t.task.Files, err = t.Files.Files(ctx, t.Layout, files, t.counters.Beat); err != nil {
			return filesError(err)
		}
	}
	if f, ok := t.app.Combine.(mr.CombinerTask); ok && works == mr.MapPhase && !t.Job.MapOnly() {
		err = t.Runner.Guard(func() (err error) { t.app.Combine, err = f(t.task); return err })
		if err != nil {
			return t.verdict(fmt.Errorf("make the combiner: %w", err), nil, func(*AppError) {})
		}
	}
	return nil
}

// filesError is the error of files that the job ships: fatal if it would come back
// wherever the task ran.
func filesError(err error) error {
	var damaged *shipped.DamagedError
	var archive *shipped.ArchiveError
	switch {
	case errors.As(err, &damaged):
		return &FatalError{Err: err, Key: damaged.Key}
	case errors.As(err, &archive):
		return &FatalError{Err: err}
	}
	return err
}

// rows says how the application gets rows of the job's input.
func (t *attempt) rows() (r input.Rows, err error) {
	if t.Phase != mr.MapPhase && !t.Job.MapOnly() {
		return r, nil
	}
	if t.app.Rows && !input.IsTable(t.Job.Input.Name) {
		return r, &FatalError{Err: fmt.Errorf("app %s reads rows of a table, and the job reads %s", t.Job.App.Name, t.Job.Input)}
	}
	r = input.Rows{Fields: t.app.Rows, Sound: !t.Job.MaxBad.IsZero(), Parquet: t.Parquet}
	if t.app.Columns == nil {
		return r, nil
	}
	err = t.Runner.Guard(func() (err error) { r.Columns, err = t.app.Columns(t.params()); return err })
	if err == nil {
		err = input.CheckColumns(r.Columns)
	}
	if err != nil {
		return r, &FatalError{Err: fmt.Errorf("columns of app %s: %w", t.Job.App.Name, err)}
	}
	return r, nil
}

// exists tells whether the job has the task.
func (t *attempt) exists() bool {
	n := t.Job.Maps()
	if t.Phase == mr.ReducePhase {
		n = t.Job.Outputs()
	}
	return t.Index >= 0 && t.Index < n
}

// merger makes runs of nparts partitions for the attempt.
func (t *attempt) merger(nparts int, combine mr.Combiner) merger {
	return merger{space: t.space, live: t.live, nparts: nparts, limit: t.shares.readers, block: t.shares.block, combine: detached(combineFunc(combine))}
}

func (t *attempt) run(ctx context.Context) error {
	if t.Phase == mr.ReducePhase {
		return t.runOutput(ctx)
	}
	return t.runMap(ctx)
}

// params returns the job's parameters, defaults filled in.
func (e *Env) params() map[string]string {
	p := maps.Clone(e.Runner.Properties().Defaults)
	maps.Copy(p, e.Job.App.Params)
	return p
}

// verdict says what came of a call of the application that returned err. own is
// the first failure of the engine within it, which counts in place of err. blame
// says in an error of the application what that was working on.
func (t *attempt) verdict(err, own error, blame func(*AppError)) error {
	app := new(AppError)
	switch {
	case own != nil && !errors.As(own, &app):
		return own
	case own != nil: // found by the engine
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled) && t.live.stopped.Load():
		return err
	default:
		app.Err = err
		var p *runner.PanicError
		if errors.As(err, &p) {
			app.Stack = p.Stack
		}
	}
	app.Phase, app.Index = t.task.Phase, t.Index
	if !t.app.Concurrent {
		blame(app)
	}
	return app
}
