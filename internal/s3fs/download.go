package s3fs

import (
	"context"
	"errors"
	"io"

	"golang.org/x/sync/errgroup"
)

// downloadWindow is the number of ranges of one download in flight.
const downloadWindow = 8

// copyBuffer is the size of the buffer between a body and a file, in bytes.
const copyBuffer = 256 << 10

var errClosed = errors.New("read after Close")

// Download writes the n bytes of the object from off on, or all that follow
// if n < 0, to dst, the first of them at offset 0, by parallel ranged reads
// of PartSize. Versions and errors are as of [Store.OpenRange]; after an
// error dst holds any part of the bytes.
func (s *Store) Download(ctx context.Context, key, etag string, dst io.WriterAt, off, n int64) error {
	if off < 0 {
		return s.errorf(opGet.verb, key, nil, "offset %d is negative", off)
	}
	if n == 0 {
		return nil
	}
	part, at, end := s.o.PartSize, off, off+n
	sp := span{key: key, etag: etag, off: off, n: part, open: n < 0, total: -1}
	if n > 0 {
		sp.n = min(n, part)
	}
	if n < 0 || etag == "" || n <= part {
		if err := s.fetch(ctx, &sp, fileSink(dst, 0)); err != nil {
			return err
		}
		at += sp.n
		if n < 0 {
			end = sp.total
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(downloadWindow)
	for ; at < end && ctx.Err() == nil; at += part {
		next := span{key: key, etag: sp.etag, off: at, n: min(part, end-at), total: sp.total}
		g.Go(func() error { return s.fetch(ctx, &next, fileSink(dst, next.off-off)) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if at < end {
		return s.fail(opGet, key, nil, nil, context.Cause(ctx))
	}
	return nil
}

// fileSink writes a span to dst, its first byte at base.
func fileSink(dst io.WriterAt, base int64) sink {
	return func(body io.Reader, at, n int64) (int64, error) {
		buf := make([]byte, min(n, copyBuffer))
		done := int64(0)
		for done < n {
			k, err := body.Read(buf[:min(int64(len(buf)), n-done)])
			if k > 0 {
				if _, werr := dst.WriteAt(buf[:k], base+at+done); werr != nil {
					return done, &finalError{werr}
				}
				done += int64(k)
			}
			if err == io.EOF && done == n {
				break
			}
			if err != nil {
				return done, err
			}
		}
		return done, nil
	}
}
