package coordinator

import (
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/object"
)

// Lister is what the coordinator needs of a bucket that input lies in.
type Lister interface {
	// List yields every object below prefix in byte order of the key, or an
	// error: never a part of the pages only.
	List(ctx context.Context, prefix string) iter.Seq2[object.Info, error]
	// Stat returns an object with its metadata.
	Stat(ctx context.Context, key string) (object.Info, error)
	// OpenChunks streams n bytes (n < 0: all) from off of an object at version etag
	// ("": at any), by requests of chunk bytes, at most window of them ahead of the
	// reader. The call or the stream returns object.ErrPrecondition when the object
	// is at another version.
	OpenChunks(ctx context.Context, key, etag string, off, n, chunk int64, window int) (io.ReadCloser, error)
}

// Place is what the coordinator needs of a bucket that the output lies in. Its
// methods promise what those of [Store] do.
type Place interface {
	Lister
	Get(ctx context.Context, key string) ([]byte, object.Info, error)
	Put(ctx context.Context, key string, data []byte, o object.PutOptions) (object.Info, error)
	// CopyFrom is Copy of an object of another bucket of the same server, of which
	// from is known: key, version, size. The metadata is that of o.
	CopyFrom(ctx context.Context, bucket string, from object.Info, dst string, o object.PutOptions) (object.Info, error)
	Preflight(ctx context.Context, dir string) error
}

// placed is a Store of which some keys lie in the place of the output.
type placed struct {
	Store
	place Place
	lay   layout.Layout
}

func (p *placed) at(key string) Place {
	if p.lay.Outside(key) {
		return p.place
	}
	return p.Store
}

func (p *placed) List(ctx context.Context, prefix string) iter.Seq2[object.Info, error] {
	return p.at(prefix).List(ctx, prefix)
}

func (p *placed) OpenChunks(ctx context.Context, key, etag string, off, n, chunk int64, window int) (io.ReadCloser, error) {
	return p.at(key).OpenChunks(ctx, key, etag, off, n, chunk, window)
}

func (p *placed) Stat(ctx context.Context, key string) (object.Info, error) {
	return p.at(key).Stat(ctx, key)
}

func (p *placed) Get(ctx context.Context, key string) ([]byte, object.Info, error) {
	return p.at(key).Get(ctx, key)
}

func (p *placed) Put(ctx context.Context, key string, data []byte, o object.PutOptions) (object.Info, error) {
	return p.at(key).Put(ctx, key, data, o)
}

// Copy implements Store for objects of the job's own bucket.
func (p *placed) Copy(ctx context.Context, src, srcETag, dst string, o object.PutOptions) (object.Info, error) {
	if !p.lay.Outside(dst) {
		return p.Store.Copy(ctx, src, srcETag, dst, o)
	}
	from, err := p.Store.Stat(ctx, src)
	switch {
	case err != nil:
		return object.Info{}, err
	case from.ETag != srcETag:
		return object.Info{}, fmt.Errorf("copy %s: it is at version %s, not %s: %w", src, from.ETag, srcETag, object.ErrPrecondition)
	}
	if o.Meta == nil {
		o.Meta = from.Meta
	}
	return p.place.CopyFrom(ctx, p.Store.Bucket(), from, dst, o)
}

// Store is what the coordinator needs of the bucket. Every method may be
// called from several goroutines. Errors wrap fs.ErrNotExist and fs.ErrExist
// where these apply; any other error leaves open whether a write took place.
type Store interface {
	Lister
	// Bucket names the bucket, for people and for the handshake.
	Bucket() string
	// Get returns a small object whole; its length has been checked.
	Get(ctx context.Context, key string) ([]byte, object.Info, error)
	// Put writes an object atomically. With IfAbsent at most one of any
	// number of concurrent calls for a key returns nil; a call whose reply
	// was lost may return fs.ErrExist for its own write. With IfMatch it
	// returns object.ErrPrecondition when another version is there.
	Put(ctx context.Context, key string, data []byte, o object.PutOptions) (object.Info, error)
	// Copy writes src at version srcETag to dst. Repeating it is harmless.
	Copy(ctx context.Context, src, srcETag, dst string, o object.PutOptions) (object.Info, error)
	// CopyFrom is as [Place] has it.
	CopyFrom(ctx context.Context, bucket string, from object.Info, dst string, o object.PutOptions) (object.Info, error)
	// Preflight proves by small races below dir that conditional creation,
	// of single and of multipart objects, has exactly one winner. It removes
	// what it wrote.
	Preflight(ctx context.Context, dir string) error
	// Traffic is what was asked of S3 so far.
	Traffic() object.Traffic
}
