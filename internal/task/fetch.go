package task

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// ahead fetches the pieces of a map task in chunks, several at a time and at
// most a window of bytes ahead of their reader, who gets them in order. So
// many small objects are on their way at once, and large ones in parallel
// ranges. What is a chunk the store says.
type ahead struct {
	bucket *bucket
	window int64 // bytes
	ctx    context.Context
	cancel context.CancelFunc
	pieces []manifest.Piece
	chunk  int64               // bytes of a request, at most
	room   *semaphore.Weighted // bytes of the window
	queue  chan *chunk         // in order
	done   sync.WaitGroup      // the dispatcher, who waits for its fetches
	cur    *chunk              // what the reader has not used up
	waited atomic.Int64        // time of the reader, which may outlive its attempt
}

// chunk is a range of a piece, on its way until ready is closed.
type chunk struct {
	piece  int
	off, n int64
	weight int64
	ready  chan struct{}
	body   object.Stream // where the store holds it
	left   int64         // bytes of it that have not been read
	err    error
}

// fetchAhead starts fetching pieces of the input. Close ends it.
func fetchAhead(ctx context.Context, b *bucket, shares shares, pieces []manifest.Piece) *ahead {
	a := &ahead{
		bucket: b, window: shares.window, pieces: pieces, room: semaphore.NewWeighted(shares.window),
		queue: make(chan *chunk, 4*requests),
	}
	total := int64(0)
	for _, p := range pieces {
		_, n := a.planned(p)
		total += n
	}
	a.chunk = shares.chunkOf(total)
	a.ctx, a.cancel = context.WithCancel(ctx)
	a.done.Go(a.dispatch)
	return a
}

// planned returns the range that the reader of a piece will open first. A
// compressed object is read from its beginning to its end.
func (a *ahead) planned(p manifest.Piece) (off, n int64) {
	if a.bucket.job.Objects[p.Object].Compression != "" || a.bucket.job.Unknown(p) && a.bucket.format.Decompresses() {
		return p.Offset, p.Length
	}
	return a.bucket.format.First(p.Offset, p.Length)
}

// dispatch sends the chunks on their way, in order.
func (a *ahead) dispatch() {
	fetches := fetchers{a: a, next: make(chan *chunk)}
	defer fetches.wait()
	defer close(a.queue)
	for i, p := range a.pieces {
		off, left := a.planned(p)
		for left > 0 {
			c := &chunk{piece: i, off: off, ready: make(chan struct{})}
			c.n, c.weight = a.cut(i, left)
			off, left = off+c.n, left-c.n
			if a.room.Acquire(a.ctx, c.weight) != nil {
				return
			}
			select {
			case a.queue <- c:
			case <-a.ctx.Done():
				return
			}
			fetches.fetch(c)
		}
	}
}

// cut says how much of the bytes that are left of a piece one request asks
// for, and what it weighs.
func (a *ahead) cut(piece int, left int64) (n, weight int64) {
	n = min(left, a.chunk)
	held := n
	if from, err := a.bucket.source(a.ctx, &a.bucket.job.Objects[a.pieces[piece].Object]); err == nil { // else open says so
		n, held = from.Reach(left, a.chunk)
	}
	return n, min(max(held, perObject), a.window)
}

// fetchers are goroutines that fetch one chunk after the other: a request
// needs a deep stack, which takes long to grow to.
type fetchers struct {
	a     *ahead
	next  chan *chunk
	n     int
	group errgroup.Group // without errors: they travel in order, with the chunks
}

// fetch has a chunk fetched, once fewer than the most requests are on their
// way.
func (f *fetchers) fetch(c *chunk) {
	if f.n < requests {
		select {
		case f.next <- c: // to one that has nothing to do
		default:
			f.n++
			f.group.Go(func() error { f.run(c); return nil })
		}
		return
	}
	f.next <- c
}

func (f *fetchers) run(c *chunk) {
	for ok := true; ok; c, ok = <-f.next {
		f.a.fetch(c)
	}
}

// wait lets all of them end.
func (f *fetchers) wait() {
	close(f.next)
	_ = f.group.Wait()
}

// fetch opens one chunk.
func (a *ahead) fetch(c *chunk) {
	defer close(c.ready)
	c.body, c.err = a.open(c.piece, c.off, c.n)
	c.left = c.n
}

// open opens a range of the object of a piece, by one request.
func (a *ahead) open(piece int, off, n int64) (object.Stream, error) {
	o := &a.bucket.job.Objects[a.pieces[piece].Object]
	from, err := a.bucket.source(a.ctx, o)
	if err != nil {
		return nil, err
	}
	body, err := from.Stream(a.ctx, o.In(a.bucket.layout), o.ETag, off, n)
	if err != nil {
		return nil, inputError(a.at(piece), err)
	}
	return body, nil
}

// at says where the object of a piece lies.
func (a *ahead) at(piece int) string {
	return a.bucket.job.Objects[a.pieces[piece].Object].At(a.bucket.layout)
}

// inputError makes errors of input fatal that every other attempt would meet: the job was
// planned on bytes that are not there any more, or the worker may not read
// them. at says where the object lies, as [manifest.Object.At] does. The store's
// error names the key, and the action that is not allowed.
func inputError(at string, err error) error {
	switch {
	case errors.Is(err, object.ErrPrecondition), errors.Is(err, fs.ErrNotExist):
		return &FatalError{Err: fmt.Errorf("input changed since the job was planned: %w", err), Key: at}
	case errors.Is(err, object.ErrDamaged):
		return &FatalError{Err: fmt.Errorf("input is damaged: its bytes are not those that were uploaded: %w", err), Key: at}
	case errors.Is(err, fs.ErrPermission):
		return &FatalError{Err: fmt.Errorf("read input: %w", err), Key: at}
	}
	return err
}

// opener returns what input.Read needs for piece i. Pieces are to be read in
// order.
func (a *ahead) opener(i int) input.Opener {
	first := true
	return func(off, n int64) (input.Body, error) {
		if o, m := a.planned(a.pieces[i]); first && o == off && m == n {
			first = false
			return &aheadReader{a: a, piece: i, left: n}, nil
		}
		body, err := a.open(i, off, n) // the rest of a last line
		if err != nil {
			return nil, err
		}
		return &inputBody{body, a.at(i)}, nil
	}
}

// take makes the next chunk of the piece the current one, dropping what is
// left of the pieces before.
func (a *ahead) take(piece int) error {
	for a.cur == nil || a.cur.left == 0 || a.cur.piece < piece {
		if err := a.drop(); err != nil {
			return err
		}
		began := time.Now()
		c, ok := <-a.queue
		if !ok {
			return context.Cause(a.ctx)
		}
		<-c.ready
		a.waited.Add(int64(time.Since(began)))
		a.cur = c
		if c.err != nil {
			return c.err
		}
	}
	return nil
}

// drop gives the current chunk back.
func (a *ahead) drop() (err error) {
	if a.cur == nil {
		return nil
	}
	if a.cur.body != nil {
		err = a.cur.body.Close()
	}
	a.room.Release(a.cur.weight)
	a.cur = nil
	return err
}

// Close stops fetching and waits until nothing is on its way.
func (a *ahead) Close() {
	a.cancel()
	a.done.Wait()
	_ = a.drop() // what was not read to its end is wanted no more
	for c := range a.queue {
		if c.body != nil {
			_ = c.body.Close()
		}
	}
}

// aheadReader reads the planned range of one piece. It is an [input.Body].
type aheadReader struct {
	a     *ahead
	piece int
	left  int64
}

// Peek shows what the store holds of the current chunk.
func (r *aheadReader) Peek() ([]byte, error) {
	if r.left == 0 {
		return nil, io.EOF
	}
	if err := r.a.take(r.piece); err != nil {
		return nil, err
	}
	c := r.a.cur
	b, err := c.body.Peek()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		err = inputError(r.a.at(r.piece), err)
	}
	return b[:min(int64(len(b)), c.left)], err
}

// Discard gives the chunk back once all of it was read, to let the next one
// start.
func (r *aheadReader) Discard(n int) error {
	c := r.a.cur
	c.left -= int64(n)
	r.left -= int64(n)
	if c.left == 0 {
		return r.a.drop()
	}
	return c.body.Discard(n)
}

func (r *aheadReader) Close() error { return nil }

// inputBody marks on the way the errors that are fatal.
type inputBody struct {
	object.Stream
	at string
}

// Peek implements [input.Source].
func (b *inputBody) Peek() ([]byte, error) {
	view, err := b.Stream.Peek()
	return view, inputError(b.at, err)
}
