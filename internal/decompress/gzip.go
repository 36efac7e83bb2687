package decompress

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
)

// members reads the members of a gzip file one after the other, as gzip(1)
// does: any number of them, then perhaps zero bytes, which tapes and block
// devices leave behind. It is stricter with all else behind the last member:
// gzip(1) warns and goes on, and data that follows would be lost.
type members struct {
	in   *bufio.Reader
	gz   *gzip.Reader
	open bool
	some bool // a member has been read
}

func (m *members) Read(p []byte) (int, error) {
	for {
		if !m.open {
			if err := m.next(); err != nil {
				return 0, err
			}
		}
		n, err := m.gz.Read(p)
		if !errors.Is(err, io.EOF) {
			return n, err
		}
		m.open, m.some = false, true
		if n > 0 {
			return n, nil
		}
	}
}

// next reads the header of the next member. At the end it returns io.EOF.
func (m *members) next() error {
	head, err := m.in.Peek(4)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return err
	case len(head) == 0 && m.some:
		return io.EOF
	case m.some && head[0] == 0:
		return m.padding()
	case len(head) == 0:
		return ErrEmpty
	case head[0] != 0x1f || len(head) > 1 && head[1] != 0x8b:
		if m.some {
			return ErrTrailing
		}
		return ErrFormat
	case len(head) < 4:
		return ErrTruncated
	case head[2] != 8 || head[3]&0xe0 != 0:
		return fmt.Errorf("a gzip header with method %d and flags %#02x, which are unknown", head[2], head[3])
	}
	if err := m.gz.Reset(m.in); err != nil {
		return noEOF(err)
	}
	m.gz.Multistream(false)
	m.open = true
	return nil
}

// padding reads zero bytes up to the end.
func (m *members) padding() error {
	for {
		switch b, err := m.in.ReadByte(); {
		case err != nil:
			return err
		case b != 0:
			return ErrTrailing
		}
	}
}

// noEOF returns io.ErrUnexpectedEOF for io.EOF.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// meaning says in our words what a decompressor says.
func meaning(err error) error {
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return ErrTruncated
	case errors.Is(err, gzip.ErrChecksum):
		return ErrChecksum
	case errors.Is(err, gzip.ErrHeader):
		return errors.New("damaged: the header of a gzip member")
	case errors.As(err, &corrupt):
		return errors.New("damaged: no deflate data")
	}
	return meaningOfOthers(meaningOfZstd(err))
}
