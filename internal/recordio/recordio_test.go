package recordio

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"
)

// TestRoundTrip: what was written is read, and both sides give the summary
// of the definition, whatever codec and block size.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		recs, o := drawRecs(t, 40), drawOptions(t)
		data, wrote := write(t, o, recs)
		got, read := read(t, data)
		equal(t, recs, got)
		if wrote != read {
			t.Fatalf("wrote %+v, read %+v", wrote, read)
		}
		want := summarize(recs)
		want.Bytes = int64(len(data))
		if o.Local {
			want.Hash, want.Sum.Hash = [32]byte{}, 0
		}
		if read != want {
			t.Fatalf("got %+v, want %+v", read, want)
		}
	})
}

// TestSumOrder: the sum depends on the records, not on order or blocks; the
// hash on the order alone.
func TestSumOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		recs := drawRecs(t, 20)
		_, a := write(t, Options{BlockSize: 10}, recs)
		_, b := write(t, Options{Codec: None}, recs)
		_, c := write(t, Options{}, rapid.Permutation(recs).Draw(t, "permutation"))
		if a.Sum != b.Sum || a.Sum != c.Sum || a.Hash != b.Hash {
			t.Fatalf("%+v, %+v, %+v", a, b, c)
		}
		if len(recs) > 0 {
			_, d := write(t, Options{}, recs[1:])
			if d.Sum == a.Sum || d.Hash == a.Hash {
				t.Fatalf("a dropped record does not show")
			}
		}
	})
}

func TestHashRecord(t *testing.T) {
	if got, want := HashRecord([]byte("key"), []byte("v")), xxhash.Sum64String("\x03\x01keyv"); got != want {
		t.Errorf("got %x, want %x", got, want)
	}
	long := strings.Repeat("x", 200)
	if got, want := HashRecord([]byte("k"), []byte(long)), xxhash.Sum64String("\x01\xc8\x01k"+long); got != want {
		t.Errorf("got %x, want %x", got, want)
	}
	if HashRecord([]byte("ab"), []byte("c")) == HashRecord([]byte("a"), []byte("bc")) {
		t.Error("the border of key and value does not count")
	}
}

// TestBlocks: a block is full at BlockSize, and a larger record gets one of
// its own.
func TestBlocks(t *testing.T) {
	s := func(n int) string { return strings.Repeat("x", n) }
	tests := []struct {
		name   string
		sizes  []int // of values; a frame and an empty key add 2 bytes
		blocks []int // records in each
	}{
		{"none", nil, nil},
		{"one", []int{1}, []int{1}},
		{"exactly full", []int{48, 48}, []int{2}},
		{"one byte more", []int{48, 49}, []int{1, 1}},
		{"alone and full", []int{98, 1}, []int{1, 1}},
		{"larger first", []int{99, 1, 1}, []int{1, 2}},
		{"larger within", []int{1, 300, 1}, []int{1, 1, 1}},
		{"larger last", []int{1, 1, 99}, []int{2, 1}},
	}
	for _, tt := range tests {
		for _, codec := range []Codec{S2, None} {
			t.Run(tt.name+map[Codec]string{S2: " s2", None: " none"}[codec], func(t *testing.T) {
				var recs []rec
				for _, n := range tt.sizes {
					recs = append(recs, rec{"", s(n)})
				}
				data, _ := write(t, Options{Codec: codec, BlockSize: 100}, recs)
				var got []int
				for b := data[fileLen:]; ; {
					h := parseHeader(b)
					if h.kind == kindFooter {
						break
					}
					got = append(got, int(h.records))
					b = b[headerLen+int(h.stored)+checksumLen:]
				}
				if len(got) != len(tt.blocks) {
					t.Fatalf("got blocks %v, want %v", got, tt.blocks)
				}
				for i := range got {
					if got[i] != tt.blocks[i] {
						t.Fatalf("got blocks %v, want %v", got, tt.blocks)
					}
				}
				back, _ := read(t, data)
				equal(t, recs, back)
			})
		}
	}
}

func TestMaxRecord(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b, Options{})
	w.maxRecord = 10
	err := w.Write([]byte("12345"), []byte("678901"))
	var large *TooLargeError
	if !errors.As(err, &large) || large.Size != 11 || large.Max != 10 {
		t.Fatalf("got %v", err)
	}
	if got, want := err.Error(), "record of 11 bytes exceeds the cap of 10"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := w.Write([]byte("12345"), []byte("67890")); err != nil {
		t.Fatalf("the stream did not survive: %v", err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, _ := read(t, b.Bytes())
	equal(t, []rec{{"12345", "67890"}}, got)

	data, _ := write(t, Options{}, []rec{{"k", string(make([]byte, MaxBlockSize))}})
	r := newSmallReader(bytes.NewReader(data))
	_, err = collect(r)
	wantCorrupt(t, err, "record above the reader's cap")
	if !strings.Contains(err.Error(), "exceeds the cap") {
		t.Error(err)
	}
}

// TestSources: the reader does not care how its source returns the bytes.
func TestSources(t *testing.T) {
	data, _ := write(t, Options{BlockSize: 50}, sampleRecs())
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"bytes": iotest.OneByteReader, "halves": iotest.HalfReader, "data with EOF": iotest.DataErrReader,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := collect(NewReader(wrap(bytes.NewReader(data))))
			if err != nil {
				t.Fatal(err)
			}
			equal(t, sampleRecs(), got)
		})
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestSourceErrors: an error of the source is passed on, at every byte, and
// is not taken for corruption; a source that stalls is one.
func TestSourceErrors(t *testing.T) {
	data, _ := write(t, Options{BlockSize: 50}, sampleRecs())
	broken := errors.New("broken")
	for n := range len(data) + 1 {
		r := NewReader(io.MultiReader(bytes.NewReader(data[:n]), iotest.ErrReader(broken)))
		_, err := collect(r)
		var c *CorruptError
		if !errors.Is(err, broken) || errors.As(err, &c) {
			t.Fatalf("error after %d bytes: got %v", n, err)
		}
		if _, serr := r.Summary(); !errors.Is(serr, err) || r.Next() {
			t.Fatalf("error after %d bytes is not final: %v", n, serr)
		}
	}
	stall := NewReader(readerFunc(func([]byte) (int, error) { return 0, nil }))
	if _, err := collect(stall); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("stalled source: %v", err)
	}
	for _, n := range []int{-1, 1 << 20} {
		liar := NewReader(readerFunc(func([]byte) (int, error) { return n, nil }))
		if _, err := collect(liar); err == nil {
			t.Errorf("source that read %d bytes", n)
		}
	}
}

// TestWriteErrors: an error of the sink comes out of Write or Close, at every
// byte, and is final.
func TestWriteErrors(t *testing.T) {
	broken := errors.New("broken")
	small := append(sampleRecs(), sampleRecs()...)
	huge := append(sampleRecs(), rec{"huge", string(make([]byte, MaxBlockSize))})
	for _, short := range []error{broken, nil} {
		for limit := range 700 {
			left, recs := limit, small
			if limit%32 == 0 {
				recs = huge
			}
			w := NewWriter(writerFunc(func(p []byte) (int, error) {
				if len(p) > left {
					return left, short
				}
				left -= len(p)
				return len(p), nil
			}), Options{BlockSize: 50, Codec: None})
			var err error
			for _, r := range recs {
				if err = w.Write([]byte(r.K), []byte(r.V)); err != nil {
					break
				}
			}
			if err == nil {
				_, err = w.Close()
			}
			want := short
			if want == nil {
				want = io.ErrShortWrite
			}
			if !errors.Is(err, want) {
				t.Fatalf("sink of %d bytes: got %v", limit, err)
			}
			if _, again := w.Close(); !errors.Is(again, err) || !errors.Is(w.Write(nil, nil), err) {
				t.Fatalf("sink of %d bytes: error is not final", limit)
			}
		}
	}
}

func TestClosed(t *testing.T) {
	w := NewWriter(io.Discard, Options{})
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Write(nil, nil); err == nil {
		t.Error("write after close")
	}
	if _, err := w.Close(); err == nil {
		t.Error("second close")
	}
}

// TestReset: a used writer and reader behave like new ones, whatever they
// went through.
func TestReset(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := drawOptions(t)
		w := NewWriter(nil, o)
		r := NewReader(nil)
		for range 4 {
			recs := drawRecs(t, 8)
			want, ws := write(t, o, recs)
			var b bytes.Buffer
			w.Reset(&b)
			for _, rec := range recs {
				if err := w.Write([]byte(rec.K), []byte(rec.V)); err != nil {
					t.Fatal(err)
				}
			}
			if s, err := w.Close(); err != nil || s != ws || !bytes.Equal(b.Bytes(), want) {
				t.Fatalf("reused writer: %+v, %v, want %+v", s, err, ws)
			}
			r.Reset(&b)
			got, err := collect(r)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, recs, got)
			if s, err := r.Summary(); err != nil || s != ws {
				t.Fatalf("reused reader: %+v, %v, want %+v", s, err, ws)
			}
			// Leave both in the middle of something.
			w.Reset(io.Discard)
			_ = w.Write([]byte("x"), make([]byte, 2000))
			cut := rapid.IntRange(0, len(want)-1).Draw(t, "cut")
			r.Reset(bytes.NewReader(want[:cut]))
			_, err = collect(r)
			wantCorrupt(t, err, "cut at %d", cut)
		}
	})
}

// TestFallback: blocks that do not shrink are stored as they are.
func TestFallback(t *testing.T) {
	noise := make([]byte, 1000)
	for i := range noise {
		noise[i] = byte(xxhash.Sum64([]byte{byte(i), byte(i >> 8)}))
	}
	for value, want := range map[string]Codec{string(noise): None, string(make([]byte, 1000)): S2, "": None} {
		data, _ := write(t, Options{}, []rec{{"", value}})
		if h := parseHeader(data[fileLen:]); h.codec != want {
			t.Errorf("block of %d bytes has codec %v, want %v", len(value), h.codec, want)
		}
	}
}
