// Package recordio is the format of intermediate files: streams of key/value
// records in checksummed, compressed blocks, with a footer that proves the
// whole. It knows io.Reader, io.Writer and io.ReaderAt, nothing of S3 and
// nothing of files. docs/formats.md describes every byte.
//
//   - [Writer] and [Reader] write and read one stream: a partition of a map
//     task, as it lies in the bucket.
//   - [RunWriter] and [Run] write and read a spill: many streams in one
//     local file, one for each partition, with an index.
//   - [Merge] merges sorted streams and folds the values of equal keys.
//
// The logical stream of a file is its records one after the other, each
// framed as uvarint(len key) uvarint(len value) key value. It depends on the
// records alone, not on how they were cut into blocks or compressed, and so
// does the SHA-256 of its records' hashes, which tells whether two attempts of
// a task made the same.
package recordio

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Codec is how the payload of a block is compressed. The numbers stand in
// files.
type Codec uint8

const (
	// S2 is the default: on the cores that the shuffle shares with map and
	// reduce code it costs little, and it makes text about half as large.
	S2 Codec = iota
	// None stores blocks as they are. A block that S2 would not shrink by a
	// sixteenth is stored so too, since decoding it would cost more than it
	// saves.
	None
)

const (
	// DefaultBlockSize is the payload at which a block is full, in bytes.
	DefaultBlockSize = 64 << 10
	// MaxBlockSize bounds Options.BlockSize and the payload of every block
	// that is compressed or holds more than one record, in bytes.
	MaxBlockSize = 16 << 20
	// MaxRecord is the maximum size of one record, key and value together, in
	// bytes.
	MaxRecord = 1 << 30
)

// Options are the choices of a [Writer]. The zero value is good.
type Options struct {
	// Codec compresses blocks; the zero value is S2.
	Codec Codec
	// BlockSize is the payload of a full block before compression, in
	// bytes, at most MaxBlockSize; 0 means DefaultBlockSize. A record that
	// is larger gets a block of its own.
	BlockSize int
	// Local leaves the sum and the SHA-256 of the records out, for spills
	// that never leave the machine: their blocks have checksums all the
	// same, and the streams merged from them will have the proof.
	Local bool
}

// withDefaults fills zero fields in and brings the others into range.
func (o Options) withDefaults() Options {
	if o.BlockSize <= 0 {
		o.BlockSize = DefaultBlockSize
	}
	o.BlockSize = min(o.BlockSize, MaxBlockSize)
	return o
}

// Summary is what a whole stream amounts to.
type Summary struct {
	// Sum is the count, size and order-independent checksum of the
	// records. Its Hash is 0 in a Local stream.
	Sum Sum
	// Hash is the SHA-256 over the hash of each record, eight bytes
	// little-endian; zero in a Local stream.
	Hash [32]byte
	// Bytes is the size of the file.
	Bytes int64
}

// appendFrame appends the two lengths that stand before a record.
func appendFrame(b, key, value []byte) []byte {
	if len(key) < 0x80 && len(value) < 0x80 {
		return append(b, byte(len(key)), byte(len(value)))
	}
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(len(key))), uint64(len(value)))
}

// frameLen is the number of bytes that appendFrame appends.
func frameLen(key, value []byte) int { return uvarintLen(len(key)) + uvarintLen(len(value)) }

func uvarintLen(n int) int {
	l := 1
	for ; n >= 0x80; n >>= 7 {
		l++
	}
	return l
}

// TooLargeError says that a record exceeds MaxRecord. It is no fault of the
// stream, which can go on without the record.
type TooLargeError struct {
	Size int64 // of key and value, bytes
	Max  int64
}

// Error names both sizes.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("record of %d bytes exceeds the cap of %d", e.Size, e.Max)
}

// CorruptError says that a stream is not what a [Writer] wrote.
type CorruptError struct {
	// Offset is the position in the stream, in bytes, of the block in
	// which it shows.
	Offset int64
	// Reason says what is wrong.
	Reason string
	cut    bool
}

// Error names the place and the reason.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("corrupt record stream at byte %d: %s", e.Offset, e.Reason)
}

// Unwrap returns io.ErrUnexpectedEOF for a stream that ends too early.
func (e *CorruptError) Unwrap() error {
	if e.cut {
		return io.ErrUnexpectedEOF
	}
	return nil
}
