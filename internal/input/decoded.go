package input

import (
	"errors"
	"fmt"
	"io"

	"github.com/mraws/mraws/mr"
)

// usualRatio is how much larger than its object a decoded stream is taken to
// be, where a small one is to get a small buffer.
const usualRatio = 8

// readDecoded is Read of a piece with a Decode.
func readDecoded(in mr.Input, p Piece, maxRecord int) (*PieceReader, error) {
	if p.Offset != 0 || p.Length != p.Size {
		return nil, fmt.Errorf("read %s: piece [%d, %d) of an object that is decoded as a whole", p.Object, p.Offset, p.Offset+p.Length)
	}
	body := &decoded{span: span{open: p.Open, end: p.Size, size: p.Size}, decode: p.Decode}
	if in == mr.WholeObjects {
		return &PieceReader{Reader: Whole(body, p.Object, -1, maxRecord), body: body}, nil
	}
	lines := Lines(NewBuffered(body, usualRatio*min(p.Size, maxBlock)), LinesOptions{
		Object: p.Object, First: true, Limit: -1, Numbered: in == mr.NumberedLines, MaxRecord: maxRecord,
	})
	return &PieceReader{Reader: lines, body: body}, nil
}

// decoded is the decoded stream of an object.
type decoded struct {
	span   span
	decode func(io.Reader) io.ReadCloser
	stream io.ReadCloser
}

// Read starts decoding at its first call.
func (d *decoded) Read(p []byte) (int, error) {
	if d.stream == nil {
		d.stream = d.decode(&d.span)
	}
	return d.stream.Read(p)
}

// Close closes the stream, which then reads no more, and what is open of the
// object.
func (d *decoded) Close() error {
	var err error
	if d.stream != nil {
		err = d.stream.Close()
	}
	return errors.Join(err, d.span.Close())
}
