package s3fs

import (
	"context"
	"fmt"
	"io"
)

// A directReader reads a range from the connection when its caller asks for
// bytes. It reads views of 256 KiB, which stay in the processor's cache until
// the caller has used them. A server on the same machine is as fast as its
// reader, so fetching ahead gains nothing, and writing each byte to main memory
// and reading it back would cost as much as its transport.
//
// A caller may keep a view for long, and may send another request before it
// asks for more. So the request does not count as in flight once its reply has
// arrived, except under WriteTo.
type directReader struct {
	s        *Store
	ctx      context.Context // ends at Close
	cancel   func()
	b        *tryBudget
	sp       span
	got      int64         // bytes of the span that have been read
	body     io.ReadCloser // of the reply that is being read, or nil
	received int64         // bytes read from body
	view     *[]byte       // from Store.views, or nil
	rest     []byte        // part of view that the caller has not used
	copying  bool          // WriteTo is reading
	err      error
}

// viewSize is the size of a view in bytes.
const viewSize = 256 << 10

// newView makes an element of Store.views.
func newView() any {
	v := make([]byte, viewSize)
	return &v
}

// openDirect returns a reader of a span of known version and length. It sends
// no request before the first read.
func (s *Store) openDirect(ctx context.Context, sp span) *directReader {
	ctx, cancel := context.WithCancel(ctx)
	return &directReader{s: s, ctx: ctx, cancel: cancel, sp: sp}
}

// Peek returns the rest of the view without copying it. It is valid until it
// is discarded or read, or until Close.
func (r *directReader) Peek() ([]byte, error) {
	for len(r.rest) == 0 && r.err == nil {
		r.fill()
	}
	if r.err != nil {
		return nil, r.err
	}
	return r.rest, nil
}

// fill reads the next view. It resumes a broken body as [Store.fetch] does.
func (r *directReader) fill() {
	if r.got == r.sp.n {
		r.err = io.EOF
		return
	}
	k, err := r.read()
	r.got += int64(k)
	r.received += int64(k)
	r.rest = (*r.view)[:k]
	if err == nil && r.got == r.sp.n {
		if err = wantEOF(r.body); err != nil { // the caller has used damaged bytes: no retry
			err = &finalError{fmt.Errorf("check body: %w", err)}
		}
		r.closeBody()
	}
	if err == nil {
		return
	}
	switch elapsed := r.s.o.MaxElapsed; {
	case r.received >= r.s.o.PartSize:
		r.b.refund(elapsed)
	case r.received > 0: // the caller decides when it reads, so its time does not count
		r.b.extend(elapsed)
	}
	r.closeBody()
	if !r.s.again(r.ctx, r.b, err) {
		r.rest, r.err = nil, r.s.fail(opGet, r.sp.key, r.b, ErrPrecondition, err)
	}
}

// read reads at least half a view from the connection.
func (r *directReader) read() (int, error) {
	if r.view == nil {
		r.view = r.s.views.Get().(*[]byte)
	}
	if r.body == nil {
		var err error
		if r.b == nil {
			r.ctx, r.b = r.s.begin(r.ctx)
		}
		if r.body, err = r.s.request(r.ctx, &r.sp, r.got); err != nil {
			r.body = nil
			return 0, err
		}
		if !r.copying {
			r.b.releaseSlot()
		}
	}
	want := int(min(viewSize, r.sp.n-r.got))
	k, err := io.ReadAtLeast(r.body, (*r.view)[:want], (want+1)/2)
	if err != nil {
		err = shortBody(err)
	}
	return k, err
}

// closeBody ends the request, if there is one.
func (r *directReader) closeBody() {
	if r.body != nil {
		_ = r.body.Close() // its reads have returned its errors
	}
	r.body, r.received = nil, 0
}

// Discard moves past n bytes of what Peek has returned.
func (r *directReader) Discard(n int) error {
	r.rest = r.rest[n:]
	return nil
}

// WriteTo implements io.WriterTo.
func (r *directReader) WriteTo(w io.Writer) (n int64, err error) {
	r.copying = true
	return writeTo(r, w)
}

// Close ends the request.
func (r *directReader) Close() error {
	r.cancel()
	r.closeBody()
	if r.view != nil {
		r.s.views.Put(r.view)
		r.view, r.rest = nil, nil
	}
	if r.err == nil {
		r.err = errClosed
	}
	return nil
}
