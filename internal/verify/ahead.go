package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// inputError says that an input is damaged or no longer what the job read.
type inputError struct {
	key   string
	kind  Kind
	cause error
}

func (e *inputError) Error() string { return fmt.Sprintf("input %s: %v", e.key, e.cause) }
func (e *inputError) Unwrap() error { return e.cause }

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
		at := f.obj.At(a.lay)
		from, err := a.source(ctx, f.obj)
		if err != nil {
			return nil, err
		}
		body, err := from.OpenChunks(ctx, f.obj.In(a.lay), f.obj.ETag, off, n, a.opt.chunk(), chunks)
		if err != nil {
			return nil, pinned(at, err)
		}
		return pinnedBody{body, at}, nil
	}
}

// pinnedBody is the body of a pinned input.
type pinnedBody struct {
	io.ReadCloser
	key string
}

func (b pinnedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = pinned(b.key, err)
	}
	return n, err
}

// pinned turns the errors of a pinned input that are findings into an
// inputError.
func pinned(key string, err error) error {
	switch kind := faultOf(err); kind {
	case "":
		return err
	case Replaced:
		return &inputError{key, InputChanged, err}
	default:
		return &inputError{key, kind, err}
	}
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
	from, err := a.source(ctx, o)
	if err != nil {
		return fetched{obj: o, err: err}
	}
	data, info, err := from.Get(ctx, o.In(a.lay))
	if err == nil && (info.ETag != o.ETag || int64(len(data)) != o.Size) {
		err = object.ErrPrecondition
	}
	return fetched{obj: o, data: data, err: pinned(o.At(a.lay), err)}
}

// source returns the bucket that an input object lies in.
func (a *audit) source(ctx context.Context, o manifest.Object) (Store, error) {
	switch {
	case o.Bucket == "":
		return a.store, nil
	case a.opt.Buckets == nil:
		return nil, fmt.Errorf("read input %s: no other bucket can be read here", o.Name)
	}
	return a.opt.Buckets(ctx, o.Bucket, a.job.Buckets[o.Bucket])
}
