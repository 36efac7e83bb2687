package manifest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// Digest is the SHA-256 of the bytes of an object.
type Digest [sha256.Size]byte

// DigestOf returns the digest of data.
func DigestOf(data []byte) Digest { return sha256.Sum256(data) }

// String is the digest in hex.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// ParseDigest reads 64 hex digits in lower case, the one form that String
// writes.
func ParseDigest(s string) (d Digest, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(d) || hex.EncodeToString(b) != s {
		return d, fmt.Errorf("read %.80q as a SHA-256: want 64 hex digits in lower case", s)
	}
	return Digest(b), nil
}

// Sealed are the digests of the control objects of a finished job, as its
// summary has them. What these objects say of segments, of outputs and of
// lists of skipped records (hashes, sizes, ETags) is sealed by that.
type Sealed struct {
	Job     string `json:"job"`              // of _job.json
	Ranges  string `json:"ranges,omitempty"` // of _ranges.json; "" if there is none
	Maps    string `json:"maps"`             // DigestOfAll the commit records, in order of the task
	Reduces string `json:"reduces"`          // DigestOfAll the reduce records that count, in order of the task
}

// DigestOfAll is the hex SHA-256 of n digests, 32 bytes each, one after the
// other.
func DigestOfAll(n int, at func(i int) Digest) string {
	sum := sha256.New()
	for i := range n {
		d := at(i)
		sum.Write(d[:])
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// A sealed summary ends with sealHead, the seal in hex and sealTail.
const (
	sealHead = "\n  \"seal\": \""
	sealTail = "\"\n}\n"
	sealSize = 2 * sha256.Size
)

// EncodeSealed sets the seal of s, which is the SHA-256 of all that stands
// before it, and writes s as [Encode] does.
func EncodeSealed(s *Success) ([]byte, error) {
	s.Seal = string(bytes.Repeat([]byte{'0'}, sealSize))
	data, err := Encode(s)
	if err != nil {
		return nil, err
	}
	at := len(data) - len(sealTail) - sealSize
	s.Seal = DigestOf(data[:at]).String()
	copy(data[at:], s.Seal)
	return data, nil
}

// CheckSeal returns the seal of a summary, or an error if its bytes are not
// those that were sealed.
func CheckSeal(data []byte) (Digest, error) {
	at := len(data) - len(sealTail) - sealSize
	if at < 0 || !bytes.HasSuffix(data, []byte(sealTail)) || !bytes.HasSuffix(data[:at], []byte(sealHead)) {
		return Digest{}, errors.New("it does not end with a seal")
	}
	want := DigestOf(data[:at])
	if got := string(data[at : at+sealSize]); got != want.String() {
		return Digest{}, fmt.Errorf("its bytes have the seal %s, it says %q", want, got)
	}
	return want, nil
}
