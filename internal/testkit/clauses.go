package testkit

import (
	"bytes"
	"errors"
	"io"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/mr"
)

// clauses is the input format "clauses": a record ends at a semicolon that is not
// within brackets, and what follows the last one is none. The reader of a piece
// takes the first semicolon behind its first byte for the end of a record. That is
// wrong on purpose where one is within brackets.
type clauses struct{ input.OnePiece }

func (clauses) Cut(_, at int64) int64                { return at }
func (clauses) Guesses() bool                        { return true }
func (clauses) Decompresses() bool                   { return false }
func (clauses) Count(_, n int64) (least, most int64) { return 0, n + 1 }

func (clauses) Read(p input.Piece, _ int) (*input.PieceReader, error) {
	body := p.Stream()
	c := &clauseReader{at: p.Offset, end: p.Offset + p.Length, size: p.Size, rec: mr.Record{Object: p.Object}, src: body}
	c.guess = p.Offset > 0
	return &input.PieceReader{Reader: c, Body: body}, nil
}

// clauseReader is an [input.ExtentReader].
type clauseReader struct {
	src           io.Reader
	at, end, size int64 // at: of the next byte
	guess         bool  // where the first record begins
	extent        input.Extent
	rec           mr.Record
	err           error
}

// Next moves to the next record that begins at or before the piece's end: one
// that begins with the first byte of a piece belongs to the piece before.
func (c *clauseReader) Next() bool {
	if c.guess {
		c.guess = false
		if _, c.err = c.clause(); c.err == nil || errors.Is(c.err, io.EOF) {
			c.extent.Began.Offset, c.extent.WentOn.Offset = c.at, c.at
		}
	}
	if c.err != nil || c.at > c.end {
		return false
	}
	c.rec.Offset = c.at
	c.rec.Data, c.err = c.clause()
	c.extent.WentOn.Offset = c.at
	return c.err == nil
}

// clause reads up to a semicolon, and returns what is before it. At the end of the
// object what is left is read, and is none.
func (c *clauseReader) clause() ([]byte, error) {
	var b bytes.Buffer
	depth := 0
	for one := make([]byte, 1); ; {
		if _, err := io.ReadFull(c.src, one); err != nil {
			return nil, err
		}
		switch c.at++; {
		case one[0] == '[':
			depth++
		case one[0] == ']':
			depth--
		case one[0] == ';' && depth <= 0:
			return b.Bytes(), nil
		}
		b.WriteByte(one[0])
	}
}

func (c *clauseReader) Extent() input.Extent { return c.extent }
func (c *clauseReader) Record() mr.Record    { return c.rec }

func (c *clauseReader) Err() error {
	if errors.Is(c.err, io.EOF) {
		return nil
	}
	return c.err
}

func (c *clauseReader) Skip() (mr.Record, int64, error) { return (&recordReader{}).Skip() }
