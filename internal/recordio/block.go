package recordio

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// The stream starts with magic, version and flags, 8 bytes.
const (
	magic     = "\x89mraws"
	version   = 1
	fileLen   = 8
	flagLocal = 1 << 0 // Options.Local
)

// A block is a header, a payload and the xxHash64 of both.
const (
	headerLen   = 16
	checksumLen = 8
	// frameMax is the longest that appendFrame gets.
	frameMax = 2 * binary.MaxVarintLen32
)

// kind tells blocks apart.
type kind uint8

const (
	kindRecords kind = 1
	kindFooter  kind = 2
	kindIndex   kind = 3 // of a run
)

// header is the start of a block:
//
//	0  kind       uint8
//	1  codec      uint8
//	2  reserved   uint16, 0
//	4  records    uint32
//	8  raw        uint32, bytes of payload when decoded
//	12 stored     uint32, bytes of payload in the file
//
// All numbers of the format are little-endian.
type header struct {
	kind    kind
	codec   Codec
	records uint32
	raw     uint32
	stored  uint32
}

// put writes h to the first headerLen bytes of b.
func (h header) put(b []byte) {
	b[0], b[1], b[2], b[3] = byte(h.kind), byte(h.codec), 0, 0
	binary.LittleEndian.PutUint32(b[4:], h.records)
	binary.LittleEndian.PutUint32(b[8:], h.raw)
	binary.LittleEndian.PutUint32(b[12:], h.stored)
}

// parseHeader reads what put wrote.
func parseHeader(b []byte) header {
	return header{
		kind:    kind(b[0]),
		codec:   Codec(b[1]),
		records: binary.LittleEndian.Uint32(b[4:]),
		raw:     binary.LittleEndian.Uint32(b[8:]),
		stored:  binary.LittleEndian.Uint32(b[12:]),
	}
}

// check returns what is wrong with the header at the start of b, "" if nothing.
// It runs before a read or an allocation that depends on the header. maxRaw is
// the maximum payload in bytes. flags are those of the stream.
func (h header) check(b []byte, flags byte, maxRaw int64) string {
	if b[2] != 0 || b[3] != 0 {
		return "reserved bytes of a block header are not zero"
	}
	switch h.kind {
	case kindFooter:
		if h.codec != None || h.records != 0 || h.raw != h.stored || int(h.raw) != footerLen(flags) {
			return "malformed footer"
		}
		return ""
	case kindRecords:
	default:
		return fmt.Sprintf("unknown kind of block %d", h.kind)
	}
	switch {
	case h.codec > None:
		return fmt.Sprintf("unknown codec %d", h.codec)
	case h.records == 0 || int64(h.raw) < 2*int64(h.records):
		return "block header with too many records for its size"
	case h.raw > MaxBlockSize && (h.records != 1 || h.codec != None):
		return fmt.Sprintf("block of %d bytes that is not one plain record", h.raw)
	case int64(h.raw) > maxRaw:
		return fmt.Sprintf("block of %d bytes exceeds the cap of %d", h.raw, maxRaw)
	case h.codec == None && h.stored != h.raw || h.stored == 0 || h.stored > h.raw:
		return "block header whose sizes disagree"
	}
	return ""
}

// intact reports whether block, which is header, payload and checksum, has
// the checksum that it says.
func intact(block []byte) bool {
	n := len(block) - checksumLen
	return xxhash.Sum64(block[:n]) == binary.LittleEndian.Uint64(block[n:])
}

// totals is the payload of the footer:
//
//	0  records  uint64
//	8  blocks   uint64
//	16 bytes    uint64, of keys and values
//	24 sum      uint64, of HashRecord, absent from local streams
//	32 sha256   32 bytes, absent from local streams
type totals struct {
	records, blocks, bytes, sum uint64
	sha256                      [32]byte
}

// footerLen is the payload of a footer in bytes.
func footerLen(flags byte) int {
	if flags&flagLocal != 0 {
		return 24
	}
	return 64
}

// append writes t as footerLen(flags) bytes.
func (t *totals) append(b []byte, flags byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, t.records)
	b = binary.LittleEndian.AppendUint64(b, t.blocks)
	b = binary.LittleEndian.AppendUint64(b, t.bytes)
	if flags&flagLocal != 0 {
		return b
	}
	b = binary.LittleEndian.AppendUint64(b, t.sum)
	return append(b, t.sha256[:]...)
}

// parseTotals reads what append wrote.
func parseTotals(b []byte, flags byte) (t totals) {
	t.records = binary.LittleEndian.Uint64(b)
	t.blocks = binary.LittleEndian.Uint64(b[8:])
	t.bytes = binary.LittleEndian.Uint64(b[16:])
	if flags&flagLocal == 0 {
		t.sum = binary.LittleEndian.Uint64(b[24:])
		copy(t.sha256[:], b[32:])
	}
	return t
}
