package status

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/escape"
	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/wire"
)

// Store is what is needed of the bucket: reading. Errors wrap
// fs.ErrNotExist and fs.ErrPermission where these apply.
type Store interface {
	// Bucket names the bucket.
	Bucket() string
	// Get returns a small object whole.
	Get(ctx context.Context, key string) ([]byte, object.Info, error)
	// List yields every object below prefix, or an error: never a part of
	// the pages only.
	List(ctx context.Context, prefix string) iter.Seq2[object.Info, error]
}

// Options say which job, and how its coordinator is asked.
type Options struct {
	Store  Store
	Layout layout.Layout
	// Buckets returns another bucket, which output lies in; nil where there is
	// none to be read.
	Buckets func(name string) Store
	// Files and Token are those of an own authority and an own token file.
	Files wire.Files
	Token string
	// Patience is how long a coordinator may take to answer; 0 asks none.
	Patience time.Duration
	// Log is of somebody who asks again and again; nil reads the whole event log.
	Log *LogReader
}

// NoJobError means that there is no trace of a job.
type NoJobError struct{ Key string }

func (e *NoJobError) Error() string { return "there is no job: " + e.Key + " does not exist" }

// UnreadableError means that an object that says what the job is cannot be
// understood: it was written by another version, or is damaged.
type UnreadableError struct {
	Key string
	Err error
}

func (e *UnreadableError) Error() string { return e.Key + " cannot be read: " + e.Err.Error() }
func (e *UnreadableError) Unwrap() error { return e.Err }

// found is what lies in the bucket; nil where nothing does.
type found struct {
	job     *manifest.Job
	success *manifest.Success
	says    *manifest.Coordinator
	at      object.Info // of the announcement
	maps    []int
	reduces []int
	bytes   int64
	notes   []string
}

// Read looks into the bucket and, unless the job is over, asks its
// coordinator. It returns a *NoJobError, an *UnreadableError, or an error of
// the store. A coordinator that does not answer is no error but part of the
// report; so is an announcement that may not be read, since the right to read
// it is the right to join the job.
func Read(ctx context.Context, o Options) (*Report, error) {
	f, err := look(ctx, o)
	if err != nil {
		return nil, err
	}
	if f.job == nil && f.success == nil && f.says == nil {
		return nil, &NoJobError{Key: fmt.Sprintf("s3://%s/%s", o.Store.Bucket(), o.Layout.Job())}
	}
	r := f.report(o)
	if c := r.Coordinator; c != nil && o.Patience > 0 && !r.Over() && c.State != Ended {
		short, cancel := context.WithTimeout(ctx, o.Patience)
		defer cancel()
		live, err := ask(short, o, f.says)
		switch {
		case errors.Is(err, context.DeadlineExceeded), err != nil && short.Err() != nil:
			c.Error = fmt.Sprintf("no answer within %v", o.Patience)
		case err != nil:
			c.Error = wire.Text(err.Error(), 1<<10)
		}
		if r.Live = live; live != nil && live.Receipt != nil {
			r.Receipt = live.Receipt
		}
	}
	// The summary has the attempts of a job that is done.
	if f.job != nil && r.Live == nil && r.State != Done {
		r.readLog(ctx, o, f.job.ID)
	}
	return r, ctx.Err()
}

// look reads all of it side by side.
func look(ctx context.Context, o Options) (*found, error) {
	f := &found{}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		f.success, _, err = jobstate.ReadSuccess(gctx, o.Store, o.Layout, "")
		return o.usable(err)
	})
	g.Go(func() (err error) {
		f.job, _, err = jobstate.ReadJob(gctx, o.Store, o.Layout)
		return o.usable(err)
	})
	var note string
	g.Go(func() (err error) {
		f.says, f.at, err = jobstate.ReadAnnouncement(gctx, o.Store, o.Layout)
		err = o.usable(err)
		var bad *UnreadableError
		switch {
		case errors.Is(err, fs.ErrPermission):
			note, err = "no right to read "+o.key(o.Layout.Coordinator())+", so the coordinator is not asked", nil
		case errors.As(err, &bad):
			note, err = bad.Error(), nil
		}
		return err
	})
	g.Go(func() (err error) {
		f.maps, _, err = o.list(gctx, o.Layout.CommitDir(), o.Layout.ParseMapCommit)
		return err
	})
	g.Go(func() (err error) {
		f.reduces, f.bytes, err = o.list(gctx, o.Layout.OutputDir(), o.Layout.ParseOutput)
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if err := f.lookElsewhere(ctx, o); err != nil {
		return nil, err
	}
	if note != "" {
		f.notes = append(f.notes, note)
	}
	return f, nil
}

// lookElsewhere looks at outputs and summary of a job whose output has a place of its
// own, or names with an ending. What was looked at before is none of that.
func (f *found) lookElsewhere(ctx context.Context, o Options) error {
	if f.job == nil || f.job.Layout(o.Layout) == o.Layout {
		return nil
	}
	o.Layout = f.job.Layout(o.Layout)
	var err error
	if f.job.OutputAt == (manifest.Place{}) { // only the names of outputs are others
		f.reduces, f.bytes, err = o.list(ctx, o.Layout.OutputDir(), o.Layout.ParseOutput)
		return err
	}
	if o.Buckets == nil {
		return fmt.Errorf("the output lies in %s: no other bucket can be read here", f.job.OutputAt)
	}
	o.Store = o.Buckets(f.job.OutputAt.Bucket)
	f.success, _, err = jobstate.ReadSuccess(ctx, o.Store, o.Layout, "")
	if err = o.usable(err); err != nil {
		return err
	}
	f.reduces, f.bytes, err = o.list(ctx, o.Layout.OutputDir(), o.Layout.ParseOutput)
	return err
}

// key names an object for people.
func (o Options) key(key string) string { return fmt.Sprintf("s3://%s/%s", o.Store.Bucket(), key) }

// usable is what reading a control object came to: nil if there is none.
func (o Options) usable(err error) error {
	var invalid *jobstate.InvalidError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.As(err, &invalid):
		return &UnreadableError{o.key(invalid.Key), invalid.Err}
	}
	return err
}

// list returns the numbers of the tasks that have an object below dir, and
// the bytes of those.
func (o Options) list(ctx context.Context, dir string, parse func(string) (int, bool)) (tasks []int, bytes int64, err error) {
	for obj, err := range o.Store.List(ctx, dir) {
		if err != nil {
			return nil, 0, fmt.Errorf("list the commit records: %w", err)
		}
		if n, ok := parse(obj.Key); ok {
			tasks = append(tasks, n)
			bytes += obj.Size
		}
	}
	return tasks, bytes, nil
}

// report draws the conclusions.
func (f *found) report(o Options) *Report {
	r := &Report{Schema: Schema, Bucket: o.Store.Bucket(), Prefix: o.Layout.Prefix(), State: Preparing, OutputBytes: f.bytes, Notes: f.notes}
	if f.job != nil {
		r.Job, r.App, r.Created = f.job.ID, clean(f.job.App), &f.job.Created
		r.Map.Tasks, r.Reduce.Tasks = f.job.Maps(), f.job.Outputs()
		r.Map.Done = r.within(f.maps, r.Map.Tasks, "commit record")
		r.Reduce.Done = r.within(f.reduces, r.Reduce.Tasks, "output")
		done := f.maps
		if f.job.MapOnly() { // whose tasks are map tasks for people
			r.Map, r.Reduce, done = r.Reduce, r.Map, f.reduces
		}
		r.MapBytes = &Reading{}
		for m := range f.job.Tasks {
			r.MapBytes.Total += f.job.TaskBytes(m)
		}
		for _, m := range done {
			r.MapBytes.Done += f.job.TaskBytes(m)
		}
		switch {
		case r.Map.Done < r.Map.Tasks:
			r.State = Map
		case r.Reduce.Done < r.Reduce.Tasks:
			r.State = Reduce
		default:
			r.State = Finishing
		}
	} else if n := len(f.maps) + len(f.reduces); n > 0 {
		r.note("%s is missing: the commit records and outputs of its job (%d) belong to no job", o.key(o.Layout.Job()), n)
	}
	if f.says != nil {
		f.coordinator(r)
	}
	if f.success != nil {
		f.finished(r, o)
	}
	return r
}

// within counts tasks that the job has, and notes the others.
func (r *Report) within(tasks []int, n int, what string) (known int) {
	for _, t := range tasks {
		if t < n {
			known++
		}
	}
	switch others := len(tasks) - known; {
	case others == 1:
		r.note("1 %s does not belong to this job", what)
	case others > 1:
		r.note("%d %ss do not belong to this job", others, what)
	}
	return known
}

func (r *Report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// coordinator takes over what is announced, but for token and certificate.
func (f *found) coordinator(r *Report) {
	a := f.says
	c := &Coordinator{
		State: Active, Version: short(a.Version), Epoch: short(a.Epoch), Started: a.Started,
		AgeSeconds: jobstate.Age(f.at).Seconds(), LeaseSeconds: float64(a.LeaseMS) / 1000,
	}
	for _, address := range a.Addresses {
		c.Addresses = append(c.Addresses, short(address))
	}
	switch {
	case a.Released:
		c.State = Ended
	case jobstate.Silent(a, f.at, 1):
		c.State = Silent
	}
	r.Coordinator = c
	if r.App == nil && a.App != "" {
		r.App = &manifest.App{Name: short(a.App)}
	}
	if a.Receipt != nil {
		all := a.S3.Clone()
		all.Add(a.Receipt.Committed)
		r.Receipt = receipt(all.Requests, a.Receipt)
	}
	if a.Cancelled != nil && f.success == nil {
		r.Cancelled = &manifest.Cancel{At: a.Cancelled.At, By: short(a.Cancelled.By)}
		if c.State != Active {
			r.State = Cancelled
		} else {
			r.note("%s has cancelled the job: its coordinator is about to end", r.Cancelled.By)
		}
	}
	if a.Released && a.Failure != "" && f.success == nil {
		r.State, r.Failure = Failed, wire.Text(a.Failure, 8<<10)
	}
}

// finished takes over the summary.
func (f *found) finished(r *Report, o Options) {
	s := f.success
	if f.job != nil && f.job.ID != s.Job {
		r.note("%s is of another job, %s", layout.Place(cmp.Or(f.job.OutputAt.Bucket, o.Store.Bucket()), f.job.Layout(o.Layout).Success()), short(s.Job))
		return
	}
	if f.job == nil {
		r.note("there is no %s any more", o.key(o.Layout.Job()))
	}
	r.State, r.Job, r.App, r.Failure = Done, s.Job, clean(s.App), ""
	r.Finished = &Finished{At: s.Finished, Seconds: s.Seconds, Map: s.Map, Reduce: s.Reduce, Input: s.Input, Skipped: s.Skipped}
	r.Finished.Lines, _ = s.Wrote()
	if s.Receipt != nil {
		r.Receipt = receipt(s.Requests, s.Receipt)
	}
	if f.job == nil {
		r.Map.Tasks, r.Reduce.Tasks = s.Map.Tasks, s.Reduce.Tasks
		r.Map.Done, r.Reduce.Done = len(f.maps), len(f.reduces)
		if s.NReduce == 0 {
			r.Map.Done, r.Reduce.Done = r.Reduce.Done, 0
		}
	}
}

func receipt(requests map[string]int64, r *manifest.Receipt) *Receipt {
	return &Receipt{Requests: requests, Sent: r.Sent, Received: r.Received, USD: r.USD, Region: short(r.Region), Prices: short(r.Prices)}
}

// short makes a name from the bucket fit for a terminal.
func short(s string) string { return escape.Short(s, 255) }

func clean(a manifest.App) *manifest.App {
	params := a.Params
	a.Name, a.Version, a.Params = short(a.Name), short(a.Version), nil
	for name, value := range params {
		if a.Params == nil {
			a.Params = make(map[string]string)
		}
		a.Params[short(name)] = wire.Text(value, 1<<10)
	}
	return &a
}
