// Package coordinator is the role that plans a job, hands out its tasks and
// says when it is done. It decides nothing about what is committed: that is
// read from the bucket (docs/protocol.md), so a coordinator may die at any
// instant and another may start, or two may run at once, and all that can
// happen is that work is done twice.
//
// One goroutine, the loop, owns the state of the job: the pure scheduler of
// package sched, and the polls that wait for it. RPC handlers and the life cycle in Run hand it closures and never touch that state themselves.
package coordinator

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/coordinator/lease"
	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/decompress"
	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/pick"
	"github.com/mraws/mraws/internal/price"
	"github.com/mraws/mraws/internal/trace"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/mr"
)

// Options are all that a coordinator is told.
type Options struct {
	Store   Store
	Layout  layout.Layout
	Log     zerolog.Logger
	Version string // of this program, for people

	App    *mr.App           // nil: learn it from the first worker
	Params map[string]string // --app-arg; nil: the first worker's
	// Input and Output are the formats of the job, named as in the tables of
	// packages input and output; nil is the format that the app declares.
	Input, Output *manifest.Choice
	// Order and Partitioner are those that the job names; nil is what the app
	// declares.
	Order       *manifest.Order
	Partitioner *manifest.Choice
	// Exec is what the executables decide of a job that consists of them, in place
	// of App; else nil.
	Exec *manifest.Spec
	// Files are those that the job ships, if its application is code in Go; those of
	// Exec are in its spec. An application that a worker names gets them too.
	Files []manifest.CodeFile
	// Ship puts the files that the job ships into the bucket, where they are not yet. Each
	// coordinator calls it once the bucket has the spec of its job and before it
	// grants a task; nil is nothing to ship.
	Ship func(context.Context) error

	// Parquet reads Parquet, for inventories and footers; nil in a program without that
	// part.
	Parquet input.ParquetReader
	// Columns are those that the application reads of a row; nil leaves it to the
	// format.
	Columns []string
	// Slots is the number of slots that are expected; 0 is that nobody knows.
	Slots int
	// Sources are where the job's input lies; none is the job's own input/.
	Sources []Source
	// Pick takes or leaves out objects of the input, but for Names. A pattern is
	// matched with the name of an object below the job's own input/, and with the key
	// of any other.
	Pick pick.Filter
	// Buckets returns another bucket, for Sources. It is called again for the same.
	Buckets func(ctx context.Context, name string) (Bucket, error)
	// Names are the input objects that the job reads of its own input/; nil is
	// all below it, but for hidden ones.
	Names []string

	// Expected are the objects of Names as they are going to be uploaded, for a job that
	// is planned only ([Coordinator.Plan]); nil is that Names are in the bucket.
	Expected []manifest.Object

	// Reuse is the prefix of a job of the same bucket: map tasks that read the same are
	// taken over from it. Nil is none.
	Reuse *string
	// Finished returns the prefixes of the finished jobs of an app in the bucket, the
	// newest first: the job takes over the map tasks of the first with one that reads the
	// same, in place of those of Reuse. Nil is none.
	Finished func(ctx context.Context, app string) (prefixes []string, err error)

	// OutputAt is where outputs and summary of the job lie; zero is output/ of the
	// job. OutputStore is its bucket; nil only for zero.
	OutputAt    manifest.Place
	OutputStore Place

	JobID      string // of a new job; "" makes one of the app's name and the time
	NReduce    int
	SplitSize  int64 // bytes
	Pack       Pack
	Shuffle    Shuffle // "" is ShufflePlain
	AllowEmpty bool    // no input is no error
	// MaxBad is how many bad input records may be skipped.
	MaxBad manifest.Budget
	// Decompress bounds what becomes of input objects whose names say that
	// they are compressed; zero reads these as they are.
	Decompress manifest.Decompress

	TaskTimeout time.Duration // how long an attempt may go on without progress; 0 is without end
	Lease       time.Duration // how long a silent worker keeps its attempts
	MaxFailures int           // reported failures of one task that end the job
	MaxLost     int           // lost attempts of one task that end the job
	Speculate   bool          // let tasks that lag have a speculative attempt

	Listener net.Listener // owned by Run
	// Connections bounds those that Listener takes; 0, or what is above
	// that, is [MaxConnections].
	Connections int
	Addresses   []string // what workers dial, best first
	Security    wire.ServerOptions
	// PublishToken puts the token into the announcement; an own token file
	// stays where it is.
	PublishToken bool
	// Unsafe skips the preflight: the user has said to go on without.
	Unsafe bool
	// TakeOver takes the place of the coordinator that is announced at the
	// start although it may be at work.
	TakeOver bool

	// More says of a job of a chain, whose summary this is, whether the coordinator of
	// another one follows at the same address: its workers wait for it then. Nil is no
	// chain.
	More func(*manifest.Success) bool
	// Last says that More is going to return false, whatever becomes of the job.
	Last bool

	// Events is told of what happens, on the loop, so that it has to return
	// soon; nil is nobody.
	Events trace.Listener
	// EventLog writes the event log of the job into the bucket.
	EventLog bool

	// Rates are the prices of the receipt; nil is no receipt.
	Rates *price.Rates
	// MaxUSD is what the job may cost by Rates, in dollars; 0 is without bound.
	MaxUSD float64
	// Apart is what workers of this process have asked of the store, which they tell
	// themselves; nil is nothing.
	Apart func() object.Traffic

	clock func() sched.Time // of a test; nil is the time since New
}

const (
	// maxWorkers bounds the workers that are registered at the same time.
	maxWorkers = 4096
	// MaxConnections bounds the connections at the same time: one of each
	// worker, and as many as a quarter of them for those who change over,
	// ask for the status or come to look. The next one waits until another
	// is closed. What is connected and says nothing is cut off after a time
	// (wire.NewServer). A connection takes some 100 KiB.
	MaxConnections = maxWorkers + maxWorkers/4
)

// connections is how many the coordinator takes.
func (o Options) connections() int {
	if o.Connections > 0 {
		return min(o.Connections, MaxConnections)
	}
	return MaxConnections
}

// ErrNoInput means that there is nothing under input/.
var ErrNoInput = errors.New("no input")

// ErrManyTasks means that the input makes more map tasks than there can be.
var ErrManyTasks = errors.New("more map tasks than the protocol can number")

// ErrManyLineTasks means that the input makes more map tasks of a number of lines each
// than a job may have.
var ErrManyLineTasks = errors.New("too many map tasks")

// ErrCompressedLines means that an object is to be cut behind a number of lines and is
// compressed.
var ErrCompressedLines = errors.New("a compressed object cannot be cut")

// ConflictError means that the bucket holds something that does not belong
// to this job: another job's spec or output, or another coordinator's
// announcement.
type ConflictError struct {
	Kind ConflictKind
	What string
	Diff []string // both sides, a line each
}

// ConflictKind says what can be done about a [ConflictError].
type ConflictKind int

// The kinds of conflicts.
const (
	ForeignObject    ConflictKind = iota // an object of another job, or of none, has the key of one of this job
	OtherJob                             // the job in the bucket is another one
	OtherInput                           // the job in the bucket was planned over another state of the input
	OtherCoordinator                     // another coordinator leads the job now
	WasReset                             // the job was reset while it ran, and another is in its place
	DamagedRecord                        // a commit record that this coordinator has not read before is damaged
	DamagedSummary                       // the summary of the job is damaged
	DamagedOutput                        // an object was replaced or damaged behind its commit and cannot be put back
	ForeignPlace                         // the place of its own for the output belongs to another job
	ForeignOutput                        // an object of another job, or of none, lies in that place
)

func (e *ConflictError) Error() string { return e.What }

// JobError means that the job cannot be finished.
type JobError struct {
	Cause string
	// Reads says what the map task has read that failed, "" where Cause says it.
	Reads string
	// Input says that the input is not what the job was planned on, so that
	// the job cannot go on over what is there.
	Input bool
	// Lost says that a control object is gone that nothing can write again,
	// so that the job cannot go on at all.
	Lost bool
	// Commands says that a task of executables failed, which can be given lines or
	// records of any bytes.
	Commands bool
	// Seam says that neighbouring pieces of an object do not meet: one of their
	// readers has guessed wrong where its records begin.
	Seam bool
}

func (e *JobError) Error() string { return "job failed: " + e.Cause }

// ResetError means that the job did not end well, and that it was removed from
// the bucket while it ran: nothing is left to go on with.
type ResetError struct {
	Job string
	Err error
}

func (e *ResetError) Error() string { return e.Err.Error() }
func (e *ResetError) Unwrap() error { return e.Err }

// CancelledError means that somebody has cancelled the job. What is committed stays,
// and a coordinator that is started later resumes the job.
type CancelledError struct{ manifest.Cancel }

func (e *CancelledError) Error() string {
	return "the job was cancelled by " + wire.Text(e.By, 255)
}

// Coordinator runs one job. Make it with New, then call Run once.
type Coordinator struct {
	o       Options
	home    Store // the bucket of the job, whatever the key
	epoch   string
	process manifest.Process
	over    chan struct{} // closed when it is known how the job ended
	turns
	loop  loop // owned by the goroutine that turns calls
	lease *lease.Lease
	term  atomic.Pointer[lease.Term] // nil: it does not hold the lease

	// compared is the id of the job that was found to be the one that this
	// coordinator was started for, while it stood by; "" for none.
	compared string
	memory   memory
	surveyed *surveyed // nil: nothing was listed yet
	bucket   bucket
	restorer restorer
	wasDone  atomic.Bool
	stoodBy  atomic.Bool // another one led the job when this one came
	// stop ends the job, while workers can still be told; life sets it.
	stop atomic.Pointer[context.CancelCauseFunc]
	// outdated is the ETag of the summary that was there when this coordinator began, ""
	// for none. Something of the job may be made again since.
	outdated string
}

// New returns a coordinator that has done nothing yet.
func New(o Options) *Coordinator {
	epoch, home := newEpoch(), o.Store
	if o.Output != nil {
		o.Layout = o.Output.Layout(o.Layout)
	}
	if o.OutputAt != (manifest.Place{}) {
		o.Layout = o.Layout.WithOutput(o.OutputAt.Bucket, o.OutputAt.Dir)
		o.Store = &placed{home, o.OutputStore, o.Layout}
	}
	c := &Coordinator{
		home: home, o: o, epoch: epoch, process: lease.ThisProcess(listens(o.Listener)), over: make(chan struct{}),
		turns: newTurns(o.clock), loop: newLoop(o, epoch), bucket: bucket{o.Store, o.Layout, o.Log},
	}
	c.loop.history = c.newHistory()
	c.restorer.turns, c.restorer.loop, c.restorer.bucket, c.restorer.maxLost = &c.turns, &c.loop, &c.bucket, o.MaxLost
	return c
}

// newEpoch names one start of a coordinator; it begins the id of each attempt.
func newEpoch() string { return strings.ToLower(rand.Text()[:8]) }

func listens(l net.Listener) string {
	if l == nil {
		return ""
	}
	return l.Addr().String()
}

// WasDone tells, once Run has returned, whether the job was done before this
// coordinator led it.
func (c *Coordinator) WasDone() bool { return c.wasDone.Load() }

// Told is how many workers have heard how the job ended, once Run has returned.
func (c *Coordinator) Told() int { return len(c.loop.told) }

// Run waits while another coordinator is at work on the job. Then it prepares
// the job or takes it up where the bucket says it is, serves workers until
// every output exists, writes _SUCCESS, and returns when every worker knows.
// If the job ends under the other coordinator, it returns the same as that
// one. It returns ErrNoInput, *ConflictError, *JobError, the cause of ctx, or
// an error of the store.
func (c *Coordinator) Run(ctx context.Context) (*manifest.Success, error) {
	security := c.o.Security
	security.Ready, security.Connections = c.ready, c.o.connections()
	security.Refused = func(n int64, why, from string) {
		c.o.Log.Warn().Int64("callers", n).Str("last", why).Str("from", from).Msg("callers were turned away")
	}
	server, err := wire.NewServer(&handlers{c: c}, security)
	if err != nil {
		close(c.over)
		return nil, errors.Join(err, c.o.Listener.Close())
	}
	// The group lives until the workers have been told, beyond ctx's end for
	// nobody: a signal stops everything at once, and the job can be resumed.
	outer := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	g := new(errgroup.Group)
	loopDone := make(chan struct{})
	g.Go(func() error { defer close(loopDone); c.run(ctx); return nil })
	g.Go(func() error { c.tellWaits(ctx); return nil })
	g.Go(func() error { c.loop.history.Run(ctx); return nil })

	success, err := c.life(ctx, cancel, g, func() error { return server.Serve(c.o.Listener) })
	if err != nil && ofJob(err) && c.leading() && ctx.Err() == nil {
		if taken := taken(c.lease.Confirm(ctx)); taken != nil { // what it says of the job may be untrue
			err = taken
		}
	}
	if err != nil && !ofJob(err) {
		cancel(err)
	}
	if err != nil && ctx.Err() == nil {
		c.call(ctx, func() { c.loop.end(err) })
	}
	close(c.over)
	if ctx.Err() == nil && c.leading() {
		c.linger(ctx)
	}
	stop(server)
	_ = c.o.Listener.Close() // Serve closes it, but may not have been reached
	cancel(nil)
	<-loopDone
	_ = g.Wait() // every goroutine reports through cancel
	if err != nil && c.loop.job != nil && !errors.Is(err, object.ErrUnreachable) && c.bucket.wasReset(outer) {
		err = &ResetError{Job: c.loop.job.ID, Err: err}
	}
	c.closeHistory(outer, err)
	if c.leading() {
		failure := ""
		if job := (*JobError)(nil); errors.As(err, &job) {
			failure = job.Cause
		} else if budget := (*BudgetError)(nil); errors.As(err, &budget) {
			failure = budget.Error()
		}
		c.lease.Describe(c.loop.tellSpent)
		c.lease.Release(outer, failure)
	}
	return success, err
}

// Ended is closed once it is known how the job ended, before Run waits for the
// workers to hear of it.
func (c *Coordinator) Ended() <-chan struct{} { return c.over }

// ofJob says whether an error is the job's, which ends it for all workers.
// Any other, such as a store that is out of reach or another coordinator that
// leads, is this coordinator's own: the workers look for the one that goes on.
func ofJob(err error) bool {
	var job *JobError
	var conflict *ConflictError
	if errors.As(err, &conflict) && conflict.Kind == OtherCoordinator {
		return false
	}
	_, refused := wire.AsRefusal(err)
	return refused || errors.As(err, new(*CancelledError)) || errors.As(err, new(*BudgetError)) || errors.As(err, &job) || errors.As(err, &conflict) || errors.Is(err, ErrNoInput) || errors.Is(err, ErrNoEarlierJob) || errors.Is(err, ErrManyTasks) ||
		errors.Is(err, ErrManyLineTasks) || errors.Is(err, ErrCompressedLines) || errors.As(err, new(*decompress.RefusedError))
}

// life is the job from start to _SUCCESS.
func (c *Coordinator) life(ctx context.Context, cancel context.CancelCauseFunc, g *errgroup.Group, serve func() error) (*manifest.Success, error) {
	if err := c.o.check(); err != nil {
		return nil, err
	}
	if !c.o.Unsafe {
		if err := c.o.Store.Preflight(ctx, c.o.Layout.PreflightDir()); err != nil {
			return nil, fmt.Errorf("preflight of s3://%s: %w", c.o.Store.Bucket(), err)
		}
	}
	job, stop := context.WithCancelCause(ctx)
	c.stop.Store(&stop)
	success, err := c.lifeOfJob(ctx, job, cancel, g, serve)
	if !errors.As(err, new(*CancelledError)) || c.loop.job == nil {
		return success, err
	}
	// The summary may have been written before the mark was seen.
	if success, rerr := c.bucket.readSuccess(ctx, c.loop.job.ID); rerr == nil {
		c.call(ctx, func() { c.loop.end(nil) })
		return success, nil
	}
	return nil, err
}

// cancelled ends the job since somebody has marked the announcement.
func (c *Coordinator) cancelled(by manifest.Cancel) {
	c.o.Log.Warn().Str("by", wire.Text(by.By, 255)).Msg("the job is cancelled")
	if stop := c.stop.Load(); stop != nil {
		(*stop)(&CancelledError{by})
	}
}

// lifeOfJob is life from the lease on. ctx ends once the job is cancelled, while outer
// goes on, so that workers can be told.
func (c *Coordinator) lifeOfJob(outer, ctx context.Context, cancel context.CancelCauseFunc, g *errgroup.Group, serve func() error) (*manifest.Success, error) {
	// Whoever calls before it is known whether this one leads or stands by
	// waits for the answer.
	open := sync.OnceFunc(func() {
		g.Go(func() error {
			if err := serve(); err != nil {
				cancel(fmt.Errorf("serve workers on %s: %w", c.o.Listener.Addr(), err))
			}
			return nil
		})
	})
	if over, err := c.lead(ctx, open); over != nil || err != nil {
		return over, err
	}
	c.call(ctx, func() { c.loop.counts.earlier = c.term.Load().S3; c.loop.noteIdle(c.now()) })
	if c.term.Load().After {
		c.call(ctx, func() { c.loop.after = c.now() + sched.Time(claimTime*c.o.Lease) })
	}
	g.Go(func() error {
		if err := c.keepLease(outer); err != nil {
			cancel(err)
		}
		return nil
	})
	if over, err := c.learnApp(ctx); over != nil || err != nil {
		return over, c.cause(ctx, err)
	}
	state, err := c.prepare(ctx, c.spec(ctx))
	if err != nil {
		return nil, c.cause(ctx, err)
	}
	if c.wasDone.Load() { // its log has an end
		c.loop.history.Discard()
	}
	c.gather(ctx, state)
	c.call(ctx, func() { c.loop.begin(c.now(), state) })
	success, err := c.toEnd(ctx)
	if err == nil {
		more := c.o.More != nil && c.o.More(success)
		c.call(outer, func() { c.loop.more = more; c.loop.end(nil) })
	}
	return success, err
}

// claimTime is for how many leases after it has taken over a coordinator
// believes that a worker runs what an earlier one granted.
const claimTime = 3

// toEnd waits until all tasks are committed and finishes the job: again and
// again, where outputs are gone by then.
func (c *Coordinator) toEnd(ctx context.Context) (*manifest.Success, error) {
	for {
		success, err := c.awaitEnd(ctx)
		switch {
		case success != nil || err != nil:
			return success, err
		case c.loop.failure != nil:
			return nil, c.loop.failure
		}
		if success, err = c.finish(ctx); success != nil || err != nil {
			return success, c.cause(ctx, err)
		}
	}
}

// stop lets the answers that are on their way arrive, for a second at most.
func stop(server *wire.Server) {
	timer := time.AfterFunc(time.Second, server.Stop)
	defer timer.Stop()
	server.GracefulStop()
}

// await waits for a channel of the loop to be closed.
func (c *Coordinator) await(ctx context.Context, ch <-chan struct{}) error {
	select {
	case <-ch:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// cause prefers why ctx ended over the error that its end brought about.
func (c *Coordinator) cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// linger waits until every worker has been told how the job ended, or can be
// taken for gone: at most one lease.
func (c *Coordinator) linger(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, c.o.Lease)
	defer cancel()
	_ = c.await(ctx, c.loop.allTold)
}
