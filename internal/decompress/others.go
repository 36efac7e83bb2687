package decompress

import (
	"bufio"
	"compress/bzip2"
	"encoding/binary"
	"errors"
	"io"

	"github.com/klauspost/compress/s2"
	"github.com/pierrec/lz4/v4"
)

// lz4Frames reads the frames of an lz4 file one after the other (LZ4 Frame Format
// 1.6.4).
type lz4Frames struct {
	in   *bufio.Reader
	lz   *lz4.Reader
	open bool
	some bool // a frame has been read
}

func (f *lz4Frames) Read(p []byte) (int, error) {
	for {
		if !f.open {
			if err := f.next(); err != nil {
				return 0, err
			}
		}
		n, err := f.lz.Read(p)
		if !errors.Is(err, io.EOF) {
			return n, err
		}
		f.open, f.some = false, true
		if n > 0 {
			return n, nil
		}
	}
}

// next looks at the first bytes of the next frame. At the end it returns io.EOF.
func (f *lz4Frames) next() error {
	head, err := f.in.Peek(8)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return err
	case len(head) == 0:
		return io.EOF
	case len(head) < 4:
		return ErrTruncated
	}
	switch m := binary.LittleEndian.Uint32(head); {
	case m&skippableMask == skippable && len(head) == 8:
		n := int64(binary.LittleEndian.Uint32(head[4:])) + 8
		f.some = true
		_, err := io.CopyN(io.Discard, f.in, n)
		return noEOF(err)
	case m != lz4Magic && f.some:
		return ErrTrailing
	case m != lz4Magic:
		return ErrFormat
	}
	f.lz.Reset(f.in)
	f.open = true
	return nil
}

// bzip2Stream reads the streams of a bzip2 file.
func bzip2Stream(in *bufio.Reader) io.Reader { return bzip2.NewReader(in) }

// chunks reads Snappy's framing format and that of S2.
func (d *Decoder) chunks() io.Reader {
	if d.sn == nil {
		d.sn = s2.NewReader(nil, s2.ReaderMaxBlockSize(maxChunk), s2.ReaderAllocBlock(64<<10))
	}
	d.sn.Reset(d.in)
	return d.sn
}

// maxChunk is the most bytes of a block of S2, and of lz4, that may be: what their
// formats allow.
const maxChunk = 4 << 20

// meaningOfOthers says in our words what a decompressor says.
func meaningOfOthers(err error) error {
	var structure bzip2.StructuralError
	switch {
	case errors.As(err, &structure):
		switch structure {
		case "bad magic value in continuation file":
			return ErrTrailing
		case "checksum mismatch", "block checksum mismatch", "file checksum mismatch":
			return ErrChecksum
		}
		return errors.New("damaged: no bzip2 data")
	case errors.Is(err, s2.ErrCRC), errors.Is(err, lz4.ErrInvalidFrameChecksum),
		errors.Is(err, lz4.ErrInvalidBlockChecksum), errors.Is(err, lz4.ErrInvalidHeaderChecksum):
		return ErrChecksum
	case errors.Is(err, s2.ErrCorrupt), errors.Is(err, s2.ErrUnsupported), errors.Is(err, s2.ErrTooLarge):
		return errors.New("damaged: no Snappy or S2 data")
	case errors.Is(err, lz4.ErrInvalidSourceShortBuffer), errors.Is(err, lz4.ErrInvalidFrame):
		return errors.New("damaged: no lz4 data")
	}
	return err
}
