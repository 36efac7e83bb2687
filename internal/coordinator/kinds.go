package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"strings"
	"sync"

	"github.com/dustin/go-humanize"
	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/decompress"
	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/manifest"
)

// Whether an object is compressed its first bytes tell. Of one that is a single
// piece whoever reads it looks at them, which costs nothing. One that may be cut is
// looked at here, by one small request; so is one whose size is none of its format.

// frameProbe is how much of a zstd object is walked to see whether its first frame
// ends, bytes. pzstd makes frames of 8 MiB before compression at its usual level.
const frameProbe = 16 << 20

// detect looks at the objects that weigh more than a split: it notes how they are
// compressed, and returns those that cannot be cut all the same. An archive, or what
// nobody here can read, is an error.
func (c *Coordinator) detect(ctx context.Context, format input.Format, objects []manifest.Object) (map[string]bool, error) {
	if !c.decompresses(format) {
		return nil, nil
	}
	var mu sync.Mutex
	whole := map[string]bool{}
	denied := 0
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for i := range objects {
		o := &objects[i]
		unfit := o.Compression == "" && format.Check(o.Size) != nil // unless it is compressed
		if o.Weight(format, o.Size) <= c.o.SplitSize && !unfit {
			continue
		}
		if c.o.Expected != nil && o.Bucket == "" { // it is not there yet
			whole[o.Name] = o.Compression != "" && (!o.Compression.Splits() || !format.Resumes())
			continue
		}
		g.Go(func() error {
			kind, err := c.kindOf(gctx, *o)
			several := true
			if err == nil && kind == manifest.Zstd && format.Resumes() {
				several, err = c.severalFrames(gctx, *o)
			}
			mu.Lock()
			defer mu.Unlock()
			if errors.Is(err, fs.ErrPermission) { // as its name says, then
				denied++
				whole[o.Name] = o.Compression != ""
				return nil
			}
			o.Compression = kind
			whole[o.Name] = kind != "" && (!kind.Splits() || !format.Resumes() || !several)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	maps.DeleteFunc(whole, func(_ string, yes bool) bool { return !yes })
	if denied > 0 {
		c.o.Log.Warn().Int("objects", denied).Msg("the coordinator may not read the input: large objects are taken for compressed if their names say so")
	}
	c.warnOfWhole(format, objects, whole)
	return whole, nil
}

// mostNamed bounds the objects that a warning names.
const mostNamed = 3

// warnOfWhole says which objects are one task each although they are large.
func (c *Coordinator) warnOfWhole(format input.Format, objects []manifest.Object, whole map[string]bool) {
	var large []int
	for i, o := range objects {
		if whole[o.Name] && o.Weight(format, o.Size) > c.o.SplitSize {
			large = append(large, i)
		}
	}
	if len(large) == 0 {
		return
	}
	var names []string
	for _, i := range large[:min(len(large), mostNamed)] {
		o, why := objects[i], ""
		if o.Compression == manifest.Zstd && format.Resumes() {
			why = " of one frame"
		}
		names = append(names, fmt.Sprintf("%s (%s%s, %s)", o.Name, o.Compression, why, humanize.IBytes(uint64(o.Size))))
	}
	if more := len(large) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	noun := "objects"
	if len(large) == 1 {
		noun = "object"
	}
	c.o.Log.Warn().Msgf("%d %s cannot be split, and will be one map task each: %s", len(large), noun, strings.Join(names, ", "))
}

// kindOf tells by its first bytes how an object is compressed.
func (c *Coordinator) kindOf(ctx context.Context, o manifest.Object) (manifest.Compression, error) {
	head, err := c.bytesOf(ctx, o, 0, min(o.Size, decompress.HeadSize))
	if err != nil {
		return "", fmt.Errorf("look at the input: %w", err)
	}
	return decompress.Detect(o.Name, head)
}

// severalFrames tells whether a zstd object has more than one frame, as far as a
// part of it shows. Where it is damaged its readers say so.
func (c *Coordinator) severalFrames(ctx context.Context, o manifest.Object) (several bool, err error) {
	from, _, err := c.lister(ctx, o.Bucket)
	if err != nil {
		return false, err
	}
	n := min(o.Size, frameProbe)
	body, err := from.OpenChunks(ctx, o.In(c.o.Layout), o.ETag, 0, n, min(n, 1<<20), 1)
	if err != nil {
		return false, fmt.Errorf("look for frames in the input: %w", err)
	}
	store := &errorOf{r: body}
	several, err = decompress.Several(store)
	if cerr := body.Close(); store.err == nil {
		store.err = cerr
	}
	switch {
	case store.err != nil:
		return false, fmt.Errorf("look for frames in the input: %w", store.err)
	case err != nil:
		return false, nil
	case several || o.Size < decompress.SeekTable:
		return several, nil
	}
	tail, err := c.bytesOf(ctx, o, o.Size-decompress.SeekTable, decompress.SeekTable)
	return decompress.Seekable(tail), err
}

// errorOf keeps the error of a store apart from what a reader makes of it.
type errorOf struct {
	r   io.Reader
	err error
}

func (e *errorOf) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		e.err = err
	}
	return n, err
}

// bytesOf reads a few bytes of an object.
func (c *Coordinator) bytesOf(ctx context.Context, o manifest.Object, off, n int64) (b []byte, err error) {
	if n == 0 {
		return nil, nil
	}
	body, err := c.openChunk(ctx, o, off, n)
	if err != nil {
		return nil, err
	}
	b = make([]byte, n)
	_, err = io.ReadFull(body, b)
	return b, errors.Join(err, body.Close())
}

// openChunk opens n bytes of an object by one request.
func (c *Coordinator) openChunk(ctx context.Context, o manifest.Object, off, n int64) (io.ReadCloser, error) {
	from, _, err := c.lister(ctx, o.Bucket)
	if err != nil {
		return nil, err
	}
	return from.OpenChunks(ctx, o.In(c.o.Layout), o.ETag, off, n, n, 1)
}
