package task

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/mraws/mraws/internal/inflate"
	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/mr"
)

// runMap runs a map attempt.
func (t *attempt) runMap(ctx context.Context) (err error) {
	segs := &segments{spool: t.segmentSpool()}
	defer func() { err = errors.Join(err, segs.Close()) }()
	if err := t.mapTo(ctx, segs); err != nil {
		return err
	}
	return t.commit.commitMap(ctx, segs, &manifest.Map{
		Input:   manifest.Input{Records: t.live.Records.Load(), Bytes: t.inputBytes()},
		Emitted: t.res.Emitted, Counters: t.counters.all(),
	})
}

// mapTo is a map attempt without its commit.
func (t *attempt) mapTo(ctx context.Context, segs *segments) (err error) {
	cuts, err := t.partitioner(ctx)
	if err != nil {
		return err
	}
	c := t.newCollector(cuts)
	defer func() { err = errors.Join(err, c.Close()) }() // its memory is needed no more
	segs.bad = t.newQuarantine(c)
	if err := errors.Join(t.mapInput(ctx, c, segs.bad), segs.bad.mapped()); err != nil {
		return err
	}
	t.object, t.offset = "", 0
	// The combiner is called here too.
	return t.guard(func() error { return c.finish(segs) })
}

// mapInput hands every record of the task's pieces to the application,
// through q if that is not nil.
func (t *attempt) mapInput(ctx context.Context, c *collector, q *quarantine) error {
	return t.bucket.suspect(ctx, t.mapPieces(ctx, c, q))
}

func (t *attempt) mapPieces(ctx context.Context, c *collector, q *quarantine) error {
	pieces := t.Job.Tasks[t.Index]
	in := fetchAhead(ctx, t.bucket, t.shares, pieces)
	defer in.Close()
	var decoder inflate.Decoder
	defer decoder.Close()
	return t.guard(func() error {
		mapper, err := t.App.NewMapper(t.task)
		if err != nil {
			return t.appError(err)
		}
		each := mapper
		if q != nil {
			q.mapper, each = mapper, q
		}
		for i, p := range pieces {
			o := t.Job.Objects[p.Object]
			if q != nil {
				q.etag = o.ETag
			}
			piece := input.Piece{Object: o.Name, Size: o.Size, Offset: p.Offset, Length: p.Length, Open: in.opener(i)}
			t.compressed = t.decompress(&piece, o, &decoder)
			if err := t.mapPiece(piece, each, c, q); err != nil {
				return err
			}
		}
		t.compressed = nil
		t.object, t.offset = "", 0
		if f, ok := mapper.(interface{ Flush(mr.Emitter) error }); ok {
			return t.appError(f.Flush(c))
		}
		return nil
	})
}

// mapPiece maps the records of one piece. Those that are too long are for q,
// if there is one.
func (t *attempt) mapPiece(piece input.Piece, mapper mr.Mapper, c *collector, q *quarantine) (err error) {
	r, err := input.Read(t.App.Input, piece, t.maxRecord)
	if err != nil {
		return &FatalError{Err: err}
	}
	defer func() { err = errors.Join(err, r.Close()) }() // also when the application panics
	if blocks, ok := r.Blocks(); ok && q == nil && t.App.Input == mr.Lines {
		if m, ok := mapper.(mr.BlockMapper); ok {
			return t.mapBlocks(m, blocks, c)
		}
	}
	for {
		err := t.mapRecords(mapper, r, c)
		var long *input.TooLongError
		switch {
		case !errors.As(err, &long):
			return err
		case q == nil:
			return &FatalError{Err: err}
		}
		t.object, t.offset = long.Object, long.Offset
		length, err := q.skip(r, long)
		if err != nil {
			return err
		}
		t.note(1, length)
	}
}

// note brings the attempt's progress up to date.
func (t *attempt) note(records, bytes int64) {
	t.live.Records.Add(records)
	t.live.Bytes.Add(bytes)
	t.live.Weight.Add(t.compressed.weigh(bytes))
}

// mapRecords maps records until the end, or until one is too long.
func (t *attempt) mapRecords(mapper mr.Mapper, r input.Reader, out mr.Emitter) error {
	var records, bytes int64
	flush := func() {
		t.note(records, bytes)
		records, bytes = 0, 0
	}
	failed := false // by a panic, unless it is set back
	defer func() {
		flush()
		if failed {
			t.noteRecord(r.Record().Data)
		}
	}()
	for r.Next() {
		if t.live.stopped.Load() {
			return errStopped
		}
		rec := r.Record()
		t.object, t.offset = rec.Object, rec.Offset
		failed = true
		err := mapper.Map(rec, out)
		failed = false
		if err != nil || t.failed != nil {
			t.noteRecord(rec.Data)
			return t.appError(err)
		}
		records++
		bytes += int64(len(rec.Data))
		if records >= 256 || bytes >= 64<<10 {
			flush()
		}
	}
	return r.Err()
}

// mapBlocks is mapRecords for a mapper that takes many lines at a time.
func (t *attempt) mapBlocks(mapper mr.BlockMapper, r input.BlockReader, out mr.Emitter) error {
	for r.NextBlock() {
		if t.live.stopped.Load() {
			return errStopped
		}
		block := r.Record()
		t.object, t.offset = block.Object, block.Offset
		lines := int64(bytes.Count(block.Data, []byte{'\n'}))
		bytes := int64(len(block.Data)) - lines
		if n := len(block.Data); n == 0 || block.Data[n-1] != '\n' {
			lines++
		}
		block.Lines = lines
		if err := t.appError(mapper.MapBlock(block, out)); err != nil {
			return err
		}
		t.note(lines, bytes)
	}
	if long := (*input.TooLongError)(nil); errors.As(r.Err(), &long) {
		return &FatalError{Err: r.Err()}
	}
	return r.Err()
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
	spool spool
	parts []segment
	bad   *quarantine // nil if nothing may be skipped
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
	c.buf.Sort(c.t.Job.NReduce)
	ins, err := c.merger.compact(append(ins, resident{c.buf}))
	if err != nil {
		return err
	}
	err = c.writeSegments(segs, ins)
	return errors.Join(err, closeAll(ins))
}

func (c *collector) writeSegments(segs *segments, ins []sorted) error {
	w := recordio.NewWriter(nil, recordio.Options{Codec: recordio.S2})
	segs.parts = make([]segment, c.t.Job.NReduce)
	for r := range segs.parts {
		seg := &segs.parts[r]
		seg.off = segs.spool.size
		w.Reset(&segs.spool)
		if err := c.t.live.copyRecords(w, c.merger.source(ins, r)); err != nil {
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
