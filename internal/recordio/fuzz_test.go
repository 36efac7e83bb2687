package recordio

import (
	"bytes"
	"testing"
)

// FuzzReader: any bytes are read without a panic, and what is accepted as a
// stream is one: written again it gives the same records and summary.
func FuzzReader(f *testing.F) {
	for _, o := range []Options{{}, {Codec: None, BlockSize: 20}, {Local: true}} {
		data, _ := write(f, o, sampleRecs())
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	f.Fuzz(func(t *testing.T, data []byte) { readFuzzed(t, data) })
}

// readFuzzed reads data and checks what can be checked of it.
func readFuzzed(t *testing.T, data []byte) {
	t.Helper()
	r := newSmallReader(bytes.NewReader(data))
	recs, err := collect(r)
	if n := len(r.buf) + len(r.dec); n > 4*len(data)+bigBuffer+MaxBlockSize+2*roundTo {
		t.Fatalf("%d bytes allocated for %d", n, len(data))
	}
	if err != nil {
		wantCorrupt(t, err, "fuzzed stream")
		return
	}
	s, err := r.Summary()
	if err != nil || s.Bytes != int64(len(data)) {
		t.Fatalf("summary %+v, %v of %d bytes", s, err, len(data))
	}
	_, again := write(t, Options{Local: r.flags != 0}, recs)
	again.Bytes = s.Bytes
	if again != s {
		t.Fatalf("read %+v, written again %+v", s, again)
	}
}

// FuzzBlock puts any header and payload into a stream whose checksums are
// right, which FuzzReader would hardly ever hit.
func FuzzBlock(f *testing.F) {
	f.Add(uint8(1), uint8(1), uint32(1), uint32(2), []byte("\x00\x00"))
	f.Add(uint8(1), uint8(0), uint32(1), uint32(300), []byte("\xac\x02\x04\x00\x00"))
	f.Add(uint8(2), uint8(1), uint32(0), uint32(64), make([]byte, 64))
	data, _ := write(f, Options{}, sampleRecs())
	b := blocks(data)[0]
	h := parseHeader(b)
	f.Add(uint8(h.kind), uint8(h.codec), h.records, h.raw, b[headerLen:len(b)-checksumLen])
	f.Fuzz(func(t *testing.T, k, codec uint8, records, raw uint32, payload []byte) {
		h := header{kind: kind(k), codec: Codec(codec), records: records, raw: raw, stored: uint32(len(payload))}
		b := make([]byte, headerLen)
		h.put(b)
		data := append([]byte("\x89mraws\x01\x00"), seal(append(b, payload...))...)
		readFuzzed(t, data)
	})
}

// FuzzRoundTrip: records cut out of any bytes come back.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("a\x00b\x01some words some words some words"), uint8(0), uint16(10), uint8(3))
	f.Fuzz(func(t *testing.T, data []byte, codec uint8, blockSize uint16, cut uint8) {
		var recs []rec
		for rest := data; len(rest) > 0; {
			k := min(len(rest), int(cut)%7)
			v := min(len(rest)-k, int(rest[0])%100)
			recs = append(recs, rec{string(rest[:k]), string(rest[k : k+v])})
			rest = rest[max(k+v, 1):]
		}
		file, wrote := write(t, Options{Codec: Codec(codec % 2), BlockSize: int(blockSize)}, recs)
		got, read := read(t, file)
		equal(t, recs, got)
		if wrote != read {
			t.Fatalf("wrote %+v, read %+v", wrote, read)
		}
	})
}

// FuzzRun: any bytes are opened as a run without a panic.
func FuzzRun(f *testing.F) {
	f.Add(writeRun(f, Options{}, map[int][]rec{0: sampleRecs(), 2: {{"b", "2"}}}), true)
	f.Add(writeRun(f, Options{Codec: None}, nil), false)
	f.Fuzz(func(t *testing.T, data []byte, repair bool) {
		if end := len(data) - tailLen - checksumLen; repair && end > 0 {
			// Make the checksum of the index right, if there is one.
			for start := 0; start < end && start < 1<<10; start++ {
				if kind(data[start]) == kindIndex {
					copy(data[end:], seal(bytes.Clone(data[start:end]))[end-start:])
					break
				}
			}
		}
		run, err := OpenRun(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			wantCorrupt(t, err, "fuzzed run")
			return
		}
		for p := range 4 {
			if _, err := collect(run.partition(p)); err != nil {
				wantCorrupt(t, err, "fuzzed run, partition %d", p)
			}
		}
	})
}
