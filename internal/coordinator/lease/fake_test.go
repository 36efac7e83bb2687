package lease

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// errInjected is an error that tells nothing of what happened.
var errInjected = errors.New("injected fault")

// fault is what happens to one write of the bucket.
type fault int

const (
	fine       fault = iota
	notDone          // it does not take place and returns errInjected
	doneFailed       // it takes place and returns errInjected: the reply was lost
	doneExists       // it takes place and its retry finds it: fs.ErrExist or object.ErrPrecondition
)

// bucket has one object, the announcement.
type bucket struct {
	t       *testing.T
	mu      sync.Mutex
	data    []byte // nil: it is not there
	damaged bool
	version int
	started int     // candidates
	faults  []fault // of the next writes
}

func (b *bucket) etag() string { return fmt.Sprint("v", b.version) }

// locked runs f while nobody else looks at the bucket.
func (b *bucket) locked(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

// set is what others than a lease write; nil removes.
func (b *bucket) set(data []byte) {
	b.locked(func() {
		b.data, b.damaged = data, false
		b.version++
	})
}

func (b *bucket) announce(a manifest.Coordinator) {
	b.t.Helper()
	data, err := manifest.Encode(a)
	if err != nil {
		b.t.Fatal(err)
	}
	b.set(data)
}

// announced is what the object says.
func (b *bucket) announced() *manifest.Coordinator {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	a, err := manifest.DecodeCoordinator(b.data)
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

// store is the bucket as one candidate reaches it.
type store struct {
	*bucket
	shut  atomic.Bool  // every request fails
	delay atomic.Int64 // of each request and of each reply, in nanoseconds
}

// request is the way of one request to the bucket and back.
func (s *store) request(f func() error) error {
	delay := time.Duration(s.delay.Load())
	time.Sleep(delay)
	defer time.Sleep(delay)
	if s.shut.Load() {
		return errInjected
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return f()
}

func (s *store) Stat(context.Context, string) (info object.Info, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.data == nil {
		return info, fs.ErrNotExist
	}
	return object.Info{ETag: s.etag(), Modified: time.Unix(int64(s.version), 0)}, nil
}

func (s *store) Get(context.Context, string) (data []byte, info object.Info, err error) {
	err = s.request(func() error {
		switch {
		case s.data == nil:
			return fs.ErrNotExist
		case s.damaged:
			return object.ErrDamaged
		}
		data, info = s.data, object.Info{ETag: s.etag()}
		return nil
	})
	return data, info, err
}

func (s *store) Put(_ context.Context, _ string, data []byte, o object.PutOptions) (info object.Info, err error) {
	if o.IfMatch == "" && !o.IfAbsent {
		s.t.Error("unconditional write")
	}
	err = s.request(func() error {
		what := fine
		if len(s.faults) > 0 {
			what, s.faults = s.faults[0], s.faults[1:]
		}
		switch {
		case what == notDone:
			return errInjected
		case o.IfAbsent && s.data != nil:
			return fs.ErrExist
		case !o.IfAbsent && s.data == nil:
			return fs.ErrNotExist
		case !o.IfAbsent && o.IfMatch != s.etag():
			return object.ErrPrecondition
		}
		s.data, s.damaged = data, false
		s.version++
		info = object.Info{ETag: s.etag()}
		switch {
		case what == doneFailed:
			return errInjected
		case what == doneExists && o.IfAbsent:
			return fs.ErrExist
		case what == doneExists:
			return object.ErrPrecondition
		}
		return nil
	})
	return info, err
}

// testLease is the lease of all candidates.
const testLease = 10 * time.Second

// within is how long after the lease's end a standby may take to hold it: it
// looks once in a tenth of the lease.
const within = testLease / 10

// candidate is a coordinator that wants the lease, and then keeps it.
type candidate struct {
	t      *testing.T
	lease  *Lease
	store  *store
	epoch  string
	cancel context.CancelCauseFunc
	held   chan time.Time // when it came to hold the lease
	holds  atomic.Bool
	done   chan struct{}
	term   *Term
	err    error

	// What it answers as a standby; under the lock of the bucket.
	refuse error // of Wait; final
	fault  error // of Over; not final
	over   func(end Ending) bool
}

func (c *candidate) Wait(context.Context) (err error) {
	c.store.locked(func() { err = c.refuse })
	return err
}

func (c *candidate) Over(_ context.Context, end Ending) (over bool, err error) {
	c.store.locked(func() { over, err = c.over != nil && c.over(end), c.fault })
	return over, err
}

func (c *candidate) Final(err error) (final bool) {
	c.store.locked(func() { final = errors.Is(err, c.refuse) })
	return final
}

// errKilled ends the context of a candidate in place of a signal.
var errKilled = errors.New("killed by the test")

// start starts a candidate. It has to be killed.
func (b *bucket) start(change func(*candidate, *Options)) *candidate {
	c := &candidate{t: b.t, store: &store{bucket: b}, held: make(chan time.Time, 1), done: make(chan struct{})}
	b.started++
	c.epoch = fmt.Sprint("e", b.started)
	o := Options{Store: c.store, Log: zerolog.Nop(), Announce: manifest.Coordinator{
		Schema: manifest.CoordinatorSchema, Epoch: c.epoch, LeaseMS: testLease.Milliseconds(), Addresses: []string{"10.0.0.7:1234"},
	}}
	if change != nil {
		change(c, &o)
	}
	c.lease = New(o)
	var ctx context.Context
	ctx, c.cancel = context.WithCancelCause(context.Background())
	go func() {
		defer close(c.done)
		if c.term, c.err = c.lease.Acquire(ctx, c); c.term == nil {
			return
		}
		c.holds.Store(true)
		c.held <- time.Now()
		c.err = c.lease.Keep(ctx, nil, func(*manifest.Coordinator) {})
	}()
	return c
}

// kill is a kill -9: nothing is released.
func (c *candidate) kill() {
	c.cancel(errKilled)
	<-c.done
}

// leads says whether c holds the lease by now.
func (c *candidate) leads() bool {
	synctest.Wait()
	return c.holds.Load()
}

// acquires waits for c to hold the lease and wants that after at least and at
// most so long from since on.
func (c *candidate) acquires(since time.Time, least, most time.Duration) {
	c.t.Helper()
	select {
	case at := <-c.held:
		if took := at.Sub(since); took < least || took > most {
			c.t.Errorf("it holds the lease after %v, want %v to %v", took, least, most)
		}
	case <-c.done:
		c.t.Fatalf("it has ended: %v, %v", c.term, c.err)
	case <-time.After(time.Hour):
		c.t.Fatal("it never gets the lease")
	}
}

// ends waits for c to end without having held the lease.
func (c *candidate) ends() error {
	c.t.Helper()
	select {
	case <-c.done:
	case <-time.After(time.Hour):
		c.t.Fatal("it does not end")
	}
	if c.holds.Load() {
		c.t.Error("it has held the lease")
	}
	return c.err
}

// inBubble runs f, and everything that it starts, in a bubble with a clock of
// its own: what f measures is exact.
func inBubble(t *testing.T, f func(t *testing.T, b *bucket)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, &bucket{t: t}) })
}

// active starts a candidate that gets the lease at once.
func (b *bucket) active() *candidate {
	b.t.Helper()
	c := b.start(nil)
	c.acquires(time.Now(), 0, 0)
	return c
}

// standby starts a candidate that finds another at work.
func (b *bucket) standby() *candidate {
	b.t.Helper()
	c := b.start(nil)
	if c.leads() {
		b.t.Fatal("it did not wait for the coordinator that is at work")
	}
	return c
}

func takeOver(_ *candidate, o *Options) { o.TakeOver = true }
