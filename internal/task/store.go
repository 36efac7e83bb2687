package task

import (
	"context"
	"io"
	"iter"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/object"
)

// Source is what an attempt needs of a bucket that input lies in. It cannot
// write, so a job's spec, which names such buckets, makes nobody write there.
type Source interface {
	// Reach says how many of the n bytes that come next in an object one
	// Stream is best asked for, where there is memory for chunk bytes, and how
	// many bytes the stream will hold.
	Reach(n, chunk int64) (reach, held int64)
	// Stream streams the bytes [off, off+n) of the version etag of an object,
	// by one request. Errors come from the call or from the stream, such as
	// object.ErrPrecondition when the object is at another version. A body
	// that ends early is an error.
	Stream(ctx context.Context, key, etag string, off, n int64) (object.Stream, error)
	// OpenChunks is Stream by several requests, each for chunk bytes, the last
	// one for what is left; at most window of them, and n bytes, are held in
	// memory.
	OpenChunks(ctx context.Context, key, etag string, off, n, chunk int64, window int) (io.ReadCloser, error)
}

// Place is what an attempt needs of a bucket that output lies in. Its methods
// promise what those of [Store] do.
type Place interface {
	Stat(ctx context.Context, key string) (object.Info, error)
	Get(ctx context.Context, key string) ([]byte, object.Info, error)
	Create(ctx context.Context, key string, o object.PutOptions) (object.Writer, error)
	OpenChunks(ctx context.Context, key, etag string, off, n, chunk int64, window int) (io.ReadCloser, error)
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

func (p *placed) Stat(ctx context.Context, key string) (object.Info, error) {
	return p.at(key).Stat(ctx, key)
}

func (p *placed) Get(ctx context.Context, key string) ([]byte, object.Info, error) {
	return p.at(key).Get(ctx, key)
}

func (p *placed) Create(ctx context.Context, key string, o object.PutOptions) (object.Writer, error) {
	return p.at(key).Create(ctx, key, o)
}

func (p *placed) OpenChunks(ctx context.Context, key, etag string, off, n, chunk int64, window int) (io.ReadCloser, error) {
	return p.at(key).OpenChunks(ctx, key, etag, off, n, chunk, window)
}

// Store is what an attempt needs of the bucket. Keys are whole keys. Every
// method may be called from several goroutines, retries by itself what is
// worth retrying, and returns errors that wrap fs.ErrNotExist, fs.ErrExist
// or object.ErrPrecondition where these apply. After any other error of a
// write the object may or may not be there, now or later: whoever must know
// looks (commit.go).
type Store interface {
	Source
	// Stat returns an object with its metadata.
	Stat(ctx context.Context, key string) (object.Info, error)
	// Get returns a small object whole; its length has been checked.
	Get(ctx context.Context, key string) ([]byte, object.Info, error)
	// Put writes an object atomically. With IfMatch it replaces that version
	// only, or returns object.ErrPrecondition or fs.ErrNotExist. With IfAbsent at most one of any
	// number of concurrent calls for a key creates the object; all others
	// return fs.ErrExist, and so may a call that created it but lost the
	// reply: the metadata tells.
	Put(ctx context.Context, key string, data []byte, o object.PutOptions) (object.Info, error)
	// PutFile is Put of size bytes of r, which it may read more than once.
	PutFile(ctx context.Context, key string, r io.ReaderAt, size int64, o object.PutOptions) (object.Info, error)
	// Create begins an object that is written as a stream, in bounded
	// memory. Nothing is visible under the key before Commit, which then is
	// as atomic and as conditional as Put.
	Create(ctx context.Context, key string, o object.PutOptions) (object.Writer, error)
	// List yields every object below prefix, or an error: never a part of
	// the pages only.
	List(ctx context.Context, prefix string) iter.Seq2[object.Info, error]
}
