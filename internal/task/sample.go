package task

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/decompress"
	"github.com/mraws/mraws/internal/keyorder"
	"github.com/mraws/mraws/internal/manifest"
)

// This file takes the sample from which the key ranges of a job with ordered
// output are made (ranges.go): which parts of the input it has, their keys as the
// application maps them, and the bounds of ranges of about as many keys each.

// sampleKey is the most that is kept of a key, in bytes. A bound need not be a key.
const sampleKey = manifest.MostBound

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
	s := &sampler{ctx: ctx, bucket: t.bucket, shares: t.shares, order: t.order, decoder: decompress.Decoder{Dict: t.bucket.dict}}
	var err error
	if s.pieces, err = t.bucket.sampled(ctx, samplePieces(t.Job)); err != nil {
		return nil, err
	}
	s.in = records{
		live: &live{Progress: new(Progress)}, format: t.bucket.format, maxRecord: t.maxRecord, lines: t.app.Lines, // what is read here is read again
		next: s.next, sample: true, lenient: !t.Job.MaxBad.IsZero(),
	}
	defer context.AfterFunc(ctx, func() { s.in.live.stopped.Store(true) })()
	var plain []manifest.Piece // which are fetched while others are mapped
	for _, p := range s.pieces {
		if !t.bucket.alone(p) {
			plain = append(plain, p)
		}
	}
	s.plain = fetchAhead(ctx, t.bucket, t.shares, plain)
	defer s.plain.Close()
	defer s.decoder.Close()
	err = t.verdict(t.Runner.Map(&task, &s.in, s), s.in.err, s.in.blame)
	return s.keys, t.bucket.suspect(ctx, errors.Join(err, s.in.Close()))
}

// sampled looks at the objects of which a sample has parts and nobody knows yet
// whether they are compressed: of one that is all of it is to be sampled.
func (b *bucket) sampled(ctx context.Context, pieces []manifest.Piece) ([]manifest.Piece, error) {
	var doubts []int // an object each
	for _, p := range pieces {
		o := b.job.Objects[p.Object]
		if whole := (manifest.Piece{Object: p.Object, Length: o.Size}); o.Compression == "" && p != whole && b.job.Unknown(whole) && !b.cut(p.Object) {
			doubts = append(doubts, p.Object)
		}
	}
	doubts = slices.Compact(doubts)
	kinds := make([]manifest.Compression, len(doubts))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(requests)
	for i, object := range doubts {
		g.Go(func() (err error) {
			kinds[i], err = b.look(gctx, b.job.Objects[object])
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for i, object := range doubts {
		if kinds[i] != "" {
			b.note(b.job.Objects[object].Name, kinds[i])
		}
	}
	all := make([]manifest.Piece, 0, len(pieces))
	for _, p := range pieces {
		o := b.job.Objects[p.Object]
		if !b.cut(p.Object) && b.kinds[o.Name] != "" {
			p.Offset, p.Length = 0, o.Size
		}
		if n := len(all); n == 0 || all[n-1] != p {
			all = append(all, p)
		}
	}
	return all, nil
}

// alone tells whether a piece of a sample is read by itself: that of an object
// which is compressed, or is said to be.
func (b *bucket) alone(p manifest.Piece) bool {
	o := b.job.Objects[p.Object]
	return o.Compression != "" || b.kinds[o.Name] != "" && p.Length == o.Size
}

// cut tells whether the plan has cut an object.
func (b *bucket) cut(object int) bool {
	i, found := slices.BinarySearchFunc(b.job.Tasks, object, func(pieces []manifest.Piece, object int) int {
		return cmp.Compare(pieces[len(pieces)-1].Object, object)
	})
	return found && slices.ContainsFunc(b.job.Tasks[i], func(p manifest.Piece) bool {
		return p.Object == object && p.Length < b.job.Objects[object].Size
	})
}

// look tells by its first bytes how an object is compressed.
func (b *bucket) look(ctx context.Context, o manifest.Object) (manifest.Compression, error) {
	n := min(o.Size, decompress.HeadSize)
	head := make([]byte, n)
	body, err := b.openInput(ctx, o, 0, n)
	if err == nil {
		_, err = io.ReadFull(body, head)
		err = errors.Join(err, body.Close())
	}
	if err != nil {
		return "", inputError(o.At(b.layout), err)
	}
	kind, err := decompress.Detect(o.Name, head)
	if err != nil {
		return "", &FatalError{Err: err, Key: o.At(b.layout)}
	}
	return kind, nil
}

// sampler reads the pieces of a sample, and is the runner.Emitter that keeps the
// keys.
type sampler struct {
	ctx     context.Context
	bucket  *bucket
	shares  shares
	order   *keyorder.Order
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
	if !s.bucket.alone(p) {
		piece := s.bucket.piece(p, s.plain.opener(s.opened), &s.decoder)
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
func (s *sampler) Emit(key, value []byte) error {
	key = s.order.Head(s.order.Encode(key, value))
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
func (s *sampler) EmitSpans(text []byte, spans []uint32, value []byte) error {
	for ; len(spans) >= 2; spans = spans[2:] {
		_ = s.Emit(text[spans[0]:spans[1]], value) // keeps it in any case
	}
	return nil
}
