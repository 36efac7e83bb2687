package manifest

import (
	"fmt"
	"math"
	"path"
	"strings"

	"github.com/mraws/mraws/internal/input"
)

// Compression says how the bytes of an input object are compressed; "" means
// that they are the input as they are.
type Compression string

// The kinds of compression that input may have.
const (
	Gzip Compression = "gzip" // RFC 1952, of one member or several
	Zstd Compression = "zstd" // RFC 8878, of one frame or several
)

// CompressionOf tells how an object is compressed by the end of its name, in
// upper or lower case. The name alone counts, since it is all that a listing
// says: a Content-Encoding would cost a request for each object.
func CompressionOf(name string) Compression {
	switch name = strings.ToLower(name[max(0, len(name)-4):]); {
	case strings.HasSuffix(name, ".gz"):
		return Gzip
	case strings.HasSuffix(name, ".zst"):
		return Zstd
	}
	return ""
}

// Unread tells whether the end of a name is that of a compressed file or
// archive of a kind that nobody here decompresses.
func Unread(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".bz2", ".xz", ".zip", ".tgz", ".lz4", ".tbz2", ".txz", ".lzma", ".7z", ".br":
		return true
	}
	return false
}

// usualRatio is what a compressed byte is taken to hold before anybody has
// looked: text becomes 3 to 5 times as large, logs 10 times and more.
const usualRatio = 8

// Weight is how many bytes of records n bytes of the object are taken for, where
// tasks are packed, compared and timed.
func (o Object) Weight(f input.Format, n int64) int64 {
	if o.Compression != "" {
		n = multiply(usualRatio, n)
	}
	return f.Weight(n)
}

// DecompressFloor is how many bytes any object may become, whatever its size.
const DecompressFloor = 1 << 30

// Decompress bounds what a compressed object may become, so that a few bytes
// cannot keep a job busy for ever.
type Decompress struct {
	Ratio int64 `json:"ratio"` // most bytes for each byte of the object, above [DecompressFloor]
	Limit int64 `json:"limit"` // most bytes of any object
}

// Most is how many bytes an object of size bytes may become.
func (d Decompress) Most(size int64) int64 {
	return min(d.Limit, max(DecompressFloor, multiply(d.Ratio, size)))
}

// multiply returns a*b, neither of them negative, or the largest number if
// that is larger.
func multiply(a, b int64) int64 {
	if b > 0 && a > math.MaxInt64/b {
		return math.MaxInt64
	}
	return a * b
}

// Compressed tells whether any object of the job is.
func (j *Job) Compressed() bool {
	for i := range j.Objects {
		if j.Objects[i].Compression != "" {
			return true
		}
	}
	return false
}

// validateCompression looks at the kinds of compression and their limits, and
// whether the other objects can be of the format.
func (j *Job) validateCompression(f input.Format) error {
	for _, o := range j.Objects {
		switch o.Compression {
		case "":
			if err := f.Check(o.Size); err != nil {
				return fmt.Errorf("input object %q: %w", o.Name, err)
			}
		case Gzip, Zstd:
			if !f.Decompresses() {
				return fmt.Errorf("input object %q has compression %s, which input %s is not read through", o.Name, o.Compression, j.Input)
			}
		default:
			return fmt.Errorf("input object %q has unknown compression %q", o.Name, o.Compression)
		}
	}
	if d := j.Decompress; j.Compressed() && (d.Ratio < 1 || d.Limit < 1) {
		return fmt.Errorf("decompress is %+v, want a ratio and a limit of at least 1", d)
	}
	return nil
}
