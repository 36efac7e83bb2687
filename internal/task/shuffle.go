package task

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/mraws/mraws/internal/recordio"
)

// fetched is one partition of a committed map task, here.
type fetched struct {
	m    int // map task
	part part
	body io.ReaderAt
	off  int64 // in body
}

// source returns the segment's records, checked.
func (f *fetched) source(int) recordio.Source {
	body := io.NewSectionReader(f.body, f.off, f.part.size)
	return &checked{Reader: recordio.NewReader(body), from: f}
}

// weight is the memory of one reader; one of a small segment takes less.
func (f *fetched) weight() int64 {
	const fixed = 24 << 10
	raw := f.part.sum.Bytes + 10*f.part.sum.Records
	return min(recordio.ReaderMemory(recordio.Options{}, f.part.largest), fixed+f.part.size+raw)
}

// Close does nothing: all segments share a body.
func (f *fetched) Close() error { return nil }

// checked compares a segment at its end with its commit record, so that no
// output can be committed that was made of anything else.
type checked struct {
	*recordio.Reader
	from *fetched
	err  error
}

// Next advances to the next record.
func (c *checked) Next() bool {
	if c.err != nil {
		return false
	}
	if c.Reader.Next() {
		return true
	}
	sum, err := c.Reader.Summary()
	switch p := &c.from.part; {
	case err != nil:
		c.err = c.from.failed(err)
	case sum.Hash != p.hash || sum.Sum != p.sum:
		c.err = c.from.failed(fmt.Errorf("%w: %d records with SHA-256 %s are not the %d with %s that were committed",
			errOtherRecords, sum.Sum.Records, hex.EncodeToString(sum.Hash[:]), p.sum.Records, hex.EncodeToString(p.hash[:])))
	}
	return false
}

// errOtherRecords says that a segment is whole and not what was committed.
var errOtherRecords = errors.New("other records")

// Err returns what ended the segment early, naming its key.
func (c *checked) Err() error { return c.err }

func (f *fetched) failed(err error) error { return &SegmentError{Map: f.m, Key: f.part.key, Err: err} }

// shuffle is what a reduce attempt fetched: all segments that have records,
// in the order of the map tasks, in one block of memory or one file.
type shuffle struct {
	bucket   *bucket
	space    *space
	shares   shares
	segments []*fetched
	raw      int64 // of their keys and values, bytes
	file     *tempFile
	block    []byte // in place of file
}

// Close frees the file, if any, and leaves the block to the next attempt.
func (s *shuffle) Close() error {
	if s.space.spare != nil && s.block != nil {
		s.space.spare.block, s.block = s.block, nil
	}
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// fetch fetches parts, the same partition of every map task. Empty ones have
// nothing to fetch.
func (s *shuffle) fetch(ctx context.Context, parts []part) (err error) {
	total := int64(0)
	for m, p := range parts {
		if p.sum.Records > 0 {
			s.segments = append(s.segments, &fetched{m: m, part: p, off: total})
			total += p.size
			s.raw += p.sum.Bytes
		}
	}
	var body interface {
		io.ReaderAt
		io.WriterAt
	}
	if total <= s.shares.segments {
		s.block = s.space.spare.bytes(total)
		body = &block{data: s.block}
	} else if s.file, err = s.space.file("shuffle"); err != nil {
		return err
	} else {
		body = s.file
	}
	return s.fetchTo(ctx, body)
}

// fetchTo fetches the segments to their places in body, in chunks, several at a
// time within a window of bytes.
func (s *shuffle) fetchTo(ctx context.Context, body interface {
	io.ReaderAt
	io.WriterAt
}) error {
	total := int64(0)
	for _, f := range s.segments {
		total += f.part.size
	}
	chunk := s.shares.chunkOf(total)
	room := semaphore.NewWeighted(s.shares.window)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(requests)
	for _, f := range s.segments {
		f.body = body
		for off := int64(0); off < f.part.size; off += chunk {
			n := min(chunk, f.part.size-off)
			if err := room.Acquire(ctx, n); err != nil {
				return errors.Join(g.Wait(), err)
			}
			g.Go(func() error {
				defer room.Release(n)
				return f.fetch(ctx, s.bucket.store, off, n, body)
			})
		}
	}
	return g.Wait()
}

// fetch fetches the bytes [off, off+n) of a segment by one request.
func (f *fetched) fetch(ctx context.Context, store Store, off, n int64, to io.WriterAt) error {
	r, err := store.Stream(ctx, f.part.key, f.part.etag, f.part.off+off, n)
	if err != nil {
		return f.failed(err)
	}
	w := io.NewOffsetWriter(to, f.off+off)
	m, err := r.WriteTo(w)
	if err == nil && m != n {
		err = fmt.Errorf("got %d of %d bytes: %w", m, n, io.ErrUnexpectedEOF)
	}
	if err = errors.Join(err, r.Close()); err != nil {
		return f.failed(err)
	}
	return nil
}

// block is memory as a file of fixed size.
type block struct{ data []byte }

// ReadAt reads from the block.
func (b *block) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(b.data).ReadAt(p, off)
}

// WriteAt writes within the block.
func (b *block) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off > int64(len(b.data)) {
		return 0, io.ErrShortWrite
	}
	n := copy(b.data[off:], p)
	if n < len(p) {
		return n, io.ErrShortWrite
	}
	return n, nil
}
