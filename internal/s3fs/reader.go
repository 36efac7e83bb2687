package s3fs

import (
	"context"
	"errors"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/object"
)

// readWindow is the number of chunks that OpenRange holds at most.
const readWindow = 4

// OpenRange returns a stream of the n bytes from off on, or of all that
// follow if n < 0. It fetches chunks of PartSize ahead, in parallel, and
// holds at most four of them and never more than n bytes; a span of one
// chunk is one request. All of the stream is of one version of the object:
// that of etag, else that which the first request met. If the object is or
// becomes another the error, here or in Read, wraps ErrPrecondition. A span
// that reaches past the end of the object is an error that wraps
// io.ErrUnexpectedEOF; io.EOF says that all bytes have been read. The first
// chunk has been fetched when OpenRange returns.
func (s *Store) OpenRange(ctx context.Context, key, etag string, off, n int64) (io.ReadCloser, error) {
	return s.OpenChunks(ctx, key, etag, off, n, s.o.PartSize, readWindow)
}

// OpenChunks is OpenRange with chunks of another size and number: it holds
// at most chunk*window bytes. A merge of many streams divides its memory
// among them by it. A range of one chunk from a store that is near is asked
// for when it is first read, see Options.Near.
func (s *Store) OpenChunks(ctx context.Context, key, etag string, off, n, chunk int64, window int) (io.ReadCloser, error) {
	if off < 0 || chunk < 1 || window < 1 {
		return nil, s.errorf(opGet.verb, key, nil, "offset %d, chunks of %d bytes and a window of %d make no range", off, chunk, window)
	}
	if s.o.Near && window == 1 && etag != "" && n >= object.DirectFrom && n <= chunk {
		return s.direct(ctx, span{key: key, etag: etag, pinned: true, off: off, n: n, total: -1}), nil
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &rangeReader{s: s, ctx: ctx, cancel: cancel, free: make(chan struct{}, window), queue: make(chan chan piece, window), left: n}
	if n == 0 {
		close(r.queue)
		return r, nil
	}
	sp := span{key: key, etag: etag, pinned: etag != "", off: off, n: chunk, open: n < 0, total: -1}
	if n > 0 {
		sp.n = min(n, chunk)
	}
	r.free <- struct{}{}
	if n > chunk && etag != "" { // nothing to learn from the first chunk
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

// rangeReader hands out chunks in order while others are being fetched. A
// token in free stands for the memory of one chunk.
type rangeReader struct {
	s      *Store
	ctx    context.Context // ends at Close
	cancel func()
	g      errgroup.Group

	free  chan struct{}
	queue chan chan piece // closed behind the last

	cur, rest []byte // the chunk being read, and what is left of it
	left      int64  // bytes of the whole range not yet read
	err       error
}

// piece is a chunk that has been fetched, or why not.
type piece struct {
	buf []byte
	err error
}

// opened is what OpenChunks returns once the first chunk is known.
func (r *rangeReader) opened() (io.ReadCloser, error) {
	if r.err != nil {
		_ = r.Close() // which has nothing to say
		return nil, r.err
	}
	return r, nil
}

// feed starts the fetches of the chunks in [off, end) as memory allows.
func (r *rangeReader) feed(sp span, off, end, chunk int64) error {
	defer close(r.queue)
	for off < end {
		select {
		case r.free <- struct{}{}:
		case <-r.ctx.Done():
			return nil
		}
		next := span{key: sp.key, etag: sp.etag, pinned: sp.pinned, off: off, n: min(chunk, end-off), total: sp.total}
		r.queue <- r.fetch(next) // has room: it is as long as free
		off += next.n
	}
	return nil
}

// fetch fetches a chunk in the background.
func (r *rangeReader) fetch(sp span) chan piece {
	c := make(chan piece, 1)
	r.g.Go(func() error {
		c <- r.fetchNow(&sp)
		return nil
	})
	return c
}

// fetchNow fetches a chunk.
func (r *rangeReader) fetchNow(sp *span) piece {
	var buf []byte
	err := r.s.fetch(r.ctx, sp, func(body io.Reader, at, n int64) (int64, error) {
		if buf == nil {
			buf = r.s.pool.get(n)
		}
		k, err := io.ReadFull(body, buf[at:at+n])
		return int64(k), err
	})
	if err != nil {
		r.s.pool.put(buf)
		return piece{err: err}
	}
	return piece{buf: buf}
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
		r.err = context.Cause(r.ctx) // feed has given up
	default:
		r.err = io.EOF
	}
}

// Peek returns what is left of the current chunk, where it lies: valid until
// all of it was discarded or read, or Close.
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

// Read implements io.Reader.
func (r *rangeReader) Read(p []byte) (int, error) { return readFrom(r, p) }

// WriteTo implements io.WriterTo, so that io.Copy needs no buffer.
func (r *rangeReader) WriteTo(w io.Writer) (n int64, err error) { return writeTo(r, w) }

// peeker shows its bytes where they lie.
type peeker interface {
	Peek() ([]byte, error)
	Discard(n int) error
}

// readFrom reads what r has at hand.
func readFrom(r peeker, p []byte) (int, error) {
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

// writeTo writes all that r has.
func writeTo(r peeker, w io.Writer) (n int64, err error) {
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
	_ = r.g.Wait() // the errors are in the pieces
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
