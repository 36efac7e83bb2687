// Package lease gives one of several coordinators the right to lead a job, for
// as long as it renews it. The lease is one object in the bucket, the
// announcement, which also tells workers where its holder is. A coordinator
// writes it on the condition that it is still the version that it has read, so
// of several that want the lease one gets it.
//
// Nothing that is committed depends on the lease (docs/protocol.md): while two
// hold it, some work is done twice.
package lease

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/trace"
)

// Store is what the lease needs of the bucket. Errors wrap fs.ErrNotExist and
// fs.ErrExist where these apply; any other error leaves open whether a write
// took place.
type Store interface {
	// Stat returns an object without its bytes.
	Stat(ctx context.Context, key string) (object.Info, error)
	// Get returns a small object whole.
	Get(ctx context.Context, key string) ([]byte, object.Info, error)
	// Put writes an object atomically. With IfAbsent at most one of any
	// number of calls succeeds; with IfMatch it replaces that version only.
	Put(ctx context.Context, key string, data []byte, o object.PutOptions) (object.Info, error)
}

// Options say whose lease it is, and where it is kept.
type Options struct {
	Store  Store
	Layout layout.Layout // of the job
	Log    zerolog.Logger
	// Announce is what the holder says of itself. Epoch is its name, LeaseMS
	// is how long its lease lasts without a renewal.
	Announce manifest.Coordinator
	// TakeOver takes the lease of the coordinator that holds it at the start,
	// although that one may be at work.
	TakeOver bool
	// Cancelled is called with the mark of a job that is cancelled, once, when the
	// announcement is found to have it. It has to return soon; nil is nobody.
	Cancelled func(manifest.Cancel)
	// Events is told when the lease is acquired, renewed, found to be
	// another's or released; nil is nobody.
	Events trace.Listener
}

// Lease is the lease of a job in the hands of one coordinator. [Lease.Acquire]
// is called first, once; then [Lease.Keep], and [Lease.Release] when that has
// returned.
type Lease struct {
	o       Options
	lasts   time.Duration
	says    manifest.Coordinator      // what was written last, or is going to be
	etag    string                    // of the version that the next write replaces; "" for none
	renewed atomic.Pointer[time.Time] // when the lease was known to be held last; nil before
}

// Term is the time for which a coordinator holds the lease.
type Term struct {
	Since   time.Time // by the clock of this machine
	Stored  time.Time // the same by the clock of the store; zero if that did not say
	After   bool      // another coordinator held the lease before
	Workers int       // that the one before had
	// S3 is what the announcement says that was asked of S3 before.
	S3 object.Traffic
}

// TakenError means that another coordinator has the lease.
type TakenError struct {
	Own []string // addresses
	By  string   // the other, for people
}

func (e *TakenError) Error() string { return "another coordinator has taken over this job" }

// New returns a lease that is not held yet.
func New(o Options) *Lease {
	return &Lease{o: o, lasts: time.Duration(o.Announce.LeaseMS) * time.Millisecond, says: o.Announce}
}

// adopt keeps the mark of a version of the announcement that another process has
// replaced this holder's by: of a job that is cancelled.
func (l *Lease) adopt(h holder) {
	if h.Cancelled == nil || l.says.Cancelled != nil {
		return
	}
	l.says.Cancelled = h.Cancelled
	if l.o.Cancelled != nil {
		l.o.Cancelled(*h.Cancelled)
	}
}

// key is that of the announcement.
func (l *Lease) key() string { return l.o.Layout.Coordinator() }

// holder is a version of the announcement; the zero value is that there is
// none. Of one that cannot be read only the ETag is known.
type holder struct {
	manifest.Coordinator
	etag       string
	unreadable error
}

// String names the coordinator for people.
func (h holder) String() string {
	if h.unreadable != nil {
		return "it cannot be read: " + h.unreadable.Error()
	}
	return fmt.Sprintf("%s, started %s", strings.Join(h.Addresses, ", "), h.Started.Format(time.RFC3339))
}

// read returns the announcement that is there.
func (l *Lease) read(ctx context.Context) (holder, error) {
	a, info, err := jobstate.ReadAnnouncement(ctx, l.o.Store, l.o.Layout)
	if errors.Is(err, object.ErrDamaged) {
		var serr error
		if info, serr = l.o.Store.Stat(ctx, l.key()); serr != nil {
			return holder{}, errors.Join(err, serr)
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return holder{}, nil
	case jobstate.Invalid(err):
		return holder{etag: info.ETag, unreadable: err}, nil
	case err != nil:
		return holder{}, err
	}
	return holder{Coordinator: *a, etag: info.ETag}, nil
}

// write replaces the version l.etag, or creates the announcement. After an
// error it may have been written or not.
func (l *Lease) write(ctx context.Context) error {
	l.says.Renewed = time.Now().UTC()
	data, err := manifest.Encode(l.says)
	if err != nil {
		return fmt.Errorf("encode the announcement: %w", err)
	}
	info, err := l.o.Store.Put(ctx, l.key(), data, object.PutOptions{
		IfAbsent: l.etag == "", IfMatch: l.etag, ContentType: "application/json",
	})
	if err == nil {
		l.etag = info.ETag
	}
	return err
}
