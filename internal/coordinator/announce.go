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

// announcement is what this coordinator last wrote of itself.
type announcement struct {
	manifest.Coordinator
	etag string
}

// announce says in the bucket where this coordinator is, over whatever an
// earlier one said there.
func (c *Coordinator) announce(ctx context.Context) (*announcement, error) {
	a := &announcement{Coordinator: manifest.Coordinator{
		Schema: manifest.CoordinatorSchema, Version: c.o.Version, Epoch: c.epoch,
		Addresses: c.o.Addresses, Insecure: c.o.Security.Insecure,
		Started: c.start.UTC(), LeaseMS: c.o.Lease.Milliseconds(),
	}}
	if c.o.Security.Identity != nil && !c.o.Security.Insecure && !c.o.Security.Files.Set() {
		a.CertPEM = c.o.Security.Identity.CertPEM
	}
	if c.o.PublishToken {
		a.Token = c.o.Security.Token
	}
	key := c.o.Layout.Coordinator()
	for {
		old, err := c.o.Store.Stat(ctx, key)
		switch {
		case err == nil:
			a.etag = old.ETag
		case errors.Is(err, fs.ErrNotExist):
			a.etag = ""
		default:
			return nil, fmt.Errorf("look for another coordinator: %w", err)
		}
		err = c.write(ctx, a)
		if err == nil {
			return a, nil
		}
		if mine, _, rerr := c.whoseAnnouncement(ctx); rerr == nil && mine != "" {
			a.etag = mine // the reply was lost
			return a, nil
		}
		if !errors.Is(err, fs.ErrExist) && !errors.Is(err, object.ErrPrecondition) && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("announce the coordinator: %w", err)
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
}

// write puts a over the version a.etag, or where there is none.
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

// keepAnnounced renews the announcement until ctx ends. It returns a
// *ConflictError when another coordinator has announced itself: that one has
// the workers then, and this one is of no more use. Any other trouble is
// logged and tried again, since the announcement is no part of what makes
// the commit safe.
func (c *Coordinator) keepAnnounced(ctx context.Context, a *announcement) error {
	tick := time.NewTicker(max(c.o.Lease/3, 100*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		c.call(ctx, func() { a.App = c.loop.appName() })
		err := c.write(ctx, a)
		switch {
		case err == nil, ctx.Err() != nil:
			continue
		case errors.Is(err, fs.ErrExist), errors.Is(err, object.ErrPrecondition), errors.Is(err, fs.ErrNotExist):
		default:
			c.o.Log.Warn().Err(err).Str("key", c.o.Layout.Coordinator()).Msg("announcement not renewed")
			continue
		}
		mine, other, err := c.whoseAnnouncement(ctx)
		switch {
		case err != nil:
			c.o.Log.Warn().Err(err).Str("key", c.o.Layout.Coordinator()).Msg("announcement not renewed")
		case mine != "":
			a.etag = mine
		case other != "":
			return &ConflictError{
				What: "another coordinator has taken over this job",
				Diff: []string{"this one: " + strings.Join(a.Addresses, ", "), "the other: " + other},
				Hint: "nothing is lost: its workers go on from what the bucket holds",
			}
		default:
			a.etag = "" // somebody removed it; say it again
		}
	}
}

// whoseAnnouncement tells the version of the announcement if it is this
// coordinator's (a renewal whose reply was lost), or else whose it is.
func (c *Coordinator) whoseAnnouncement(ctx context.Context) (mine, other string, err error) {
	data, info, err := c.o.Store.Get(ctx, c.o.Layout.Coordinator())
	if errors.Is(err, fs.ErrNotExist) {
		return "", "", nil
	}
	if err != nil {
		return "", "", err
	}
	a, err := manifest.Decode[manifest.Coordinator](data, manifest.CoordinatorSchema)
	var schema *manifest.SchemaError
	switch {
	case errors.As(err, &schema):
		return "", schema.Error(), nil // written by another version of the program
	case err != nil:
		return "", "", err
	case a.Epoch == c.epoch:
		return info.ETag, "", nil
	}
	return "", fmt.Sprintf("%s, started %s", strings.Join(a.Addresses, ", "), a.Started.Format(time.RFC3339)), nil
}
