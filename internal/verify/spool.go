package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/scratch"
)

// A stream of the store fetches so many chunks ahead of its reader.
const chunks = 4

// chunk is how large they are, in bytes.
func (o Options) chunk() int64 { return max(min(o.Memory/64, 8<<20), 64<<10) }

// stream opens n bytes (n < 0: all) of an object from off on.
func (a *audit) stream(ctx context.Context, key, etag string, off, n int64) (io.ReadCloser, error) {
	return a.store.OpenChunks(ctx, key, etag, off, n, a.opt.chunk(), chunks)
}

// span is a range of bytes of a spool.
type span struct{ off, n int64 }

// spool holds the segments of one partition, in memory while they are small
// and else in a temporary file, so that a merge of thousands of segments
// needs neither thousands of open requests nor their buffers.
type spool struct {
	mem   []byte
	file  *scratch.File // nil while in memory
	spans []span        // [m]
}

// newSpool makes room for segments of the given sizes.
func newSpool(dir string, sizes []int64, inMemory int64) (*spool, error) {
	sp := &spool{spans: make([]span, len(sizes))}
	var total int64
	for i, n := range sizes {
		sp.spans[i] = span{total, n}
		total += n
	}
	if total <= inMemory {
		sp.mem = make([]byte, total)
		return sp, nil
	}
	f, err := newTemp(dir)
	if err != nil {
		return nil, fmt.Errorf("spool intermediate data: %w", err)
	}
	sp.file = f
	return sp, nil
}

// put copies segment i from r, which must give its size in bytes.
func (sp *spool) put(i int, r io.Reader) error {
	s := sp.spans[i]
	if sp.file == nil {
		_, err := io.ReadFull(r, sp.mem[s.off:s.off+s.n])
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	n, err := io.Copy(io.NewOffsetWriter(sp.file, s.off), io.LimitReader(r, s.n))
	if err == nil && n < s.n {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// open returns a reader of segment i.
func (sp *spool) open(i int) io.Reader {
	s := sp.spans[i]
	if sp.file == nil {
		return bytes.NewReader(sp.mem[s.off : s.off+s.n])
	}
	return io.NewSectionReader(sp.file, s.off, s.n)
}

// close frees what the spool holds.
func (sp *spool) close() { dropFile(sp.file) }

// newTemp makes a file in dir, "" for the system's, that goes with the process.
func newTemp(dir string) (*scratch.File, error) {
	if dir == "" {
		dir = os.TempDir()
	}
	return scratch.Create(dir, "mraws-verify-*")
}

// dropFile frees a temporary file.
func dropFile(f *scratch.File) {
	if f != nil {
		_ = f.Close() // nothing of it is needed any more
	}
}

// faultOf tells which kind of finding an error of the store is, "" if it is
// none: an object that is damaged, or no longer what the listing said.
func faultOf(err error) Kind {
	switch {
	case errors.Is(err, object.ErrDamaged):
		return Corrupt
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, object.ErrPrecondition):
		return Replaced
	}
	return ""
}

// fetch fills the spool with the segments of partition r. A segment that is
// damaged, or no longer what was listed, is a finding.
func (a *audit) fetch(ctx context.Context, r int, sp *spool, find *finder) error {
	gone := make([]error, len(a.maps))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(max(1, a.opt.Concurrency/workers()))
	for m := range a.maps {
		if !a.readable(m, r) || gctx.Err() != nil {
			continue
		}
		g.Go(func() error {
			err := a.fetchOne(gctx, a.segKey(m, r), a.obj(m, r).etag, m, r, func(body io.Reader) error { return sp.put(m, body) })
			if faultOf(err) != "" {
				gone[m], err = err, nil
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for m, err := range gone {
		if err != nil {
			a.seg(m, r).gone = true
			find.add(faultOf(err), a.segKey(m, r), "%s%v", a.which(m, r), err)
		}
	}
	return context.Cause(ctx)
}

// length is how many bytes a segment that is readable has: those of its
// object, unless it is packed.
func (c *committed) length(m, r int) int64 {
	if c.packed() {
		return c.seg(m, r).size
	}
	return c.obj(m, r).size
}

// fetchOne streams one segment to f, from the version etag of the object key,
// within the memory account.
func (a *audit) fetchOne(ctx context.Context, key, etag string, m, r int, f func(io.Reader) error) (err error) {
	weight := min(a.length(m, r), chunks*a.opt.chunk(), a.opt.Memory/2)
	if err := a.streams.Acquire(ctx, weight); err != nil {
		return err
	}
	defer a.streams.Release(weight)
	off, n := a.seg(m, r).off, int64(-1) // of a whole object the store may know a checksum
	if a.packed() {
		n = a.length(m, r)
	}
	body, err := a.stream(ctx, key, etag, off, n)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	if err := f(body); err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	return nil
}
