package task

import (
	"bytes"
	"errors"
	"fmt"
	"math"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/mr"
)

// records are the runner.Records of a map attempt: those of some pieces of the
// input, one piece after the other.
type records struct {
	live      *live
	format    input.Format
	maxRecord int  // bytes; 0 is the default
	lines     bool // as [runner.Properties] has it
	columns   bool // the application reads rows, and names their columns
	// next returns the next piece, nil behind the last.
	next func() *openPiece
	// skips takes the records that may be skipped; nil if none may.
	skips *quarantine
	// sample says that each piece gives its first records only, as many as it
	// says, and lenient that those over which the application fails do not matter.
	sample, lenient bool

	// extents are what has been found of the guessed pieces, in order.
	extents []manifest.Extent

	piece  *openPiece // at hand
	reader *input.PieceReader
	state  recordState
	err    error
	sized  input.SizedReader              // reader, if it is one
	batch  *mr.Batch                      // at hand, if state is of one
	row    int                            // of batch, in state atRow
	read   struct{ records, bytes int64 } // and not told to live yet
}

// recordState says what becomes of the record at hand.
type recordState int

const (
	noRecord   recordState = iota
	atRecord               // the application is at it
	pastRecord             // it has mapped it, or it is skipped
	atBlock                // it is at a block of records, or a batch
	atRow                  // it has failed over a row of a batch
)

// openPiece is a piece that is read.
type openPiece struct {
	input.Piece
	etag       string      // of the object
	guessed    bool        // see [manifest.Job.Guessed]
	compressed *compressed // nil if it is not
	left       int64       // of a sample: bytes of records that it is to give yet
	close      func()      // nil for nothing
}

// Next implements runner.Records.
func (r *records) Next() (mr.Record, bool) {
	if !r.begin() {
		return mr.Record{}, false
	}
	for {
		if r.reader != nil && r.piece.left > 0 && r.reader.Next() {
			rec := r.reader.Record()
			n := int64(len(rec.Data))
			if r.sized != nil {
				n = r.sized.Size()
			}
			r.piece.left -= n + 1
			r.count(1, n)
			if r.lines && bytes.IndexByte(rec.Data, '\n') >= 0 {
				if r.err = r.refuse(rec, n); r.err != nil {
					return mr.Record{}, false
				}
				continue
			}
			r.state = atRecord
			return rec, true
		}
		if !r.advance() {
			return mr.Record{}, false
		}
	}
}

// Blocks implements runner.Records. A failure is blamed on a block as a whole,
// so there are none where records may be skipped.
func (r *records) Blocks() bool { return r.format.Blocks() && r.skips == nil && !r.sample }

// NextBlock implements runner.Records.
func (r *records) NextBlock() (mr.Record, bool) {
	if !r.begin() {
		return mr.Record{}, false
	}
	for {
		if r.reader != nil {
			if blocks, ok := r.reader.Blocks(); ok && blocks.NextBlock() {
				block := blocks.Record()
				r.state = atBlock
				block.Lines = int64(bytes.Count(block.Data, []byte{'\n'}))
				n := int64(len(block.Data)) - block.Lines
				if n := len(block.Data); n == 0 || block.Data[n-1] != '\n' {
					block.Lines++
				}
				r.count(block.Lines, n)
				return block, true
			}
		}
		if !r.advance() {
			return mr.Record{}, false
		}
	}
}

// Batches implements runner.BatchRecords. The rows of a batch are not told apart once
// the application has them, so there are none where records may be skipped.
func (r *records) Batches() bool { return r.columns && r.skips == nil && !r.sample }

// NextBatch implements runner.BatchRecords.
func (r *records) NextBatch() (*mr.Batch, bool) {
	if !r.begin() {
		return nil, false
	}
	for {
		if r.reader != nil {
			rows, ok := r.reader.Batches()
			if !ok {
				r.err = fmt.Errorf("read %s: its reader gives no batches of rows", r.piece.Object)
				return nil, false
			}
			if rows.NextBatch() {
				r.batch, r.state = rows.Batch(), atBlock
				r.count(int64(r.batch.Len()), rows.Size())
				return r.batch, true
			}
		}
		if !r.advance() {
			return nil, false
		}
	}
}

// FailedAt implements runner.BatchRecords.
func (r *records) FailedAt(row int) {
	if r.state == atBlock && row >= 0 && row < r.batch.Len() {
		r.state, r.row = atRow, row
	}
}

// begin is what comes before every record: it hands on what the application has
// emitted for the last one, if that was held back.
func (r *records) begin() bool {
	if r.state == atRecord {
		r.state = pastRecord
		if r.skips != nil && r.err == nil {
			r.err = r.skips.release()
		}
	}
	if r.err == nil && r.live.stopped.Load() {
		r.err = errStopped
	}
	return r.err == nil
}

// advance moves on at the end of what the reader has: past a record that is too
// long or bad, or to the next piece.
func (r *records) advance() bool {
	if r.reader != nil {
		err := r.reader.Err()
		var object *input.ObjectError
		switch what, bad := input.Bad(err); {
		case bad && r.skips != nil && !r.sample:
			r.err = r.skip(what)
			return r.err == nil
		case bad && !r.lenient, errors.As(err, &object):
			r.err = &FatalError{Err: err}
		case !bad:
			r.err = err
		}
		if r.err == nil && r.piece.guessed && !r.sample {
			r.err = r.noteExtent()
		}
		if r.err != nil {
			return false
		}
	}
	if r.err = r.Close(); r.err != nil {
		return false
	}
	if r.piece = r.next(); r.piece == nil {
		return false
	}
	if r.piece.Piece, r.err = r.piece.Sniffed(); r.err != nil {
		return false
	}
	reader, err := input.Read(r.format, r.piece.Piece, r.maxRecord)
	if err != nil {
		r.err = &FatalError{Err: err}
		return false
	}
	r.sized, _ = reader.Reader.(input.SizedReader)
	if r.reader = reader; !r.sample {
		r.piece.left = math.MaxInt64
	}
	if r.skips != nil {
		r.skips.etag = r.piece.etag
	}
	return true
}

// noteExtent notes what the reader has found of a guessed piece that it has read
// to its end.
func (r *records) noteExtent() error {
	e, ok := r.reader.Extent()
	if !ok {
		return &FatalError{Err: fmt.Errorf("read %s: the reader of its piece at byte %d does not tell where records begin", r.piece.Object, r.piece.Offset)}
	}
	r.extents = append(r.extents, manifest.Extent(e))
	return nil
}

// skip leaves out the record that the reader does not give, and what is wrong with it.
func (r *records) skip(what string) error {
	rec, length, err := r.reader.Skip()
	if err != nil {
		return err
	}
	r.count(1, length)
	return r.skips.add(rec, length, errors.New(what))
}

// refuse leaves out a record that is no line, or fails.
func (r *records) refuse(rec mr.Record, length int64) error {
	const what = "there is a line break in it, and the application reads lines"
	r.state = pastRecord
	switch {
	case r.lenient:
		return nil
	case r.skips == nil:
		return &FatalError{Err: &input.BadError{Object: rec.Object, Offset: rec.Offset, What: what}}
	}
	return r.skips.add(rec, length, errors.New(what))
}

// SkipOrFail implements runner.Records.
func (r *records) SkipOrFail(err error) error {
	switch {
	case r.state != atRecord || r.err != nil:
		return err
	case r.lenient: // the attempt itself will come across what is bad
	case r.skips == nil || r.live.stopped.Load() || notOfRecord(err):
		return err
	default:
		if r.err = r.skips.skip(r.reader.Record(), r.reader.Size(), err); r.err != nil {
			return r.err
		}
	}
	r.state = pastRecord
	return nil
}

// Sample implements runner.Records.
func (r *records) Sample() bool { return r.sample }

// Err implements runner.Records.
func (r *records) Err() error { return r.err }

// blame says in an error of the application over which record it came.
func (r *records) blame(e *AppError) {
	if r.state == noRecord {
		return
	}
	var rec mr.Record
	switch {
	case r.state == atRow:
		rec = r.batch.Record(r.row)
	case r.batch != nil:
		rec = mr.Record{Object: r.batch.Object, Offset: r.batch.Offsets[0]}
	default:
		rec = r.reader.Record()
	}
	e.Object, e.Offset = rec.Object, rec.Offset
	switch {
	case rec.Fields != nil:
		e.Record = shortKey(rec.Fields.AppendJSON(nil))
	case r.state != atBlock:
		e.Record = shortKey(rec.Data)
	}
}

// count notes what was read. live is told of it now and then.
func (r *records) count(records, bytes int64) {
	r.read.records += records
	r.read.bytes += bytes
	if r.read.records >= 256 || r.read.bytes >= 64<<10 {
		r.tell()
	}
}

func (r *records) tell() {
	r.live.Records.Add(r.read.records)
	r.live.Bytes.Add(r.read.bytes)
	r.live.Weight.Add(r.piece.compressed.weigh(r.read.bytes))
	r.read.records, r.read.bytes = 0, 0
}

// Close ends the piece at hand.
func (r *records) Close() error {
	if r.piece == nil {
		return nil
	}
	r.tell()
	var err error
	if r.reader != nil {
		err = r.reader.Close()
	}
	if r.piece.close != nil {
		r.piece.close()
	}
	r.piece, r.reader, r.batch, r.state = nil, nil, nil, noRecord
	return err
}
