// Package verify checks a finished job against nothing but its bucket, in
// three steps, each of which trusts less than the one before:
//
//   - structure: the job's spec, every commit record, partition, output and
//     summary is there, whole, and says what the others say; the control
//     objects are byte for byte those that the summary has sealed; the inputs
//     are the pinned ones; nothing foreign lies between them;
//   - proof: the intermediate records are read again and counted, so that
//     what the maps emitted, what was shuffled and what the reducers read are
//     shown to be the same records, sorted and each in its partition, and
//     every output line to belong to one of their keys, in order;
//   - reference: the application runs over the same input once more, as one
//     sequential program that shares with the workers only the record readers
//     and the file format, and its output is compared line by line. It must
//     fail over exactly those records that the job skipped.
//
// What the application emits and counts for the records of each map task is
// compared with the commit records.
//
// What is wrong becomes a [Finding] of the [Report]; an error of [Run] means
// that the check itself could not be done.
//
// Memory is bounded by Options.Memory and by the largest record, apart from
// about 100 bytes for each of the M*R partitions (200 where each is an object),
// 1 KiB for each map and reduce task and 24 bytes for each record that was
// skipped. Disk is needed for one partition's intermediate data at a time
// and, with the reference, for all pairs that the mappers emit, since an
// oracle does not combine.
package verify

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/mraws/mraws/internal/keyorder"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/mr"
)

// Store is what verify needs of the bucket: reading only. Every method may
// be called from several goroutines. Errors wrap fs.ErrNotExist where there
// is no such object.
type Store interface {
	// Get returns a small object whole; its length has been checked.
	Get(ctx context.Context, key string) ([]byte, object.Info, error)
	// Stat returns an object with its metadata.
	Stat(ctx context.Context, key string) (object.Info, error)
	// OpenChunks streams n bytes (n < 0: all) from off of the version etag,
	// or returns object.ErrPrecondition, from the call or from Read, when
	// the object is at another version. A body that ends early is an error.
	// It holds at most window chunks of so many bytes.
	OpenChunks(ctx context.Context, key, etag string, off, n, chunk int64, window int) (io.ReadCloser, error)
	// List yields every object below prefix in byte order of the key, or an
	// error: never a part of the pages only.
	List(ctx context.Context, prefix string) iter.Seq2[object.Info, error]
}

// placed is a Store of which some keys lie in the place of the output.
type placed struct {
	Store
	place Store
	lay   layout.Layout
}

func (p *placed) at(key string) Store {
	if p.lay.Outside(key) {
		return p.place
	}
	return p.Store
}

func (p *placed) Get(ctx context.Context, key string) ([]byte, object.Info, error) {
	return p.at(key).Get(ctx, key)
}

func (p *placed) Stat(ctx context.Context, key string) (object.Info, error) {
	return p.at(key).Stat(ctx, key)
}

func (p *placed) OpenChunks(ctx context.Context, key, etag string, off, n, chunk int64, window int) (io.ReadCloser, error) {
	return p.at(key).OpenChunks(ctx, key, etag, off, n, chunk, window)
}

func (p *placed) List(ctx context.Context, prefix string) iter.Seq2[object.Info, error] {
	return p.at(prefix).List(ctx, prefix)
}

// DefaultMemory is how many bytes of buffers are used where nobody says: with
// what else a process needs, it stays within 256 MiB.
const DefaultMemory = 144 << 20

// Options are the choices of one verification. Zero values are defaults.
type Options struct {
	// App names the application for the reference; "" leaves the reference
	// out. A name other than the job's is a *ConflictError.
	App string
	// Lookup finds the code of an application, nil if this binary has none.
	// Even without App it is asked for the job's, for its partitioner.
	Lookup func(name string) *mr.App
	// Buckets returns another bucket, which input or output lies in, and which is
	// reached so; nil where there is none to be read.
	Buckets func(ctx context.Context, name string, a manifest.Access) (Store, error)
	// Seal is what the seal of the job must be, in hex; "" is any.
	Seal string
	// Scratch is the folder for temporary files, "" for the system's. They have
	// no names, and go with the process however it ends.
	Scratch string
	// Memory is about how many bytes of buffers to use; 0 means DefaultMemory.
	Memory int64
	// ParquetOutput reads outputs that are files of Parquet; nil where the program
	// cannot. It takes them for hostile.
	ParquetOutput func(r io.ReaderAt, size int64) (ParquetRows, error)
	// Concurrency bounds the requests at one time; 0 means 16.
	Concurrency int
	// Progress, where set, tells how many bytes have been read.
	Progress *Progress
	// Code, where set, tells how calls of the application go on.
	Code *Code
	// Files returns what a job ships, for [mr.Task.Files] of the reference; nil where
	// no files can be fetched.
	Files func(ctx context.Context, lay layout.Layout, files []manifest.CodeFile) (fs.FS, error)
	// Parquet reads input of Parquet; nil in a program without that part.
	Parquet ParquetReader
	// MaxRecord bounds one input record in bytes; 0 means the input
	// package's default.
	MaxRecord int

	fanIn  int   // segments merged at once; tests lower it
	stream int64 // objects above this size are streamed, not fetched ahead
}

func (o Options) withDefaults() Options {
	if o.Memory <= 0 {
		o.Memory = DefaultMemory
	}
	if o.Concurrency <= 0 {
		o.Concurrency = 16
	}
	if o.Lookup == nil {
		o.Lookup = func(string) *mr.App { return nil }
	}
	if o.Code == nil {
		o.Code = new(Code)
	}
	if o.fanIn < 2 {
		const reader = 192 << 10 // bytes that a segment takes in a merge
		o.fanIn = int(max(8, min(128, o.Memory/4/int64(workers())/reader)))
	}
	if o.stream <= 0 {
		o.stream = min(4<<20, o.Memory/8/int64(o.Concurrency))
	}
	return o
}

// NoJobError says that there is no job below a prefix.
type NoJobError struct {
	Prefix string // "" is the root of the bucket
	Key    string // of the job's spec, which is missing
}

func (e *NoJobError) Error() string {
	if e.Prefix == "" {
		return fmt.Sprintf("no job at the root of the bucket: there is no %s", e.Key)
	}
	return fmt.Sprintf("no job under prefix %q: there is no %s", e.Prefix, e.Key)
}

// ConflictError says that the application asked for is not the job's.
type ConflictError struct {
	What      string // "app" or "version of app wc"
	Job, Mine string
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("the job's %s is %q, not %q", e.What, e.Job, e.Mine)
}

// UnknownAppError says that this binary has no code of an application.
type UnknownAppError struct{ Name string }

func (e *UnknownAppError) Error() string { return fmt.Sprintf("this binary has no app %q", e.Name) }

// audit is one run of the verification.
type audit struct {
	committed
	summary
	store Store
	opt   Options
	rep   *Report
	// streams bounds the bytes that open streams of the store may hold.
	streams *semaphore.Weighted

	stopped bool // there is a finding that leaves no more to be looked at

	spec control[manifest.Job] // as it was read
	app  *mr.App               // the job's code, nil if unknown
	// outLines reads the records of an output; nil if the verifier has no
	// reader of the format.
	outLines func(io.Reader) Lines
	// outTable is the shape of the output if that is a table.
	outTable *tableShape
	parts    *partitioned // nil if the output has no partitions
	// order is that of the keys of segments, nil for their bytes.
	order *keyOrder
	// codes makes such keys, for the reference.
	codes *keyorder.Order
	// ranges is the partitioner of a job with ordered output, nil for none.
	ranges func(key []byte, n int) int

	named   map[string]*namedObject // by plain name
	changed int                     // inputs that are not what the job read
	damaged int                     // shipped files that are not there as the job has shipped them
}

// Run verifies the job below lay. It returns a report even when the report
// holds findings; an error means that the check could not be finished, and is
// a *NoJobError, *ConflictError or *UnknownAppError where these apply.
func Run(ctx context.Context, store Store, lay layout.Layout, opt Options) (*Report, error) {
	start := time.Now()
	opt = opt.withDefaults()
	a := &audit{committed: committed{lay: lay}, store: opt.meter(store), opt: opt, rep: newReport()}
	a.streams = semaphore.NewWeighted(a.opt.Memory / 2)
	if err := a.readSpec(ctx); err != nil {
		return nil, err
	}
	if err := a.loadSuccess(ctx); err != nil {
		return nil, err
	}
	if err := a.loadJob(ctx); err != nil {
		return nil, err
	}
	if !a.stopped {
		if err := a.steps(ctx); err != nil {
			return nil, err
		}
	}
	a.judge(a.rep, a.lay.Success(), a.opt.Seal)
	for i, f := range a.rep.Findings {
		if a.lay.Outside(f.Key) {
			a.rep.Findings[i].Key = layout.Place(a.lay.OutputBucket(), f.Key)
		}
	}
	a.rep.Seconds = time.Since(start).Seconds()
	return a.rep, nil
}

// steps takes the three steps.
func (a *audit) steps(ctx context.Context) error {
	if err := a.chooseApp(); err != nil {
		if a.rep.OK() {
			return err
		}
		a.opt.App = "" // the spec may be what is damaged
		a.rep.note("%v: its reference was not run", err)
	}
	f, err := newTemp(a.opt.Scratch) // before anything is read
	if err != nil {
		return fmt.Errorf("make a temporary file: %w", err)
	}
	dropFile(f)
	if err := a.structure(ctx); err != nil {
		return err
	}
	if ok, err := a.loadRanges(ctx); err != nil || !ok {
		return err
	}
	read := a.rep.Structure.PartBytes + a.rep.Structure.OutputBytes
	if a.opt.App != "" {
		read += a.rep.Structure.InputBytes + a.rep.Structure.OutputBytes // for the reference
	}
	a.opt.Progress.begin(read)
	if err := a.proof(ctx); err != nil {
		return err
	}
	return a.reference(ctx)
}

// workers is how many partitions are worked on at once.
func workers() int { return min(4, runtime.GOMAXPROCS(0)) }

// each calls f for 0..n-1 from up to limit goroutines, stops at the first
// error and returns it. What the calls find goes into the report in order.
func (a *audit) each(ctx context.Context, limit, n int, f func(ctx context.Context, i int, find *finder) error) error {
	found := make([]finder, n)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(limit)
	for i := 0; i < n && gctx.Err() == nil; i++ {
		g.Go(func() error { return f(gctx, i, &found[i]) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i := range found {
		a.rep.take(&found[i])
	}
	return context.Cause(ctx) // it may have ended before any f noticed
}
