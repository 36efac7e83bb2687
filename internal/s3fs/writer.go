package s3fs

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"golang.org/x/sync/errgroup"
)

// Create returns a writer of one object. It sends the object by one PutObject in
// Commit, or in parts while it is written, by the sizes of [Store.Cut]. It holds
// the part being written and at most four parts in flight. The caller must call
// exactly one of Commit and Abort, and ctx must live until then.
func (s *Store) Create(ctx context.Context, key string, o PutOptions) (Writer, error) {
	if err := s.checkPut(opPut.verb, key, o); err != nil {
		return nil, err
	}
	w := &writer{s: s, key: key, o: o, ctx: ctx}
	w.part, w.whole = s.Cut(o)
	w.gctx, w.cancel = context.WithCancel(ctx)
	w.g, w.gctx = errgroup.WithContext(w.gctx)
	w.g.SetLimit(partWindow)
	return w, nil
}

// writer is a [Writer]. It keeps the context of Create, since io.Writer has
// no place for one.
type writer struct {
	s   *Store
	key string
	o   PutOptions

	part  int64 // size of the first parts
	whole int64 // maximum size of an object that is sent in one request

	ctx    context.Context
	gctx   context.Context // of the parts in flight
	cancel func()
	g      *errgroup.Group

	held [][]byte // full parts that may still be sent in one request
	crc  uint32   // CRC32C of held and buf, for a server on this machine
	buf  []byte   // the part being written
	u    *upload
	n    int32 // parts sent so far
	lost error // of the first part that could not be started; the object has a gap
	done bool
}

// castagnoli is the polynomial of CRC32C.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errWriterDone = errors.New("write after Commit or Abort")

// partsPerStep is the number of parts of the same size. The part size grows by
// the first part size each step, so that 10,000 parts from 8 MiB on hold 430 GiB.
const partsPerStep = 1000

// limit returns the size of the part being written.
func (w *writer) limit() int { return int(w.part) * (1 + int(w.n)/partsPerStep) }

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	if w.done {
		return 0, w.s.errorf(opPut.verb, w.key, nil, "%w", errWriterDone)
	}
	written := 0
	for len(p) > 0 {
		if len(w.buf) == w.limit() {
			if w.lost == nil {
				w.lost = w.next()
			}
			if w.lost != nil {
				return written, w.lost
			}
		}
		k := min(len(p), w.limit()-len(w.buf))
		if w.buf == nil && (w.u != nil || w.held != nil || k == w.limit() || w.o.Expect >= w.part) {
			w.buf = w.s.pool.get(int64(w.limit()))[:0]
		}
		w.buf = append(w.buf, p[:k]...)
		if w.u == nil && w.s.onThisMachine() {
			w.crc = crc32.Update(w.crc, castagnoli, p[:k])
		}
		p, written = p[k:], written+k
	}
	return written, nil
}

// gathered is the number of bytes in held and buf.
func (w *writer) gathered() int64 { return int64(len(w.held))*w.part + int64(len(w.buf)) }

// next starts another part after a full one.
func (w *writer) next() error {
	if w.u == nil && w.gathered() < w.whole {
		w.held, w.buf = append(w.held, w.buf), nil
		return nil
	}
	return w.flushAll()
}

// flushAll sends held and buf as parts.
func (w *writer) flushAll() error {
	last := w.buf
	for len(w.held) > 0 {
		w.buf, w.held = w.held[0], w.held[1:]
		if err := w.flush(); err != nil {
			return err
		}
	}
	w.buf = last
	if len(w.buf) == 0 {
		return nil
	}
	return w.flush()
}

// flush sends the buffer as a part in the background.
func (w *writer) flush() error {
	if w.u == nil {
		u, err := w.s.beginUpload(w.gctx, w.key, w.o)
		if err != nil {
			return err
		}
		w.u = u
	}
	if w.gctx.Err() != nil { // a part failed, and wait returns its error
		return w.s.fail(opPart, w.key, nil, ErrPrecondition, w.wait())
	}
	w.n++
	n, buf, u := w.n, w.buf, w.u
	w.buf = nil
	w.g.Go(func() error {
		defer w.s.pool.put(buf)
		return u.part(w.gctx, n, bytes.NewReader(buf), int64(len(buf)))
	})
	return nil
}

// wait returns the first error of a part, or that of the context.
func (w *writer) wait() error {
	if err := w.g.Wait(); err != nil {
		return err
	}
	return context.Cause(w.ctx)
}

// Commit implements Writer.
func (w *writer) Commit(ctx context.Context) (Object, error) {
	if w.done {
		return Object{}, w.s.errorf(opPut.verb, w.key, nil, "%w", errWriterDone)
	}
	if size := w.gathered(); w.u == nil && size <= w.whole && w.lost == nil {
		w.done = true
		w.cancel()
		defer w.release()
		return w.s.putOne(ctx, w.key, io.NewSectionReader(w, 0, size), size, w.sum(), w.o)
	}
	err := w.lost
	if err == nil {
		err = w.flushAll()
	}
	if err == nil {
		err = w.wait()
	}
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return Object{}, errors.Join(w.s.fail(opPart, w.key, nil, ErrPrecondition, err), w.Abort())
	}
	w.done = true
	w.cancel()
	return w.u.complete(ctx)
}

// sum is the checksum of held and buf, computed while the bytes were in the
// caches. The SDK would read all bytes once more before it sends them. Nil
// leaves the checksum to the SDK.
func (w *writer) sum() *string {
	if !w.s.onThisMachine() {
		return nil
	}
	return aws.String(base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, w.crc)))
}

// ReadAt reads from held and buf.
func (w *writer) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		if off >= w.gathered() {
			return n, io.EOF
		}
		from := w.buf
		if i := off / w.part; i < int64(len(w.held)) {
			from = w.held[i]
		}
		k := copy(p[n:], from[off%w.part:])
		n, off = n+k, off+int64(k)
	}
	return n, nil
}

// release returns the buffers to the pool.
func (w *writer) release() {
	for _, b := range append(w.held, w.buf) {
		w.s.pool.put(b)
	}
	w.held, w.buf = nil, nil
}

// Abort implements Writer. After Commit it does nothing.
func (w *writer) Abort() error {
	if w.done {
		return nil
	}
	w.done = true
	w.cancel()
	w.release()
	_ = w.g.Wait() // the parts are removed, so their errors do not matter
	if w.u == nil {
		return nil
	}
	return w.u.abort(w.ctx)
}
