package task

import (
	"bytes"
	"errors"
	"math"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/mr"
)

// records are the runner.Records of a map attempt: those of some pieces of the
// input, one piece after the other.
type records struct {
	live      *live
	format    input.Format
	maxRecord int // bytes; 0 is the default
	// next returns the next piece, nil behind the last.
	next func() *openPiece
	// skips takes the records that may be skipped; nil if none may.
	skips *quarantine
	// sample says that each piece gives its first records only, as many as it
	// says, and lenient that those over which the application fails do not matter.
	sample, lenient bool

	piece  *openPiece // at hand
	reader *input.PieceReader
	state  recordState
	err    error
	read   struct{ records, bytes int64 } // and not told to live yet
}

// recordState says what becomes of the record at hand.
type recordState int

const (
	noRecord   recordState = iota
	atRecord               // the application is at it
	pastRecord             // it has mapped it, or it is skipped
	atBlock                // it is at a block of records
)

// openPiece is a piece that is read.
type openPiece struct {
	input.Piece
	etag       string      // of the object
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
			r.piece.left -= n + 1
			r.state = atRecord
			r.count(1, n)
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
// long, or to the next piece.
func (r *records) advance() bool {
	if r.reader != nil {
		var long *input.TooLongError
		switch err := r.reader.Err(); {
		case errors.As(err, &long) && r.skips != nil && !r.sample:
			r.err = r.skip(long)
			return r.err == nil
		case errors.As(err, &long) && !r.lenient:
			r.err = &FatalError{Err: err}
		case err != nil && !errors.As(err, &long):
			r.err = err
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
	reader, err := input.Read(r.format, r.piece.Piece, r.maxRecord)
	if err != nil {
		r.err = &FatalError{Err: err}
		return false
	}
	if r.reader = reader; !r.sample {
		r.piece.left = math.MaxInt64
	}
	if r.skips != nil {
		r.skips.etag = r.piece.etag
	}
	return true
}

// skip leaves out the record that is too long for the reader.
func (r *records) skip(long *input.TooLongError) error {
	rec, length, err := r.reader.Skip()
	if err != nil {
		return err
	}
	r.count(1, length)
	return r.skips.tooLong(rec, length, long)
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
		if r.err = r.skips.skip(r.reader.Record(), err); r.err != nil {
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
	rec := r.reader.Record()
	e.Object, e.Offset = rec.Object, rec.Offset
	if r.state != atBlock {
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
	r.piece, r.reader, r.state = nil, nil, noRecord
	return err
}
