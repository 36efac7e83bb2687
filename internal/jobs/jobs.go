// Package jobs tells which jobs there are in a bucket, from the control objects
// that each of them has below its prefix. It keeps no list of its own: a job that is
// removed is in no list, and a list cannot be wrong.
//
// A folder is taken for a job if it has a summary, a spec or an announcement. Most
// jobs of a bucket are done, and the summary alone tells all about one of these: a
// list costs one GET a job that is done, three for each of the others, and a listing
// with them for a folder that has no job of its own.
package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// Store is what a list needs of a bucket: reading. Errors wrap fs.ErrNotExist and
// fs.ErrPermission where these apply.
type Store interface {
	// Bucket names the bucket.
	Bucket() string
	// Get returns a small object whole.
	Get(ctx context.Context, key string) ([]byte, object.Info, error)
	// Dirs returns the distinct keys below prefix up to and including the next
	// "/", from at most that many pages of the listing, and whether there are more.
	Dirs(ctx context.Context, prefix string, pages int) (dirs []string, more bool, err error)
}

// Options say where the jobs are.
type Options struct {
	Store Store
	// Buckets returns another bucket, which output lies in; nil where there is none
	// to be read.
	Buckets func(name string) Store
	// Base is the prefix below which jobs are looked for, itself included.
	Base string
	// Ended tells whether a process of this machine is known to be gone.
	Ended func(manifest.Process) bool
}

// State is how far a job is, as its bucket tells it without a coordinator.
type State string

// The states.
const (
	Running    State = "running"    // a coordinator holds the lease
	Done       State = "done"       // it has a summary
	Failed     State = "failed"     // its coordinator has said so and ended
	Cancelled  State = "cancelled"  // somebody has cancelled it, and no coordinator has begun since
	Stopped    State = "stopped"    // its coordinator has ended before the job, and has said so
	Abandoned  State = "abandoned"  // its coordinator has ended without a word: the lease is over
	Unreadable State = "unreadable" // damaged, or of another version
)

// States are all states.
func States() []State {
	return []State{Running, Done, Failed, Cancelled, Stopped, Abandoned, Unreadable}
}

// Live tells whether a coordinator may be running a job in this state.
func (s State) Live() bool { return s == Running }

// Job is what the control objects tell of a job.
type Job struct {
	Name   string // the prefix below Base; of a job at Base itself its last element, or the id
	Prefix string // without slashes at its ends; "" is the root of the bucket
	ID     string // "" while it is not known
	App    string // "" while it is not known
	State  State
	// Created is when the job was planned, or, where that is not known, when its
	// coordinator was started; zero if neither is known.
	Created time.Time
	// Seen is the last sign of life: the end of a job that is done, else when the
	// announcement or the spec was written. By the clock of the store, but for the
	// end of a job.
	Seen time.Time
	// InputBytes are the bytes that map tasks have read of a job that is done, else
	// those of its input; OutputBytes are those of the outputs of a job that is done.
	// -1 is that they are not known.
	InputBytes, OutputBytes int64
	// OutputAt is a place of its own for the output, zero for none or unknown.
	OutputAt manifest.Place
	// Reads are the folders, as [layout.Place] names them, in which lies what a job
	// that is not done reads besides its own input/: input, and the job that it reuses.
	Reads   []string
	Failure string // why it failed, or why it is unreadable
}

// inParallel bounds the jobs that are read at the same time. The store has a bound of
// its own for requests.
const inParallel = 64

// Bounds of a search, since a bucket may hold anything besides jobs.
const (
	// Depth is how many folders a job may lie below Base.
	Depth = 4
	// maxFolders bounds the folders that a search takes for a job.
	maxFolders = 20_000
	// pagesOfFolder bounds the pages of the listing of a folder that is no job, of
	// 1,000 keys each, but for Base: data of somebody else may be below it.
	pagesOfFolder = 3
	pagesOfBase   = 100
)

// List is what a search has found.
type List struct {
	Jobs []Job // the newest first
	// Partial names a folder that was not searched to its end, "" for none: it has
	// too many keys or folders, or may not be listed.
	Partial string
}

// Find lists the jobs below the base. It returns an error of the store; a job that
// cannot be read is part of the list. Folders whose objects may not be read are passed
// over, and are an error if no job is found.
func Find(ctx context.Context, o Options) (*List, error) {
	s := &search{Options: o, list: &List{}}
	level := []string{layout.New(o.Base).Root()}
	for depth := 0; depth <= Depth && len(level) > 0; depth++ {
		s.next = nil
		g, ctx := errgroup.WithContext(ctx)
		var begun atomic.Int64
		for range min(inParallel, len(level)) { // a request needs a deep stack, which is kept for the next
			g.Go(func() error {
				for {
					i := int(begun.Add(1)) - 1
					if i >= len(level) {
						return nil
					}
					if err := s.folder(ctx, level[i], depth); err != nil {
						return err
					}
				}
			})
		}
		if err := g.Wait(); err != nil {
			return nil, err
		}
		level = s.next
		if s.seen += len(level); s.seen > maxFolders {
			s.list.Partial = cmp.Or(s.list.Partial, level[0])
			level = level[:max(0, len(level)-(s.seen-maxFolders))]
			s.seen = maxFolders
		}
	}
	if len(s.list.Jobs) == 0 && s.denied != nil {
		return nil, s.denied
	}
	newestFirst(s.list.Jobs)
	return s.list, nil
}

// newestFirst sorts jobs. Those of one instant are in the order of their names.
func newestFirst(jobs []Job) {
	slices.SortFunc(jobs, func(a, b Job) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.Prefix, b.Prefix))
	})
}

// search is the state of one Find.
type search struct {
	Options
	seen int // folders

	mu     sync.Mutex
	list   *List
	next   []string // folders of the next level
	denied error    // why an object could not be read that would tell of a job; nil if all could
}

// none tells whether an error says that there is no object that one may read. Of
// folders of others the rights may end somewhere.
func (s *search) none(err error) bool {
	if errors.Is(err, fs.ErrPermission) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.denied = cmp.Or(s.denied, err)
		return true
	}
	return errors.Is(err, fs.ErrNotExist)
}

// folder takes a folder for a job, and if it is none looks for jobs below it. The base
// may be both. dir ends in a slash, or is "".
func (s *search) folder(ctx context.Context, dir string, depth int) error {
	job, err := s.read(ctx, strings.TrimSuffix(dir, "/"))
	if err != nil {
		return err
	}
	var below []string
	more := false
	if job == nil || depth == 0 {
		pages := pagesOfFolder
		if depth == 0 {
			pages = pagesOfBase
		}
		below, more, err = s.Store.Dirs(ctx, dir, pages)
		switch {
		case depth > 0 && errors.Is(err, fs.ErrPermission): // the rights may end at the folders of others
			more = true
		case err != nil:
			return fmt.Errorf("list the folders of s3://%s/%s: %w", s.Store.Bucket(), dir, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if job != nil {
		s.list.Jobs = append(s.list.Jobs, *job)
	}
	if more {
		s.list.Partial = dir
	}
	for _, d := range below {
		if mayHaveJob(d) {
			s.next = append(s.next, d)
		}
	}
	return nil
}

// mayHaveJob tells whether a job may lie below the folder, whose key ends in a slash.
func mayHaveJob(dir string) bool {
	_, err := layout.CheckPrefix(dir)
	return err == nil
}

// Read returns the job below prefix, nil if there is none.
func Read(ctx context.Context, o Options, prefix string) (*Job, error) {
	return (&search{Options: o}).read(ctx, prefix)
}

func (s *search) read(ctx context.Context, prefix string) (*Job, error) {
	lay := layout.New(prefix)
	j := &Job{Prefix: lay.Prefix(), InputBytes: -1, OutputBytes: -1}
	success, info, err := jobstate.ReadSuccess(ctx, s.Store, lay, "")
	switch {
	case err == nil:
		j.done(success, info)
		s.name(j)
		return j, nil
	case !s.none(err) && !jobstate.Invalid(err):
		return nil, err
	}
	return s.unfinished(ctx, j, lay)
}

// unfinished reads a job that has no summary in output/ of its own.
func (s *search) unfinished(ctx context.Context, j *Job, lay layout.Layout) (*Job, error) {
	job, at, jerr := jobstate.ReadJob(ctx, s.Store, lay)
	if jerr != nil && !s.none(jerr) && !jobstate.Invalid(jerr) {
		return nil, jerr
	}
	says, seen, aerr := jobstate.ReadAnnouncement(ctx, s.Store, lay)
	if aerr != nil && !s.none(aerr) && !jobstate.Invalid(aerr) {
		return nil, aerr
	}
	if s.none(jerr) && s.none(aerr) {
		return nil, nil
	}
	if job != nil {
		j.planned(job, at, s.Store.Bucket())
		if found, err := s.elsewhere(ctx, j, job, lay); found || err != nil {
			return j, err
		}
	}
	j.coordinated(says, seen, s.Ended)
	for _, err := range []error{jerr, aerr} {
		if err != nil && jobstate.Invalid(err) && j.State != Running && j.State != Failed {
			j.State, j.Failure = Unreadable, err.Error()
			j.Seen = later(j.Seen, at.Modified, seen.Modified)
			break
		}
	}
	s.name(j)
	return j, nil
}

// elsewhere reads the summary of a job whose output has a place of its own.
func (s *search) elsewhere(ctx context.Context, j *Job, job *manifest.Job, lay layout.Layout) (found bool, err error) {
	if job.OutputAt == (manifest.Place{}) || s.Buckets == nil {
		return false, nil
	}
	success, info, err := jobstate.ReadSuccess(ctx, s.Buckets(job.OutputAt.Bucket), job.Layout(lay), job.ID)
	if err != nil {
		if s.none(err) || jobstate.Invalid(err) {
			err = nil
		}
		return false, err
	}
	j.done(success, info)
	s.name(j)
	return true, nil
}

// done takes over the summary.
func (j *Job) done(s *manifest.Success, info object.Info) {
	j.ID, j.App, j.State = s.Job, s.App.Name, Done
	j.InputBytes = s.Input.Bytes
	_, j.OutputBytes = s.Wrote()
	j.Seen = later(s.Finished, info.Modified)
	if j.Created.IsZero() {
		j.Created = createdBy(s.Job)
	}
	if j.Created.IsZero() {
		j.Created = s.Finished.Add(-time.Duration(s.Seconds * float64(time.Second)))
	}
}

// planned takes over the spec.
func (j *Job) planned(job *manifest.Job, at object.Info, bucket string) {
	j.ID, j.App, j.Created, j.OutputAt = job.ID, job.App.Name, job.Created, job.OutputAt
	j.Seen, j.InputBytes = later(job.Created, at.Modified), 0
	for _, o := range job.Objects {
		j.InputBytes += o.Size
		if o.Bucket != "" {
			before, _, _ := cutLast(o.Key, "/")
			j.reads(layout.Place(o.Bucket, layout.New(before).Root()))
		}
	}
	if job.Reuse.Job != "" {
		j.reads(layout.Place(bucket, layout.New(job.Reuse.Prefix).Root()))
	}
}

// reads takes note of a folder. Objects come in the order of their names, so that
// those of a folder follow on each other.
func (j *Job) reads(folder string) {
	if n := len(j.Reads); n == 0 || j.Reads[n-1] != folder {
		j.Reads = append(j.Reads, folder)
	}
}

// coordinated takes over what the coordinator has announced, nil for nothing.
func (j *Job) coordinated(a *manifest.Coordinator, at object.Info, ended func(manifest.Process) bool) {
	j.State = Abandoned
	if a == nil {
		return
	}
	j.Seen = later(j.Seen, at.Modified)
	if j.App == "" {
		j.App = a.App
	}
	if j.Created.IsZero() {
		j.Created = a.Started
	}
	switch {
	case a.Released && a.Failure != "":
		j.State, j.Failure = Failed, a.Failure
	case !a.Released && !jobstate.Silent(a, at, 1) && !ended(a.Process):
		j.State = Running
	case a.Cancelled != nil:
		j.State = Cancelled
	case a.Released:
		j.State = Stopped
	}
}

func later(times ...time.Time) time.Time { return slices.MaxFunc(times, time.Time.Compare) }

// createdBy is the time in the id of a job, zero if it has none.
func createdBy(id string) time.Time {
	_, last, _ := cutLast(id, "-")
	u, err := ulid.ParseStrict(strings.ToUpper(last))
	if err != nil {
		return time.Time{}
	}
	return u.Timestamp()
}

// cutLast cuts s around the last sep. Without one last is all of s.
func cutLast(s, sep string) (before, last string, ok bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return "", s, false
}

// name gives a job its name.
func (s *search) name(j *Job) {
	base := layout.New(s.Base)
	j.Name = strings.TrimPrefix(j.Prefix, base.Root())
	if j.Prefix == base.Prefix() {
		_, j.Name, _ = cutLast(j.Prefix, "/")
	}
	j.Name = cmp.Or(j.Name, j.ID, ".")
}
