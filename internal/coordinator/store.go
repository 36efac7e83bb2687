package coordinator

import (
	"context"
	"iter"

	"github.com/mraws/mraws/internal/object"
)

// Lister is what the coordinator needs of a bucket that input lies in.
type Lister interface {
	// List yields every object below prefix in byte order of the key, or an
	// error: never a part of the pages only.
	List(ctx context.Context, prefix string) iter.Seq2[object.Info, error]
}

// Store is what the coordinator needs of the bucket. Every method may be
// called from several goroutines. Errors wrap fs.ErrNotExist and fs.ErrExist
// where these apply; any other error leaves open whether a write took place.
type Store interface {
	Lister
	// Bucket names the bucket, for people and for the handshake.
	Bucket() string
	// Stat returns an object with its metadata.
	Stat(ctx context.Context, key string) (object.Info, error)
	// Get returns a small object whole; its length has been checked.
	Get(ctx context.Context, key string) ([]byte, object.Info, error)
	// Put writes an object atomically. With IfAbsent at most one of any
	// number of concurrent calls for a key returns nil; a call whose reply
	// was lost may return fs.ErrExist for its own write. With IfMatch it
	// returns object.ErrPrecondition when another version is there.
	Put(ctx context.Context, key string, data []byte, o object.PutOptions) (object.Info, error)
	// Copy writes src at version srcETag to dst. Repeating it is harmless.
	Copy(ctx context.Context, src, srcETag, dst string, o object.PutOptions) (object.Info, error)
	// Preflight proves by small races below dir that conditional creation,
	// of single and of multipart objects, has exactly one winner. It removes
	// what it wrote.
	Preflight(ctx context.Context, dir string) error
	// Requests counts the S3 requests made so far, by operation.
	Requests() map[string]int64
}
