package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mraws/mraws/internal/coordinator/lease"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/trace"
)

// errStandby is the answer of a standby to all calls but Discover: the worker
// that gets it goes on to the next address.
var errStandby = status.Error(codes.Unavailable, "this coordinator is a standby")

// leading says whether this coordinator holds the lease. Before, it is a
// standby.
func (c *Coordinator) leading() bool { return c.term.Load() != nil }

// ready is nil once this coordinator leads.
func (c *Coordinator) ready() error {
	if c.leading() {
		return nil
	}
	return errStandby
}

// announcement is what this coordinator says of itself in the bucket.
func (c *Coordinator) announcement() manifest.Coordinator {
	a := manifest.Coordinator{
		Schema: manifest.CoordinatorSchema, Version: c.o.Version, Epoch: c.epoch,
		Addresses: c.o.Addresses, Insecure: c.o.Security.Insecure,
		Started: c.start.UTC(), LeaseMS: c.o.Lease.Milliseconds(), Process: c.process,
	}
	if c.o.Security.Identity != nil && !c.o.Security.Insecure && !c.o.Security.Files.Set() {
		a.CertPEM = c.o.Security.Identity.CertPEM
	}
	if c.o.PublishToken {
		a.Token = c.o.Security.Token
	}
	return a
}

// lead returns once this coordinator holds the lease. If the job ends under
// another one meanwhile, it returns that one's summary or a *JobError. It
// calls open to answer the workers, once it is known whether this coordinator
// leads or stands by.
func (c *Coordinator) lead(ctx context.Context, open func()) (over *manifest.Success, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var reading sync.WaitGroup
	defer func() { cancel(); reading.Wait() }()
	s := &standby{Coordinator: c, open: open, ahead: func(job *manifest.Job) { reading.Go(func() { c.readAhead(ctx, job) }) }}
	var listener trace.Listener
	if c.o.Events != nil || c.loop.history != nil {
		listener = c.tapLease
	}
	c.lease = lease.New(lease.Options{
		Store: c.o.Store, Layout: c.o.Layout, Log: c.o.Log, Announce: c.announcement(), TakeOver: c.o.TakeOver, Events: listener,
		Cancelled: c.cancelled,
	})
	term, err := c.lease.Acquire(ctx, s)
	if term != nil {
		c.term.Store(term)
		open()
	}
	return s.over, err
}

// keepLease renews the lease until ctx ends. It returns a *ConflictError when
// another coordinator has it.
func (c *Coordinator) keepLease(ctx context.Context) error {
	err := c.lease.Keep(ctx, c.loop.changed, func(a *manifest.Coordinator) {
		c.call(ctx, func() {
			a.App, a.Workers = c.loop.appName(), c.loop.core.Stats().Workers
			c.loop.tellSpent(a)
		})
	})
	if taken := taken(err); taken != nil {
		return taken
	}
	return err
}

// taken is the error of a coordinator whose lease another one has, nil if err does
// not say so.
func taken(err error) error {
	var taken *lease.TakenError
	if !errors.As(err, &taken) {
		return nil
	}
	return &ConflictError{
		Kind: OtherCoordinator,
		What: taken.Error(),
		Diff: []string{"this one: " + strings.Join(taken.Own, ", "), "the other: " + taken.By},
	}
}

// standby is a coordinator while another one holds the lease.
type standby struct {
	*Coordinator
	open  func()
	ahead func(*manifest.Job) // begins to read ahead
	over  *manifest.Success   // how the job ended under another

	looked bool   // whether a summary is there
	before string // ETag of the one that was there when it began to stand by; "" for none
}

// Wait implements lease.Standby. A coordinator whose command line does not fit
// the job would be of no use, so it is refused at once.
func (s *standby) Wait(ctx context.Context) error {
	s.stoodBy.Store(true)
	if s.compared == "" {
		if _, err := s.compare(ctx); err != nil {
			return err
		}
	}
	if !s.looked {
		info, err := s.o.Store.Stat(ctx, s.o.Layout.Success())
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("find the summary: %w", err)
		}
		s.before, s.looked = info.ETag, true
	}
	s.open()
	return nil
}

// Over implements lease.Standby.
func (s *standby) Over(ctx context.Context, end lease.Ending) (bool, error) {
	if end.Failure != "" {
		return true, &JobError{Cause: end.Failure}
	}
	var job *manifest.Job
	info, err := s.o.Store.Stat(ctx, s.o.Layout.Success())
	if err == nil && s.before != "" && info.ETag == s.before {
		return false, nil // the other one led a job that was done, to make again what is missing of it
	}
	if err == nil {
		job, err = s.compare(ctx)
	}
	if err == nil && job != nil {
		s.over, err = s.bucket.readSuccess(ctx, job.ID)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if s.over == nil && err == nil && end.Cancelled != nil {
		return true, &CancelledError{*end.Cancelled}
	}
	return s.over != nil, err
}

// Final implements lease.Standby: what does not fit the job, or how it ended.
func (s *standby) Final(err error) bool {
	var conflict *ConflictError
	var job *JobError
	return errors.As(err, &conflict) || errors.As(err, &job) || errors.As(err, new(*CancelledError))
}

// compare is examine of a standby, which then begins to read ahead.
func (s *standby) compare(ctx context.Context) (*manifest.Job, error) {
	before := s.compared
	stored, err := s.examine(ctx)
	if err == nil && s.compared != before {
		s.ahead(stored)
	}
	return stored, err
}

// examine reads the job's spec, nil if there is none yet, and refuses one
// that this coordinator would refuse to go on with.
func (c *Coordinator) examine(ctx context.Context) (*manifest.Job, error) {
	stored, err := c.readJob(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil || stored.ID == c.compared {
		return stored, err
	}
	app := c.expected(stored.Spec)
	objects, _, err := c.inputs(ctx, app.InputFormat())
	if err != nil {
		return nil, err
	}
	if err := c.conflict(stored, c.outline(app, objects)); err != nil {
		return nil, err
	}
	c.compared = stored.ID
	return stored, nil
}

// A standby of a large job reads ahead, so that it goes on soon after it has
// taken over. Commit records never change, so it reads each once. It lists the
// input once, to compare it with the job's; what is added to the input later is
// noticed by nobody, as under the coordinator before.

// aheadEvery is the least time between two rounds of reading ahead. What is
// committed in that time is read when the standby takes over.
const aheadEvery = 30 * time.Second

// readAhead reads what is committed of a job, again and again until ctx ends,
// and more seldom the longer it takes. It logs errors: prepare returns them if
// they last.
func (c *Coordinator) readAhead(ctx context.Context, job *manifest.Job) {
	c.memory.start()
	for {
		began := time.Now()
		s := &state{job: job, maps: map[int]*mapCommit{}, reduces: map[int]*reduceCommit{}}
		if err := c.recover(ctx, s); err != nil && ctx.Err() == nil {
			c.o.Log.Debug().Err(err).Msg("not all read ahead")
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(aheadEvery, 20*time.Since(began))):
		}
	}
}

// memory keeps the records that were read, by the key of what commits: the
// commit record of a map task, the output of a reduce task. The zero value
// keeps nothing.
type memory struct {
	mu   sync.Mutex
	kept map[string]remembered // nil: it keeps nothing
}

type remembered struct {
	etag   string
	record any // *mapCommit or *reduceCommit
}

func (m *memory) start() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept == nil {
		m.kept = map[string]remembered{}
	}
}

func (m *memory) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept = nil
}

// recall returns the record that was read of a key at that version, or else
// reads it.
func recall[T any](m *memory, key, etag string, read func() (*T, error)) (*T, error) {
	m.mu.Lock()
	r := m.kept[key]
	m.mu.Unlock()
	if rec, ok := r.record.(*T); ok && r.etag == etag {
		return rec, nil
	}
	rec, err := read()
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept != nil {
		m.kept[key] = remembered{etag, rec}
	}
	return rec, nil
}
