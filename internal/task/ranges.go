package task

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"github.com/mraws/mraws/internal/inflate"
	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/mr"
)

// Ranges caches the partitioner of a job with ordered output for the slots
// of a worker. Its zero value is ready for use.
type Ranges struct {
	mu   sync.Mutex
	cuts *cuts
}

// cuts say which pairs go to which partition.
type cuts struct {
	partition func(key []byte, n int) int
	// bounds are those of key ranges, as of [manifest.Ranges]; nil if
	// partition is all that is known.
	bounds [][]byte
}

// sampleKey is how much of a key counts. A bound need not be a key.
const sampleKey = manifest.MostBound

// partitioner returns what puts the attempt's pairs into partitions.
func (t *attempt) partitioner(ctx context.Context) (*cuts, error) {
	switch {
	case t.App.Ordered && t.Job.NReduce > 1:
		return t.ordered(ctx)
	case t.App.Ordered:
		return &cuts{func([]byte, int) int { return 0 }, [][]byte{}}, nil
	case t.App.Partition != nil:
		return &cuts{partition: t.App.Partition}, nil
	}
	return &cuts{partition: mr.Partition}, nil
}

// ordered returns the key ranges of the job. Whoever finds none
// in the bucket, or damaged ones, takes a sample; the first to create the object decides.
func (t *attempt) ordered(ctx context.Context) (*cuts, error) {
	cache := t.Ranges
	if cache == nil {
		cache = new(Ranges)
	}
	cache.mu.Lock()
	defer cache.mu.Unlock()
	if cache.cuts != nil {
		return cache.cuts, nil
	}
	r, err := t.readRanges(ctx)
	var stale *staleError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r, err = t.createRanges(ctx, "")
	case errors.As(err, &stale):
		r, err = t.createRanges(ctx, stale.etag)
	case errors.Is(err, object.ErrDamaged):
		var info object.Info
		if info, err = t.Store.Stat(ctx, t.Layout.Ranges()); err == nil {
			r, err = t.createRanges(ctx, info.ETag)
		}
	}
	if err != nil {
		return nil, err
	}
	cache.cuts = &cuts{r.Partitioner(), r.Bounds}
	return cache.cuts, nil
}

func (t *attempt) readRanges(ctx context.Context) (*manifest.Ranges, error) {
	key := t.Layout.Ranges()
	data, info, err := t.Store.Get(ctx, key)
	if err != nil {
		return nil, LostRead(key, fmt.Errorf("read the key ranges: %w", err))
	}
	r, err := manifest.DecodeRanges(data, t.Job)
	if err != nil && r != nil && r.Job != t.Job.ID {
		if serr := unlessConflict(t.bucket.stale(ctx, key, info), nil); serr != nil {
			return nil, serr
		}
	}
	if err != nil {
		return nil, &LostError{key, fmt.Errorf("read %s: %w", key, err)}
	}
	return r, nil
}

// ensureRanges sees to it in a reduce attempt that the key ranges by which map
// tasks have cut their output are in the bucket, as whoever reads or checks the
// output needs them, and returns them: nil if the output is not ordered, or of
// one partition. Map attempts create them, so here they are missing only if
// somebody deleted them; the sample is the same then.
func (t *attempt) ensureRanges(ctx context.Context) (c *cuts, err error) {
	if !t.App.Ordered || t.Job.NReduce == 1 {
		return nil, nil
	}
	env := *t.Env
	env.Progress = nil
	if _, err := t.readRanges(ctx); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, object.ErrDamaged) {
		if err != nil {
			return nil, err
		}
		return t.ordered(ctx)
	}
	env.Ranges = nil // what was read before they were lost is not in the bucket
	err = env.runAttempt(ctx, Attempt{Phase: mr.MapPhase, ID: t.ID + ".ranges"}, func(ctx context.Context, u *attempt) (err error) {
		c, err = u.ordered(ctx)
		return err
	})
	t.Spare.enter(t.Phase, false)
	if err != nil {
		return nil, fmt.Errorf("write %s again, which is lost: %w", t.Layout.Ranges(), err)
	}
	return c, nil
}

// within returns an error unless the key lies in the range of partition r. Asked
// for the first and the last key of a partition, it keeps an output from being
// made by other ranges than those that are in the bucket.
func (c *cuts) within(ranges string, key []byte, r, n int) error {
	if c == nil {
		return nil
	}
	if p := c.partition(key, n); p != r {
		return &FatalError{Err: fmt.Errorf("%s differs from the key ranges of the map tasks: key %s is in partition %d, its ranges say %d", ranges, shortKey(key), r, p)}
	}
	return nil
}

// createRanges takes the sample and writes the ranges, in the place of a version
// that is damaged or stale, or where there are none.
func (t *attempt) createRanges(ctx context.Context, over string) (*manifest.Ranges, error) {
	keys, err := t.sample(ctx)
	if err != nil {
		return nil, fmt.Errorf("sample the input: %w", err)
	}
	data, err := manifest.Encode(manifest.Ranges{Schema: manifest.RangesSchema, Job: t.Job.ID, Bounds: quantiles(keys, t.Job.NReduce)})
	if err != nil {
		return nil, fmt.Errorf("encode the key ranges: %w", err)
	}
	_, err = t.Store.Put(ctx, t.Layout.Ranges(), data, object.PutOptions{IfAbsent: over == "", IfMatch: over, Meta: t.commit.meta(""), ContentType: "application/json"})
	if err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, object.ErrPrecondition) {
		return nil, fmt.Errorf("write the key ranges: %w", err)
	}
	return t.readRanges(ctx) // another's, if it came first
}

// quantiles returns the bounds of n ranges that hold about as many keys each.
func quantiles(keys [][]byte, n int) [][]byte {
	if len(keys) == 0 {
		return [][]byte{}
	}
	slices.SortFunc(keys, bytes.Compare)
	bounds := make([][]byte, n-1)
	for i := range bounds {
		bounds[i] = keys[(i+1)*len(keys)/n]
	}
	return bounds
}

// samplePieces lists what of the input is sampled: all of it, or chunks at
// equal distances, so that every worker takes the same sample and the ranges,
// like the output, depend on input, app and reduce count alone (I6). Of a compressed object, which can be read from its start
// only, that is one piece with all of the object.
func samplePieces(job *manifest.Job) (pieces []manifest.Piece) {
	total := int64(0)
	for _, o := range job.Objects {
		total += o.Size
	}
	n, size := job.Sample()
	if total <= n*size {
		for i, o := range job.Objects {
			pieces = append(pieces, manifest.Piece{Object: i, Length: o.Size})
		}
		return pieces
	}
	i, start := 0, int64(0) // an object, and where it starts in all of the input
	for c := range n {
		at := total / n * c
		for at >= start+job.Objects[i].Size {
			start += job.Objects[i].Size
			i++
		}
		o := job.Objects[i]
		p := manifest.Piece{Object: i, Offset: at - start, Length: min(size, o.Size-(at-start))}
		if o.Compression != "" {
			p = manifest.Piece{Object: i, Length: o.Size}
		}
		if k := len(pieces); k == 0 || pieces[k-1] != p {
			pieces = append(pieces, p)
		}
	}
	return pieces
}

// sample maps a sample of the input and returns the keys.
func (t *attempt) sample(ctx context.Context) ([][]byte, error) {
	env := *t.Env
	env.Progress = new(Progress) // what is read here is read again
	s := &attempt{Env: &env, Attempt: t.Attempt, shares: t.shares, started: t.started, bucket: t.bucket, live: &live{Progress: env.Progress}}
	defer context.AfterFunc(ctx, func() { s.live.stopped.Store(true) })()
	task := *t.task
	task.Counters = &s.counters
	s.task = &task
	keys := &keySample{}
	err := s.guard(func() error {
		mapper, err := s.App.NewMapper(s.task)
		if err != nil {
			return s.appError(err)
		}
		return s.sampleAll(ctx, mapper, keys)
	})
	return keys.keys, s.bucket.suspect(ctx, err)
}

// sampleAll maps the pieces of a sample, those that are not compressed
// while others are on their way.
func (t *attempt) sampleAll(ctx context.Context, mapper mr.Mapper, keys *keySample) error {
	var plain []manifest.Piece
	pieces := samplePieces(t.Job)
	for _, p := range pieces {
		if t.Job.Objects[p.Object].Compression == "" {
			plain = append(plain, p)
		}
	}
	in := fetchAhead(ctx, t.bucket, t.shares, plain)
	defer in.Close()
	next := 0
	for _, p := range pieces {
		o := t.Job.Objects[p.Object]
		piece := input.Piece{Object: o.Name, Size: o.Size, Offset: p.Offset, Length: p.Length}
		if o.Compression != "" {
			if err := t.sampleCompressed(ctx, piece, p, o, mapper, keys); err != nil {
				return err
			}
			continue
		}
		piece.Open = in.opener(next)
		next++
		if err := t.samplePiece(piece, mapper, keys, p.Length); err != nil {
			return err
		}
	}
	return nil
}

// sampleCompressed maps the first records of a compressed object: as much as
// two chunks hold.
func (t *attempt) sampleCompressed(ctx context.Context, piece input.Piece, p manifest.Piece, o manifest.Object, mapper mr.Mapper, keys *keySample) error {
	in := fetchAhead(ctx, t.bucket, t.shares, []manifest.Piece{p})
	defer in.Close()
	var decoder inflate.Decoder
	defer decoder.Close()
	piece.Open = in.opener(0)
	t.decompress(&piece, o, &decoder)
	_, size := t.Job.Sample()
	return t.samplePiece(piece, mapper, keys, 2*size)
}

// samplePiece maps the records of one piece until they have limit bytes.
// Where records may be bad, the attempt itself will come across those that
// are.
func (t *attempt) samplePiece(piece input.Piece, mapper mr.Mapper, keys *keySample, limit int64) (err error) {
	r, err := input.Read(t.App.Input, piece, t.maxRecord)
	if err != nil {
		return &FatalError{Err: err}
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	strict := t.Job.MaxBad.IsZero()
	for limit > 0 && r.Next() {
		if t.live.stopped.Load() {
			return errStopped
		}
		rec := r.Record()
		t.object, t.offset = rec.Object, rec.Offset
		limit -= int64(len(rec.Data)) + 1
		if strict {
			err = t.appError(mapper.Map(rec, keys))
		} else {
			err = t.lenient(mapper, rec, keys)
		}
		if err != nil {
			return err
		}
	}
	if long := (*input.TooLongError)(nil); errors.As(r.Err(), &long) {
		if strict {
			return &FatalError{Err: r.Err()}
		}
		return nil
	}
	return r.Err()
}

// lenient maps a record whatever the application says of it.
func (t *attempt) lenient(mapper mr.Mapper, rec mr.Record, keys *keySample) error {
	defer func() { _ = recover() }() // it will panic again when that counts
	_ = mapper.Map(rec, keys)        // and so it will fail
	return nil
}

// keySample is the mr.Emitter of a sample.
type keySample struct {
	keys [][]byte
	room []byte
}

// Emit keeps a key.
func (s *keySample) Emit(key, _ []byte) {
	key = key[:min(len(key), sampleKey)]
	if len(s.room) < len(key) {
		s.room = make([]byte, 256<<10)
	}
	n := copy(s.room, key)
	s.keys = append(s.keys, s.room[:n:n])
	s.room = s.room[n:]
}
