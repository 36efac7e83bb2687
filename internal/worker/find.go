package worker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/wire"
)

// dialTimeout bounds the try of one address.
const dialTimeout = 3 * time.Second

// found is a coordinator that may be there.
type found struct {
	addresses []string
	security  wire.ClientOptions
}

// absentError means that no coordinator has announced itself (yet).
type absentError struct{ what string }

func (e *absentError) Error() string { return e.what }

// find learns where the coordinator is and what opens its door. With an
// address, the coordinator itself says below which prefix to look; it is
// believed no further than that, since the announcement there must hold the
// certificate that the same address then shows.
func (l *link) find(ctx context.Context) (*found, error) {
	if len(l.o.Addresses) == 0 {
		a, err := l.search(ctx)
		if err != nil {
			return nil, err
		}
		security, err := l.security(a)
		return &found{addresses: a.Addresses, security: security}, err
	}
	var last error
	for _, address := range l.o.Addresses {
		lay, err := l.discover(ctx, address)
		if err != nil {
			if _, refused := wire.AsRefusal(err); refused {
				return nil, err
			}
			last = &callError{address, err}
			continue
		}
		a, err := l.read(ctx, lay)
		if err != nil {
			return nil, err
		}
		security, err := l.security(a)
		return &found{addresses: []string{address}, security: security}, err
	}
	return nil, last
}

// discover asks an address for the prefix of its job: unverified, or with
// the certificates of an own authority, since then nobody answers a stranger.
func (l *link) discover(ctx context.Context, address string) (layout.Layout, error) {
	dial := func() (*grpc.ClientConn, error) { return wire.DialUnverified(address, l.o.Insecure) }
	if l.o.Files.Set() && !l.o.Insecure {
		dial = func() (*grpc.ClientConn, error) { return wire.Dial(address, wire.ClientOptions{Files: l.o.Files}) }
	}
	conn, err := dial()
	if err != nil {
		return layout.Layout{}, err
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	reply, err := wire.NewCoordinatorClient(conn).Discover(ctx, &wire.DiscoverRequest{})
	if err != nil {
		return layout.Layout{}, err
	}
	if reply.Protocol != wire.Protocol {
		return layout.Layout{}, &wire.Refusal{
			Reason: wire.ReasonVersion,
			What: fmt.Sprintf("coordinator %s speaks protocol %d, this worker %s speaks protocol %d",
				reply.Version, reply.Protocol, l.o.Version, wire.Protocol),
			Hint: "run the same version of the binary everywhere",
		}
	}
	if reply.Bucket != l.o.Bucket {
		return layout.Layout{}, otherBucket(address, reply.Bucket, l.o.Bucket)
	}
	return layout.New(reply.Prefix), nil
}

func otherBucket(address, theirs, ours string) error {
	return &wire.Refusal{
		Reason: wire.ReasonUsage,
		What:   fmt.Sprintf("the coordinator at %s works on bucket %s, this worker on %s", address, theirs, ours),
		Hint:   "start the worker with --bucket " + theirs + ", or with the same store settings as the coordinator",
	}
}

// read returns the announcement below a layout.
func (l *link) read(ctx context.Context, lay layout.Layout) (*manifest.Coordinator, error) {
	key := lay.Coordinator()
	data, _, err := l.o.Store.Get(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &absentError{fmt.Sprintf("no announcement in s3://%s/%s", l.o.Bucket, key)}
	}
	if err != nil {
		return nil, fmt.Errorf("read the coordinator's announcement: %w", err)
	}
	a, err := manifest.Decode[manifest.Coordinator](data, manifest.CoordinatorSchema)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	return a, nil
}

// security is what the announcement and the own settings make of the door.
func (l *link) security(a *manifest.Coordinator) (wire.ClientOptions, error) {
	if a.Insecure != l.o.Insecure {
		what, hint := "the coordinator uses TLS, this worker was told not to", "leave --insecure out"
		if a.Insecure {
			what, hint = "the coordinator runs without TLS", "start the worker with --insecure too, or better the coordinator without it"
		}
		return wire.ClientOptions{}, &wire.Refusal{Reason: wire.ReasonUsage, What: what, Hint: hint}
	}
	if own := a.CertPEM == ""; !a.Insecure && own != l.o.Files.Set() {
		what, hint := "the coordinator shows a certificate of its own making, this worker has an own CA", "give tls-ca, tls-cert and tls-key to both or to neither"
		if own {
			what = "the coordinator has an own CA, this worker has none"
		}
		return wire.ClientOptions{}, &wire.Refusal{Reason: wire.ReasonUsage, What: what, Hint: hint}
	}
	c := wire.ClientOptions{Insecure: a.Insecure, CertPEM: a.CertPEM, Files: l.o.Files, Token: a.Token}
	if l.o.Token != "" {
		c.Token = l.o.Token
	}
	return c, nil
}

// search finds an announcement without an address: below the configured
// prefix, or else below any, if exactly one coordinator is alive there.
func (l *link) search(ctx context.Context) (*manifest.Coordinator, error) {
	a, err := l.read(ctx, l.layout())
	var absent *absentError
	if err == nil || !errors.As(err, &absent) || l.layout().Prefix() != "" || l.o.Dirs == nil {
		return a, err
	}
	prefixes, alive := []string(nil), []*manifest.Coordinator(nil)
	budget := maxDirs
	err = l.walk(ctx, "", 0, &budget, func(prefix string, a *manifest.Coordinator) {
		if time.Since(a.Renewed) < 3*time.Duration(a.LeaseMS)*time.Millisecond {
			prefixes, alive = append(prefixes, prefix), append(alive, a)
		}
	})
	switch {
	case err != nil:
		return nil, err
	case len(alive) == 0:
		return nil, absent
	case len(alive) > 1:
		return nil, &wire.Refusal{
			Reason: wire.ReasonUsage,
			What:   fmt.Sprintf("bucket %s has several coordinators, below the prefixes %s", l.o.Bucket, strings.Join(prefixes, ", ")),
			Hint:   "say which one with --prefix or --coord",
		}
	}
	return alive[0], nil
}

// Bounds of the search for an announcement: prefixes of up to maxDepth
// elements, and maxDirs listings.
const (
	maxDepth = 3
	maxDirs  = 1000
)

// walk visits the announcements below prefix.
func (l *link) walk(ctx context.Context, prefix string, depth int, budget *int, visit func(string, *manifest.Coordinator)) error {
	if *budget--; *budget < 0 || depth > maxDepth {
		return nil
	}
	dirs, err := l.o.Dirs(ctx, prefix)
	if err != nil {
		return fmt.Errorf("search for a coordinator: %w", err)
	}
	if slices.Contains(dirs, prefix+"intermediate/") {
		a, err := l.read(ctx, layout.New(prefix))
		var absent *absentError
		if err == nil {
			visit(strings.TrimSuffix(prefix, "/"), a)
		} else if !errors.As(err, &absent) {
			return err
		}
	}
	for _, d := range dirs {
		switch strings.TrimPrefix(d, prefix) {
		case "input/", "intermediate/", "output/":
			continue
		}
		if err := l.walk(ctx, d, depth+1, budget, visit); err != nil {
			return err
		}
	}
	return nil
}
