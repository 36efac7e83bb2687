package verify

import (
	"context"
	"io"
	"sync/atomic"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// Progress tells how far a verification is, from any goroutine: how many bytes of
// segments, outputs and input it has read, of how many. Its zero value is ready for use.
type Progress struct{ done, total atomic.Int64 }

// Bytes returns both; total is 0 until the structure is known.
func (p *Progress) Bytes() (done, total int64) { return p.done.Load(), p.total.Load() }

// begin sets what the steps behind the structure read.
func (p *Progress) begin(total int64) {
	p.done.Store(0)
	p.total.Store(total)
}

// metered is a Store whose bytes are counted as they are read.
type metered struct {
	Store
	progress *Progress
}

func (m *metered) Get(ctx context.Context, key string) ([]byte, object.Info, error) {
	data, info, err := m.Store.Get(ctx, key)
	m.progress.done.Add(int64(len(data)))
	return data, info, err
}

func (m *metered) OpenChunks(ctx context.Context, key, etag string, off, n, chunk int64, window int) (io.ReadCloser, error) {
	body, err := m.Store.OpenChunks(ctx, key, etag, off, n, chunk, window)
	if err != nil {
		return nil, err
	}
	return &meteredBody{body, m.progress}, nil
}

type meteredBody struct {
	io.ReadCloser
	progress *Progress
}

func (b *meteredBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.progress.done.Add(int64(n))
	return n, err
}

// meter has all bytes of a verification counted.
func (o *Options) meter(store Store) Store {
	if o.Progress == nil {
		o.Progress = new(Progress)
	}
	if open := o.Buckets; open != nil {
		o.Buckets = func(ctx context.Context, name string, a manifest.Access) (Store, error) {
			other, err := open(ctx, name, a)
			if err != nil {
				return nil, err
			}
			return &metered{other, o.Progress}, nil
		}
	}
	return &metered{store, o.Progress}
}
