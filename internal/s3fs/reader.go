package s3fs

import (
	"context"
	"errors"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/object"
)

var errClosed = errors.New("read after Close")

// readWindow is the number of chunks that OpenRange holds at most.
const readWindow = 4

// OpenRange returns a stream of n bytes from offset off, or of all bytes from
// off if n < 0. It fetches chunks of PartSize ahead, in parallel. It holds at
// most four chunks and at most n bytes. A span of one chunk is one request. The
// stream is of one version of the object: that of etag, else that of the first
// reply. If the object has or gets another version, OpenRange or Read returns an
// error that wraps ErrPrecondition. A span that reaches past the end of the
// object is an error that wraps io.ErrUnexpectedEOF. io.EOF says that all bytes
// have been read. OpenRange returns when the first chunk has been fetched.
func (s *Store) OpenRange(ctx context.Context, key, etag string, off, n int64) (io.ReadCloser, error) {
	return s.OpenChunks(ctx, key, etag, off, n, s.o.PartSize, readWindow)
}

// Stream returns n bytes from offset off of the version etag, by one request.
// [Store.Reach] says how many bytes it holds in memory. If it holds all, they
// have been read when Stream returns. Otherwise it reads them from the
// connection, and sends the request at the first read.
func (s *Store) Stream(ctx context.Context, key, etag string, off, n int64) (object.Stream, error) {
	if s.direct(n) && off >= 0 {
		return s.openDirect(ctx, span{key: key, etag: etag, pinned: true, off: off, n: n, total: -1}), nil
	}
	r, err := s.open(ctx, key, etag, off, n, n, 1)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// OpenChunks is OpenRange with another chunk size and number of chunks. It
// holds at most chunk*window bytes. A merge of many streams divides its memory
// among them by these.
func (s *Store) OpenChunks(ctx context.Context, key, etag string, off, n, chunk int64, window int) (io.ReadCloser, error) {
	r, err := s.open(ctx, key, etag, off, n, chunk, window)
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (s *Store) open(ctx context.Context, key, etag string, off, n, chunk int64, window int) (*rangeReader, error) {
	if off < 0 || chunk < 1 || window < 1 {
		return nil, s.errorf(opGet.verb, key, nil, "offset %d, chunks of %d bytes and a window of %d make no range", off, chunk, window)
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &rangeReader{s: s, ctx: ctx, cancel: cancel, free: make(chan struct{}, window), queue: make(chan chan fetched, window), left: n}
	if n == 0 {
		close(r.queue)
		return r, nil
	}
	sp := span{key: key, etag: etag, pinned: etag != "", off: off, n: chunk, open: n < 0, total: -1}
	if n > 0 {
		sp.n = min(n, chunk)
	}
	r.free <- struct{}{}
	if n > chunk && etag != "" { // version and end are known
		r.queue <- r.fetch(sp)
		r.g.Go(func() error { return r.feed(sp, off+chunk, off+n, chunk) })
		r.next()
		return r.opened()
	}
	p := r.fetchNow(&sp)
	if r.err = p.err; r.err != nil {
		close(r.queue)
		return r.opened()
	}
	r.cur, r.rest = p.buf, p.buf
	end := off + n
	if n < 0 {
		end = sp.total
		r.left = end - off
	}
	if off+sp.n == end {
		close(r.queue)
		return r, nil
	}
	r.g.Go(func() error { return r.feed(sp, off+sp.n, end, chunk) })
	return r, nil
}

// rangeReader returns chunks in order while others are being fetched. A token in
// free stands for the memory of one chunk.
type rangeReader struct {
	s      *Store
	ctx    context.Context // ends at Close
	cancel func()
	g      errgroup.Group

	free  chan struct{}
	queue chan chan fetched // closed after the last one

	cur, rest []byte // the chunk being read, and what is left of it
	left      int64  // bytes of the whole range not yet read
	err       error
}

// fetched is a chunk that has been fetched, or the error of the fetch.
type fetched struct {
	buf []byte
	err error
}

// opened returns the reader, or closes it and returns its error.
func (r *rangeReader) opened() (*rangeReader, error) {
	if r.err != nil {
		_ = r.Close() // always nil
		return nil, r.err
	}
	return r, nil
}

// feed starts the fetches of the chunks in [off, end) when memory is free.
func (r *rangeReader) feed(sp span, off, end, chunk int64) error {
	defer close(r.queue)
	for off < end {
		select {
		case r.free <- struct{}{}:
		case <-r.ctx.Done():
			return nil
		}
		next := span{key: sp.key, etag: sp.etag, pinned: sp.pinned, off: off, n: min(chunk, end-off), total: sp.total}
		r.queue <- r.fetch(next) // does not block: queue is as long as free
		off += next.n
	}
	return nil
}

// fetch fetches a chunk in the background.
func (r *rangeReader) fetch(sp span) chan fetched {
	c := make(chan fetched, 1)
	r.g.Go(func() error {
		c <- r.fetchNow(&sp)
		return nil
	})
	return c
}

// fetchNow fetches a chunk.
func (r *rangeReader) fetchNow(sp *span) fetched {
	buf, err := r.s.fetch(r.ctx, sp)
	return fetched{buf: buf, err: err}
}

// next makes the next chunk the current one.
func (r *rangeReader) next() {
	if r.cur != nil {
		r.s.pool.put(r.cur)
		r.cur, r.rest = nil, nil
		<-r.free
	}
	c, ok := <-r.queue
	switch {
	case ok:
		p := <-c
		r.cur, r.rest, r.err = p.buf, p.buf, p.err
	case r.left > 0:
		r.err = context.Cause(r.ctx) // feed has ended early
	default:
		r.err = io.EOF
	}
}

// Peek returns the rest of the current chunk without copying it. It is valid
// until all of it is discarded or read, or until Close.
func (r *rangeReader) Peek() ([]byte, error) {
	for len(r.rest) == 0 && r.err == nil {
		r.next()
	}
	if r.err != nil {
		return nil, r.err
	}
	return r.rest, nil
}

// Discard moves past n bytes of what Peek has returned.
func (r *rangeReader) Discard(n int) error {
	r.rest = r.rest[n:]
	r.left -= int64(n)
	return nil
}

// WriteTo implements io.WriterTo, so that io.Copy needs no buffer.
func (r *rangeReader) WriteTo(w io.Writer) (n int64, err error) { return writeTo(r, w) }

// Read implements io.Reader.
func (r *rangeReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b, err := r.Peek()
	if err != nil {
		return 0, err
	}
	n := copy(p, b)
	return n, r.Discard(n)
}

// writeTo writes the whole stream.
func writeTo(r object.Stream, w io.Writer) (n int64, err error) {
	for {
		b, err := r.Peek()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		k, err := w.Write(b)
		n += int64(k)
		if err = errors.Join(err, r.Discard(k)); err != nil {
			return n, err
		}
	}
}

// Close ends the fetches and waits for them.
func (r *rangeReader) Close() error {
	r.cancel()
	_ = r.g.Wait() // the errors are in the chunks
	if r.cur != nil {
		r.s.pool.put(r.cur)
		r.cur, r.rest = nil, nil
	}
	for c := range r.queue {
		r.s.pool.put((<-c).buf)
	}
	if r.err == nil {
		r.err = errClosed
	}
	return nil
}
