package task

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"github.com/mraws/mraws/internal/decompress"
	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/runner"
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

// rangeFinder finds, for one attempt, what puts pairs into partitions.
type rangeFinder struct {
	*committer
	app   runner.Properties
	cache *Ranges // nil keeps none
	// sample maps a sample of the input and returns the keys.
	sample func(context.Context) ([][]byte, error)
}

func (t *attempt) ranges() *rangeFinder {
	return &rangeFinder{committer: t.commit, app: t.app, cache: t.Ranges, sample: t.sample}
}

// partitioner returns what puts the attempt's pairs into partitions.
func (f *rangeFinder) partitioner(ctx context.Context) (*cuts, error) {
	switch {
	case f.app.Ordered && f.job.NReduce > 1:
		return f.ordered(ctx)
	case f.app.Ordered:
		return &cuts{func([]byte, int) int { return 0 }, [][]byte{}}, nil
	case f.app.Partition != nil:
		return &cuts{partition: f.app.Partition}, nil
	}
	return &cuts{partition: mr.Partition}, nil
}

// ordered returns the key ranges of the job. Whoever finds none
// in the bucket, or damaged ones, takes a sample; the first to create the object decides.
func (f *rangeFinder) ordered(ctx context.Context) (*cuts, error) {
	cache := f.cache
	if cache == nil {
		cache = new(Ranges)
	}
	cache.mu.Lock()
	defer cache.mu.Unlock()
	if cache.cuts != nil {
		return cache.cuts, nil
	}
	r, err := f.read(ctx)
	var stale *staleError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r, err = f.create(ctx, "")
	case errors.As(err, &stale):
		r, err = f.create(ctx, stale.etag)
	case errors.Is(err, object.ErrDamaged):
		var info object.Info
		if info, err = f.store.Stat(ctx, f.layout.Ranges()); err == nil {
			r, err = f.create(ctx, info.ETag)
		}
	}
	if err != nil {
		return nil, err
	}
	cache.cuts = &cuts{r.Partitioner(), r.Bounds}
	return cache.cuts, nil
}

func (f *rangeFinder) read(ctx context.Context) (*manifest.Ranges, error) {
	r, info, err := jobstate.ReadRanges(ctx, f.store, f.layout, f.job)
	var other *manifest.OtherJobError
	if errors.As(err, &other) {
		if serr := unlessConflict(f.stale(ctx, info.Key, info), nil); serr != nil {
			return nil, serr
		}
	}
	return r, LostRead(info.Key, err)
}

// create takes the sample and writes the ranges, in the place of a version
// that is damaged or stale, or where there are none.
func (f *rangeFinder) create(ctx context.Context, over string) (*manifest.Ranges, error) {
	keys, err := f.sample(ctx)
	if err != nil {
		return nil, fmt.Errorf("sample the input: %w", err)
	}
	data, err := manifest.Encode(manifest.Ranges{Schema: manifest.RangesSchema, Job: f.job.ID, Bounds: quantiles(keys, f.job.NReduce)})
	if err != nil {
		return nil, fmt.Errorf("encode the key ranges: %w", err)
	}
	_, err = f.store.Put(ctx, f.layout.Ranges(), data, object.PutOptions{IfAbsent: over == "", IfMatch: over, Meta: f.meta(""), ContentType: "application/json"})
	if err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, object.ErrPrecondition) {
		return nil, fmt.Errorf("write the key ranges: %w", err)
	}
	return f.read(ctx) // another's, if it came first
}

// within returns an error unless the key lies in the range of partition r.
func (c *cuts) within(ranges string, key []byte, r, n int) error {
	if c == nil {
		return nil
	}
	if p := c.partition(key, n); p != r {
		return &FatalError{Err: fmt.Errorf("%s differs from the key ranges of the map tasks: key %s is in partition %d, its ranges say %d", ranges, shortKey(key), r, p)}
	}
	return nil
}

// ensureRanges sees to it in a reduce attempt that the key ranges by which map
// tasks have cut their output are in the bucket, as whoever reads or checks the
// output needs them, and returns them: nil if the output is not ordered, or of
// one partition. Map attempts create them, so here they are missing only if
// somebody deleted them; the sample is the same then.
func (t *attempt) ensureRanges(ctx context.Context) (c *cuts, err error) {
	if !t.app.Ordered || t.Job.NReduce == 1 {
		return nil, nil
	}
	env := *t.Env
	env.Progress = nil
	if _, err := t.ranges().read(ctx); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, object.ErrDamaged) {
		if err != nil {
			return nil, err
		}
		return t.ranges().ordered(ctx)
	}
	env.Ranges = nil // what was read before they were lost is not in the bucket
	err = env.runAttempt(ctx, Attempt{Phase: mr.MapPhase, ID: t.ID + ".ranges"}, func(ctx context.Context, u *attempt) (err error) {
		c, err = u.ranges().ordered(ctx)
		return err
	})
	t.Spare.enter(t.Phase, false)
	if err != nil {
		return nil, fmt.Errorf("write %s again, which is lost: %w", t.Layout.Ranges(), err)
	}
	return c, nil
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
// like the output, depend on input, app and reduce count alone (I6). A chunk lies
// between two places where the format may be cut, and may so be larger. Of a
// compressed object it is all of the object.
func samplePieces(job *manifest.Job) (pieces []manifest.Piece) {
	total := int64(0)
	for _, o := range job.Objects {
		total += o.Size
	}
	n, size := job.Sample()
	format := job.InputFormat()
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
		p := manifest.Piece{Object: i, Length: o.Size}
		if o.Compression == "" {
			p.Offset, p.Length = format.Cut(o.Size, at-start), 0
			for most := size; p.Length == 0; most *= 2 {
				p.Length = format.Cut(o.Size, min(at-start+most, o.Size)) - p.Offset
			}
		}
		if k := len(pieces); k == 0 || pieces[k-1] != p {
			pieces = append(pieces, p)
		}
	}
	return pieces
}

// sample maps a sample of the input and returns the keys.
func (t *attempt) sample(ctx context.Context) ([][]byte, error) {
	task := *t.task
	task.Counters = new(counters)
	s := &sampler{ctx: ctx, bucket: t.bucket, shares: t.shares, pieces: samplePieces(t.Job)}
	s.in = records{
		live: &live{Progress: new(Progress)}, format: t.bucket.format, maxRecord: t.maxRecord, // what is read here is read again
		next: s.next, sample: true, lenient: !t.Job.MaxBad.IsZero(),
	}
	defer context.AfterFunc(ctx, func() { s.in.live.stopped.Store(true) })()
	var plain []manifest.Piece // which are fetched while others are mapped
	for _, p := range s.pieces {
		if t.Job.Objects[p.Object].Compression == "" {
			plain = append(plain, p)
		}
	}
	s.plain = fetchAhead(ctx, t.bucket, t.shares, plain)
	defer s.plain.Close()
	defer s.decoder.Close()
	err := t.verdict(t.Runner.Map(&task, &s.in, s), s.in.err, s.in.blame)
	return s.keys, t.bucket.suspect(ctx, errors.Join(err, s.in.Close()))
}

// sampler reads the pieces of a sample, and is the runner.Emitter that keeps the
// keys.
type sampler struct {
	ctx     context.Context
	bucket  *bucket
	shares  shares
	in      records
	pieces  []manifest.Piece // that are to be read yet
	plain   *ahead           // of those that are not compressed
	opened  int              // of plain
	decoder decompress.Decoder
	keys    [][]byte
	room    []byte
}

// next returns the next piece of the sample. Of a compressed object, which is
// fetched only as far as it is read, as much counts as two chunks hold.
func (s *sampler) next() *openPiece {
	if len(s.pieces) == 0 {
		return nil
	}
	p := s.pieces[0]
	s.pieces = s.pieces[1:]
	if s.bucket.job.Objects[p.Object].Compression == "" {
		piece := s.bucket.piece(p, s.plain.opener(s.opened), nil)
		s.opened++
		piece.left = p.Length
		return piece
	}
	alone := fetchAhead(s.ctx, s.bucket, s.shares, []manifest.Piece{p})
	piece := s.bucket.piece(p, alone.opener(0), &s.decoder)
	_, size := s.bucket.job.Sample()
	piece.left, piece.close = 2*size, alone.Close
	return piece
}

// Emit keeps a key.
func (s *sampler) Emit(key, _ []byte) error {
	key = key[:min(len(key), sampleKey)]
	if len(s.room) < len(key) {
		s.room = make([]byte, 256<<10)
	}
	n := copy(s.room, key)
	s.keys = append(s.keys, s.room[:n:n])
	s.room = s.room[n:]
	return nil
}

// EmitSpans keeps many keys.
func (s *sampler) EmitSpans(text []byte, spans []uint32, _ []byte) error {
	for ; len(spans) >= 2; spans = spans[2:] {
		_ = s.Emit(text[spans[0]:spans[1]], nil) // keeps it in any case
	}
	return nil
}
