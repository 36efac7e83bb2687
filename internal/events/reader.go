package events

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/object"
)

// Entry is an event with its place in the log.
type Entry struct {
	Schema      string `json:"schema"`
	Seq         int64  `json:"seq"` // from 1, over all coordinators
	Job         string `json:"job"`
	Coordinator string `json:"coordinator"` // the epoch of the one that wrote it
	Event
}

// Reader reads the log of one job, from its beginning on.
type Reader struct {
	store  Bucket
	lay    layout.Layout
	job    string
	next   int           // number of the segment that comes next
	seq    int64         // of the entry that came last
	last   int           // number of the last segment of the job; 0 for none
	faults map[int]error // of segments that cannot be read, by number; nil is one that does not exist
}

// NewReader returns a reader of the log of a job. It passes over what a job that was
// below the same prefix before has left.
func NewReader(b Bucket, lay layout.Layout, job string) *Reader {
	return &Reader{store: b, lay: lay, job: job, next: 1, faults: map[int]error{}}
}

// On has the reader go on with another connection to the bucket.
func (r *Reader) On(b Bucket) { r.store = b }

// readers is how many segments are read at the same time.
const readers = 16

// Read tells yield of all entries that have been added since it was called last, in
// their order. It returns errors of the store and of yield.
func (r *Reader) Read(ctx context.Context, yield func(Entry) error) error {
	var numbers []int
	for o, err := range r.store.List(ctx, r.lay.EventsDir()) {
		if err != nil {
			return fmt.Errorf("list the event log: %w", err)
		}
		if n, ok := r.lay.ParseEvents(o.Key); ok && n >= r.next {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	for some := range slices.Chunk(numbers, readers) {
		found := make([]read, len(some))
		g, gctx := errgroup.WithContext(ctx)
		for i, n := range some {
			g.Go(func() (err error) {
				found[i], err = r.get(gctx, n)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
		for i, n := range some {
			for ; r.next < n; r.next++ {
				r.faults[r.next] = nil
			}
			if err := r.pass(found[i], yield); err != nil {
				return err
			}
		}
	}
	// What a job that was here before has left may have a high number, and the job goes
	// on before it.
	r.next = r.last + 1
	return nil
}

// More is [Reader.Read] for somebody who asks again and again: it asks for the next
// segment, and lists nothing. It says whether there was one.
func (r *Reader) More(ctx context.Context, yield func(Entry) error) (more bool, err error) {
	found, err := r.get(ctx, r.next)
	if err != nil || found.gone {
		return false, err
	}
	return true, r.pass(found, yield)
}

// read is a segment as it was read.
type read struct {
	gone   bool
	bad    error
	head   Header
	events []Event
}

func (r *Reader) get(ctx context.Context, n int) (read, error) {
	data, _, err := r.store.Get(ctx, r.lay.Events(n))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return read{gone: true}, nil
	case errors.Is(err, object.ErrDamaged):
		return read{bad: err}, nil
	case err != nil:
		return read{}, fmt.Errorf("read segment %d of the event log: %w", n, err)
	}
	h, events, err := Decode(data)
	if err == nil && h.Segment != n {
		err = fmt.Errorf("it says that it is segment %d", h.Segment)
	}
	return read{bad: err, head: h, events: events}, nil
}

// pass tells of the next segment.
func (r *Reader) pass(s read, yield func(Entry) error) error {
	n := r.next
	r.next++
	if s.gone || s.bad != nil {
		r.faults[n] = s.bad
		return nil
	}
	delete(r.faults, n)
	if s.head.Job != r.job {
		return nil
	}
	r.last = n
	for _, e := range s.events {
		r.seq++
		if err := yield(Entry{Schema: Schema, Seq: r.seq, Job: s.head.Job, Coordinator: s.head.Coordinator, Event: e}); err != nil {
			return err
		}
	}
	return nil
}

// Empty says that no segment of the job has been read.
func (r *Reader) Empty() bool { return r.last == 0 }

// Faults says which segments are missing or cannot be read, a line each. Behind the
// last one of the job none is missed: a job that was here before may have left one.
func (r *Reader) Faults() (lines []string) {
	for _, n := range slices.Sorted(maps.Keys(r.faults)) {
		switch bad := r.faults[n]; {
		case bad != nil:
			lines = append(lines, fmt.Sprintf("segment %d cannot be read: %v", n, bad))
		case n < r.last:
			lines = append(lines, fmt.Sprintf("segment %d is missing", n))
		}
	}
	return lines
}
