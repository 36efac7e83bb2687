package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// inputChangedError says that an input is no longer what the job read.
type inputChangedError struct {
	key   string
	cause error
}

func (e *inputChangedError) Error() string {
	return fmt.Sprintf("input %s changed during the verification: %v", e.key, e.cause)
}
func (e *inputChangedError) Unwrap() error { return e.cause }

// fetched is an input object, whole or still to be streamed.
type fetched struct {
	obj    manifest.Object
	data   []byte
	stream bool
	err    error
}

// open opens bytes of the object for the record reader.
func (f fetched) open(ctx context.Context, a *audit) func(off, n int64) (io.ReadCloser, error) {
	return func(off, n int64) (io.ReadCloser, error) {
		if !f.stream {
			return io.NopCloser(bytes.NewReader(f.data[off : off+n])), nil
		}
		key := a.lay.Input(f.obj.Name)
		body, err := a.store.OpenRange(ctx, key, f.obj.ETag, off, n)
		return body, pinned(key, err)
	}
}

// pinned turns the errors that say that a pinned input is gone into an
// inputChangedError.
func pinned(key string, err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, object.ErrPrecondition) {
		return &inputChangedError{key, err}
	}
	return err
}

// inputs calls f for every input object of the job in order, fetching small
// ones ahead: most of the time of ten thousand small files is waiting.
func (a *audit) inputs(parent context.Context, f func(fetched) error) error {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	ahead := make(chan chan fetched, a.opt.Concurrency)
	var g errgroup.Group
	g.SetLimit(a.opt.Concurrency + 1)
	g.Go(func() error {
		defer close(ahead)
		for _, o := range a.job.Objects {
			slot := make(chan fetched, 1)
			select {
			case ahead <- slot:
			case <-ctx.Done():
				return nil
			}
			if o.Size > a.opt.stream {
				slot <- fetched{obj: o, stream: true}
				continue
			}
			g.Go(func() error { slot <- a.fetchInput(ctx, o); return nil })
		}
		return nil
	})
	var err error
	for slot := range ahead {
		got := <-slot
		if err = got.err; err == nil {
			err = f(got)
		}
		if err != nil {
			break
		}
	}
	cancel()
	_ = g.Wait() // errors came through the slots
	if err == nil {
		err = context.Cause(parent) // or some objects were left out
	}
	return err
}

// fetchInput gets a small object.
func (a *audit) fetchInput(ctx context.Context, o manifest.Object) fetched {
	if o.Size == 0 {
		return fetched{obj: o} // the listing has just said so
	}
	key := a.lay.Input(o.Name)
	data, info, err := a.store.Get(ctx, key)
	if err == nil && (info.ETag != o.ETag || int64(len(data)) != o.Size) {
		err = object.ErrPrecondition
	}
	return fetched{obj: o, data: data, err: pinned(key, err)}
}
