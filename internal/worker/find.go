package worker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"

	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/wire"
)

// found is a coordinator that may be there.
type found struct {
	epoch     string   // of the announcement
	addresses []string // in the order to try
	security  wire.ClientOptions
}

// absentError means that no coordinator has announced itself (yet), or that
// the one that had has ended.
type absentError struct {
	what  string
	ended bool // it was there, and has ended
	// spoiled says that there is an announcement, which is damaged.
	spoiled bool
}

func (e *absentError) Error() string { return e.what }

// errOver says that the chain has ended whose jobs the worker has run.
var errOver = errors.New("the chain of jobs has ended")

// finder finds the coordinator: through the bucket, or through an address that
// people gave.
type finder struct {
	o Options
	*terms
	passed map[string]bool // prefixes whose announcements the search has passed over
	past   map[string]bool // epochs of coordinators of a chain whose jobs are done
}

// find learns who is the coordinator, where it may be and what opens its
// door. The bucket says the first and the last; an address that was given is
// believed no further than that it names the prefix to look below, since
// whoever listens there must then be the one that is announced.
func (f *finder) find(ctx context.Context) (*found, error) {
	a, err := f.announcement(ctx)
	if err != nil {
		return nil, err
	}
	if a.Released {
		return nil, &absentError{what: fmt.Sprintf("the coordinator at %s has ended", strings.Join(a.Addresses, ", ")), ended: true}
	}
	f.noteLease(time.Duration(a.LeaseMS) * time.Millisecond)
	own := wire.ClientOptions{Insecure: f.o.Insecure, Files: f.o.Files, Token: f.o.Token}
	security, err := own.Believe(a)
	if err != nil {
		return nil, err
	}
	to := &found{epoch: a.Epoch, security: security}
	for _, address := range slices.Concat(f.o.Addresses, a.Addresses) {
		if !slices.Contains(to.addresses, address) {
			to.addresses = append(to.addresses, address)
		}
	}
	if len(to.addresses) == 0 {
		return nil, &absentError{what: "the announcement names no address"}
	}
	return to, nil
}

// announcement reads what is announced: below the prefix of the job that the
// worker has joined, or that an address names, or that it can find.
func (f *finder) announcement(ctx context.Context) (*manifest.Coordinator, error) {
	switch {
	case len(f.o.Addresses) == 0:
		return f.search(ctx)
	case f.hasJoined():
		return f.read(ctx, f.layout())
	}
	lay, err := race(ctx, f.o.Addresses, f.prefixAt, func(layout.Layout) {})
	if err != nil {
		return nil, err
	}
	return f.read(ctx, lay)
}

// prefixAt asks an address for the prefix of its job: unverified, or with
// the certificates of an own authority, since then nobody answers a stranger.
func (f *finder) prefixAt(ctx context.Context, address string) (layout.Layout, error) {
	dial := func() (*grpc.ClientConn, error) { return wire.DialUnverified(address, f.o.Insecure) }
	if f.o.Files.Set() && !f.o.Insecure {
		dial = func() (*grpc.ClientConn, error) { return wire.Dial(address, wire.ClientOptions{Files: f.o.Files}) }
	}
	conn, err := dial()
	if err != nil {
		return layout.Layout{}, err
	}
	defer func() { _ = conn.Close() }()
	reply, err := f.discover(ctx, conn, address)
	return layout.New(reply.GetPrefix()), err
}

// discover asks whoever listens who it is. It refuses one with whom there is
// nothing to talk about.
func (f *finder) discover(ctx context.Context, conn *grpc.ClientConn, address string) (*wire.DiscoverReply, error) {
	reply, err := wire.NewCoordinatorClient(conn).Discover(ctx, &wire.DiscoverRequest{})
	switch {
	case err != nil:
		return nil, &callError{address, err}
	case reply.Protocol != wire.Protocol:
		return nil, &wire.Refusal{
			Reason: wire.ReasonVersion,
			What: fmt.Sprintf("coordinator %s speaks protocol %d, this worker %s speaks protocol %d",
				reply.Version, reply.Protocol, f.o.Version, wire.Protocol),
		}
	case reply.Bucket != f.o.Bucket:
		return nil, otherBucket(address, reply.Bucket, f.o.Bucket)
	case reply.Over && len(f.past) > 0:
		return nil, errOver
	case reply.Over || f.past[reply.Epoch]:
		return nil, &absentError{what: "the job of the coordinator at " + address + " has ended"}
	case !f.below(reply):
		return nil, otherPrefix(address, reply.Prefix, f.o.Layout.Prefix())
	}
	f.noteChain(reply.Chain && !reply.Last)
	return reply, nil
}

// below says whether the job of a coordinator has the prefix that the worker was told, or
// is one of a chain below it.
func (f *finder) below(reply *wire.DiscoverReply) bool {
	prefix := f.o.Layout.Prefix()
	return prefix == "" || reply.Prefix == prefix || reply.Chain && strings.HasPrefix(reply.Prefix, prefix+"/")
}

// otherPrefix refuses the job of another prefix than the one that the worker
// was told.
func otherPrefix(address, theirs, ours string) error {
	where := "the root of the bucket"
	if theirs != "" {
		where = "prefix " + theirs
	}
	return &wire.Refusal{
		Reason: wire.ReasonPrefix,
		About:  theirs,
		What:   fmt.Sprintf("the coordinator at %s works on %s, this worker on prefix %s", address, where, ours),
	}
}

func otherBucket(address, theirs, ours string) error {
	return &wire.Refusal{
		Reason: wire.ReasonBucket,
		About:  theirs,
		What:   fmt.Sprintf("the coordinator at %s works on bucket %s, this worker on %s", address, theirs, ours),
	}
}

// ours says whether the job that the worker is to join is the one below its
// layout for certain; err is why there is no coordinator.
func (f *finder) ours(ctx context.Context, err error) bool {
	var absent *absentError
	switch {
	case f.hasJoined(), f.o.Layout.Prefix() != "", errors.As(err, &absent) && absent.ended:
		return true
	case len(f.o.Addresses) == 0:
		return false
	}
	// An address names the job by its coordinator only.
	a, rerr := f.read(ctx, f.layout())
	return rerr == nil && a.Released && slices.ContainsFunc(f.o.Addresses, func(s string) bool { return among(s, a.Addresses) })
}

// among says whether an address is one of those that were announced. A
// coordinator on this machine may be meant by another name.
func among(address string, announced []string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	own := host == "localhost" || net.ParseIP(host).IsLoopback()
	return slices.ContainsFunc(announced, func(s string) bool {
		_, p, err := net.SplitHostPort(s)
		return s == address || err == nil && own && p == port
	})
}

// readTimeout bounds a try to read an announcement: while the store hangs the
// worker goes on trying, as it does while the coordinator is away.
const readTimeout = 5 * time.Second

// read returns the announcement below a layout.
func (f *finder) read(ctx context.Context, lay layout.Layout) (*manifest.Coordinator, error) {
	a, _, err := f.readInfo(ctx, lay)
	return a, err
}

// readInfo tells besides which version of the announcement it is.
func (f *finder) readInfo(ctx context.Context, lay layout.Layout) (a *manifest.Coordinator, info object.Info, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	key := lay.Coordinator()
	a, info, err = jobstate.ReadAnnouncement(ctx, f.o.Store, lay)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = &absentError{what: fmt.Sprintf("no announcement in s3://%s/%s", f.o.Bucket, key)}
	case jobstate.Damaged(err): // a coordinator that is at work writes it again within a third of its lease
		err = &absentError{spoiled: true, what: fmt.Sprintf("the announcement s3://%s/%s is damaged: %v", f.o.Bucket, key, errors.Unwrap(err))}
	}
	return a, info, err
}

// search finds an announcement without an address: below the configured
// prefix, or else below any, if exactly one coordinator is alive there. No
// clocks of two machines are compared for that.
func (f *finder) search(ctx context.Context) (*manifest.Coordinator, error) {
	a, err := f.read(ctx, f.layout())
	var absent *absentError
	if err == nil || !errors.As(err, &absent) || f.layout().Prefix() != "" || f.o.Dirs == nil {
		return a, err
	}
	prefixes, alive := []string(nil), []*manifest.Coordinator(nil)
	budget := maxDirs
	err = f.walk(ctx, "", 0, &budget, func(prefix string, a *manifest.Coordinator, info object.Info) {
		if !a.Released && !jobstate.Silent(a, info, 3) {
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
			Reason: wire.ReasonSeveral,
			What:   fmt.Sprintf("bucket %s has several coordinators, below the prefixes %s", f.o.Bucket, strings.Join(prefixes, ", ")),
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

// passOver warns once of an announcement that the search passes over.
func (f *finder) passOver(prefix string, err error) {
	f.terms.mu.Lock()
	defer f.terms.mu.Unlock()
	if f.passed[prefix] {
		return
	}
	if f.passed == nil {
		f.passed = map[string]bool{}
	}
	f.passed[prefix] = true
	f.o.Log.Warn().Err(err).Str("prefix", strings.TrimSuffix(prefix, "/")).
		Msg("the search for a coordinator skips an announcement that cannot be read")
}

// walk visits the announcements below prefix. One that cannot be read, since it
// is another version's or the store denies it, is passed over: it says nothing
// of the others.
func (f *finder) walk(ctx context.Context, prefix string, depth int, budget *int, visit func(string, *manifest.Coordinator, object.Info)) error {
	if *budget--; *budget < 0 || depth > maxDepth {
		return nil
	}
	dirs, err := f.o.Dirs(ctx, prefix)
	if err != nil {
		return fmt.Errorf("search for a coordinator: %w", err)
	}
	if slices.Contains(dirs, prefix+"intermediate/") {
		a, info, err := f.readInfo(ctx, layout.New(prefix))
		var absent *absentError
		switch {
		case err == nil:
			visit(strings.TrimSuffix(prefix, "/"), a, info)
		case ctx.Err() != nil || errors.Is(err, object.ErrUnreachable):
			return err
		case !errors.As(err, &absent) || absent.spoiled:
			f.passOver(prefix, err)
		}
	}
	for _, d := range dirs {
		switch strings.TrimPrefix(d, prefix) {
		case "input/", "intermediate/", "output/":
			continue
		}
		if err := f.walk(ctx, d, depth+1, budget, visit); err != nil {
			return err
		}
	}
	return nil
}
