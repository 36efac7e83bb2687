// Package worker is the role that finds the coordinator, joins it, runs the
// attempts that it hands out (package task) in slots, keeps their leases and
// reports how they ended. It keeps no state that matters: whatever it was doing
// when it died is done again by another worker.
package worker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/output"
	"github.com/mraws/mraws/internal/runner"
	"github.com/mraws/mraws/internal/runner/gorunner"
	"github.com/mraws/mraws/internal/shipped"
	"github.com/mraws/mraws/internal/task"
	"github.com/mraws/mraws/internal/trace"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/mr"
)

// Options are all that a worker is told.
type Options struct {
	Store  task.Store
	Bucket string // of Store
	// Buckets returns another bucket, reached so, to read input from; nil where there is none.
	Buckets func(ctx context.Context, name string, a manifest.Access) (task.Source, error)
	// Outputs returns another bucket, to write output to; nil where there is none.
	Outputs func(name string) task.Place
	// Libraries are the encoders of output that the program has.
	Libraries output.Libraries
	Layout    layout.Layout
	Log       zerolog.Logger
	Version   string // of this program, for people

	App    *mr.App           // must be the job's; nil: whatever the job's is
	Params map[string]string // --app-arg; nil: whatever the job's are
	// Lookup returns the app of that name where App is nil, nil if the program
	// has none.
	Lookup func(name string) *mr.App
	// Parquet reads Parquet; nil in a program without that part.
	Parquet input.ParquetReader
	// Shipped has the files that jobs of applications in Go ship.
	Shipped *shipped.Cache
	// Exec runs the executables of a job that consists of them.
	Exec Executor

	// Addresses of the coordinator, tried in order; none: ask the bucket.
	Addresses []string
	// Dirs lists the "folders" right below a prefix, to find a coordinator
	// whose prefix nobody told.
	Dirs func(ctx context.Context, prefix string) ([]string, error)
	// Insecure, Files and Token replace what the bucket says.
	Insecure bool
	Files    wire.Files
	Token    string
	// CoordTimeout is how long an absent coordinator is waited for.
	CoordTimeout time.Duration

	Name    string // the worker's id, unique among all
	Host    string // for people
	Slots   int    // attempts side by side, at least 1
	Memory  int64  // bytes, shared by the slots
	Scratch string // folder for spills
	// Traffic is what this worker has asked of S3 so far; nil where nobody counts.
	Traffic func() object.Traffic
	// Sample measures what the process takes, for people; nil for a worker that tells
	// nothing of it. It is called at each heartbeat.
	Sample func() *object.Sample
	// Stats counts what this worker does; nil for nobody.
	Stats *Stats
	// Events is told how each attempt ended, by the slots side by side; nil
	// is nobody.
	Events trace.Listener
	// Begin, if there is one, makes the context of an attempt that begins. What
	// it is told is as Events is told of the attempt's end.
	Begin func(ctx context.Context, begun trace.Event) context.Context
	// Shared is given to all workers of a process, of which each reads the
	// same; nil is for one alone.
	Shared *Shared
	// Drain brings orders to end; nil: none comes.
	Drain <-chan Order
	// TaskTimeout is how long an attempt may go on without progress, 0 is
	// without end; nil is what the coordinator says.
	TaskTimeout *time.Duration
}

// Executor runs the code of jobs that consist of executables or of a module.
type Executor interface {
	// Check returns an error if one of them, or a module, cannot be started here,
	// whatever the job ships.
	Check(e *manifest.Exec) error
	// Runner returns what runs those of a job. It returns before anything of the
	// job is read.
	Runner(job *manifest.Job, lay layout.Layout) runner.Runner
}

// UnreachableError means that there was no coordinator for CoordTimeout.
type UnreachableError struct {
	Where string // addresses, or the key where one should be
	For   time.Duration
	Cause error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no coordinator at %s after %s", e.Where, e.For)
}

func (e *UnreachableError) Unwrap() error { return e.Cause }

// JobFailedError carries the coordinator's word that the job failed.
type JobFailedError struct {
	Cause     string
	Cancelled bool // somebody has cancelled it
}

func (e *JobFailedError) Error() string { return e.Cause }

// worker is one running worker.
type worker struct {
	roster
	o      Options
	link   *link
	probes object.Pulse // of the requests that find out whether the store answers
	ledger ledger

	group   *errgroup.Group     // of the slots, and of all that runs beside them
	busy    sync.WaitGroup      // slots, and reports beside them
	unheard *semaphore.Weighted // reports that are being repeated beside the slots
	spares  spares
}

// errDone ends all slots when the coordinator says that the job is over.
var errDone = errors.New("the job is done")

// errMore is errDone of a job of a chain, of which another one follows.
var errMore = errors.New("the job is done, and another one of its chain follows")

// errRevoked ends one attempt.
var errRevoked = errors.New("the coordinator revoked the attempt")

// Run joins the job and works until it is done, and then until the other jobs of its chain
// are, if it is one of a chain. It returns nil then,
// *JobFailedError, *UnreachableError, *StuckError, a *wire.Refusal, the cause of ctx after
// it has released what it was running, or that of an [Order] that it has
// carried out.
func Run(ctx context.Context, o Options) error {
	past, before := map[string]bool{}, object.Traffic{}
	for {
		w := newWorker(o)
		w.link.finder.past, w.ledger.before = past, before
		err := w.run(ctx)
		if !errors.Is(err, errMore) {
			return err
		}
		last := w.link.latest
		past[last.epoch] = true
		if o.Traffic != nil {
			before = o.Traffic()
		}
		if len(o.Addresses) == 0 {
			o.Addresses = []string{last.where}
		}
		o.Shared = nil
		o.Log.Info().Str("coordinator", last.where).Msg("the job is done; the worker waits for the next one of its chain")
	}
}

func newWorker(o Options) *worker {
	if o.Shared == nil {
		o.Shared = new(Shared)
	}
	w := &worker{o: o, roster: roster{log: o.Log, slots: o.Slots, memory: o.Memory, running: map[string]*running{}}}
	w.ledger.traffic = o.Traffic
	w.link = newLink(o, w.inFlight, w.finished)
	w.link.ledger = &w.ledger
	return w
}

func (w *worker) run(ctx context.Context) error {
	defer w.link.close()
	defer w.o.Stats.join(w.o.Slots, w.o.Memory)()
	ctx, cancel := context.WithCancelCause(ctx)
	leasing, noMore := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { w.watchDrain(ctx, noMore, cancel) })
	err := w.link.call(leasing, func(context.Context, wire.CoordinatorClient) error { return nil })
	if err == nil {
		err = w.work(ctx, leasing)
	}
	err = w.finish(ctx, err)
	cancel(nil)
	watching.Wait()
	return err
}

// work keeps all slots busy until leasing ends, and ends with ctx or when
// there is nothing left to finish.
func (w *worker) work(ctx, leasing context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	w.group, w.unheard = g, semaphore.NewWeighted(int64(maxUnheard*w.o.Slots))
	polling, noMore := context.WithCancelCause(gctx)
	defer context.AfterFunc(leasing, func() { noMore(context.Cause(leasing)) })()
	// Also while slots wait for attempts that have been stopped: these are
	// released, not lost.
	beating, still := context.WithCancel(context.WithoutCancel(gctx))
	defer still()
	for i := range w.o.Slots {
		w.busy.Add(1)
		g.Go(func() error {
			defer w.busy.Done()
			return w.slot(gctx, polling, i)
		})
	}
	g.Go(func() error { w.busy.Wait(); still(); return nil })
	g.Go(func() error {
		err := w.heartbeats(beating, leasing)
		if beating.Err() != nil {
			return nil // why is the slots' to say
		}
		return err
	})
	return g.Wait()
}

// finish turns why the work ended into Run's result, and leaves the coordinator.
func (w *worker) finish(ctx context.Context, err error) error {
	var gone *UnreachableError
	if !errors.As(err, &gone) {
		w.link.leave()
	}
	order := w.draining()
	switch {
	case errors.Is(err, errDone):
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case order != nil && (err == nil || gone != nil || errors.Is(err, errNoMore) || errors.Is(err, errMore)):
		return order.Cause
	}
	return err
}

// finished says whether the bucket shows a summary of the worker's job, or
// of any job where it never got as far as to join one.
func (w *worker) finished(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	s, _, err := jobstate.ReadSuccess(ctx, w.o.Store, w.link.layout(), "")
	if errors.Is(err, fs.ErrNotExist) && w.o.Outputs != nil {
		s, err = w.summaryElsewhere(ctx)
	}
	if err != nil {
		return false
	}
	return !w.o.Shared.knows("") && (w.o.App == nil || s.App.Name == w.o.App.Name) || w.o.Shared.knows(s.Job)
}

// summaryElsewhere reads the summary of a job whose output has a place of its own.
func (w *worker) summaryElsewhere(ctx context.Context) (*manifest.Success, error) {
	job, _, err := jobstate.ReadJob(ctx, w.o.Store, w.link.layout())
	switch {
	case err != nil:
		return nil, err
	case job.OutputAt == (manifest.Place{}):
		return nil, fs.ErrNotExist
	}
	s, _, err := jobstate.ReadSuccess(ctx, w.o.Outputs(job.OutputAt.Bucket), job.Layout(w.link.layout()), job.ID)
	return s, err
}

// ending is the error that ends every slot.
func ending(d *wire.Done) error {
	if d.Failure != "" {
		return &JobFailedError{Cause: d.Failure, Cancelled: d.Cancelled}
	}
	if d.More {
		return errMore
	}
	return errDone
}

// load returns the spec of a job and what else has been read of it.
func (w *worker) load(ctx context.Context, id, digest string) (*loaded, error) {
	return w.o.Shared.load(ctx, id, func() (*manifest.Job, runner.Runner, error) { return w.readJob(ctx, id, digest) })
}

// readJob reads the spec of a job and finds its app; digest is that of the
// spec's bytes, "" if the coordinator does not say.
func (w *worker) readJob(ctx context.Context, id, digest string) (*manifest.Job, runner.Runner, error) {
	job, info, err := jobstate.ReadJob(ctx, w.o.Store, w.link.layout())
	key := info.Key
	if err != nil {
		return nil, nil, task.LostRead(key, err)
	}
	if got := job.Digest.String(); digest != "" && got != digest {
		return nil, nil, &task.LostError{Key: key, Err: fmt.Errorf("read %s: its bytes have SHA-256 %s, the coordinator goes by %s", key, got, digest)}
	}
	if job.ID != id {
		return nil, nil, &task.LostError{Key: key, Err: fmt.Errorf("read %s: it is of job %s, the coordinator runs %s", key, job.ID, id)}
	}
	app, err := w.o.resolve(&job.Spec)
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", key, err)
	}
	if app == nil {
		return job, w.o.Exec.Runner(job, w.link.layout()), nil
	}
	return job, gorunner.New(*app), nil
}

// resolve returns the code of a job's app, nil if that runs apart, as executables
// or a module, and can be started here. It refuses a job of another app, of another build of
// it, or with other parameters than the code takes.
func (o *Options) resolve(s *manifest.Spec) (*mr.App, error) {
	app := o.App
	if app == nil && s.App.Apart() {
		return nil, o.checkExec(s.App.Exec)
	}
	if app == nil {
		app = o.Lookup(s.App.Name)
	}
	what := ""
	if app == nil {
		what = fmt.Sprintf("the job runs app %s, which this program does not have", s.App.Name)
	} else if diff := s.AppDiff(wire.DescribeApp(*app, nil).Spec(nil)); len(diff) > 0 {
		what = "this program has another app than the job: " + strings.Join(diff, "; ")
	} else if _, err := app.Resolve(maps.Clone(s.App.Params)); err != nil {
		what = "the job's parameters are not those of this program: " + err.Error()
	}
	if what != "" {
		return nil, &wire.Refusal{Reason: wire.ReasonBuild, What: what}
	}
	return app, nil
}

// checkExec returns an error if the worker cannot start the executables.
func (o *Options) checkExec(e *manifest.Exec) error {
	if o.Exec == nil {
		return &wire.Refusal{Reason: wire.ReasonExecutables, What: "the job runs executables, which this program does not"}
	}
	if err := o.Exec.Check(e); err != nil {
		return &wire.Refusal{Reason: wire.ReasonExecutables, What: fmt.Sprintf("%v on worker %s", err, o.Name)}
	}
	return nil
}
