package recordio

import (
	"errors"
	"fmt"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// compressor encodes payloads. Its zstd half is made when first needed and
// kept, as it costs far more than a block.
type compressor struct{ zstd *zstd.Encoder }

// compress appends the encoding of src to dst, or reports that src does not
// shrink by a sixteenth. dst has room for maxCompressed(len(src)).
func (c *compressor) compress(codec Codec, dst, src []byte) ([]byte, bool, error) {
	n := len(dst)
	switch codec {
	case None:
		return dst, false, nil
	case S2:
		out := s2.Encode(dst[n:cap(dst)], src)
		if len(out) > len(src)-len(src)/16 {
			return dst, false, nil
		}
		return dst[:n+len(out)], true, nil
	case Zstd:
		if c.zstd == nil {
			enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
				zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true))
			if err != nil {
				return dst, false, fmt.Errorf("start zstd: %w", err)
			}
			c.zstd = enc
		}
		out := c.zstd.EncodeAll(src, dst)
		return out, len(out)-n <= len(src)-len(src)/16, nil
	}
	return dst, false, fmt.Errorf("unknown codec %d", codec)
}

// maxCompressed is the room that a payload of n bytes needs at worst; n is
// at most MaxBlockSize.
func maxCompressed(n int) int { return s2.MaxEncodedLen(n) }

// decompressor decodes payloads.
type decompressor struct{ zstd *zstd.Decoder }

var errWrongLength = errors.New("decoded size is not the one in the header")

// decompress decodes src into dst, whose length is the decoded size, and
// allocates nothing beyond its own fixed state.
func (d *decompressor) decompress(codec Codec, dst, src []byte) error {
	switch codec {
	case S2:
		if n, err := s2.DecodedLen(src); err != nil {
			return err
		} else if n != len(dst) {
			return errWrongLength
		}
		_, err := s2.Decode(dst, src)
		return err
	case Zstd:
		if d.zstd == nil {
			dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
				zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxMemory(MaxBlockSize))
			if err != nil {
				return fmt.Errorf("start zstd: %w", err)
			}
			d.zstd = dec
		}
		out, err := d.zstd.DecodeAll(src, dst[:0:len(dst)])
		if err == nil && len(out) != len(dst) {
			err = errWrongLength
		}
		return err
	}
	return fmt.Errorf("unknown codec %d", codec)
}
