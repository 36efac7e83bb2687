package manifest

import (
	"fmt"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/mraws/mraws/internal/input"
)

// Compression says how the bytes of an input object are compressed; "" means
// that they are the input as they are.
type Compression string

// The kinds of compression that input may have.
const (
	Gzip   Compression = "gzip"   // RFC 1952, of one member or several
	BGZF   Compression = "bgzf"   // gzip in blocks of at most 64 KiB (SAM/BAM Format Specification, section 4.1)
	Zstd   Compression = "zstd"   // RFC 8878, of one frame or several
	Bzip2  Compression = "bzip2"  // of one stream or several
	XZ     Compression = "xz"     // The .xz File Format 1.2.1, with LZMA2
	LZ4    Compression = "lz4"    // LZ4 Frame Format 1.6.4
	Snappy Compression = "snappy" // its framing format
	S2     Compression = "s2"     // as Snappy, of klauspost/compress
)

// known tells whether c is a kind of compression.
func (c Compression) known() bool {
	return slices.Contains([]Compression{Gzip, BGZF, Zstd, Bzip2, XZ, LZ4, Snappy, S2}, c)
}

// Splits tells whether an object of that kind may be cut, between its blocks or
// frames, if its format may be read from there on.
func (c Compression) Splits() bool { return c == BGZF || c == Zstd || c == Bzip2 }

// CompressionOf tells how an object is probably compressed by the end of its name,
// in upper or lower case, which is all that a listing says: a Content-Encoding would
// cost a request for each object.
func CompressionOf(name string) Compression {
	switch strings.ToLower(path.Ext(name)) {
	case ".gz", ".bgz":
		return Gzip
	case ".zst":
		return Zstd
	case ".bz2":
		return Bzip2
	case ".xz":
		return XZ
	case ".lz4":
		return LZ4
	case ".sz":
		return Snappy
	case ".s2":
		return S2
	}
	return ""
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
	// Content says that the first bytes of an object that is one piece tell how it
	// is compressed. Its [Object.Compression] is then no more than what its name
	// says, or what was found of a large one.
	Content bool `json:"content,omitempty"`

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

// Unknown tells whether it shows only when a piece is read how its object is
// compressed.
func (j *Job) Unknown(p Piece) bool {
	return j.Decompress.Content && p.Length == j.Objects[p.Object].Size
}

// Compressed tells whether any object of the job is said to be.
func (j *Job) Compressed() bool {
	for i := range j.Objects {
		if j.Objects[i].Compression != "" {
			return true
		}
	}
	return false
}

// SizeError says that an input object of this size cannot be of the format of the job.
type SizeError struct {
	Object string // its name
	Err    error  // of [input.Format]
}

// Error names the object.
func (e *SizeError) Error() string { return fmt.Sprintf("input object %q: %v", e.Object, e.Err) }

// Unwrap returns Err.
func (e *SizeError) Unwrap() error { return e.Err }

// validateCompression looks at the kinds of compression and their limits, and
// whether the other objects can be of the format: if not it is a [SizeError].
func (j *Job) validateCompression(f input.Format) error {
	for _, o := range j.Objects {
		switch o.Compression {
		case "":
			if err := f.Check(o.Size); err != nil {
				return &SizeError{Object: o.Name, Err: err}
			}
		default:
			if !o.Compression.known() {
				return fmt.Errorf("input object %q has unknown compression %q", o.Name, o.Compression)
			}
			if !f.Decompresses() {
				return fmt.Errorf("input object %q has compression %s, which input %s is not read through", o.Name, o.Compression, j.Input)
			}
		}
	}
	if j.Decompress.Content && !f.Decompresses() {
		return fmt.Errorf("input %s is not read decompressed, and objects are to tell how they are compressed", j.Input)
	}
	if d := j.Decompress; (j.Compressed() || d.Content) && (d.Ratio < 1 || d.Limit < 1) {
		return fmt.Errorf("decompress is %+v, want a ratio and a limit of at least 1", d)
	}
	return nil
}
