package s3fs

import (
	"context"
	"fmt"
	"io"
)

// A directReader reads a range from the connection as its caller asks, in
// pieces that stay in the processor's cache from the copy out of the kernel
// until the caller has used them. A server on the same machine is as fast as
// its reader; nothing is gained by fetching ahead, and the way of each byte to
// main memory and back costs as much as its transport.
//
// Bytes that a caller looks at may stay with it for long, and it may need
// another request before it asks for more. So the request is none of those in
// flight from the moment that its reply has come, except under WriteTo.
type directReader struct {
	s      *Store
	ctx    context.Context // ends at Close
	cancel func()
	b      *budget
	sp     span
	got    int64         // bytes that the store has given
	body   io.ReadCloser // the reply that brings the next ones, or nil
	brings int64         // bytes that it brought
	view   *[]byte       // from Store.views, or nil
	rest   []byte        // of view: what the caller has not used
	moves  bool          // the caller only moves the bytes on
	err    error
}

// viewSize is the bytes of a piece.
const viewSize = 256 << 10

// newView makes what Store.views keeps.
func newView() any {
	v := make([]byte, viewSize)
	return &v
}

// openDirect returns a reader of a span of known version and length. It asks
// for nothing before it is read.
func (s *Store) openDirect(ctx context.Context, sp span) *directReader {
	ctx, cancel := context.WithCancel(ctx)
	return &directReader{s: s, ctx: ctx, cancel: cancel, sp: sp}
}

// Peek returns bytes where they lie: valid until they were discarded or read,
// or Close.
func (r *directReader) Peek() ([]byte, error) {
	for len(r.rest) == 0 && r.err == nil {
		r.fill()
	}
	if r.err != nil {
		return nil, r.err
	}
	return r.rest, nil
}

// fill reads the next view. A body that breaks is resumed where it broke, as
// by [Store.fetch].
func (r *directReader) fill() {
	if r.got == r.sp.n {
		r.err = io.EOF
		return
	}
	k, err := r.read()
	r.got += int64(k)
	r.brings += int64(k)
	r.rest = (*r.view)[:k]
	if err == nil && r.got == r.sp.n {
		if err = wantEOF(r.body); err != nil { // what came was not what is there, and is used already
			err = &finalError{fmt.Errorf("check body: %w", err)}
		}
		r.hangUp()
	}
	if err == nil {
		return
	}
	switch elapsed := r.s.o.MaxElapsed; {
	case r.brings >= r.s.o.PartSize:
		r.b.giveBack(elapsed)
	case r.brings > 0: // since when is the reader's affair
		r.b.extend(elapsed)
	}
	r.hangUp()
	if !r.s.again(r.ctx, r.b, err) {
		r.rest, r.err = nil, r.s.fail(opGet, r.sp.key, r.b, ErrPrecondition, err)
	}
}

// read reads into the view what the connection has, once it has half of it.
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
		if !r.moves {
			r.b.giveSlot()
		}
	}
	want := int(min(viewSize, r.sp.n-r.got))
	k, err := io.ReadAtLeast(r.body, (*r.view)[:want], (want+1)/2)
	if err != nil {
		err = shortBody(err)
	}
	return k, err
}

// hangUp ends the request, if there is one.
func (r *directReader) hangUp() {
	if r.body != nil {
		_ = r.body.Close() // what it had to say its reads have said
	}
	r.body, r.brings = nil, 0
}

// Discard moves past n bytes of what Peek has returned.
func (r *directReader) Discard(n int) error {
	r.rest = r.rest[n:]
	return nil
}

// WriteTo implements io.WriterTo.
func (r *directReader) WriteTo(w io.Writer) (n int64, err error) {
	r.moves = true
	return writeTo(r, w)
}

// Close ends the request.
func (r *directReader) Close() error {
	r.cancel()
	r.hangUp()
	if r.view != nil {
		r.s.views.Put(r.view)
		r.view, r.rest = nil, nil
	}
	if r.err == nil {
		r.err = errClosed
	}
	return nil
}
