package input

import (
	"fmt"
	"strconv"

	"github.com/mraws/mraws/mr"
)

// fixed makes a record of each so many bytes.
type fixed struct {
	OnePiece
	size int64
}

func newFixed(options map[string]string) (Format, error) {
	n, err := strconv.ParseInt(options["size"], 10, 64)
	if err != nil || n < 1 || n > DefaultMaxLine || strconv.FormatInt(n, 10) != options["size"] {
		return nil, fmt.Errorf("input fixed with records of %.200q bytes, not of 1 to %d", options["size"], DefaultMaxLine)
	}
	return fixed{size: n}, nil
}

// Check implements [Format].
func (f fixed) Check(size int64) error {
	if size%f.size != 0 {
		return fmt.Errorf("its %d bytes are no multiple of the record size %d: remove the incomplete record, or give the size that its records have", size, f.size)
	}
	return nil
}

// Cut implements [Format].
func (f fixed) Cut(size, at int64) int64 {
	if at >= size {
		return size
	}
	return at - at%f.size
}

// Count implements [Format].
func (f fixed) Count(_, n int64) (least, most int64) { return n / f.size, (n + f.size - 1) / f.size }

// Read implements [Format].
func (f fixed) Read(p Piece, maxRecord int) (*PieceReader, error) {
	if maxRecord > 0 && f.size > int64(maxRecord) {
		return nil, fmt.Errorf("records of %d bytes are larger than %d", f.size, maxRecord)
	}
	stop := p.Offset + p.Length
	if p.Decode != nil {
		stop = 1<<63 - 1
	}
	body := p.Stream()
	var src Source = NewBuffered(body, 0)
	if s, ok := body.(*span); ok {
		src = s
	}
	return &PieceReader{&fixedReader{
		in: window{src: src, name: p.Object, base: p.Offset}, size: int(f.size), stop: stop, rec: mr.Record{Object: p.Object},
	}, body}, nil
}

type fixedReader struct {
	in   window
	size int
	stop int64
	rec  mr.Record
	bad  *BadError
}

// Next implements [Reader].
func (r *fixedReader) Next() bool {
	if r.bad != nil || r.in.err != nil || r.in.at() >= r.stop {
		return false
	}
	for len(r.in.rest()) < r.size && !r.in.eof {
		if !r.in.more(r.size - len(r.in.rest())) {
			return false
		}
	}
	rest := r.in.rest()
	if len(rest) == 0 {
		return false
	}
	if len(rest) < r.size {
		r.bad = &BadError{Object: r.rec.Object, Offset: r.in.at(), What: fmt.Sprintf("it has %d of %d bytes", len(rest), r.size)}
		return false
	}
	r.rec.Offset, r.rec.Data = r.in.at(), rest[:r.size:r.size]
	r.in.pos += r.size
	return true
}

// Record implements [Reader].
func (r *fixedReader) Record() mr.Record { return r.rec }

// Err implements [Reader].
func (r *fixedReader) Err() error {
	if r.bad != nil {
		return r.bad
	}
	return r.in.err
}

// Skip implements [Reader].
func (r *fixedReader) Skip() (rec mr.Record, length int64, err error) {
	if r.bad == nil {
		return rec, 0, errNothingToSkip
	}
	r.rec.Offset, r.rec.Data = r.in.at(), nil
	length = int64(len(r.in.rest()))
	r.in.pos, r.bad = len(r.in.buf), nil
	return r.rec, length, nil
}
