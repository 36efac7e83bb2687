package input

import (
	"errors"
	"io"
)

// sniffSize is how many bytes are shown to who looks, if the object has them.
const sniffSize = 512

// Sniffed returns the piece as it is to be read, once [Piece.Sniff] has seen its
// first bytes: with Decode, if it is compressed. They stay where they lie, so that
// an object that is not compressed is read as if nobody had looked.
func (p Piece) Sniffed() (_ Piece, err error) {
	look := p.Sniff
	if p.Sniff = nil; look == nil {
		return p, nil
	}
	if p.Length == 0 {
		p.Decode, err = look(nil)
		return p, err
	}
	body, err := p.Open(p.Offset, p.Length)
	if err != nil {
		return p, err
	}
	head, err := body.Peek()
	if n := int(min(sniffSize, p.Length)); err == nil && len(head) < n { // they come in small parts
		head = make([]byte, n)
		_, err = io.ReadFull(sourceReader{body}, head)
		body = &behind{head, body}
	}
	if err == nil {
		p.Decode, err = look(head[:min(len(head), sniffSize)])
	}
	if err != nil {
		return p, errors.Join(err, body.Close())
	}
	open := p.Open
	p.Open = func(off, n int64) (Body, error) {
		b := body
		switch body = nil; {
		case b != nil && off == p.Offset && n == p.Length:
			return b, nil
		case b != nil:
			if err := b.Close(); err != nil {
				return nil, err
			}
		}
		return open(off, n)
	}
	return p, nil
}

// sourceReader reads a source.
type sourceReader struct{ Source }

func (r sourceReader) Read(p []byte) (int, error) {
	b, err := r.Peek()
	if err != nil {
		return 0, err
	}
	n := copy(p, b)
	return n, r.Discard(n)
}

// behind is a body of which the first bytes have been read.
type behind struct {
	head []byte
	Body
}

// Peek implements [Source].
func (b *behind) Peek() ([]byte, error) {
	if len(b.head) > 0 {
		return b.head, nil
	}
	return b.Body.Peek()
}

// Discard implements [Source].
func (b *behind) Discard(n int) error {
	if len(b.head) > 0 {
		b.head = b.head[n:]
		return nil
	}
	return b.Body.Discard(n)
}
