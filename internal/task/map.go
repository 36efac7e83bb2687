package task

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/mraws/mraws/internal/decompress"
	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/internal/runner"
)

// runMap runs a map attempt.
func (t *attempt) runMap(ctx context.Context) (err error) {
	segs := t.newSegments()
	defer func() { err = errors.Join(err, segs.Close()) }()
	if err := t.mapTo(ctx, segs); err != nil {
		return err
	}
	t.res.Emitted = segs.emitted
	return t.commit.commitMap(ctx, segs, &manifest.Map{
		Input:   manifest.Input{Records: t.live.Records.Load(), Bytes: t.inputBytes()},
		Emitted: segs.emitted, Counters: t.counters.all(),
	})
}

// mapTo is a map attempt without its commit.
func (t *attempt) mapTo(ctx context.Context, segs *segments) (err error) {
	cuts, err := t.ranges().partitioner(ctx)
	if err != nil {
		return err
	}
	c := t.newCollector(cuts)
	defer func() { err = errors.Join(err, c.Close()) }() // its memory is needed no more
	if segs.bad = t.newQuarantine(c); segs.bad == nil {
		err = t.mapInput(ctx, c, c, nil)
	} else {
		err = errors.Join(t.mapInput(ctx, c, segs.bad, segs.bad), segs.bad.mapped())
	}
	if segs.emitted = c.emitted; err != nil {
		return err
	}
	// The combiner is called here too.
	return t.verdict(t.Runner.Guard(func() error { return c.finish(segs) }), nil, func(*AppError) {})
}

// mapInput hands every record of the task's pieces to the application, and what
// that emits to out, which hands it to c. skips may be nil.
func (t *attempt) mapInput(ctx context.Context, c *collector, out runner.Emitter, skips *quarantine) error {
	pieces := t.Job.Tasks[t.Index]
	ahead := fetchAhead(ctx, t.bucket, t.shares, pieces)
	defer ahead.Close()
	var decoder decompress.Decoder
	defer decoder.Close()
	i := -1
	in := &records{live: t.live, format: t.bucket.format, maxRecord: t.maxRecord, skips: skips, next: func() *openPiece {
		if i++; i == len(pieces) {
			return nil
		}
		return t.bucket.piece(pieces[i], ahead.opener(i), &decoder)
	}}
	if skips != nil {
		skips.in = in
	}
	err := t.Runner.Map(t.task, in, out)
	err = t.verdict(err, firstOf(c.failed, in.err), func(e *AppError) { in.blame(e); c.blame(e) })
	return t.bucket.suspect(ctx, errors.Join(err, in.Close()))
}

// firstOf is the first error, if there is one.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// piece is a piece of the input, to be read through open.
func (b *bucket) piece(p manifest.Piece, open input.Opener, d *decompress.Decoder) *openPiece {
	o := b.job.Objects[p.Object]
	piece := &openPiece{etag: o.ETag, Piece: input.Piece{Object: o.Name, Size: o.Size, Offset: p.Offset, Length: p.Length, Open: open}}
	piece.compressed = b.decompress(&piece.Piece, o, d)
	return piece
}

// inputBytes is the size of the task's pieces.
func (t *attempt) inputBytes() (n int64) {
	for _, p := range t.Job.Tasks[t.Index] {
		n += p.Length
	}
	return n
}

// segments are the finished partitions of a map attempt, one after the other
// in a spool, and the list of what it skipped.
type segments struct {
	spool   spool
	parts   []segment
	emitted int64       // pairs, before combining
	bad     *quarantine // nil if nothing may be skipped
}

func (t *attempt) newSegments() *segments {
	return &segments{spool: spool{space: t.space, what: "segments", limit: t.shares.spool}}
}

// Close frees all of it.
func (s *segments) Close() error { return errors.Join(s.spool.Close(), s.bad.Close()) }

// segment is one partition in the spool, of no bytes if it has no records.
type segment struct {
	off int64
	recordio.Summary
	largest int64 // see recordio.Writer.Largest
}

// reader returns the bytes of partition r.
func (s *segments) reader(r int) *io.SectionReader {
	return io.NewSectionReader(&s.spool, s.parts[r].off, s.parts[r].Bytes)
}

// finish merges what was spilled and what is still held into one segment for
// each partition. The records are the same whatever was spilled when: runs
// are merged in the order of time, and combined fully.
func (c *collector) finish(segs *segments) error {
	ins := make([]sorted, 0, len(c.runs)+1)
	ins = append(ins, c.runs...)
	c.runs = nil
	c.buf.Sort(c.merger.nparts)
	ins, err := c.merger.compact(append(ins, resident{c.buf}))
	if err != nil {
		return err
	}
	err = c.writeSegments(segs, ins)
	return errors.Join(err, closeAll(ins))
}

func (c *collector) writeSegments(segs *segments, ins []sorted) error {
	w := recordio.NewWriter(nil, recordio.Options{Codec: recordio.S2})
	segs.parts = make([]segment, c.merger.nparts)
	for r := range segs.parts {
		seg := &segs.parts[r]
		seg.off = segs.spool.size
		w.Reset(&segs.spool)
		if err := c.live.copyRecords(w, c.merger.source(ins, r)); err != nil {
			return fmt.Errorf("write partition %d: %w", r, err)
		}
		if w.Records() == 0 {
			seg.Hash = sha256.Sum256(nil)
			continue
		}
		sum, err := w.Close()
		if err != nil {
			return fmt.Errorf("write partition %d: %w", r, err)
		}
		seg.Summary, seg.largest = sum, w.Largest()
	}
	return nil
}
