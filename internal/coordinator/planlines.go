package coordinator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/manifest"
)

// A job may have a fixed number of lines in each map task. Where those end is in the
// bytes alone, so its coordinator reads the input, once: what it has found stands in
// the job's spec.

const (
	// lineReaders bounds the objects that are read side by side, and cutChunk and
	// cutWindow what is held of each: 32 MiB in all.
	lineReaders = 4
	cutChunk    = 4 << 20
	cutWindow   = 2
	// mostLineTasks bounds the tasks of such a job, whose spec takes some 60 bytes for
	// each.
	mostLineTasks = 1 << 20
)

// CheckNames returns the error with which Run would refuse input of these names, for a
// caller that has not uploaded it yet.
func (c *Coordinator) CheckNames(names []string) error {
	app := c.expected(manifest.Spec{})
	n := app.LinesPerTask()
	for _, name := range names {
		if n > 0 && c.compression(app.InputFormat(), name) != "" {
			return compressedLines(name, n)
		}
	}
	return nil
}

// compressedLines says that an object cannot be cut behind each n lines.
func compressedLines(name string, n int64) error {
	return fmt.Errorf("%w behind each %d lines: %s", ErrCompressedLines, n, name)
}

// planLines makes a map task of each n lines of an object, and of those that are left
// at its end. An empty object is a task as well.
func (c *Coordinator) planLines(ctx context.Context, objects []manifest.Object, n int64) ([][]manifest.Piece, error) {
	total := int64(0)
	for i := range objects {
		o := &objects[i]
		if c.o.Decompress != (manifest.Decompress{}) && o.Size > 0 {
			kind, err := c.kindOf(ctx, *o)
			if err != nil {
				return nil, err
			}
			o.Compression = kind
		}
		if o.Compression != "" {
			return nil, compressedLines(o.Name, n)
		}
		total += o.Size
	}
	c.o.Log.Info().Int("objects", len(objects)).Int64("bytes", total).Int64("lines_per_task", n).Msg("reading the input to cut it into tasks")
	cuts := make([][]int64, len(objects)) // where a task begins, but for the first of an object
	var tasks atomic.Int64
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(lineReaders)
	for i, o := range objects {
		g.Go(func() error {
			err := c.cutObject(gctx, o, n, func(at int64) error {
				cuts[i] = append(cuts[i], at)
				if tasks.Add(1)+int64(len(objects)) > mostLineTasks {
					return fmt.Errorf("%w: more than %d of %d lines each", ErrManyLineTasks, mostLineTasks, n)
				}
				return nil
			})
			if err != nil && !errors.Is(err, ErrManyLineTasks) {
				err = fmt.Errorf("cut %s behind each %d lines: %w", o.Name, n, err)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var all [][]manifest.Piece
	for i, o := range objects {
		from := int64(0)
		for _, at := range append(cuts[i], o.Size) {
			all = append(all, []manifest.Piece{{Object: i, Offset: from, Length: at - from}})
			from = at
		}
	}
	return all, nil
}

// cutObject calls cut with each place behind n lines at which more of the object
// follows.
func (c *Coordinator) cutObject(ctx context.Context, o manifest.Object, n int64, cut func(at int64) error) (err error) {
	if o.Size == 0 {
		return nil
	}
	from, _, err := c.lister(ctx, o.Bucket)
	if err != nil {
		return err
	}
	body, err := from.OpenChunks(ctx, o.In(c.o.Layout), o.ETag, 0, o.Size, min(cutChunk, o.Size), cutWindow)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	return cutLines(body, o.Size, n, cut)
}

// cutLines calls cut with each place in the size bytes of r that is behind n lines, but
// for their end.
func cutLines(r io.Reader, size, n int64, cut func(at int64) error) error {
	buf := make([]byte, 256<<10)
	at, left := int64(0), n // of the next byte; lines until the next cut
	for at < size {
		m, err := r.Read(buf[:min(int64(len(buf)), size-at)])
		b := buf[:m]
		lines := int64(bytes.Count(b, newline))
		for lines >= left {
			lines -= left
			for ; left > 0; left-- {
				i := bytes.IndexByte(b, '\n') + 1
				at, b = at+int64(i), b[i:]
			}
			if left = n; at < size {
				if err := cut(at); err != nil {
					return err
				}
			}
		}
		at, left = at+int64(len(b)), left-lines
		switch {
		case errors.Is(err, io.EOF) && at < size:
			return io.ErrUnexpectedEOF
		case err != nil && !errors.Is(err, io.EOF):
			return err
		}
	}
	return nil
}

var newline = []byte{'\n'}
