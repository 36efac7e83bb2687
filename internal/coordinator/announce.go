package coordinator

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// newEpoch names one start of a coordinator; it begins every attempt's id.
func newEpoch() string { return strings.ToLower(rand.Text()[:8]) }

// NewJobID is the app's name and a lower-case ULID: it sorts by time.
func NewJobID(app string) string { return app + "-" + strings.ToLower(ulid.Make().String()) }

// announcement is what this coordinator last wrote of itself, or is going to.
type announcement struct {
	manifest.Coordinator
	etag string // of the version that the next write replaces; "" for none
}

func (c *Coordinator) newAnnouncement() *announcement {
	a := &announcement{Coordinator: manifest.Coordinator{
		Schema: manifest.CoordinatorSchema, Version: c.o.Version, Epoch: c.epoch,
		Addresses: c.o.Addresses, Insecure: c.o.Security.Insecure,
		Started: c.start.UTC(), LeaseMS: c.o.Lease.Milliseconds(), Process: c.process,
	}}
	if c.o.Security.Identity != nil && !c.o.Security.Insecure && !c.o.Security.Files.Set() {
		a.CertPEM = c.o.Security.Identity.CertPEM
	}
	if c.o.PublishToken {
		a.Token = c.o.Security.Token
	}
	return a
}

// write puts a over the version a.etag, or where there is none. Any error
// leaves open whether it was written.
func (c *Coordinator) write(ctx context.Context, a *announcement) error {
	a.Renewed = time.Now().UTC()
	data, err := manifest.Encode(a.Coordinator)
	if err != nil {
		return fmt.Errorf("encode the announcement: %w", err)
	}
	info, err := c.o.Store.Put(ctx, c.o.Layout.Coordinator(), data, object.PutOptions{
		IfAbsent: a.etag == "", IfMatch: a.etag, ContentType: "application/json",
	})
	if err != nil {
		return err
	}
	a.etag = info.ETag
	return nil
}

// raced says whether a write failed since the version that it was to replace
// is not the one that is there: another's, or this very write, whose reply
// was lost.
func raced(err error) bool {
	return errors.Is(err, fs.ErrExist) || errors.Is(err, object.ErrPrecondition) || errors.Is(err, fs.ErrNotExist)
}

// keepAnnounced renews the announcement until ctx ends. It returns a
// *ConflictError when another coordinator has announced itself: that one has
// the workers then, and this one is of no more use. Any other trouble is
// logged and tried again, since the announcement is no part of what makes
// the commit safe.
func (c *Coordinator) keepAnnounced(ctx context.Context, a *announcement) error {
	every := max(c.o.Lease/3, 100*time.Millisecond)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-c.loop.changed: // those who come together are told of together
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(min(every, 100*time.Millisecond)):
			}
			tick.Reset(every)
		}
		c.call(ctx, func() { a.App, a.Workers = c.loop.appName(), len(c.loop.members) })
		if err := c.renew(ctx, a, max(every, time.Second)); err != nil {
			return err
		}
	}
}

// overdue says whether renewals have failed for so long that a standby may be
// about to take over, or has.
func (c *Coordinator) overdue() bool {
	return time.Since(c.led)-time.Duration(c.renewed.Load()) > max(c.o.Lease*2/3, 200*time.Millisecond)
}

// renew is one renewal. It is given up after a time, since what the store
// has not answered by then may well hang, and a new request may not.
func (c *Coordinator) renew(ctx context.Context, a *announcement, within time.Duration) error {
	short, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	asked := time.Since(c.led)
	err := c.write(short, a)
	if raced(err) {
		var v version
		if v, err = c.announced(short); err == nil {
			switch {
			case v.Epoch == c.epoch, v.etag == "", v.spoiled():
				a.etag = v.etag // written, but the reply was lost; or removed or damaged by somebody: say it again
			default:
				return &ConflictError{
					What: "another coordinator has taken over this job",
					Diff: []string{"this one: " + strings.Join(a.Addresses, ", "), "the other: " + v.who()},
					Hint: "nothing is lost: the other coordinator resumes the job",
				}
			}
		}
	}
	switch {
	case err == nil:
		c.renewed.Store(int64(asked))
	case ctx.Err() == nil:
		c.o.Log.Warn().Err(err).Str("key", c.o.Layout.Coordinator()).Msg("announcement not renewed")
	}
	return nil
}

// release says that this coordinator has ended, so that nobody waits for its
// lease to end. It is called when nobody is served any more, for whatever
// reason, and does what it can in a short time.
func (c *Coordinator) release(ctx context.Context, a *announcement, cause error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
	defer cancel()
	a.Released, a.Token, a.Failure = true, "", ""
	var job *JobError
	if errors.As(cause, &job) {
		a.Failure = job.Cause
	}
	err := c.write(ctx, a)
	for raced(err) {
		v, rerr := c.announced(ctx)
		if rerr != nil || v.Epoch != c.epoch || v.Released {
			return
		}
		a.etag = v.etag // the reply to the last renewal was lost
		err = c.write(ctx, a)
	}
	if err != nil {
		c.o.Log.Debug().Err(err).Msg("announcement not released")
	}
}

// releaseTime bounds how much longer a coordinator takes to end for that.
const releaseTime = 2 * time.Second

// version is one version of the announcement; the zero value is that there
// is none. Of one that cannot be read only the etag is known.
type version struct {
	manifest.Coordinator
	etag       string
	unreadable error
}

// spoiled says whether what lies there is no announcement of any version of the
// program.
func (v version) spoiled() bool {
	var schema *manifest.SchemaError
	return v.unreadable != nil && !(errors.As(v.unreadable, &schema) && schema.OtherVersion())
}

// announced reads the announcement.
func (c *Coordinator) announced(ctx context.Context) (version, error) {
	data, info, err := c.o.Store.Get(ctx, c.o.Layout.Coordinator())
	if errors.Is(err, fs.ErrNotExist) {
		return version{}, nil
	}
	if errors.Is(err, object.ErrDamaged) {
		info, serr := c.o.Store.Stat(ctx, c.o.Layout.Coordinator())
		if serr != nil {
			return version{}, errors.Join(err, serr)
		}
		return version{etag: info.ETag, unreadable: err}, nil
	}
	if err != nil {
		return version{}, err
	}
	a, err := manifest.DecodeCoordinator(data)
	if err != nil {
		return version{etag: info.ETag, unreadable: err}, nil
	}
	return version{Coordinator: *a, etag: info.ETag}, nil
}

// who names the coordinator for people.
func (v version) who() string {
	if v.unreadable != nil {
		return "it cannot be read: " + v.unreadable.Error()
	}
	return fmt.Sprintf("%s, started %s", strings.Join(v.Addresses, ", "), v.Started.Format(time.RFC3339))
}
