package worker

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mraws/mraws/internal/wire"
)

const (
	// dialTimeout bounds the try of one address. A lost packet costs a second
	// of it.
	dialTimeout = 3 * time.Second
	// stagger is how long after one address the next is tried as well.
	stagger = 100 * time.Millisecond
	// lookout is how often the announcement is read while addresses are tried.
	lookout = time.Second / 2
)

// reached is a connection to the coordinator.
type reached struct {
	conn    *grpc.ClientConn
	address string
}

// errOther is what an address comes to at which a standby listens, or a
// coordinator that has been replaced and does not know it yet.
var errOther = status.Error(codes.Unavailable, "another server than the coordinator in the bucket listens there")

// reach connects to the first address at which the announced coordinator is
// found. Nothing is sent to any other that it could use: the certificate is
// pinned where there is one, and the epoch tells them apart where there is
// none. It gives up when another coordinator is announced meanwhile, and says
// so: an address from which nothing comes must not keep the worker from it.
func (f *finder) reach(ctx context.Context, to *found) (r reached, moved bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	replaced := make(chan bool, 1)
	go func() {
		is := f.hasJoined() && f.replaced(ctx, to)
		if is {
			cancel()
		}
		replaced <- is
	}()
	probe := func(ctx context.Context, address string) (reached, error) {
		conn, err := wire.Dial(address, to.security)
		if err != nil {
			return reached{}, err
		}
		reply, err := f.discover(ctx, conn, address)
		if err == nil && reply.Epoch != to.epoch {
			err = &callError{address, errOther}
		}
		if err != nil {
			_ = conn.Close() // nothing of ours is buffered in it
			return reached{}, err
		}
		return reached{conn, address}, nil
	}
	drop := func(r reached) { _ = r.conn.Close() }
	r, err = race(ctx, to.addresses, probe, drop)
	cancel()
	if moved = <-replaced; moved && err == nil {
		drop(r)
	}
	return r, moved, err
}

// replaced waits until another coordinator is announced than the one that was found. It says
// whether that is so, rather than that ctx has ended.
func (f *finder) replaced(ctx context.Context, to *found) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(lookout):
		}
		if a, err := f.read(ctx, f.layout()); err == nil && a.Epoch != to.epoch {
			return ctx.Err() == nil
		}
	}
}

// race calls try for each address, the next one when the one before failed or
// is slow, and returns the first success; others that come after it are
// dropped. If there is none it returns a refusal if there was one, else the
// error of the first address.
func race[T any](ctx context.Context, addresses []string, try func(context.Context, string) (T, error), drop func(T)) (T, error) {
	type result struct {
		index int
		value T
		err   error
	}
	ctx, cancel := context.WithCancel(ctx)
	results := make(chan result)
	started, pending := 0, 0
	defer func() {
		cancel()
		for ; pending > 0; pending-- {
			if r := <-results; r.err == nil {
				drop(r.value)
			}
		}
	}()
	next := time.NewTimer(0)
	defer next.Stop()
	errs := make([]error, len(addresses))
	for {
		select {
		case <-next.C:
			if started == len(addresses) {
				continue
			}
			i := started
			started, pending = started+1, pending+1
			go func() {
				ctx, cancel := context.WithTimeout(ctx, dialTimeout)
				defer cancel()
				v, err := try(ctx, addresses[i])
				results <- result{i, v, err}
			}()
			next.Reset(stagger)
		case r := <-results:
			pending--
			if r.err == nil {
				return r.value, nil
			}
			errs[r.index] = r.err
			if started == len(addresses) && pending == 0 {
				var none T
				return none, worst(errs)
			}
			next.Reset(0)
		}
	}
}

// worst is the first refusal, or else the first error.
func worst(errs []error) error {
	for _, err := range errs {
		if _, refused := wire.AsRefusal(err); refused {
			return err
		}
	}
	return errs[0]
}
