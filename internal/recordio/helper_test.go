package recordio

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// rec is a record of the tests.
type rec struct{ K, V string }

// tb is what testing.TB and *rapid.T share.
type tb interface {
	Helper()
	Fatalf(format string, args ...any)
}

// write returns the stream of recs.
func write(t tb, o Options, recs []rec) ([]byte, Summary) {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b, o)
	for _, r := range recs {
		if err := w.Write([]byte(r.K), []byte(r.V)); err != nil {
			t.Fatalf("write: %v", err)
		}
	}
	s, err := w.Close()
	if err != nil {
		t.Fatalf("close: %v", err)
	}
	if s.Bytes != int64(b.Len()) {
		t.Fatalf("summary says %d bytes, wrote %d", s.Bytes, b.Len())
	}
	return b.Bytes(), s
}

// collect reads src to its end.
func collect(src Source) (recs []rec, err error) {
	for src.Next() {
		recs = append(recs, rec{string(src.Key()), string(src.Value())})
	}
	return recs, src.Err()
}

// read reads a stream that must be good.
func read(t tb, data []byte) ([]rec, Summary) {
	t.Helper()
	r := NewReader(bytes.NewReader(data))
	recs, err := collect(r)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	s, err := r.Summary()
	if err != nil {
		t.Fatalf("summary: %v", err)
	}
	return recs, s
}

// newSmallReader refuses records above MaxBlockSize, so that damaged data cannot
// make it allocate much.
func newSmallReader(src io.Reader) *Reader {
	r := NewReader(src)
	r.maxRaw = MaxBlockSize
	return r
}

// partition returns a new reader of partition r of a run.
func (run *Run) partition(r int) *Reader {
	rd := newSmallReader(nil)
	run.PartitionInto(rd, r)
	return rd
}

// bytes is the size of partition r in the file.
func (run *Run) bytes(r int) int64 { s, _ := run.find(r); return s.length }

// equal fails t if got is not want; nil and empty are the same.
func equal(t tb, want, got []rec) {
	t.Helper()
	if !slices.Equal(want, got) {
		t.Fatalf("records (-want +got):\n%s", cmp.Diff(want, got))
	}
}

// summarize is the definition of a summary, but for the size of the file.
func summarize(recs []rec) Summary {
	var s Summary
	h := sha256.New()
	for _, r := range recs {
		b := binary.AppendUvarint(nil, uint64(len(r.K)))
		b = binary.AppendUvarint(b, uint64(len(r.V)))
		h.Write(binary.LittleEndian.AppendUint64(nil, xxhash.Sum64(append(b, r.K+r.V...))))
		s.Sum.AddRecord([]byte(r.K), []byte(r.V))
	}
	h.Sum(s.Hash[:0])
	return s
}

// drawRecs draws records: short keys that repeat, empty ones, long ones,
// compressible and random values.
func drawRecs(t *rapid.T, max int) []rec {
	text := rapid.OneOf(
		rapid.StringMatching(`[ab]{0,2}`),
		rapid.StringMatching(`[a-c\x00\xff]{5,10}`),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 300), func(b []byte) string { return string(b) }),
		rapid.Map(rapid.IntRange(100, 500), func(n int) string { return string(make([]byte, n)) }),
	)
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) rec {
		return rec{text.Draw(t, "key"), text.Draw(t, "value")}
	}), 0, max).Draw(t, "records")
}

// drawOptions draws options; blocks are small, so that there are many.
func drawOptions(t *rapid.T) Options {
	return Options{
		Codec:     rapid.SampledFrom([]Codec{S2, None}).Draw(t, "codec"),
		BlockSize: rapid.SampledFrom([]int{1, 10, 100, 1000, 0}).Draw(t, "block size"),
		Local:     rapid.Bool().Draw(t, "local"),
	}
}

// wantCorrupt fails t unless err is a CorruptError.
func wantCorrupt(t tb, err error, format string, args ...any) {
	t.Helper()
	var c *CorruptError
	if !errors.As(err, &c) {
		t.Fatalf(format+": got error %v, want a CorruptError", append(args, err)...)
	}
}

// sampleRecs are the records of the golden files.
func sampleRecs() []rec {
	return []rec{{"a", "1"}, {"a", ""}, {"", "empty key"}, {"long", string(bytes.Repeat([]byte("ab"), 150))}, {"\xff\x00", "é\n"}}
}

func discard(tb testing.TB, src Source) (n int) {
	for src.Next() {
		n++
	}
	if err := src.Err(); err != nil {
		tb.Fatal(err)
	}
	return n
}
