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
	switch rec, err := t.takeOver(ctx, segs); {
	case err != nil:
		return err
	case rec != nil:
		t.res.Emitted = rec.Emitted
		return t.commit.commitMap(ctx, segs, rec)
	}
	if err := t.mapTo(ctx, segs); err != nil {
		return err
	}
	t.res.Emitted = segs.emitted
	return t.commit.commitMap(ctx, segs, &manifest.Map{
		Input:   manifest.Input{Records: t.live.Records.Load(), Bytes: t.inputBytes()},
		Emitted: segs.emitted, Extents: segs.extents, Counters: t.counters.all(),
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
	to := mapOutput(c)
	if t.order != nil {
		to = &ordering{collector: c, order: t.order}
	}
	segs.bad = t.newQuarantine(to)
	segs.extents, err = t.mapInput(ctx, to, segs.bad)
	if segs.emitted = c.emitted; err != nil {
		return err
	}
	// The combiner is called here too.
	return t.verdict(t.Runner.Guard(func() error { return c.finish(segs) }), nil, func(*AppError) {})
}

// mapOutput is where what a mapper emits ends up.
type mapOutput interface {
	runner.Emitter
	// failure is why it takes no more; nil if it does.
	failure() error
	// blame says in an error of the application for which key it was called.
	blame(e *AppError)
}

// mapInput hands every record of the task's pieces to the application, and what
// that emits to c, through skips if it is known of which record it is. skips may be
// nil. It returns what was found of the guessed pieces.
func (t *attempt) mapInput(ctx context.Context, c mapOutput, skips *quarantine) (_ []manifest.Extent, err error) {
	pieces := t.Job.Tasks[t.Index]
	ahead := fetchAhead(ctx, t.bucket, t.shares, pieces)
	defer ahead.Close()
	decoder := decompress.Decoder{Dict: t.bucket.dict}
	defer decoder.Close()
	i := -1
	in := &records{live: t.live, format: t.bucket.format, maxRecord: t.maxRecord, lines: t.app.Lines, columns: t.bucket.rows.Fields && t.bucket.rows.Columns != nil, skips: skips, next: func() *openPiece {
		if i++; i == len(pieces) {
			return nil
		}
		return t.bucket.piece(pieces[i], ahead.opener(i), &decoder)
	}}
	out := runner.Emitter(c)
	if skips != nil {
		defer func() { err = errors.Join(err, skips.mapped()) }()
		if skips.in = in; !t.app.Concurrent {
			out = skips.within(c)
		}
	}
	err = t.Runner.Map(t.task, in, out)
	t.live.waited.Add(ahead.waited.Load())
	err = t.verdict(err, firstOf(c.failure(), in.err), func(e *AppError) { in.blame(e); c.blame(e) })
	return in.extents, t.bucket.suspect(ctx, errors.Join(err, in.Close()))
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
	piece := &openPiece{etag: o.ETag, guessed: b.job.Guessed(b.format, p), Piece: input.Piece{Object: o.Name, Size: o.Size, Offset: p.Offset, Length: p.Length, Open: open, Rows: b.rows}}
	piece.compressed = b.decompress(&piece.Piece, p, d)
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
	emitted int64 // pairs, before combining
	extents []manifest.Extent
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
