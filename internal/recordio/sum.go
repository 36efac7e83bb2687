package recordio

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/cespare/xxhash/v2"
)

// Sum is the order-independent checksum of a multiset of records: how many,
// and the sum modulo 2^64 of their hashes ([HashRecord]).
type Sum struct {
	Records int64 `json:"records"`
	Hash    Hex64 `json:"hash"`
	Bytes   int64 `json:"bytes"` // of keys and values, without framing
}

// Add adds the records of t to s.
func (s *Sum) Add(t Sum) {
	s.Records += t.Records
	s.Hash += t.Hash
	s.Bytes += t.Bytes
}

// Hex64 is a 64-bit number that JSON carries as 16 hex digits, since readers
// in other languages lose bits of large JSON numbers.
type Hex64 uint64

// MarshalText writes 16 hex digits.
func (h Hex64) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%016x", uint64(h)), nil }

// UnmarshalText reads 16 hex digits.
func (h *Hex64) UnmarshalText(b []byte) error {
	v, err := strconv.ParseUint(string(b), 16, 64)
	if err != nil || len(b) != 16 {
		return fmt.Errorf("read %q as 16 hex digits", b)
	}
	*h = Hex64(v)
	return nil
}

// HashRecord is the xxHash64 of the record as it is framed in the logical
// stream. Added up modulo 2^64 such hashes check a multiset of records
// whatever their order ([Sum]).
func HashRecord(key, value []byte) uint64 {
	if len(key)+len(value) <= 128-frameMax {
		var b [128]byte // on the stack, one call instead of five
		return xxhash.Sum64(append(append(appendFrame(b[:0], key, value), key...), value...))
	}
	var d xxhash.Digest
	d.Reset()
	var frame [2 * binary.MaxVarintLen64]byte
	_, _ = d.Write(appendFrame(frame[:0], key, value))
	_, _ = d.Write(key)
	_, _ = d.Write(value)
	return d.Sum64()
}

// AddRecord adds one record to s.
func (s *Sum) AddRecord(key, value []byte) { s.addHashed(HashRecord(key, value), key, value) }

// Hasher is a [Source] that may know the hash of its current record, from
// checking it.
type Hasher interface{ Hash() (hash uint64, ok bool) }

// AddCurrent adds the current record of src to s. It computes no hash if h,
// which is src as a Hasher or nil, knows it.
func (s *Sum) AddCurrent(src Source, h Hasher) {
	key, value := src.Key(), src.Value()
	if h != nil {
		if hash, ok := h.Hash(); ok {
			s.addHashed(hash, key, value)
			return
		}
	}
	s.AddRecord(key, value)
}

func (s *Sum) addHashed(hash uint64, key, value []byte) {
	s.Records++
	s.Hash += Hex64(hash)
	s.Bytes += int64(len(key)) + int64(len(value))
}

// Prefix returns the first eight bytes of a key, padded with zeros, as a number
// that orders like the bytes. Sorting and range lookups compare prefixes first.
func Prefix(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	// Two loads that overlap take less time than a copy of a few bytes.
	last := 8 * (8 - len(key)) // bits behind the key
	switch n := len(key); {
	case n >= 4:
		return uint64(binary.BigEndian.Uint32(key))<<32 | uint64(binary.BigEndian.Uint32(key[n-4:]))<<last
	case n >= 2:
		return uint64(binary.BigEndian.Uint16(key))<<48 | uint64(binary.BigEndian.Uint16(key[n-2:]))<<last
	case n == 1:
		return uint64(key[0]) << 56
	}
	return 0
}
