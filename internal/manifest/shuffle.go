package manifest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/mraws/mraws/internal/recordio"
)

// Shuffle says how a map task stores its partitions; "" is an object for
// each.
type Shuffle string

// ShufflePacked is one object for each map task, with all its partitions one
// after the other.
const ShufflePacked Shuffle = "packed"

// Packed is the object that holds the partitions of a map task in the order
// of their numbers, and nothing else. If none of them has records there is no
// such object, and all but its hash is zero.
type Packed struct {
	Key  string `json:"key,omitempty"` // the whole S3 key, prefix included
	ETag string `json:"etag,omitempty"`
	Size int64  `json:"size"` // bytes of the object
	Hash string `json:"hash"` // PackedHash of its partitions
}

// PackedHash is the hex SHA-256 of the hash (32 bytes) and the size (64 bits,
// little-endian) of each partition in order: equal for objects that hold the
// same records in the same places. A hash that is none counts as zeros.
func PackedHash(parts []Part) string {
	sum := sha256.New()
	var b [40]byte
	for _, p := range parts {
		clear(b[:])
		if len(p.Hash) == 64 {
			_, _ = hex.Decode(b[:32], []byte(p.Hash)) // [Map.CheckParts] tells
		}
		binary.LittleEndian.PutUint64(b[32:], uint64(p.Size))
		sum.Write(b[:])
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// CheckParts returns an error unless the partitions of m lie one after the
// other in their packed object, or each in an object of its own, as the job
// has it, and nothing is stored of exactly those that have no records.
func (m *Map) CheckParts(job *Job) error {
	switch {
	case m.Packed == nil && job.Shuffle == ShufflePacked:
		return errors.New("its partitions are not packed, as the job wants them")
	case m.Packed != nil && job.Shuffle != ShufflePacked:
		return errors.New("its partitions are packed, and the job wants an object for each")
	}
	for r, p := range m.Parts {
		switch {
		case p.Size < 0:
			return fmt.Errorf("partition %d is said to have %d bytes", r, p.Size)
		case (p.Size == 0) != (p.Sum == recordio.Sum{}) || (p.Size == 0) != (p.Hash == noRecords):
			return fmt.Errorf("partition %d is said to have %d records with the hash %s in %d bytes", r, p.Sum.Records, p.Hash, p.Size)
		case m.Packed == nil && (p.Key == "") != (p.Size == 0):
			return fmt.Errorf("partition %d has %d bytes and the key %q", r, p.Size, p.Key)
		}
	}
	if m.Packed != nil {
		return m.checkPacked()
	}
	return nil
}

// noRecords is the hash of a partition without records.
const noRecords = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// checkPacked is CheckParts for what is particular to packed partitions.
func (m *Map) checkPacked() error {
	var end int64
	for r, p := range m.Parts {
		if p.Key != "" || p.ETag != "" || p.Offset != end {
			return fmt.Errorf("partition %d is said to have %d bytes from %d on, behind one that ends at %d", r, p.Size, p.Offset, end)
		}
		end += p.Size
	}
	p := m.Packed
	if p.Size != end || p.Hash != PackedHash(m.Parts) {
		return fmt.Errorf("its partitions have %d bytes and the hash %s, the object is said to have %d and %s",
			end, PackedHash(m.Parts), p.Size, p.Hash)
	}
	if (p.Key == "") != (end == 0) {
		return fmt.Errorf("its partitions have %d bytes, and their object the key %q", end, p.Key)
	}
	return nil
}
