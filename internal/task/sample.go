package task

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/mraws/mraws/internal/decompress"
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
