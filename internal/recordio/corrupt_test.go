package recordio

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"
)

// readAll reads data as a stream and returns its error. A stream that is not
// what was written must end in a CorruptError, its records up to there being
// a prefix of those written.
func readAll(data []byte) ([]rec, error) {
	return collect(newSmallReader(bytes.NewReader(data)))
}

// TestTruncated: a stream cut at any byte is corrupt, and says it was cut.
func TestTruncated(t *testing.T) {
	for _, o := range []Options{{BlockSize: 50}, {Codec: None, Local: true}} {
		data, _ := write(t, o, sampleRecs())
		for n := range data {
			_, err := readAll(data[:n])
			wantCorrupt(t, err, "%+v cut at %d", o, n)
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%+v cut at %d: %v is not an unexpected EOF", o, n, err)
			}
		}
	}
}

// TestBitFlips: every single flipped bit of a stream is detected.
func TestBitFlips(t *testing.T) {
	for _, o := range []Options{{BlockSize: 50}, {Codec: None}, {BlockSize: 1, Local: true}} {
		data, _ := write(t, o, sampleRecs())
		for i := range 8 * len(data) {
			data[i/8] ^= 1 << (i % 8)
			_, err := readAll(data)
			wantCorrupt(t, err, "%+v, bit %d of byte %d", o, i%8, i/8)
			data[i/8] ^= 1 << (i % 8)
		}
		if _, err := readAll(data); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDamage: bits flipped, bytes cut out, put in, added, blocks repeated and
// swapped in any stream are detected, and no wrong record is handed out
// before.
func TestDamage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		recs, o := drawRecs(t, 12), drawOptions(t)
		o.Local = false // the SHA-256 is what finds moved blocks
		good, _ := write(t, o, recs)
		bad := bytes.Clone(good)
		at := rapid.IntRange(0, len(good)-1).Draw(t, "at")
		n := rapid.IntRange(1, 40).Draw(t, "bytes")
		switch rapid.SampledFrom([]string{"flip", "cut", "insert", "append", "repeat", "swap"}).Draw(t, "damage") {
		case "flip":
			bad[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		case "cut":
			bad = append(bad[:at], good[min(len(good), at+n):]...)
		case "insert":
			bad = append(append(bad[:at:at], make([]byte, n)...), good[at:]...)
		case "append":
			bad = append(bad, make([]byte, n)...)
		case "repeat":
			b := blocks(good)
			i := rapid.IntRange(0, len(b)-1).Draw(t, "block")
			b = append(b[:i+1:i+1], b[i:]...)
			bad = append(good[:fileLen:fileLen], bytes.Join(b, nil)...)
		case "swap":
			b := blocks(good)
			i := rapid.IntRange(0, len(b)-1).Draw(t, "block")
			b[0], b[i] = b[i], b[0]
			bad = append(good[:fileLen:fileLen], bytes.Join(b, nil)...)
		}
		if bytes.Equal(bad, good) {
			return
		}
		_, err := readAll(bad)
		wantCorrupt(t, err, "damaged stream")
	})
}

// blocks cuts a stream into its blocks, the footer last.
func blocks(data []byte) (all [][]byte) {
	for b := data[fileLen:]; len(b) > 0; {
		n := headerLen + int(parseHeader(b).stored) + checksumLen
		all = append(all, b[:n:n])
		b = b[n:]
	}
	return all
}

// block makes a block with the right checksum, whatever else is wrong.
func block(h header, payload string) []byte {
	b := make([]byte, headerLen)
	if h.stored == 0 {
		h.stored = uint32(len(payload))
	}
	if h.raw == 0 {
		h.raw = h.stored
	}
	h.put(b)
	return seal(append(b, payload...))
}

// seal appends the checksum of b.
func seal(b []byte) []byte {
	sum := xxhash.Sum64(b)
	for i := range 8 {
		b = append(b, byte(sum>>(8*i)))
	}
	return b
}

// TestForged: streams whose checksums are right but which no Writer wrote.
func TestForged(t *testing.T) {
	start := "\x89mraws\x01\x00"
	one := header{kind: kindRecords, codec: None, records: 1}
	footer := func(t totals) string {
		return string(block(header{kind: kindFooter, codec: None}, string(t.append(nil, 0))))
	}
	empty, _ := write(t, Options{}, nil)
	records := func(h header, payload string) string { return start + string(block(h, payload)) }
	with := func(h header, change func(*header)) header { change(&h); return h }
	tests := []struct{ name, data, want string }{
		{"empty", "", "ends after 0 of 8"},
		{"text", "hello, world", `not a record stream: it starts with "hello,"`},
		{"version", "\x89mraws\x02\x00", "version 2 of the format, this program reads 1"},
		{"flags", "\x89mraws\x01\x02", "unknown flags 0x2"},
		{"kind 0", records(with(one, func(h *header) { h.kind = 0 }), "\x00\x00"), "unknown kind of block 0"},
		{"kind index", records(with(one, func(h *header) { h.kind = kindIndex }), "\x00\x00"), "unknown kind of block 3"},
		{"codec", records(with(one, func(h *header) { h.codec = 2 }), "\x00\x00"), "unknown codec 2"},
		{"reserved", start + string(seal([]byte("\x01\x01\x01\x00\x01\x00\x00\x00\x02\x00\x00\x00\x02\x00\x00\x00\x00\x00"))), "reserved"},
		{"no records", records(with(one, func(h *header) { h.records = 0 }), "\x00\x00"), "too many records"},
		{"too many records", records(with(one, func(h *header) { h.records = 2 }), "\x00\x00"), "too many records"},
		{"one record less", records(with(one, func(h *header) { h.records = 2 }), "\x02\x00ab\x00"), "malformed record"},
		{"one record more", records(one, "\x00\x00\x00\x00") + string(empty[fileLen:]), "more payload than records"},
		{"long key", records(one, "\x02\x00a"), "reaches beyond its block"},
		{"long value", records(one, "\x00\x02a"), "reaches beyond its block"},
		{"longer key", records(one, "\xff\x01\x00"), "malformed record"},
		{"overflow", records(one, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00"), "malformed record"},
		{"too long a varint", records(one, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "malformed record"},
		{"padded key length", records(one, "\x80\x00\x00"), "malformed record"},
		{"padded value length", records(one, "\x00\x80\x00"), "malformed record"},
		{"raw is not stored", records(with(one, func(h *header) { h.raw = 9 }), "\x00\x00"), "sizes disagree"},
		{"grew", records(with(one, func(h *header) { h.codec, h.raw = S2, 2 }), "\x02\x04\x00\x00"), "sizes disagree"},
		{"not s2", records(with(one, func(h *header) { h.codec, h.raw = S2, 9 }), "\x09\xff\xff"), "decode block"},
		{"s2 of another size", records(with(one, func(h *header) { h.codec, h.raw = S2, 9 }), "\x02\x04\x00\x00"), "decoded size"},
		{"large and s2", records(with(one, func(h *header) { h.codec, h.raw = S2, MaxBlockSize+1 }), "x"), "not one plain record"},
		{"large and many", records(header{kindRecords, None, 2, MaxBlockSize + 1, MaxBlockSize + 1}, "x"), "not one plain record"},
		{"above the cap", records(header{kindRecords, None, 1, 1 << 31, 1 << 31}, "x"), "exceeds the cap"},
		{"footer of a record", records(one, "\x00\x00") + footer(totals{records: 1, blocks: 1}), "footer does not match"},
		{"footer without its record", start + footer(totals{records: 1}), "says 1 records in 0 blocks, read 0 in 0"},
		{"short footer", start + string(block(header{kind: kindFooter, codec: None}, "x")), "malformed footer"},
		{"local footer", start + string(block(header{kind: kindFooter, codec: None}, string(make([]byte, 24)))), "malformed footer"},
		{"compressed footer", start + string(block(header{kind: kindFooter, codec: S2}, string(make([]byte, 64)))), "malformed footer"},
		{"two footers", string(empty) + string(empty[fileLen:]), "data after the footer"},
		{"two streams", string(empty) + string(empty), "data after the footer"},
		{"one byte more", string(empty) + "\x00", "data after the footer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := readAll([]byte(tt.data))
			wantCorrupt(t, err, "")
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %q, want %q", err, tt.want)
			}
		})
	}
}

// TestOffset: the error names the block in which the damage lies.
func TestOffset(t *testing.T) {
	data, _ := write(t, Options{BlockSize: 1, Codec: None}, []rec{{"a", "1"}, {"b", "2"}, {"c", "3"}})
	want := int64(fileLen + headerLen + 4 + checksumLen)
	data[want+headerLen] ^= 1
	recs, err := readAll(data)
	var c *CorruptError
	if !errors.As(err, &c) || c.Offset != want {
		t.Errorf("got %v, want offset %d", err, want)
	}
	equal(t, []rec{{"a", "1"}}, recs)
}

// TestLyingHeader: what a header promises is not allocated before it comes.
func TestLyingHeader(t *testing.T) {
	data := append([]byte("\x89mraws\x01\x00"), block(header{kindRecords, None, 1, 1 << 30, 1 << 30}, "x")...)
	data = append(data, make([]byte, 3<<20)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := collect(NewReader(bytes.NewReader(data)))
	runtime.ReadMemStats(&after)
	wantCorrupt(t, err, "lying header")
	if n := after.TotalAlloc - before.TotalAlloc; n > 10<<20 {
		t.Errorf("allocated %d bytes for a stream of %d", n, len(data))
	}
}
