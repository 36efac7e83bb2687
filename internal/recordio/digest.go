package recordio

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// digest hashes the records of a stream in order: SHA-256 over the xxHash64
// of each framed record, eight bytes little-endian. The hash of a record is
// needed for the sum in any case; SHA-256 over the records themselves would
// be the largest part of writing and reading them.
type digest struct {
	sha hash.Hash
	n   int        // bytes in buf
	buf [1024]byte // saves a call for each record
}

func newDigest() *digest { return &digest{sha: sha256.New()} }

func (d *digest) reset() {
	d.sha.Reset()
	d.n = 0
}

// add adds the hash of the next record.
func (d *digest) add(h uint64) {
	if d.n == len(d.buf) {
		d.sha.Write(d.buf[:])
		d.n = 0
	}
	binary.LittleEndian.PutUint64(d.buf[d.n:], h)
	d.n += 8
}

// sum writes the hash of all records to to, after which only reset counts.
func (d *digest) sum(to *[32]byte) {
	d.sha.Write(d.buf[:d.n])
	d.sha.Sum(to[:0])
}
