package output

import (
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// The compressions of outputs. None is the absence of the option, but of Parquet.
const (
	None = "none"
	Gzip = "gzip"
	Zstd = "zstd"
)

// endings are what names end in behind that of the format.
var endings = map[string]string{Gzip: ".gz", Zstd: ".zst"}

// frameSize is how many bytes, before they are compressed, a frame of zstd has at
// most: readers can begin at any frame.
const frameSize = 4 << 20

// checkCompression returns an error unless the option is absent or a compression.
func checkCompression(options map[string]string) error {
	switch c, given := options[CompressionOption]; {
	case !given, c == Gzip, c == Zstd:
		return nil
	default:
		return fmt.Errorf("compression %.200q; there are %s and %s", c, Gzip, Zstd)
	}
}

func contentType(compression, plain string) string {
	if compression == "" {
		return plain
	}
	return "application/" + compression
}

// checkPacked returns an error unless a compressed object may have size bytes: that
// of no records is not empty.
func checkPacked(size int64) error {
	if size < 1 {
		return fmt.Errorf("%d bytes, fewer than any compressed object", size)
	}
	return nil
}

// compressTo returns a writer whose bytes go to w compressed, and what ends it. The
// same bytes come out compressed in the same way, however they are written.
func compressTo(w io.Writer, compression string) (io.Writer, func() error) {
	switch compression {
	case Gzip:
		z := gzip.NewWriter(w)
		return z, z.Close
	case Zstd:
		z := &frames{to: w}
		return z, z.Close
	}
	return w, nil
}

// frames compresses what is written in frames of frameSize.
type frames struct {
	to   io.Writer
	enc  *zstd.Encoder
	raw  []byte // of the frame that has begun
	out  []byte
	some bool // a frame was written
}

// Write implements io.Writer.
func (f *frames) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		k := min(len(p), frameSize-len(f.raw))
		f.raw = append(f.raw, p[:k]...)
		p, n = p[k:], n+k
		if len(f.raw) == frameSize {
			if err := f.flush(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// flush writes a frame.
func (f *frames) flush() (err error) {
	if f.enc == nil {
		if f.enc, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithZeroFrames(true), zstd.WithWindowSize(frameSize)); err != nil {
			return err
		}
	}
	f.out = f.enc.EncodeAll(f.raw, f.out[:0])
	f.raw, f.some = f.raw[:0], true
	_, err = f.to.Write(f.out)
	return err
}

// Close writes the last frame. An output without bytes is a frame too.
func (f *frames) Close() error {
	if len(f.raw) == 0 && f.some {
		return nil
	}
	return f.flush()
}
