package task

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/recordio"
)

// Commits caches the commit records of one job's map tasks for the reduce
// attempts of all slots of a worker, or of all workers of a process. Records
// never change (I3), so what was read once stays true; but for the version of a
// segment that was restored. Its zero value is ready for use. It takes about 180
// bytes for each partition of each map task, outside the slots' budgets.
type Commits struct {
	mu   sync.Mutex
	maps map[int]*commit
}

// commit is a record that is there or on its way.
type commit struct {
	done  chan struct{} // closed when parts or err is set
	parts []part
	err   error
}

// part is a manifest.Part without what can be computed.
type part struct {
	key  string // of the object that it is in
	etag string
	off  int64 // in the object
	size int64
	// packed is the object, if it holds all partitions of the map task.
	packed *manifest.Packed
	hash   [32]byte
	sum    recordio.Sum
	// largest is the size of the largest record, 0 if none has a block to
	// itself.
	largest int64
}

// objectHash is what the metadata of its object say in mraws-hash.
func (p *part) objectHash() string {
	if p.packed != nil {
		return p.packed.Hash
	}
	return hex.EncodeToString(p.hash[:])
}

// objectSize is the size of its object.
func (p *part) objectSize() int64 {
	if p.packed != nil {
		return p.packed.Size
	}
	return p.size
}

// partition returns partition r of every map task, in the order of the
// tasks. It fetches, concurrently, the records that are not there yet.
func (c *Commits) partition(ctx context.Context, b *bucket, r int) ([]part, error) {
	all := make([]part, len(b.job.Tasks))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(requests)
	for m := range all {
		if parts, ok := c.peek(m); ok {
			all[m] = parts[r]
			continue
		}
		g.Go(func() error {
			parts, err := c.get(ctx, b, m)
			if err == nil {
				all[m] = parts[r]
			}
			return err
		})
	}
	return all, g.Wait()
}

// note says under which version the object of a segment lies that was
// restored since the record was written.
func (c *Commits) note(m, r int, info object.Info) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.maps[m]; k != nil && k.parts != nil && k.parts[r].etag != info.ETag {
		k.parts = slices.Clone(k.parts) // others are reading it
		p := &k.parts[r]
		if p.etag = info.ETag; p.packed == nil {
			p.size = info.Size
		}
	}
}

func (c *Commits) peek(m int) ([]part, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.maps[m]; k != nil && k.parts != nil {
		return k.parts, true
	}
	return nil, false
}

// get returns the record of map task m; of callers at the same time one
// fetches it. An error is not kept.
func (c *Commits) get(ctx context.Context, b *bucket, m int) ([]part, error) {
	for {
		c.mu.Lock()
		if c.maps == nil {
			c.maps = make(map[int]*commit)
		}
		k := c.maps[m]
		if k == nil {
			k = &commit{done: make(chan struct{})}
			c.maps[m] = k
			c.mu.Unlock()
			rec, err := b.mapRecord(ctx, m)
			var parts []part
			if err == nil {
				parts, err = partsOf(rec)
			}
			c.mu.Lock()
			k.parts, k.err = parts, err
			if err != nil {
				delete(c.maps, m)
			}
			c.mu.Unlock()
			close(k.done)
			return parts, err
		}
		c.mu.Unlock()
		select {
		case <-k.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if k.err == nil {
			return k.parts, nil
		}
		// The other's error may be the end of its context: try ourselves.
	}
}

// partsOf returns the partitions that a commit record names.
func partsOf(rec *manifest.Map) ([]part, error) {
	parts := make([]part, len(rec.Parts))
	for r, p := range rec.Parts {
		parts[r] = part{key: p.Key, etag: p.ETag, off: p.Offset, size: p.Size, packed: rec.Packed, sum: p.Sum, largest: p.Largest}
		if rec.Packed != nil {
			parts[r].key, parts[r].etag = rec.Packed.Key, rec.Packed.ETag
		}
		if _, err := hex.Decode(parts[r].hash[:], []byte(p.Hash)); err != nil {
			return nil, fmt.Errorf("commit record of map task %d: partition %d has hash %q", rec.Task, r, p.Hash)
		}
	}
	return parts, nil
}
