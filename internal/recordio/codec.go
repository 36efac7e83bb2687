package recordio

import (
	"errors"

	"github.com/klauspost/compress/s2"
)

// compress appends the S2 encoding of src to dst, or reports that src does not
// shrink by a sixteenth. dst has room for maxCompressed(len(src)).
func compress(dst, src []byte) ([]byte, bool) {
	n := len(dst)
	out := s2.Encode(dst[n:cap(dst)], src)
	if len(out) > len(src)-len(src)/16 {
		return dst, false
	}
	return dst[:n+len(out)], true
}

// maxCompressed is the room that a payload of n bytes needs at worst; n is
// at most MaxBlockSize.
func maxCompressed(n int) int { return s2.MaxEncodedLen(n) }

var errWrongLength = errors.New("decoded size is not the one in the header")

// decompress decodes src into dst, whose length is the decoded size.
func decompress(dst, src []byte) error {
	n, err := s2.DecodedLen(src)
	if err != nil {
		return err
	}
	if n != len(dst) {
		return errWrongLength
	}
	_, err = s2.Decode(dst, src)
	return err
}
