package decompress

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/klauspost/compress/zstd"
)

// The first four bytes of a frame, RFC 8878 sections 3.1.1 and 3.1.2.
const (
	zstdMagic     = 0xfd2fb528
	skippableMask = 0xfffffff0 // of a frame to skip, such as pzstd writes
	skippable     = 0x184d2a50
)

// frames returns a reader of the zstd frames in d.in.
func (d *Decoder) frames() (io.Reader, error) {
	head, err := d.in.Peek(4)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, err
	case len(head) == 0:
		return nil, ErrEmpty
	case len(head) < 4:
		return nil, ErrFormat
	}
	if m := binary.LittleEndian.Uint32(head); m != zstdMagic && m&skippableMask != skippable {
		return nil, ErrFormat
	}
	if err := d.makeZstd(); err != nil {
		return nil, err
	}
	return d.zs, d.zs.Reset(d.in)
}

// makeZstd makes the decoder unless there is one.
func (d *Decoder) makeZstd() (err error) {
	if d.zs == nil {
		// One at a time: our own goroutine is ahead already. The size of a
		// stream is for our caller to bound.
		d.zs, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(math.MaxInt64))
		if err != nil {
			return fmt.Errorf("make a zstd decoder: %w", err)
		}
	}
	return nil
}

func meaningOfZstd(err error) error {
	switch {
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return ErrWindow
	case errors.Is(err, zstd.ErrMagicMismatch):
		return ErrTrailing
	case errors.Is(err, zstd.ErrCRCMismatch):
		return ErrChecksum
	}
	return err
}
