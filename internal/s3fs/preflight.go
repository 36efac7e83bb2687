package s3fs

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/object"
)

// Races of the preflight.
const (
	raceKeys   = 3 // keys that are created with PutObject
	racers     = 4 // concurrent PutObjects for each key
	partRacers = 2 // concurrent multipart uploads for one key
)

// Preflight checks by small races below dir, which ends in a slash, that exactly
// one of several concurrent conditional creations of a key succeeds. It races
// PutObject and CompleteMultipartUpload, since some servers ignore the condition
// on the latter. If two succeed it returns an error that wraps object.ErrUnsafe.
// It removes what it wrote in any case. It sends about 20 requests, most of them
// concurrently. A store that passes may still be unsafe. The embedded server of
// this process is not checked.
func (s *Store) Preflight(ctx context.Context, dir string) error {
	if s.o.Server == SameProcess {
		return nil
	}
	dir += strings.ToLower(rand.Text()[:12]) + "-"
	var keys []string
	// A failure does not cancel the other writes: a cancelled write may still
	// arrive after the deletion below.
	var g errgroup.Group
	for i := range raceKeys {
		key := fmt.Sprintf("%sput-%d", dir, i)
		keys = append(keys, key)
		g.Go(func() error { return s.race(ctx, key, racers, s.putOnce) })
	}
	key := dir + "multipart"
	keys = append(keys, key)
	g.Go(func() error { return s.race(ctx, key, partRacers, s.completeOnce) })
	err := g.Wait()

	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(err, s.Delete(ctx, keys...))
}

// race creates key n times concurrently and wants one success.
func (s *Store) race(ctx context.Context, key string, n int, create func(context.Context, string, int) error) error {
	var won, lost atomic.Int32
	var g errgroup.Group
	for i := range n {
		g.Go(func() error {
			err := create(ctx, key, i)
			switch {
			case err == nil:
				won.Add(1)
			case errors.Is(err, fs.ErrExist):
				lost.Add(1)
			default:
				return err
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	// A winner whose reply was lost counts as a loser. Then one more creation
	// shows whether the condition holds.
	if won.Load() == 0 {
		if err := create(ctx, key, n); errors.Is(err, fs.ErrExist) {
			return nil
		} else if err != nil {
			return err
		}
	}
	if won.Load() != 1 {
		return fmt.Errorf("%w: %d of %d concurrent creations of s3://%s/%s succeeded", object.ErrUnsafe, won.Load(), n, s.o.Bucket, key)
	}
	return nil
}

func (s *Store) putOnce(ctx context.Context, key string, i int) error {
	_, err := s.Put(ctx, key, fmt.Append(nil, "contender ", i), PutOptions{IfAbsent: true})
	return err
}

func (s *Store) completeOnce(ctx context.Context, key string, i int) error {
	u, err := s.beginUpload(ctx, key, PutOptions{IfAbsent: true})
	if err != nil {
		return err
	}
	body := fmt.Append(nil, "contender ", i)
	if err := u.part(ctx, 1, bytes.NewReader(body), int64(len(body))); err != nil {
		return errors.Join(err, u.abort(ctx))
	}
	_, err = u.complete(ctx)
	return err
}
