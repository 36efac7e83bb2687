package recordio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"
)

// Reader reads the stream of a [Writer]. It checks each block before it returns
// the first record of the block, and the whole stream before Next reports its
// end without an error.
//
// It reads one block and the header of the next at a time, so it needs no
// bufio.Reader. It holds one block as stored and one decoded. For a false header
// it allocates at most 1 MiB, or twice the bytes that have arrived, for the
// stored block, and MaxBlockSize for the decoded block.
//
// A Reader is not safe for concurrent use.
type Reader struct {
	src    io.Reader
	maxRaw int64

	buf  []byte // the first have bytes have been read
	have int
	used int   // of them: the block that raw came from
	off  int64 // of buf[0] in the stream

	raw    []byte // decoded payload of the current block
	pos    int    // of the next record in raw
	left   uint32 // records left in raw
	key    []byte
	value  []byte
	dec    []byte // memory for payloads that had to be decoded
	flags  byte
	proof  bool // not flagLocal
	digest *digest
	hash   uint64 // of the current record, if proof is set
	total  totals
	done   bool
	err    error
	header bool // the start of the file has been read
}

// NewReader returns a Reader of r. Nothing may follow the stream in r.
func NewReader(r io.Reader) *Reader {
	rd := &Reader{maxRaw: MaxRecord + frameMax}
	rd.Reset(r)
	return rd
}

// Reset starts reading another stream with the same buffers.
func (r *Reader) Reset(src io.Reader) {
	*r = Reader{src: src, maxRaw: r.maxRaw, buf: r.buf, dec: r.dec, digest: r.digest}
}

// Next advances to the next record. It returns false at the end of the
// stream and on an error, which Err then returns.
func (r *Reader) Next() bool {
	if r.left == 0 && !r.nextBlock() {
		return false
	}
	p := r.raw[r.pos:]
	var n, k, v int
	if len(p) >= 2 && p[0]|p[1] < 0x80 {
		n, k, v = 2, int(p[0]), int(p[1])
	} else if n, k, v = parseFrame(p); n == 0 {
		return r.corrupt("malformed record in a block with the right checksum")
	}
	end := n + k + v
	if end > len(p) {
		return r.corrupt("record reaches beyond its block")
	}
	r.key, r.value = p[n:n+k:n+k], p[n+k:end:end]
	if r.proof {
		r.hash = xxhash.Sum64(p[:end])
		r.total.sum += r.hash
		r.digest.add(r.hash)
	}
	r.total.bytes += uint64(k + v)
	r.pos += end
	r.left--
	return true
}

// parseFrame reads the two lengths before a record: n is their size, 0 if
// they are malformed, not of the shortest form, or point outside p.
func parseFrame(p []byte) (n, k, v int) {
	klen, i := binary.Uvarint(p)
	if i <= 0 || i > 1 && p[i-1] == 0 || klen > uint64(len(p)) {
		return 0, 0, 0
	}
	vlen, j := binary.Uvarint(p[i:])
	if j <= 0 || j > 1 && p[i+j-1] == 0 || vlen > uint64(len(p)) {
		return 0, 0, 0
	}
	return i + j, int(klen), int(vlen)
}

// Key returns the key of the current record. It is valid until Next.
func (r *Reader) Key() []byte { return r.key }

// Value returns the value of the current record. It is valid until Next.
func (r *Reader) Value() []byte { return r.value }

// Hash returns [HashRecord] of the current record, if the stream has hashes.
func (r *Reader) Hash() (uint64, bool) { return r.hash, r.proof }

// Err returns the error that ended the stream, nil at its proper end: a
// [*CorruptError], or a wrapped error of the source.
func (r *Reader) Err() error { return r.err }

// Summary returns the summary of the stream after Next has returned false. It
// counts the records that were read, and equals the footer.
func (r *Reader) Summary() (Summary, error) {
	switch {
	case r.err != nil:
		return Summary{}, r.err
	case !r.done:
		return Summary{}, fmt.Errorf("summary of a record stream before its end")
	}
	return r.total.summary(r.off + int64(r.used)), nil
}

// fail ends the stream with err.
func (r *Reader) fail(err error) bool {
	r.err = err
	r.key, r.value, r.raw, r.left = nil, nil, nil, 0
	return false
}

// corrupt ends the stream with a CorruptError at the current block.
func (r *Reader) corrupt(format string, args ...any) bool {
	return r.fail(&CorruptError{Offset: r.off, Reason: fmt.Sprintf(format, args...)})
}

// nextBlock makes the next block the current one. It returns false at the
// end and on an error.
func (r *Reader) nextBlock() bool {
	if r.done || r.err != nil {
		return false
	}
	r.key, r.value = nil, nil
	if r.pos != len(r.raw) {
		return r.corrupt("block with more payload than records")
	}
	if !r.header && !r.fileHeader() {
		return false
	}
	r.discard()
	if !r.fill(headerLen, 0) {
		return false
	}
	h := parseHeader(r.buf)
	if reason := h.check(r.buf, r.flags, r.maxRaw); reason != "" {
		return r.corrupt("%s", reason)
	}
	n := headerLen + int(h.stored) + checksumLen
	ahead := headerLen
	if h.kind == kindFooter {
		ahead = 0
	}
	r.shrink(n + ahead)
	if !r.fill(n, ahead) {
		return false
	}
	if !intact(r.buf[:n]) {
		return r.corrupt("checksum of a block does not match")
	}
	r.used = n
	payload := r.buf[headerLen : headerLen+int(h.stored)]
	if h.kind == kindFooter {
		return r.finish(payload)
	}
	return r.open(h, payload)
}

// fileHeader reads the start of the file.
func (r *Reader) fileHeader() bool {
	if !r.fill(fileLen, headerLen) {
		return false
	}
	switch flags := r.buf[len(magic)+1]; {
	case !bytes.HasPrefix(r.buf, []byte(magic)):
		return r.corrupt("not a record stream: it starts with %q", r.buf[:len(magic)])
	case r.buf[len(magic)] != version:
		return r.corrupt("version %d of the format, this program reads %d", r.buf[len(magic)], version)
	case flags&^flagLocal != 0:
		return r.corrupt("unknown flags %#x", flags)
	default:
		r.flags, r.proof = flags, flags&flagLocal == 0
	}
	if r.proof {
		if r.digest == nil {
			r.digest = newDigest()
		}
		r.digest.reset()
	}
	r.header, r.used = true, fileLen
	return true
}

// open decodes a block of records.
func (r *Reader) open(h header, payload []byte) bool {
	if h.codec == None {
		r.raw = payload
	} else {
		raw := int(h.raw)
		if cap(r.dec) < raw || cap(r.dec) > bigBuffer && raw < cap(r.dec)/4 {
			r.raw, r.dec = nil, nil
			makeRoom(raw)
			r.dec = make([]byte, roundUp(raw))
		}
		r.raw = r.dec[:raw]
		if err := decompress(r.raw, payload); err != nil {
			return r.corrupt("decode block: %v", err)
		}
	}
	r.pos, r.left = 0, h.records
	r.total.blocks++
	r.total.records += uint64(h.records)
	return true
}

// finish compares the footer with what has been read and makes sure that
// nothing follows. It returns false, as the stream has ended.
func (r *Reader) finish(payload []byte) bool {
	r.raw, r.pos = nil, 0
	if r.proof {
		r.digest.sum(&r.total.sha256)
	}
	if want := parseTotals(payload, r.flags); want != r.total {
		return r.corrupt("footer does not match the records: it says %d records in %d blocks, read %d in %d",
			want.records, want.blocks, r.total.records, r.total.blocks)
	}
	switch more, err := r.read(r.used+1, r.used+1); {
	case more:
		return r.corrupt("data after the footer")
	case !errors.Is(err, io.EOF):
		return r.fail(fmt.Errorf("read record stream at byte %d: %w", r.off+int64(r.have), err))
	}
	r.done = true
	return false
}
